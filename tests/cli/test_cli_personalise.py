"""`insula personalise`: a person's own model, which moment to label next, and the curve with its page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_cohort import recording, write_manifest
from typer.testing import CliRunner

from insula.cli import app
from insula.learning.personal.personal import Personal
from insula.privacy.forget import forget

runner = CliRunner()
QUICK = ["--set", "recipe.window_s=4", "--set", "recipe.hop_s=2", "--set", "recipe.guard_s=2", "--epochs", "2"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    people = [recording(name, trials=10) for name in ("ann", "bob", "cyd")]
    return write_manifest(tmp_path_factory.mktemp("study"), people)


def asked(study: Path, *more: str) -> list[str]:
    return ["--data", "manifest", "--root", str(study), "--target", "state", *more]


def run(*arguments: str) -> str:
    done = runner.invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_personal_model_and_a_suggestion(study: Path, tmp_path: Path) -> None:
    model = str(tmp_path / "population")
    run("train", *asked(study, "--subjects", "ann,bob", "--model", "tcn", *QUICK), "--out", model)
    out = tmp_path / "cyd"
    told = run("personalise", "--model", model, "--person", "cyd", *asked(study), "--out", str(out))
    assert "bayes" in told
    assert "10 labelled trials" in told
    assert Personal.load(out).strategy == "bayes"
    assert json.loads((out / "model" / "training.json").read_text())["subjects"] == ["ann", "bob", "cyd"]
    told = run("personalise", "--model", model, "--person", "cyd", *asked(study), "--suggest", "3")
    assert told.count("cyd") == 3


def test_the_curve_is_a_page_with_controls(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "curve"
    told = run(
        "personalise", *asked(study, "--network", "tcn", *QUICK), "--trials", "0,1,2", "--strategy", "bayes,head",
        "--out", str(out),
    )  # fmt: skip
    found = json.loads((out / "calibration.json").read_text())
    assert found["amounts"] == [0, 1, 2]
    assert found["people"] == 3
    assert {p["strategy"] for p in found["points"]} == {
        "population", "bayes", "head", "wrong_person", "shuffled_labels", "own_full",
    }  # fmt: skip
    assert all(np.isfinite(p["mean"]) for p in found["points"])
    page = (out / "calibration.html").read_text()
    assert page.count("<svg") == 2
    assert "control: adapted to another person" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "population model" in told
    gone = forget("cyd", [tmp_path])
    assert [what for _, what in gone.done] == ["calibration curve removed: draw it again"]
    assert not out.exists()
    assert not gone.leftovers


def test_what_is_asked_for_must_be_whole(study: Path) -> None:
    from insula.errors import InputError

    for wrong in ([], ["--model", "x"], ["--model", "x", "--person", "a", "--trials", "0,1"], ["--trials", "a"]):
        with pytest.raises(InputError, match="expected"):
            runner.invoke(app, ["personalise", *asked(study), *wrong], catch_exceptions=False)
