"""A Result keeps everything, is written whole or not at all, and its table says what may be claimed."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest
from windows_double import make_table, predictions

from insula.errors import DataError, InputError, SchemaError
from insula.evaluation.nulls import null_test
from insula.evaluation.results import Result
from insula.evaluation.system import System


def make_result(people=9, leaky=False, schedule="random", skill=0.9, **changes):
    table = make_table(people=people, trials=8, windows=4, schedule=schedule, seed=3)
    y, rng = table["y"].to_numpy(), np.random.default_rng(0)
    clock = table.groupby("elapsed_s")["y"].transform(lambda v: v.mode().iloc[0]).to_numpy()
    frames = [
        predictions(table, np.where(rng.random(len(y)) < skill, y, 1 - y), system="liquid"),
        predictions(table, clock, system="elapsed_trial"),
    ]
    systems = (
        System(
            "liquid", "Liquid fusion network", "model", "trial", "opening", parameters=1234, seconds=1.5, notes=("a",)
        ),
        System("elapsed_trial", "Elapsed time and time in trial", "baseline"),
    )
    options = {
        "target": "state",
        "classes": ("a", "b"),
        "protocol": {"name": "leave_one_subject_out", "leaky": leaky, "folds": people, "notes": ("n",)},
        "systems": systems,
        "predictions": pd.concat(frames, ignore_index=True),
        "config": {"window_s": np.float32(4.0), "sizes": (1, 2)},
        "provenance": {"versions": {"insula": "0.1.0"}, "seed": 0},
        "nulls": {"liquid": null_test(0.9, [0.5, 0.52, 0.48] * 10, chance=0.5, labellings=10**5)},
        "analyses": {"values": np.array([1.0, np.nan])},
    }
    return Result(**{**options, **changes})


def same(a, b):
    pd.testing.assert_frame_equal(a.predictions, b.predictions, check_exact=True)
    names = ("target", "classes", "protocol", "systems", "config", "provenance", "nulls", "analyses", "shared_schedule")
    return all(getattr(a, n) == getattr(b, n) for n in names)


def test_round_trip_is_exact(tmp_path):
    result = make_result()
    result.predictions.loc[0, "stimulus"] = None
    result.save(tmp_path / "run" / "deep")
    assert sorted(p.name for p in (tmp_path / "run" / "deep").iterdir()) == ["predictions.parquet", "result.json"]
    loaded = Result.load(tmp_path / "run" / "deep")
    assert same(result, loaded)
    assert loaded.config["window_s"] == 4.0
    assert loaded.analyses["values"] == [1.0, None]
    pd.testing.assert_frame_equal(result.table(), loaded.table(), check_exact=True)


def test_continuous_round_trip(tmp_path):
    result = make_result()
    rows = result.predictions.drop(columns=["p_a", "p_b"])
    rows["y_true"] = np.random.default_rng(0).normal(size=len(rows))
    rows["y_pred"] = rows["y_true"] + 0.1
    numbers = make_result(classes=(), predictions=rows)
    numbers.save(tmp_path)
    assert same(numbers, Result.load(tmp_path))
    table = numbers.table().set_index("system" if "system" in numbers.table() else "name")
    assert table.loc["liquid", "ccc"] == pytest.approx(1, abs=0.05)
    assert {"rmse", "pearson", "pooled_ccc"} <= set(table.columns)


@pytest.mark.parametrize("call", range(4))
def test_a_crash_leaves_the_old_result_or_a_clear_error(tmp_path, monkeypatch, call):
    first, second = make_result(skill=0.6), make_result(skill=0.95)
    first.save(tmp_path)
    calls = {"n": 0}

    def breaking(original):
        def inner(*args, **options):
            calls["n"] += 1
            if calls["n"] == call + 1:
                raise KeyboardInterrupt
            return original(*args, **options)

        return inner

    monkeypatch.setattr(os, "fsync", breaking(os.fsync))
    monkeypatch.setattr(os, "replace", breaking(os.replace))
    with pytest.raises(KeyboardInterrupt):
        second.save(tmp_path)
    monkeypatch.undo()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["predictions.parquet", "result.json"]
    if call == 3:  # between the two renames: the pair does not match, which is said
        with pytest.raises(DataError, match="one save"):
            Result.load(tmp_path)
    else:
        assert same(first, Result.load(tmp_path))
    second.save(tmp_path)
    assert same(second, Result.load(tmp_path))


def test_killed_writing_leaves_files_that_the_next_save_removes(tmp_path):
    (tmp_path / ".result-123.partial").write_text("half")
    make_result().save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["predictions.parquet", "result.json"]


def test_bad_folders(tmp_path):
    with pytest.raises(DataError, match="no result"):
        Result.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is a file"):
        make_result().save(tmp_path / "file")
    make_result().save(tmp_path)
    text = (tmp_path / "result.json").read_text()
    for wrong, error in (("{", DataError), ("[]", DataError), ("{}", DataError), ('{"version": 99}', SchemaError)):
        (tmp_path / "result.json").write_text(wrong)
        with pytest.raises(error, match=r"result\.json"):
            Result.load(tmp_path)
    (tmp_path / "result.json").write_text(text.replace('"target"', '"goal"'))
    with pytest.raises(DataError, match=r"goal|target"):
        Result.load(tmp_path)
    (tmp_path / "result.json").write_text(text)
    (tmp_path / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="one save"):
        Result.load(tmp_path)


def test_json_follows_the_documented_schema(tmp_path):
    make_result().save(tmp_path)
    document = json.loads((tmp_path / "result.json").read_text())
    assert set(document) == {
        "version", "target", "classes", "protocol", "shared_schedule", "config", "provenance", "systems", "nulls",
        "analyses", "predictions",
    }  # fmt: skip
    assert set(document["predictions"]) == {"file", "sha256", "rows"}
    assert document["nulls"]["liquid"]["shuffles"] == 30


def test_table_has_a_row_a_system():
    table = make_result().table().set_index("name")
    assert list(table.index) == ["liquid", "elapsed_trial"]
    row = table.loc["liquid"]
    assert row["balanced_accuracy_lo"] < row["balanced_accuracy"] < row["balanced_accuracy_hi"]
    assert row["trial_balanced_accuracy"] > row["balanced_accuracy"]
    assert row["people"] == 9
    assert row["unit"] == "people"
    assert row["null_p"] == pytest.approx(1 / 31)
    assert row["verdict"].startswith("follows the person, ")
    assert "of what is attainable" in row["verdict"]
    assert "null test p = 0.032 over 30 shuffles" in row["why"]
    assert table.loc["elapsed_trial", "verdict"] == "signal-free row"
    assert np.isfinite(row[["macro_f1", "kappa", "auc", "ece", "pooled_balanced_accuracy"]].astype(float)).all()
    assert row["contrast"] == pytest.approx(row["contrast_ceiling"] * 0.8, abs=0.08), "9 of 10 windows are right"
    assert row["contrast_p"] == 0.001


def test_verdicts_of_results():
    assert make_result(skill=0.5).verdict("liquid").step in (2, 3)
    leaky = make_result(leaky=True).verdict("liquid")
    assert leaky.text.startswith("leaky: follows the person")
    assert leaky.tone == "leaky"
    shared = make_result(schedule="shared").verdict("liquid")
    assert shared.step == 1
    assert "Give people different orders" in shared.why
    alone = make_result(
        systems=make_result().systems[:1],
        predictions=make_result().predictions.query("system == 'liquid'"),
    ).verdict("liquid")
    assert alone.provisional
    assert "no signal-free opponent" in alone.why
    poor = make_result(nulls={"liquid": null_test(0.9, [0.9, 0.95] * 20, chance=0.5, labellings=10**5)})
    assert poor.verdict("liquid").step == 2
    few = make_result(nulls={"liquid": null_test(0.9, [0.5], chance=0.5, labellings=10**5)}).verdict("liquid")
    assert few.text.startswith("provisional: ")
    two = make_result(people=2, skill=1.0).verdict("liquid")
    assert two.text == "cannot be tested"
    assert "2 people, 6 needed" in two.why


def test_marks():
    both = System("x", "X", "model", "session", leaky=True, transductive=True).marks
    assert both == "leaky, session scope, transductive"
    assert make_result().system("elapsed_trial").marks == ""


def test_the_number_of_a_trial_is_no_opponent():
    """A real effect where the trial's number is the label: the design oracle is perfect and refutes nothing."""
    base = make_result()
    oracle = base.of("liquid").assign(system="clock", y_pred=base.of("liquid")["y_true"])
    systems = (*base.systems, System("clock", "Design oracle", "baseline", "session"))
    found = make_result(systems=systems, predictions=pd.concat([base.predictions, oracle], ignore_index=True))
    assert found.verdict("liquid").step == 4
    assert found.opponent("liquid").name == "elapsed_trial"


