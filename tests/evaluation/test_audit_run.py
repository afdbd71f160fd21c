"""The audit of predictions: verdicts of others' runs, whose clock times run on, and what each finding means."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
from command_line import Terminal
from windows_double import WindowsDouble, make_table, predictions

from insula.errors import InputError
from insula.evaluation.audit import audit
from insula.evaluation.audit_run import audit_of, audit_predictions, audit_result
from insula.evaluation.audit_table import is_predictions
from insula.evaluation.audit_words import EXPLAINED
from insula.evaluation.fakes import Cohort, result_of, table_of
from insula.evaluation.results import Result
from insula.evaluation.system import System
from insula.evaluation.timing import boundaries_are_labels, clock_features, clock_of, clocks_among, length_tells
from insula.windows.table import Windows


def others(folder: Path, skill: float = 0.8, schedule: str = "random", **more: object) -> Path:
    """A CSV as somebody else would write it."""
    table = make_table(people=10, trials=10, windows=4, seed=2, schedule=schedule)
    rng = np.random.default_rng(0)
    y = table["y"].to_numpy()
    names = np.array(["sad", "glad"])
    right = rng.random(len(y)) < skill
    out = pd.DataFrame({"person": table["subject"], "trial": table["trial"], "time": table["start_s"]})
    out["true"], out["predicted"] = names[y], names[np.where(right, y, 1 - y)]
    out.assign(**more).to_csv(folder / "theirs.csv", index=False)
    return folder / "theirs.csv"


def test_a_real_effect_of_others_is_found_beside_its_own_opponents(tmp_path: Path) -> None:
    found = audit_predictions(others(tmp_path))
    verdict = found.result.verdict("predictions")
    assert verdict.step == 4
    assert verdict.provisional
    assert {s.name for s in found.result.systems} == {"predictions", "elapsed_trial", "elapsed"}
    assert found.clock == "session"
    assert "of what is attainable" in found.text
    assert found.exit_code == 0


@pytest.mark.slow
def test_chance_and_one_order_of_others(tmp_path: Path) -> None:
    assert audit_predictions(others(tmp_path, skill=0.5)).result.verdict("predictions").step in (2, 3)
    shared = audit_predictions(others(tmp_path, schedule="shared"))
    assert shared.result.verdict("predictions").step == 1
    assert "shared schedule" in dict(shared.found)


@pytest.mark.slow
def test_times_of_each_trial_are_found_and_said(tmp_path: Path) -> None:
    path = others(tmp_path)
    table = pd.read_csv(path)
    table["time"] -= table.groupby(["person", "trial"])["time"].transform("min")
    table.to_csv(path, index=False)
    found = audit_predictions(path)
    assert found.clock == "trial"
    assert "times on the trial's clock" in dict(found.found)
    assert found.result.verdict("predictions").step == 1
    assert audit_predictions(others(tmp_path), clock="trial").clock == "trial"


def as_a_stranger_has_it(folder: Path, **more: object) -> Path:
    """The same table under the names of a script of scikit-learn, probabilities and folds of whole trials included."""
    table = pd.read_csv(others(folder)).sample(frac=1, random_state=0)
    trials = table.groupby(["person", "trial"]).ngroup()
    table["prob_glad"] = np.where(table["predicted"] == "glad", 0.7, 0.4)
    table["prob_sad"] = 1 - table["prob_glad"]
    names = {"person": "Participant ID", "trial": "trialNr", "time": "Onset", "true": "label", "predicted": "y_hat"}
    table.rename(columns=names).assign(fold=trials % 5, **more).to_csv(folder / "script.csv", index=False)
    return folder / "script.csv"


def test_columns_may_have_the_names_that_strangers_give_them(tmp_path: Path) -> None:
    path = as_a_stranger_has_it(tmp_path)
    assert is_predictions(path)
    found = audit_predictions(path)
    assert found.result.verdict("predictions").step == 4
    assert set(found.result.of("predictions")["p_glad"]) == {0.7, 0.4}
    assert not set(dict(found.found)) & {"leaky folds", "no folds", "no times"}
    assert "These predictions: balanced accuracy 0.753 [0.7" in found.text
    table, code = pd.read_csv(path), {"sad": 0, "glad": 1}
    numbers = table.assign(label=table["label"].map(code), y_hat=table["y_hat"].map(code))
    numbers.rename(columns={"prob_sad": "p_0", "prob_glad": "p_1"}).to_csv(path, index=False)
    again = audit_predictions(path).result
    assert again.classes == ("0", "1")
    assert set(again.of("predictions")["p_1"]) == {0.7, 0.4}


def test_folds_that_cut_trials_are_a_leak_and_repeated_ones_of_whole_trials_are_not(tmp_path: Path) -> None:
    table = pd.read_csv(as_a_stranger_has_it(tmp_path))
    whole, leaky = tmp_path / "whole.csv", tmp_path / "leaky.csv"
    pd.concat([table, table.assign(fold=table["fold"] + 5)]).to_csv(whole, index=False)
    assert audit_predictions(whole).exit_code == 0
    table.assign(fold=np.arange(len(table)) % 5).to_csv(leaky, index=False)
    found = audit_predictions(leaky)
    assert found.exit_code == 1
    assert "99 trials stand in several folds" in dict(found.found)["leaky folds"]
    assert found.result.verdict("predictions").text.startswith("leaky: ")
    table.drop(columns="fold").to_csv(leaky, index=False)
    assert "no folds" in dict(audit_predictions(leaky).found)


def test_without_times_the_score_is_told_and_what_cannot_be(tmp_path: Path) -> None:
    path = as_a_stranger_has_it(tmp_path)
    pd.read_csv(path).drop(columns="Onset").to_csv(path, index=False)
    found = audit_predictions(path)
    assert {s.name for s in found.result.systems} == {"predictions"}
    assert "no times" in dict(found.found)
    assert "cannot be tested: no session times" in found.text
    assert "chance 0.500" in found.text


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("Participant ID", None, "row 3 (and 1 more) without person"), ("y_hat", None, "without predicted"),
        ("label", None, "without true"), ("Onset", "ten", "time ten in row 3; expected seconds"),
    ],
)  # fmt: skip
def test_cells_that_say_nothing_are_named(tmp_path: Path, column: str, value: object, said: str) -> None:
    path = as_a_stranger_has_it(tmp_path)
    table = pd.read_csv(path).astype({column: object})
    table.loc[[2, 7], column] = value
    table.to_csv(path, index=False)
    with pytest.raises(InputError, match=re.escape(said)):
        audit_predictions(path)


def test_whole_trials_on_their_own_clock_are_no_leak() -> None:
    """Every trial starts at 0, as in most window tables: nothing overlaps."""
    table = make_table(people=4, trials=6, windows=5)
    begin = table.groupby(["subject", "trial"])["start_s"].transform("min")
    own = table.assign(start=table["start_s"] - begin, stop=table["stop_s"] - begin, fold=table["trial_index"] % 3)
    own = own[["subject", "session", "trial", "start", "stop", "fold"]]
    assert clock_of(own.rename(columns={"start": "start_s", "stop": "stop_s"})) == "trial"
    report = audit(own)
    assert report.exit_code == 0
    assert "clock of times" in {n.kind for n in report.notes}
    assert audit(own, clock="session").exit_code == 1
    assert clock_of(table) == "session"


def test_what_trials_times_say_about_labels() -> None:
    plain = make_table(people=6, trials=8, windows=4).rename(columns={"y": "label"})
    assert length_tells(plain) == 0.5
    keep = (plain["label"] == 1) | (plain.groupby(["subject", "trial"]).cumcount() < 2)
    assert length_tells(plain[keep]) == 1
    whole = plain.groupby(["subject", "trial"]).ngroup().to_numpy()
    lengths = np.random.default_rng(0).permutation(np.arange(4, 4 + whole.max() + 1))
    assert length_tells(plain.iloc[np.repeat(np.arange(len(plain)), lengths[whole])]) < 0.75, "all differ, by chance"
    assert not boundaries_are_labels(plain)
    table, _ = table_of(Cohort("fixed", longer=3, trials=12), 6, np.random.default_rng(0))
    changes = table.assign(label=table["trial_index"] % 2)
    changes["start_s"] = 10.0 * changes.groupby("subject").cumcount()
    changes["stop_s"] = changes["start_s"] + 10.0
    assert boundaries_are_labels(changes)


def test_clocks_among_the_features_are_named() -> None:
    table = make_table(people=5, trials=6, windows=5)
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.normal(size=len(table)), 3 - table["start_s"] + rng.normal(size=len(table))])
    assert clocks_among(table, values, ["feature_a", "feature_b"]) == ["feature_b"]
    given = table.assign(feature_a=values[:, 0], feature_b=values[:, 1], fold=table["subject"]).drop(columns="role")
    assert [n.example for n in audit(given).notes if n.kind == "clock"] == ["feature_b"]


def test_a_results_folder_of_ours(tmp_path: Path) -> None:
    table, features = table_of(Cohort(effect=2.0), 8, np.random.default_rng(0))
    result_of(table, features, "linear", held="windows").save(tmp_path / "leak")
    leak = audit_result(tmp_path / "leak")
    assert leak.exit_code == 1
    assert "leaky protocol" in dict(leak.found)
    result_of(table, features, "linear").save(tmp_path / "clean")
    assert audit_result(tmp_path / "clean").exit_code == 0


def judged(rows: pd.DataFrame, *systems: System, **protocol: object) -> dict[str, str]:
    """What the audit finds in a result of ours with these windows (all predicted right) and rows."""
    frames = [predictions(rows, rows["y"].to_numpy(), system=s.name) for s in systems]
    told = {"name": "leave_one_subject_out", "leaky": False, "folds": 4, "notes": (), **protocol}
    return dict(
        audit_of(Result("state", ("a", "b"), told, systems, pd.concat(frames, ignore_index=True)), "session").found
    )


def test_what_a_run_of_ours_says_of_itself() -> None:
    """Each question that a run's own record answers, and silence where there is nothing to say."""
    rows = make_table(people=8, trials=8, windows=4)
    plain = System("liquid", "Liquid", "model", "trial", "opening", steps=900, loss=0.1, converged=True)
    assert not set(judged(rows, plain)) - {"shared schedule"}
    forest = System("forest", "Forest", "classical", "window", "opening")
    assert not set(judged(rows, plain, forest)) - {"shared schedule"}
    assert judged(rows, plain, replace(forest, normaliser="person_trials"))["unequal preprocessing"] == (
        "rows are scaled by opening, person_trials"
    )
    assert judged(rows, replace(plain, transductive=True))["transductive normaliser"] == "Liquid"
    assert judged(rows, replace(plain, converged=False))["not converged"] == "Liquid"
    assert "population for 1 (ann)" in judged(rows, replace(plain, fallbacks=("ann: no opening",)))["fallbacks"]
    assert judged(rows, plain, clocks=("acc: counter",))["clock"] == "acc: counter"
    assert "leave_one_subject_out" in judged(rows, plain, leaky=True)["leaky protocol"]


