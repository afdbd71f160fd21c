"""Experiments from TOML and flags: unknown keys and wrong types are errors that say what to write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insula.errors import DataError, InputError
from insula.evaluation.experiment import DataPart, Experiment, ModelPart, apply_recipe, experiment_from, read_experiment
from insula.signals.recipe import Recipe, SignalRecipe

TOML = """
seed = 3
[data]
name = "simulate"
target = "emotion"
modalities = ["eda", "hr"]
[data.options]
people = 2
[model]
scope = "trial"
[model.options]
dropout = 0.1
[protocol]
name = "leave_one_subject_out"
null = 20
[compare]
rows = ["clock"]
variants = []
[train]
epochs = 2
[recipe]
window_s = 8
[recipe.signals.eda]
lowpass_hz = 0.5
[tune]
folds = 1
[[tune.candidates]]
learning_rate = 0.001
[[tune.candidates]]
options = { dropout = 0.5 }
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "e.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_table_of_a_file_is_read(tmp_path: Path) -> None:
    found = read_experiment(write(tmp_path, TOML))
    assert found.seed == 3
    assert found.data == DataPart("simulate", target="emotion", modalities=("eda", "hr"), options={"people": 2})
    assert found.model == ModelPart(options={"dropout": 0.1})
    assert (found.protocol.name, found.protocol.null) == ("leave_one_subject_out", 20)
    assert (found.compare.rows, found.compare.variants) == (("clock",), ())
    assert found.train == {"epochs": 2}
    assert len(found.tune.candidates) == 2
    assert experiment_from(json.loads(json.dumps(found.to_dict()))) == found


@given(
    st.integers(0, 2**31),
    st.sampled_from(["liquid", "tcn"]),
    st.none() | st.integers(2, 9),
    st.dictionaries(st.sampled_from(["people", "seed"]), st.integers(1, 9)),
)
def test_json_round_trip(seed: int, model: str, folds: int | None, options: dict[str, int]) -> None:
    found = experiment_from(
        {
            "data": {"name": "simulate", "options": options},
            "model": {"name": model},
            "protocol": {"folds": folds},
            "seed": seed,
        }
    )
    assert experiment_from(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({}, r"without \[data\] name"),
        ({"data": {}}, r"\[data\] without name"),
        ({"data": "simulate"}, "expected a table"),
        ({"data": 5}, "expected a table"),
        ({"data": {"name": 5}}, "name is 5; expected text"),
        ({"data": {"name": "simulate", "tagret": "x"}}, "Did you mean 'target'"),
        ({"data": {"name": "simulate"}, "modl": {}}, "Did you mean 'model'"),
        ({"data": {"name": "simulate", "subjects": "p01"}}, "subjects is 'p01'; expected a list, each text"),
        ({"data": {"name": "simulate", "subjects": [1]}}, "expected a list, each text"),
        ({"data": {"name": "simulate"}, "seed": -1}, "seed -1; expected 0 or more"),
        ({"data": {"name": "simulate"}, "seed": "one"}, "seed is 'one'; expected a whole number"),
        ({"data": {"name": "simulate"}, "train": 5}, "train is 5; expected a table"),
        ({"data": {"name": "simulate"}, "protocol": {"null": -2}}, "null -2"),
        ({"data": {"name": "simulate"}, "protocol": {"folds": 2.5}}, "folds is 2.5; expected a whole number"),
        ({"data": {"name": "simulate"}, "protocol": {"folds": True}}, "expected a whole number"),
        ({"data": {"name": "simulate"}, "compare": {"variants": "gru"}}, "a list, each text"),
        ({"data": {"name": "simulate"}, "compare": {"context": 1}}, "expected true or false"),
        ({"data": {"name": "simulate"}, "tune": {"folds": 0}}, "tune.folds 0"),
        ({"data": {"name": "simulate"}, "tune": {"candidates": [5]}}, "expected a list, each a table"),
    ],
)
def test_mistakes_are_clear_errors(tables: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        experiment_from(tables)


def test_files_that_are_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        read_experiment(tmp_path / "none.toml")
    with pytest.raises(DataError, match="no file"):
        read_experiment(tmp_path)
    with pytest.raises(DataError, match="not TOML"):
        read_experiment(write(tmp_path, "[data\nname ="))
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00x")
    with pytest.raises(DataError, match="not TOML"):
        read_experiment(tmp_path / "b.toml")


def test_recipe_changes_whole_keys_and_single_modalities() -> None:
    base = Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0)
    found = apply_recipe(
        base,
        {
            "window_s": 8,
            "signals": {"eda": {"lowpass_hz": 0.5}, "eeg": {"notch_hz": False}, "audio": {"rate_hz": 100.0}},
        },
    )
    assert (found.window_s, found.hop_s) == (8, 2.0)
    assert found.signals["eda"].lowpass_hz == 0.5
    assert found.signals["eda"].rate_hz == base.signals["eda"].rate_hz
    assert found.signals["eeg"].notch_hz is None
    assert found.signals["audio"] == SignalRecipe(100.0)
    assert apply_recipe(base, {}) == base


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"windw_s": 8}, "Did you mean 'window_s'"),
        ({"window_s": "8 s"}, "window_s is '8 s'; expected a number"),
        ({"signals": {"eda": {"lowpas_hz": 1}}}, "Did you mean 'lowpass_hz'"),
        ({"signals": {"eda": {"lowpass_hz": "1"}}}, "expected a number"),
        ({"signals": {"eda": {"limits": [1.0]}}}, "limits"),
        ({"signals": {"eda": 4}}, "recipe.signals.eda is 4; expected a table"),
        ({"signals": 4}, "recipe.signals is 4; expected a table"),
        ({"signals": {"audio": {"lowpass_hz": 1.0}}}, "without rate_hz"),
        ({"signals": {"eeg": {"reference": "cz"}}}, "expected 'none' or 'average'"),
    ],
)
def test_recipe_mistakes(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        apply_recipe(Recipe(window_s=4.0, hop_s=2.0), changes)


def test_an_experiment_is_frozen_and_checks_itself() -> None:
    with pytest.raises(InputError, match="seed"):
        Experiment(DataPart("simulate"), seed=-1)
