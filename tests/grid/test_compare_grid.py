"""A grid is data sets x targets x models x protocols x seeds; each cell's key hashes its own configuration."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from compare_grids import tables, tiny

from insula.errors import DataError, InputError
from insula.evaluation.experiment import experiment_from
from insula.grid import grid_from, read_grid

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


def test_every_combination_is_one_cell():
    grid = tiny(
        seeds=[0, 1, 2],
        models=["liquid", {"name": "liquid", "size": "medium", "label": "big"}],
        data=[
            {"name": "simulate", "targets": ["emotion", "valence>=5"]},
            {"name": "simulate", "label": "b", "traits": False},
        ],
    )
    # 2 protocols x 3 seeds x (2 models + 2 rows), for 2 targets of one data set and 1 of the other
    assert len(grid.cells) == 2 * 3 * 4 * 3
    assert len({c.key for c in grid.cells}) == len(grid.cells)
    assert {(c.label, c.target) for c in grid.cells} == {
        ("simulate", "emotion"),
        ("simulate", "valence>=5"),
        ("b", "emotion"),
    }
    assert {c.system for c in grid.cells} == {"liquid", "big", "majority", "prior"}


def test_classical_rows_are_there_without_being_named():
    grid = tiny(compare={}, models=["liquid"])
    assert {"clock", "majority", "prior", "logistic_regression", "random_forest"} <= {c.system for c in grid.cells}


def test_tables_reach_the_cells_they_are_for():
    grid = tiny(
        models=[{"name": "liquid", "train": {"epochs": 7}}, "eegnet"],
        train={"epochs": 3, "patience": 2},
        recipe={"hop_s": 1.0},
        tune={"candidates": [{"learning_rate": 1e-3}, {"learning_rate": 3e-3}], "folds": 1},
        compare={"rows": ["clock"], "variants": ["ema"]},
        data=[{"name": "simulate", "recipe": {"guard_s": 1.0}, "train": {"patience": 5}}],
    )
    of = {c.system: c.experiment for c in grid.cells}
    assert dict(of["liquid"].train) == {"epochs": 7, "patience": 5}
    assert dict(of["eegnet"].train) == {"epochs": 3, "patience": 5}
    assert dict(of["clock"].train) == {}
    assert all(dict(e.recipe) == {"hop_s": 1.0, "guard_s": 1.0} for e in of.values())
    assert len(of["liquid"].tune.candidates) == 2
    assert not of["clock"].tune.candidates
    assert of["liquid"].compare.variants == ("ema",)
    assert of["eegnet"].compare.variants == ()
    assert all(e.compare.rows == () for e in of.values())


def test_changing_one_cell_changes_one_key():
    models = [{"name": "liquid", "train": {"epochs": 2}}, "eegnet"]
    before = tiny(models=models)
    after = tiny(models=[{"name": "liquid", "train": {"epochs": 3}}, "eegnet"])
    changed = [a.system for a, b in zip(before.cells, after.cells, strict=True) if a.key != b.key]
    assert changed == ["liquid", "liquid"]  # one a protocol
    # what does not belong to a cell's configuration does not change its key
    renamed = tiny(models=models, title="another", time_limit_s=3, data=[{**tables()["data"][0], "label": "x"}])
    assert [c.key for c in renamed.cells] == [c.key for c in before.cells]


def test_an_option_that_is_added_later_changes_no_key():
    cell = tiny().cells[0]
    later = dataclasses.make_dataclass(
        "Later", [("new", str | None, None), ("amount", float, 1.0)], bases=(type(cell.experiment.data),), frozen=True
    )
    known = {f.name: getattr(cell.experiment.data, f.name) for f in dataclasses.fields(cell.experiment.data)}

    def key(**new):
        return dataclasses.replace(
            cell, experiment=dataclasses.replace(cell.experiment, data=later(**known, **new))
        ).key

    assert key() == cell.key
    assert key(new="x") != cell.key


def test_an_experiment_survives_json():
    for cell in tiny(
        models=["liquid"], tune={"candidates": [{"size": "small"}]}, compare={"variants": ["ema", "gru"]}
    ).cells:
        plain = json.loads(json.dumps(cell.experiment.to_dict()))
        assert experiment_from(plain) == cell.experiment


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocol": ["within_subject"]}, "grid key 'protocol'"),
        ({"protocols": [{"name": "within_subject", "fold": 2}]}, "protocol key 'fold'"),
        ({"protocols": ["within_subjects"]}, "Did you mean 'within_subject'"),
        ({"protocols": []}, "at least one"),
        ({"protocols": [3]}, "a name or a table"),
        ({"models": [{"name": "liquid", "sizes": "small"}]}, "model key 'sizes'"),
        ({"models": ["liquit"]}, "Did you mean 'liquid'"),
        ({"compare": {"row": ["clock"]}}, r"\[compare\] key 'row'"),
        ({"compare": {"rows": ["clocks"]}}, "row 'clocks'"),
        ({"compare": {"variants": ["twim"]}, "models": ["eavs_tf"]}, "Did you mean 'twin'"),
        ({"tune": {"candidate": []}}, r"\[tune\] key 'candidate'"),
        ({"tune": {"candidates": [{"epoch": 3}]}, "models": ["liquid"]}, "tune key 'epoch'"),
        ({"train": {"epoch": 3}, "models": ["liquid"]}, r"\[train\] key 'epoch'"),
        ({"recipe": {"hops": 3}}, "recipe key 'hops'"),
        ({"data": [{"name": "simulate", "option": {}}]}, r"\[\[data\]\] key 'option'"),
        ({"data": [{"targets": ["emotion"]}]}, "without a name"),
        ({"data": []}, r"without \[\[data\]\]"),
        ({"time_limit_s": 0}, "time_limit_s 0"),
        ({"seeds": [0, 0]}, "twice in the grid"),
        ({"models": ["liquid", {"name": "liquid", "size": "medium"}]}, "same name"),
        ({"models": ["liquid", {"name": "liquid", "label": "again"}]}, "same configuration"),
    ],
)
def test_mistakes_are_errors(changes, words):
    with pytest.raises(InputError, match=words):
        tiny(**changes)


def test_a_file_that_is_no_grid_is_named(tmp_path):
    with pytest.raises(DataError, match="no file"):
        read_grid(tmp_path / "no.toml")
    (tmp_path / "bad.toml").write_text("models = [")
    with pytest.raises(DataError, match="is not TOML"):
        read_grid(tmp_path / "bad.toml")


def test_shipped_grids_are_read_and_cover_what_they_promise():
    from insula.models import MODELS

    simulated = read_grid(EXPERIMENTS / "ledger_simulated.toml")
    assert set(MODELS) <= {c.experiment.model.name for c in simulated.cells}
    assert {c.experiment.data.name for c in simulated.cells} == {"simulate"}
    real = read_grid(EXPERIMENTS / "ledger_real.toml")
    assert real.time_limit_s == 3600
    assert {"stress_predict", "cogwear_e4", "pseudo_trials"} <= {c.experiment.data.name for c in real.cells}
    grouped = [c for c in real.cells if c.protocol == "leave_subjects_out"]
    assert grouped
    assert all((c.experiment.protocol.folds or 99) <= 6 for c in grouped)
    for label in {c.label for c in real.cells}:
        assert {"clock", "logistic_regression"} <= {c.system for c in real.cells if c.label == label}


def test_a_grid_of_plain_tables_has_no_name_of_its_own():
    assert grid_from(tables()).name == "grid"
