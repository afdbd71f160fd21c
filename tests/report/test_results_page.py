"""The page of results says of every row what it may be said to show, how it was trained and what was really used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import fake_result
import pytest
from command_line import Terminal

from insula.evaluation.experiment import read_experiment
from insula.evaluation.results import Result
from insula.evaluation.seeds import joined
from insula.report.results_page import _score, page

FOLDER = Path(__file__).parents[2] / "experiments" / "results"


def test_page_has_verdict_budget_scaling_and_the_people_apart() -> None:
    base = fake_result.emotions()
    first = replace(base.systems[0], steps=40, loss=1.25, converged=False, fallbacks=("S01/1: no reference windows",))
    config = {
        "declared": ["liquid", "logistic_regression"],
        "experiment": {"data": {"name": "simulate", "apart": ["S01", "S02"]}},
    }
    result = replace(base, systems=(first, *base.systems[1:]), config=config)
    text = page([("1_felt", [result])])
    assert "not converged after 40 steps, loss 1.250" in text
    assert "opening; population for 1 (S01/1)" in text
    opening = next(line for line in text.splitlines() if line.startswith("- **1_felt**"))
    assert opening.startswith("- **1_felt**, emotion: Liquid fusion network .")
    assert f"], chance .143: {result.verdict('liquid').text}." in opening
    assert "Declared before: Liquid fusion network is above Logistic regression" in text
    assert "Apart: S01, S02 alone, 2 of them." in text
    assert "| system | score | apart | contrast |" in text
    assert "insula results experiments/results --only 1_felt" in text
    assert "session scope: " in text
    assert len([row for row in text.splitlines() if row.startswith("| ")]) == len(result.systems) + 1
    assert " nan" not in text
    assert "LEAKY" in page([("1", [fake_result.leaky()])])


def test_an_interval_that_is_not_known_is_not_zero_to_one() -> None:
    assert _score("balanced_accuracy", 0.5, float("nan"), float("nan")) == ".500 [–, –]"
    assert _score("balanced_accuracy", 0.9, 0.7, 1.1) == ".900 [.700, 1.000]"


def test_shipped_experiments_are_read_and_fmov_is_first() -> None:
    files = sorted(FOLDER.glob("*.toml"))
    plans = [read_experiment(f) for f in files]
    assert plans[0].data.name == "fmov"
    assert {p.protocol.name for p in plans if p.data.draw} == {"random_windows", "within_subject"}
    assert all(len(p.seeds) == 20 for p in plans if p.data.draw)
    stress = next(p for p in plans if p.data.name == "stress_predict")
    assert stress.data.apart == tuple(f"S{n}" for n in range(12, 21))


@pytest.fixture(name="insula")
def insula_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


@pytest.mark.slow
def test_command_runs_what_has_not_run_and_goes_on(tmp_path: Path, insula: Terminal) -> None:
    plans = tmp_path / "plans"
    plans.mkdir()
    (plans / "1_small.toml").write_text(
        '[data]\nname = "simulate"\noptions = { people = 3, trials_per_emotion = 1 }\n'
        '[model]\nname = "logistic_regression"\n[protocol]\nname = "leave_one_subject_out"\n'
        '[compare]\nrows = ["elapsed_trial"]\ncontext = false\n'
    )
    (plans / "2_absent.toml").write_text('[data]\nname = "fmov"\nroot = "nowhere"\n')
    ask = ("results", plans, "--out", tmp_path / "page.md", "--runs", tmp_path / "runs", "--jobs", "1")
    done = insula(*ask)
    assert done.code == 0, done.err
    assert "2_absent: nowhere is not here, left out" in done.out
    assert "cannot be tested" in (tmp_path / "page.md").read_text()
    before = (tmp_path / "runs" / "1_small" / "seed-0" / "result.json").stat().st_mtime_ns
    assert insula(*ask).code == 0
    assert (tmp_path / "runs" / "1_small" / "seed-0" / "result.json").stat().st_mtime_ns == before
    assert insula("results", tmp_path / "runs").code == 2
    assert insula(*ask, "--only", "3_nothing").code == 2


@pytest.mark.slow
def test_seeds_are_run_one_by_one_and_joined(tmp_path: Path, insula: Terminal) -> None:
    plans = tmp_path / "plans"
    plans.mkdir()
    (plans / "1_small.toml").write_text(
        'seeds = [0, 1]\n[data]\nname = "simulate"\noptions = { people = 3, trials_per_emotion = 1 }\ndraw = "seed"\n'
        '[model]\nname = "logistic_regression"\n[protocol]\nname = "leave_one_subject_out"\nnull = 1\n'
        '[compare]\nrows = ["elapsed_trial"]\ncontext = false\n'
    )
    page_file = tmp_path / "page.md"
    done = insula("results", plans, "--out", page_file, "--runs", tmp_path / "runs", "--jobs", "1")
    assert done.code == 0, done.err
    first, second = (Result.load(tmp_path / "runs" / "1_small" / f"seed-{k}") for k in (0, 1))
    assert list(first.nulls) == ["logistic_regression"]
    assert second.nulls == {}
    assert first.provenance["data_hash"] != second.provenance["data_hash"], "the seed draws the people"
    assert "mean over draws" in page_file.read_text()


def test_a_person_scores_the_mean_of_the_seeds() -> None:
    one = fake_result.emotions()
    flipped = one.predictions.assign(y_pred=one.classes[0])
    other = replace(one, predictions=flipped, provenance={**one.provenance, "seed": 1})
    both = joined([one, other])
    expected = (one.people()["liquid"] + other.people()["liquid"]) / 2
    assert both.people()["liquid"].to_numpy() == pytest.approx(expected.to_numpy())
    text = page([("1_felt", [one, other])])
    assert "seeds 7, 1" in text
    assert joined([one]) is one
