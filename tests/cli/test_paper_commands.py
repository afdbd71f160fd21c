"""Commands for a paper, and where runs are written: never over an earlier one unless told."""

from __future__ import annotations

from pathlib import Path

import fake_result
import pytest
from typer.testing import CliRunner

from insula.cli import app
from insula.cli.options import result_folder
from insula.errors import InputError
from insula.evaluation.experiment import Experiment


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_result.stress(people=3).save(tmp_path_factory.mktemp("runs") / "one")


def say(*words: object) -> str:
    done = CliRunner().invoke(app, [str(w) for w in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_tables_and_rows_are_printed_or_written(run: Path, tmp_path: Path) -> None:
    assert say("table", run).startswith("| system |")
    assert "toprule" in say("table", run, "--latex")
    assert "run" in say("table", run, run, "--csv").splitlines()[0]
    say("table", run, "--per", "trial", "--out", tmp_path / "new" / "trials.csv")
    assert (tmp_path / "new" / "trials.csv").read_text().startswith("system,title,kind,")
    with pytest.raises(InputError, match="expected one of them"):
        CliRunner().invoke(app, ["table", str(run), "--latex", "--csv"], catch_exceptions=False)
    with pytest.raises(InputError, match="expected one folder"):
        CliRunner().invoke(app, ["table", str(run), "--per", "window", "--latex"], catch_exceptions=False)


@pytest.mark.slow
def test_figures_are_listed_and_written(run: Path, tmp_path: Path) -> None:
    assert "confusion" in say("figure", run)
    say("figure", run, "confusion", "--svg", "--out", tmp_path / "c.svg")
    assert "<svg" in (tmp_path / "c.svg").read_text()
    with pytest.raises(InputError, match="confusion"):
        CliRunner().invoke(app, ["figure", str(run), "confusing"], catch_exceptions=False)


def test_methods_and_card(run: Path) -> None:
    assert say("methods", run).startswith("We predicted stress")
    assert say("card", run).startswith("# Liquid fusion network: stress")


def test_several_runs_on_one_page(run: Path, tmp_path: Path) -> None:
    say("report", run, run, "--out", tmp_path / "both.html")
    assert "What differs between the runs?" in (tmp_path / "both.html").read_text(encoding="utf-8")


def test_a_run_is_not_overwritten_unless_told(run: Path, tmp_path: Path) -> None:
    usual = tmp_path / "demo"
    assert result_folder(None, usual, False) == usual
    fake_result.stress(people=2).save(usual)
    assert result_folder(None, usual, False) == tmp_path / "demo-2"
    fake_result.stress(people=2).save(tmp_path / "demo-2")
    assert result_folder(None, usual, False) == tmp_path / "demo-3"
    assert result_folder(None, usual, True) == usual
    with pytest.raises(InputError, match="--overwrite"):
        result_folder(run, usual, False)
    assert result_folder(run, usual, True) == run


def test_a_list_of_models_is_one_and_those_beside_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Experiment] = []

    def stop(plan: Experiment, *_: object, **__: object) -> None:
        asked.append(plan)
        raise InputError("enough")

    monkeypatch.setattr("insula.pipeline.running.run_experiment", stop)
    for words in (["--model", "liquid, tcn,eegnet", "--quick"], []):
        with pytest.raises(InputError, match="enough"):
            CliRunner().invoke(
                app, ["evaluate", "--data", "simulate", "--out", str(tmp_path / "o"), *words], catch_exceptions=False
            )
    assert (asked[0].model.name, asked[0].compare.models) == ("liquid", ("tcn", "eegnet"))
    assert asked[0].compare.variants == ()
    assert (asked[1].model.name, asked[1].compare.models) == ("liquid", ())


def test_evaluate_refuses_before_it_works(run: Path) -> None:
    with pytest.raises(InputError, match="holds an earlier result"):
        CliRunner().invoke(app, ["evaluate", "--data", "no such set", "--out", str(run)], catch_exceptions=False)
