"""The commands a user types: tables to standard output, progress to standard error, exit codes for scripts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Terminal
from small_cohort import cohort, write_manifest
from typer.testing import CliRunner

from insula.cli import app, options, show
from insula.errors import InputError
from insula.evaluation.results import Result

SMALL = (
    "--set", "recipe.window_s=4.0", "--set", "recipe.hop_s=2.0", "--set", "recipe.guard_s=2.0", "--epochs", "1",
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("data"), cohort())


@pytest.fixture
def insula(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    return Terminal(monkeypatch, capsys)


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "m"
    done = CliRunner().invoke(
        app, ["train", "--data", "manifest", "--root", str(root), "--target", "state", "--out", str(out), *SMALL]
    )
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture(scope="module")
def evaluated(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    out = tmp_path_factory.mktemp("runs") / "one"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(show, "QUIET_S", -1.0)  # short work is told too
        done = CliRunner().invoke(
            app,
            [
                "evaluate", "--data", "manifest", "--root", str(root), "--target", "state", "--model", "liquid",
                "--protocol", "leave_one_subject_out", "--out", str(out), "--quick", "--jobs", "1", *SMALL,
                "--set", 'compare.rows=["clock", "majority"]',
            ],
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    return out, done.stdout, done.stderr


def test_evaluate_prints_the_table_and_writes_the_folder(evaluated: tuple[Path, str, str]) -> None:
    out, stdout, stderr = evaluated
    assert sorted(p.name for p in out.iterdir()) == [
        "model", "predictions.parquet", "report.html", "report.json", "result.json",
    ]  # fmt: skip
    for name in (
        "Design oracle",
        "Majority",
        "cannot be tested: 3 people, 6 needed",
        "leave_one_subject_out, 3 people",
        "chance 0.500",
    ):
        assert name in stdout
    assert f"report: {out / 'report.html'}" in stdout
    assert "fits: " in stderr
    assert "fits: " not in stdout
    result = Result.load(out)
    assert [s.name for s in result.systems] == ["liquid", "clock", "majority"]
    assert result.config["experiment"]["recipe"] == {"window_s": 4.0, "hop_s": 2.0, "guard_s": 2.0}


@pytest.mark.slow
def test_explain_and_report_of_a_result(evaluated: tuple[Path, str, str], insula: Terminal, tmp_path: Path) -> None:
    out = evaluated[0]
    done = insula("explain", out)
    assert (done.code, done.err) == (0, "")
    assert "Liquid fusion network" in done.out
    as_json = insula("explain", out, "--json")
    assert as_json.code == 0
    json.loads(as_json.out)
    page = tmp_path / "again.html"
    done = insula("report", out, "--out", page)
    assert done.code == 0
    assert f"report: {page}" in done.out.replace("\n", "")
    assert "<html" in page.read_text(encoding="utf-8")


def test_train_and_predict(root: Path, trained: Path, insula: Terminal, tmp_path: Path) -> None:
    csv = tmp_path / "new" / "p.csv"
    done = insula("predict", "--model", trained, "--data", "manifest", "--root", root, "--out", csv)
    assert done.code == 0
    assert "of 3 people" in done.out
    table = pd.read_csv(csv)
    assert list(table.columns) == [
        "subject", "session", "trial", "start_s", "stop_s", "prediction", "p_calm", "p_tense",
    ]  # fmt: skip
    assert len(table) == 81
    np.testing.assert_allclose(table[["p_calm", "p_tense"]].sum(axis=1), 1, atol=1e-5)
    again = insula("predict", "--model", trained, "--data", "manifest", "--root", root, "--subjects", "bob")
    assert again.code == 0
    assert "27 of 1 person" in again.out


def test_predict_leaves_a_folder_alone(root: Path, trained: Path, insula: Terminal, tmp_path: Path) -> None:
    insula.refused(
        "predict", "--model", trained, "--data", "manifest", "--root", root, "--out", tmp_path, says="is a folder"
    )
    assert not list(tmp_path.iterdir())


def test_data_list_and_check(root: Path, insula: Terminal) -> None:
    done = insula("data", "list")
    assert done.code == 0
    for name in ("simulate", "manifest", "stress_predict", "cogwear_e4", "phymer"):
        assert name in done.out
    done = insula("data", "check", "manifest", "--root", root, "--window", 4, "--hop", 2, "--guard", 2)
    assert done.code == 0
    for text in ("3: ann, bob, cyd", "eda", "state: calm 9 trials", "leave_one_subject_out  allowed"):
        assert text in done.out, done.out
    longer = insula("data", "check", "manifest", "--root", root)
    assert "a window needs 5 s guard and 10 s" in longer.out
    found = json.loads(insula("data", "check", "manifest", "--root", root, "--json").out)
    assert found["people"] == ["ann", "bob", "cyd"]


def test_data_check_says_what_cannot_be_read_with_exit_code_1(insula: Terminal, tmp_path: Path) -> None:
    data = write_manifest(tmp_path, cohort())
    (data / "bob-eda.csv").unlink()
    done = insula("data", "check", "manifest", "--root", data)
    assert done.code == 1
    assert "bob-eda.csv" in done.out.replace("\n", "")


def test_models_lists_networks_and_rows(insula: Terminal) -> None:
    done = insula("models")
    assert done.code == 0
    for name in ("liquid", "eegnet", "logistic_regression", "clock"):
        assert name in done.out


def test_audit_exit_code_tells_leaks(insula: Terminal, tmp_path: Path) -> None:
    rows = [
        {
            "subject": "a", "session": "s", "trial": f"t{t}", "start": 20.0 * t + 4 * k, "stop": 20.0 * t + 4 * k + 4,
            "fold": fold, "role": "test" if t % 2 == fold else "train", "label": t // 2 % 2,
        }
        for fold in (0, 1) for t in range(4) for k in range(4)
    ]  # fmt: skip
    clean = pd.DataFrame(rows)
    leaky = clean.assign(role=["test" if r.start % 20 // 4 % 2 == r.fold else "train" for r in clean.itertuples()])
    for name, table, code in (("clean", clean, 0), ("leaky", leaky, 1)):
        file = tmp_path / f"{name}.csv"
        table.to_csv(file, index=False)
        done = insula("audit", file)
        assert done.code == code, done
        assert done.out
        as_json = insula("audit", file, "--json")
        assert as_json.code == code
        json.loads(as_json.out)


def test_flags_replace_keys_of_the_file_and_set_goes_last(tmp_path: Path) -> None:
    file = tmp_path / "e.toml"
    file.write_text('seed = 4\n[data]\nname = "simulate"\ntarget = "emotion"\n[train]\nepochs = 9\npatience = 3\n')
    tables = {"data": {"name": None, "target": "valence"}, "train": {"epochs": 5}, "": {"seed": None}}
    found = options.make_experiment(file, tables, ["train.epochs=2", "data.options.people=3", "model.size=medium"])
    assert (found.seed, found.data.target) == (4, "valence")
    assert found.train == {"epochs": 2, "patience": 3}
    assert found.data.options == {"people": 3}
    assert found.model.size == "medium"
    for bad, says in (
        ("train.epochs", "KEY=VALUE"),
        ("seed.x=1", "expected seed to be a table"),
        ("x=1", "experiment key"),
    ):
        with pytest.raises(InputError, match=says):
            options.make_experiment(file, {}, [bad])


def test_wrong_usage_is_exit_code_2(insula: Terminal) -> None:
    for arguments in (("evalute",), ("evaluate", "--folds", "two"), ("train",), ("evaluate", "--jobs", "0")):
        done = insula(*arguments)
        assert done.code == 2
        assert "Traceback" not in done.err
        assert done.out == ""


def test_help_of_every_command_names_units_and_defaults(insula: Terminal) -> None:
    commands = ("demo", "evaluate", "train", "predict", "explain", "report", "models", "audit")
    for command in (*commands, ("data", "list"), ("data", "check")):
        done = insula(*((command,) if isinstance(command, str) else command), "--help")
        assert done.code == 0
        assert "Usage" in done.out
    text = " ".join(insula("evaluate", "--help").out.split())
    assert "seconds" in text
    assert "Default" in text


@pytest.mark.slow
def test_a_real_process(root: Path, trained: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "insula", "predict", "--model", str(trained), "--data", "manifest",
            "--root", str(root), "--out", str(tmp_path / "p.csv"),
        ],
        capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "of 3 people" in done.stdout
    assert (tmp_path / "p.csv").is_file()
    bad = subprocess.run(
        [sys.executable, "-m", "insula", "data", "check", "simulat"], capture_output=True, text=True, timeout=500
    )
    assert bad.returncode == 2
    assert bad.stderr.strip().splitlines()[-1].startswith("insula: data 'simulat'")
    assert "Traceback" not in bad.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [(("one", "two"), "compared by insula report one two"), (("a.toml", "b.toml"), "2 grids; expected one")],
)
def test_compare_takes_one_grid_and_says_what_compares_runs(
    given: tuple[str, str], told: str, insula: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    done = insula("compare", *given)
    assert done.code == 2
    assert told in done.err


@pytest.mark.slow
def test_demo_runs_end_to_end(tmp_path: Path, insula: Terminal) -> None:
    out = tmp_path / "demo"
    settings = (
        "data.options.trials_per_emotion=2", "data.options.trial_s=10.0", "data.options.baseline_s=6.0",
        'data.modalities=["eeg", "eda", "hr"]', "train.epochs=1", "protocol.folds=2", "compare.variants=[]",
        'compare.rows=["clock", "majority"]',
    )  # fmt: skip
    done = insula("demo", "--people", 2, "--jobs", 1, "--out", out, *[a for s in settings for a in ("--set", s)])
    assert done.code == 0, done.err
    assert done.out.strip().endswith(str(out / "report.html"))
    for name in ("Liquid fusion", "Design oracle", "within_subject, 2 people"):
        assert name in done.out
    assert sorted(p.name for p in (out / "model").iterdir()) == ["p01", "p02"]
    result = Result.load(out)
    assert {"attention", "time_constants", "controls", "latent", "modalities"} <= set(result.analyses)
    assert result.provenance["command"].startswith("insula demo --people 2")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert len(page) > 20_000
    explained = insula("explain", out)
    for text in ("attention over time", "time constants", "without eeg", "latent silhouette"):
        assert text in explained.out