def test_lengths_and_boundaries_that_tell_labels_are_found_in_predictions() -> None:
    rows = make_table(people=8, trials=8, windows=4)
    model = System("liquid", "Liquid", "model", "trial", "opening")
    kept = rows[(rows["y"] == 1) | (rows.groupby(["subject", "trial"]).cumcount() < 2)].reset_index(drop=True)
    assert "1.00 balanced accuracy" in judged(kept, model)["label-sorted batches"]
    assert "label-sorted batches" not in judged(rows, model)
    turns = rows.assign(y=rows["trial_index"] % 2)
    uneven = turns[(turns["trial_index"] % 3 > 0) | (turns.groupby(["subject", "trial"]).cumcount() < 2)]
    uneven = uneven.sort_values(["subject", "start_s"]).reset_index(drop=True)
    uneven["start_s"] = 10.0 * uneven.groupby("subject").cumcount()
    uneven["stop_s"] = uneven["elapsed_s"] = uneven["start_s"] + 10.0
    assert "boundaries defined by labels" in judged(uneven, model)


def test_our_runs_record_features_that_read_the_time() -> None:
    table = make_table(people=5, trials=6, windows=5)
    rng = np.random.default_rng(0)
    eda = np.column_stack([rng.normal(size=len(table)), table["start_s"], np.full(len(table), np.nan)])
    assert clock_features(cast("Windows", WindowsDouble(table, {"eda": eda, "hr": eda[:, :1]}))) == ["eda: eda_1"]


def test_every_finding_is_explained_in_three_sentences() -> None:
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    for kind, sentences in EXPLAINED.items():
        assert len(sentences) == 3
        assert all(s.endswith(".") for s in sentences)
        assert f"## {kind}" in page
        assert " ".join(sentences) in " ".join(page.split())


@pytest.fixture(name="insula")
def insula_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


def test_command(tmp_path: Path, insula: Terminal) -> None:
    done = insula("audit", str(others(tmp_path)))
    assert done.code == 0, done.err
    assert "chance 0.500; provisional: follows the person" in done.out
    pd.read_csv(tmp_path / "theirs.csv").drop(columns="true").to_csv(tmp_path / "less.csv", index=False)
    with pytest.raises(InputError, match="expected the columns person, trial"):
        audit_predictions(tmp_path / "less.csv")
