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
from insula.evaluation.results import Result, System


def make_result(people=9, leaky=False, schedule="random", skill=0.9, **changes):
    table = make_table(people=people, trials=8, windows=4, schedule=schedule, seed=3)
    y, rng = table["y"].to_numpy(), np.random.default_rng(0)
    clock = table.groupby("elapsed_s")["y"].transform(lambda v: v.mode().iloc[0]).to_numpy()
    frames = [
        predictions(table, np.where(rng.random(len(y)) < skill, y, 1 - y), system="liquid"),
        predictions(table, clock, system="clock"),
    ]
    systems = (
        System(
            "liquid", "Liquid fusion network", "model", "trial", "opening", parameters=1234, seconds=1.5, notes=("a",)
        ),
        System("clock", "Clock", "baseline"),
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
    with pytest.raises(DataError, match="goal"):
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
    assert list(table.index) == ["liquid", "clock"]
    row = table.loc["liquid"]
    assert row["balanced_accuracy_lo"] < row["balanced_accuracy"] < row["balanced_accuracy_hi"]
    assert row["trial_balanced_accuracy"] > row["balanced_accuracy"]
    assert row["people"] == 9
    assert row["unit"] == "people"
    assert row["null_p"] == pytest.approx(1 / 31)
    assert row["verdict"] == "shown"
    assert table.loc["clock", "verdict"] == "baseline"
    assert np.isfinite(row[["macro_f1", "kappa", "auc", "ece", "pooled_balanced_accuracy"]].astype(float)).all()
    assert np.isnan(row["contrast"]), "orders differ, so elapsed time gives nothing away"


def test_verdicts_and_marks():
    assert make_result(skill=0.5).verdict("liquid") == "not shown: interval includes chance"
    assert make_result(leaky=True).verdict("liquid") == "not shown: leaky protocol"
    shared = make_result(schedule="shared")
    assert shared.shared_schedule
    assert shared.verdict("liquid") == "not shown: not above the clock"
    alone = make_result(
        schedule="shared",
        systems=shared.systems[:1],
        predictions=shared.predictions[shared.predictions["system"] == "liquid"],
    )
    assert alone.verdict("liquid") == "not shown: person-swap contrast includes 0"
    assert np.isfinite(alone.table()["contrast"].iloc[0])
    poor = make_result(nulls={"liquid": null_test(0.9, [0.9, 0.95] * 20, chance=0.5, labellings=10**5)})
    assert poor.verdict("liquid").startswith("not shown: null test")
    assert (
        System("x", "X", "model", "session", leaky=True, transductive=True).marks
        == "leaky, session scope, transductive"
    )
    assert make_result().system("clock").marks == ""


def test_people_and_comparison():
    result = make_result()
    assert result.people().shape == (9, 2)
    assert result.compare("liquid", "clock").mean > 0
    assert len(result.of("liquid", "trial")) == 9 * 8
    assert result.with_analyses(more=1).analyses["more"] == 1


def test_wrong_tables_are_refused():
    result = make_result()
    with pytest.raises(InputError, match="p_b"):
        make_result(predictions=result.predictions.drop(columns="p_b"))
    with pytest.raises(InputError, match="Describe every system"):
        make_result(systems=result.systems[:1])
    with pytest.raises(InputError, match="liquid"):
        result.of("liqid")
