"""From files to a folder of results, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_cohort import RECIPE, UNITS, cohort, recording, trial, write_manifest

from insula.errors import DataError, InputError
from insula.evaluation.experiment import Experiment, experiment_from
from insula.evaluation.results import Result
from insula.learning.estimator import Estimator
from insula.pipeline.predicting import predict_table, predict_windows
from insula.pipeline.reading import cut_windows, read_recordings
from insula.pipeline.running import run_experiment, train_model
from insula.types import Recording

RECIPE_TABLE = {"window_s": 4.0, "hop_s": 2.0, "guard_s": 2.0}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("data"), cohort())


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not draw the page, which takes seconds and is tested elsewhere."""
    monkeypatch.setattr("insula.pipeline.running.write", lambda _, page: page)


def experiment(root: Path, protocol: str = "leave_one_subject_out", **tables: Any) -> Experiment:
    return experiment_from(
        {
            "data": {"name": "manifest", "root": str(root), "target": "state", **tables.pop("data", {})},
            "protocol": {"name": protocol},
            "recipe": RECIPE_TABLE,
            "compare": {"rows": ["majority"], "variants": [], "session": False},
            "train": {"epochs": 1},
            **tables,
        }
    )


def test_a_run_writes_everything_and_the_model_predicts(root: Path, tmp_path: Path) -> None:
    said: list[str] = []
    out = tmp_path / "runs" / "one"
    asked = experiment(root, data={"apart": ["nobody"]})
    done = run_experiment(asked, out, analyses=False, progress=lambda what, *_: said.append(what))
    assert sorted(p.name for p in out.iterdir()) == [
        "model", "predictions.parquet", "report.html", "report.json", "result.json",
    ]  # fmt: skip
    assert done.page == out / "report.html"
    assert "apart: nobody: nobody of that name was read" in done.result.protocol["notes"]
    again = Result.load(out)
    assert again.table().equals(done.result.table())
    assert {"reading recordings", "cleaning trials", "fits"} <= set(said)
    model = Estimator.load(out / "model")
    windows = predict_windows(model, experiment(root, recipe={}))
    table = predict_table(model, windows)
    assert len(table) == 3 * (3 + 24)  # the baselines too: nobody labelled them
    np.testing.assert_allclose(table[["p_calm", "p_tense"]].sum(axis=1), 1, atol=1e-5)
    assert (table["prediction"] == np.where(table["p_calm"] > table["p_tense"], "calm", "tense")).all()


