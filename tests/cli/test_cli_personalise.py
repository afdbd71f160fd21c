"""`insula personalise`: a person's own model, which moment to label next, and the curve with its page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_cohort import recording, write_manifest
from typer.testing import CliRunner

from insula.cli import app
from insula.cli.options import make_experiment
from insula.evaluation.calibration import usual_of
from insula.evaluation.results import Result
from insula.explain.personal import PERSONAL
from insula.learning.personal import personal
from insula.learning.personal.personal import Personal
from insula.models import MODELS
from insula.pipeline.predicting import predict_windows
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


def test_an_own_model_from_scratch_is_trained_as_asked_and_says_how(study: Path, tmp_path: Path) -> None:
    """The population's recipe holds, rounds and epochs without labels too; what is given here replaces it."""
    model = str(tmp_path / "population")
    recipe = ["--set", "train.unlabelled_epochs=2", "--set", "train.rounds=2"]
    said = run("train", *asked(study, "--subjects", "ann,bob", "--model", "tcn", *QUICK), *recipe, "--out", model)
    assert "not converged" in said
    base = ("personalise", "--model", model, "--person", "cyd", *asked(study))
    told = run(*base, "--strategy", "scratch", "--out", str(tmp_path / "own"))
    assert "2 epochs" in told
    assert re.search(r"epochs +(60|180)", told)
    more = run(*base, "--strategy", "scratch", "--set", "train.unlabelled_epochs=0", "--out", str(tmp_path / "own"))
    assert "without labels" not in more
    refused = runner.invoke(app, [*base, "--set", "train.rounds=3", "--out", str(tmp_path / "x")])
    assert refused.exit_code
    assert "expected scratch" in str(refused.exception)


def test_a_personal_model_and_a_suggestion(study: Path, tmp_path: Path) -> None:
    model = str(tmp_path / "population")
    run("train", *asked(study, "--subjects", "ann,bob", "--model", "tcn", *QUICK), "--out", model)
    out = tmp_path / "cyd"
    told = run("personalise", "--model", model, "--person", "cyd", *asked(study), "--out", str(out))
    assert "bayes" in told
    assert "10 labelled trials" in told
    assert "drift" in told
    own = Personal.load(out)
    assert own.strategy == "bayes"
    table = tmp_path / "cyd.csv"
    cyd = ("--data", "manifest", "--root", str(study), "--subjects", "cyd")
    assert "cyd" in run("predict", "--model", str(out), *cyd, "--out", str(table))
    windows = predict_windows(
        own, make_experiment(None, {"data": {"name": "manifest", "root": str(study), "subjects": ("cyd",)}}, None)
    )
    chances = pd.read_csv(table)[["p_calm", "p_tense"]].to_numpy()
    np.testing.assert_allclose(chances, own.predict_proba(windows), atol=2e-6)
    assert np.abs(chances - own.base.predict_proba(windows)).max() > 0.01, "its head answers, not the population's"
    assert json.loads((out / "model" / "training.json").read_text())["subjects"] == ["ann", "bob", "cyd"]
    told = run("personalise", "--model", model, "--person", "cyd", *asked(study), "--suggest", "3")
    assert told.count("cyd") == 3


@pytest.mark.slow
def test_the_curve_is_a_page_with_controls(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal, "OWN_EPOCHS", 5)
    monkeypatch.setitem(MODELS, "small", "own_maps:Small")
    out = tmp_path / "curve"
    told = run(
        "evaluate", *asked(study, "--model", "small", *QUICK), "--protocol", "calibrated", "--minutes", "0,0.1,0.3",
        "--strategy", "bayes,recalibrated", "--set", 'compare.rows=["elapsed_trial"]', "--quick", "--jobs", "1",
        "--out", str(out),
    )  # fmt: skip
    found = Result.load(out)
    curve = PERSONAL.read(found)
    assert curve is not None
    assert (curve.unit, curve.amounts) == ("minutes", (0, 0.1, 0.3))
    assert set(curve.scores) == {
        "population", "bayes", "recalibrated", "chosen", "suggested", "wrong_person",
        "shuffled_labels", "own_full",
    }  # fmt: skip
    assert np.isfinite([v for rows in curve.scores.values() for row in rows.values() for v in row[2:]]).all()
    page = (out / "report.html").read_text()
    assert "How much does a new person have to label?" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "population model" in told
    assert run("audit", str(out))
    usual = usual_of(curve.chosen.values())
    assert json.loads((out / "model" / "training.json").read_text())["strategy"] == usual
    own = str(tmp_path / "own")
    assert usual in run("personalise", "--model", str(out / "model"), "--person", "cyd", *asked(study), "--out", own)
    assert run("table", str(out))
    forget("cyd", [tmp_path])
    left = PERSONAL.read(Result.load(out))
    assert left is not None
    assert left.people == ("ann", "bob")
    assert "cyd" not in (out / "report.html").read_text()


def test_what_is_asked_for_must_be_whole(study: Path) -> None:
    from insula.errors import InputError

    for wrong in (["--trials", "a"], ["--trials", "0.5"], ["--trials", "1", "--minutes", "1"], ["--minutes", "-1"]):
        with pytest.raises(InputError, match="expected"):
            runner.invoke(app, ["evaluate", *asked(study), "--protocol", "calibrated", *wrong], catch_exceptions=False)