def test_opponents_match_the_scope():
    base = make_result()
    clock = base.of("elapsed_trial").assign(system="elapsed")
    systems = (
        System("liquid", "L", "model", "session"), base.systems[1], System("elapsed", "E", "baseline", "session"),
    )  # fmt: skip
    found = make_result(systems=systems, predictions=pd.concat([base.predictions, clock], ignore_index=True))
    assert found.opponent("liquid").name == "elapsed"
    assert found.verdict("liquid").text.startswith("session scope: ")


@pytest.mark.slow
def test_one_person_is_judged_by_trials():
    def one(trials, skill=0.95):
        table = make_table(people=1, trials=trials, windows=4, seed=3)
        y, rng = table["y"].to_numpy(), np.random.default_rng(0)
        right = (rng.random(trials) < skill)[table["trial_index"]]
        frames = [
            predictions(table, np.where(right, y, 1 - y), system="liquid"),
            predictions(table, rng.permutation(y), system="elapsed_trial"),
        ]
        return make_result(predictions=pd.concat(frames, ignore_index=True), nulls={}).verdict("liquid")

    assert one(12).step == 1
    assert "12 trials of one person, 20 needed" in one(12).why
    assert one(30).step == 4
    assert one(30).provisional
    assert one(30, skill=0.5).step in (2, 3)