@pytest.mark.slow
@pytest.mark.usefixtures("no_page")
def test_a_personal_protocol_leaves_a_model_a_person_and_no_old_ones(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "one"
    run_experiment(experiment(root), out, analyses=False)
    assert (out / "model" / "estimator.json").is_file()
    run_experiment(experiment(root, "within_subject"), out, analyses=False)
    assert sorted(p.name for p in (out / "model").iterdir()) == ["ann", "bob", "cyd"]
    assert Estimator.load(out / "model" / "bob").config.normaliser == "person_trials"
    run_experiment(experiment(root), out, analyses=False)
    assert sorted(p.name for p in (out / "model").iterdir()) == [
        "estimator.json", "training.json", "weights-0.safetensors",
    ]  # fmt: skip


def test_names_of_people_cannot_leave_the_folder(tmp_path: Path) -> None:
    from insula.files import person_folder

    names = ["ann", "..", "../../etc", "a/b", "a_b", "a\\b", ".hidden", "Zoë", "p.01", ""]
    found = [person_folder(name) for name in names]
    assert len(set(found)) == len(names)
    for name in found:
        path = (tmp_path / name).resolve()
        assert path.parent == tmp_path.resolve()
    assert person_folder("p.01") == "p.01"


@pytest.mark.usefixtures("no_page")
def test_a_person_of_one_class_gets_no_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    calm = tuple(trial(rng, "one", f"t{i}", 15.0 * i, 12.0, 0.0, labels={"state": "calm"}) for i in range(2))
    data = tmp_path / "data"
    data.mkdir()
    write_manifest(data, (recording("ann"), Recording("one", "s1", calm)))
    run_experiment(experiment(data, "within_subject"), tmp_path / "out", analyses=False)
    assert [p.name for p in (tmp_path / "out" / "model").iterdir()] == ["ann"]
    assert "one: one class only" in Result.load(tmp_path / "out").protocol["notes"]


@pytest.mark.parametrize("command", ["run", "train"])
def test_a_folder_with_other_files_is_refused_and_untouched(root: Path, tmp_path: Path, command: str) -> None:
    mine = tmp_path / "documents"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    act = {"run": run_experiment, "train": train_model}[command]
    nowhere = experiment(root / "nowhere")
    for target, says in (
        (mine, "holds other files"),
        (mine / "thesis.txt", "is a file"),
        (mine / "thesis.txt" / "x", "is a file"),
    ):
        with pytest.raises(InputError, match=says):  # before anything is read: the data do not exist
            act(nowhere, target)
    assert [p.name for p in mine.iterdir()] == ["thesis.txt"]


def test_nothing_is_written_when_something_fails(root: Path, tmp_path: Path) -> None:
    for tables, says in (
        ({"model": {"size": "smal"}}, "size"),
        ({"data": {"target": "stat"}}, "Did you mean 'state'"),
        ({"recipe": {"window_s": 400.0, "hop_s": 200.0}}, "Shorten window_s"),
        ({"recipe": {"windw_s": 4.0}}, "Did you mean 'window_s'"),
        ({"train": {"epoch": 1}}, "Did you mean 'epochs'"),
    ):
        for act in (run_experiment, train_model):
            with pytest.raises(InputError, match=says):
                act(experiment(root, **tables), tmp_path / "out")
            assert not list(tmp_path.iterdir())


def test_names_are_checked_before_the_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'epochs'"):
        run_experiment(experiment(tmp_path / "nowhere", train={"epoch": 1}), tmp_path / "out")
    with pytest.raises(DataError, match="nowhere"):
        run_experiment(experiment(tmp_path / "nowhere"), tmp_path / "out")
    with pytest.raises(InputError, match="device 'gpu'"):
        run_experiment(experiment(tmp_path / "nowhere"), tmp_path / "out", device="gpu")


def test_train_writes_model_and_story(root: Path, tmp_path: Path) -> None:
    model, windows = train_model(experiment(root), tmp_path / "m")
    story = json.loads((tmp_path / "m" / "training.json").read_text())
    assert story["people"] == 3
    assert story["seen"] == [{"data": "manifest", "subjects": ["ann", "bob", "cyd"]}]
    assert story["data_hash"] == windows.fingerprint()
    assert story["experiment"]["train"] == {"epochs": 1}
    assert (model.config.group, model.config.normaliser) == (("subject",), "opening")
    own, _ = train_model(experiment(root, data={"subjects": ["ann"]}), tmp_path / "m")
    assert (own.config.group, own.config.normaliser) == (("subject", "session", "trial"), "person_trials")


@pytest.mark.usefixtures("no_page")
def test_damaged_files_are_noted_not_hidden(tmp_path: Path) -> None:
    data = write_manifest(tmp_path, cohort())
    (data / "bob-eda.csv").write_text("EDA\n")
    plan = experiment(data)
    problems: list[Any] = []
    assert len(read_recordings(plan, problems)) < 3 or problems
    assert any("bob-eda.csv" in str(p.file) for p in problems)
    _, windows = train_model(plan, tmp_path / "m")
    assert any("bob-eda.csv" in note for note in windows.notes)
    assert any("bob-eda.csv" in n for n in predict_windows(Estimator.load(tmp_path / "m"), plan).notes)
    done = run_experiment(plan, tmp_path / "out", analyses=False)
    assert any("bob-eda.csv" in note for note in done.result.protocol["notes"])


def test_target_is_the_data_sets_first_or_must_be_named() -> None:
    simulated = experiment_from({"data": {"name": "simulate"}, "recipe": RECIPE_TABLE})
    labelled = tuple(
        replace(
            r, trials=tuple(replace(t, labels={"emotion": t.labels["state"]} if t.labels else {}) for t in r.trials)
        )
        for r in cohort()
    )
    assert cut_windows(simulated, labelled).schema.target == "emotion"
    own = experiment_from({"data": {"name": "manifest"}, "recipe": RECIPE_TABLE})
    with pytest.raises(InputError, match="manifest without a target; expected one of state, valence"):
        cut_windows(own, cohort())


def test_manifest_gives_back_what_was_written(root: Path) -> None:
    found = read_recordings(experiment(root))
    assert [r.subject for r in found] == ["ann", "bob", "cyd"]
    for one, expected in zip(found, cohort(), strict=True):
        assert [t.key for t in one.trials] == [t.key for t in expected.trials]
        for a, b in zip(one.trials, expected.trials, strict=True):
            assert set(a.signals) == set(UNITS)
            np.testing.assert_allclose(a.signals["eda"].values, b.signals["eda"].values, rtol=1e-5)
            assert dict(a.labels) == pytest.approx(dict(b.labels))
    assert cut_windows(experiment(root), found).recipe.window_s == RECIPE.window_s