def test_only_the_declared_comparison_is_called_better():
    base = make_result()
    poor = make_result(skill=0.75).of("liquid").assign(system="logistic_regression")
    systems = (*base.systems, System("logistic_regression", "Logistic regression", "classical", "window"))
    both = pd.concat([base.predictions, poor], ignore_index=True)
    open_ = make_result(systems=systems, predictions=both)
    assert open_.verdict("liquid").step == 4
    config = {"declared": ["liquid", "logistic_regression"]}
    declared = make_result(systems=systems, predictions=both, config=config)
    assert declared.verdict("liquid").step == 5
    assert "and better than Logistic regression by +0." in declared.verdict("liquid").text
    assert declared.verdict("logistic_regression").step < 5


def test_people_and_comparison():
    result = make_result()
    assert result.people().shape == (9, 2)
    assert result.compare("liquid", "elapsed_trial").mean > 0
    assert len(result.of("liquid", "trial")) == 9 * 8
    assert result.with_analyses(more=1).analyses["more"] == 1
    assert result.verdicts is result.with_analyses(more=1).verdicts, "nothing is worked out twice"


def test_wrong_tables_are_refused():
    result = make_result()
    with pytest.raises(InputError, match="p_b"):
        make_result(predictions=result.predictions.drop(columns="p_b"))
    with pytest.raises(InputError, match="Describe every system"):
        make_result(systems=result.systems[:1])
    with pytest.raises(InputError, match="liquid"):
        result.of("liqid")
