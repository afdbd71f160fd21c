"""A person removed from what insula wrote: nothing of the name is left, everything else is as it was."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from command_line import Terminal
from compare_grids import invent, tiny
from windows_double import make_table, predictions

from insula.errors import InputError
from insula.evaluation.experiment import Experiment, experiment_from
from insula.evaluation.results import Result
from insula.evaluation.system import System
from insula.grid.cell import Outcome
from insula.grid.run import finished, keep, locked, outcomes
from insula.learning.estimator import Estimator
from insula.pipeline.running import run_experiment, train_model
from insula.privacy import forget as module
from insula.privacy.forget import forget
from insula.privacy.retraining import retraining_note
from insula.windows.store import Store

PEOPLE = ("S1", "S10", "S11")
"""Those of the fixture `root`."""


def bytes_of(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*")) if p.is_file()}  # fmt: skip


def assert_gone(folder: Path, name: bytes, others: Iterable[bytes] = ()) -> None:
    """Search every byte and every file name, and the columns of tables, which are compressed."""
    for path in folder.rglob("*"):
        assert path.name.encode() != name
        content = path.read_bytes() if path.is_file() and path.suffix not in (".safetensors", ".parquet") else b""
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            texts = {str(v) for c in table.column_names for v in table[c].unique().to_pylist()}
            content = " ".join([*texts, *table.column_names]).encode() + b" ".join(
                (table.schema.metadata or {}).values()
            )
        for other in others:
            content = content.replace(other, b"")
        assert name not in content, path


def experiment(root: Path, protocol: str, **tables: Any) -> Experiment:
    return experiment_from(
        {
            "data": {"name": "manifest", "root": str(root), "target": "state", **tables.pop("data", {})},
            "protocol": {"name": protocol},
            "recipe": {"window_s": 4.0, "hop_s": 2.0, "guard_s": 2.0},
            "compare": {"rows": ["majority"], "variants": [], "session": False},
            "train": {"epochs": 1},
            **tables,
        }
    )


@pytest.fixture(scope="module")
def written(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `evaluate` and `train` leave: two results with pages and models, and a model of its own."""
    folder = tmp_path_factory.mktemp("runs")
    command = "insula evaluate --data manifest --subjects S1,S10,S11"
    one = experiment(root, "leave_one_subject_out", data={"subjects": list(PEOPLE)})
    run_experiment(one, folder / "others", analyses=False, command=command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("insula.pipeline.running.write", lambda _, page: page)
        run_experiment(experiment(root, "within_subject"), folder / "personal", analyses=False)
    train_model(experiment(root, "within_subject", model={"normaliser": "person_trials"}), folder / "trained")
    return folder


@pytest.fixture
def runs(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "runs"))


@pytest.fixture
def quick_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not draw the page, which takes seconds; the first test does."""

    def write(_: Result, page: Path) -> Path:
        page.with_suffix(".json").write_text("{}")
        page.write_text("page")
        return page

    monkeypatch.setattr(module, "write", write)


def test_a_person_is_gone_and_the_others_are_as_they_were(runs: Path) -> None:
    before = Result.load(runs / "others")
    found = forget("S1", [runs])
    assert found.leftovers == ()
    assert_gone(runs, b"S1", (b"S10", b"S11"))
    after = Result.load(runs / "others")
    stay = before.predictions[before.predictions["subject"] != "S1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(after.predictions, stay)
    assert set(after.people().index) == {"S10", "S11"}
    assert after.config["experiment"]["data"]["subjects"] == ["S10", "S11"]
    assert after.provenance["command"] == "insula evaluate --data manifest --subjects S10,S11"
    assert after.provenance["people_removed"] == 1
    assert "a person was removed on" in (runs / "others" / "report.html").read_text(encoding="utf-8")
    assert len(pd.read_parquet(runs / "personal" / "predictions.parquet")) > 0


@pytest.mark.usefixtures("quick_page")
def test_models_of_others_stay_usable_and_are_to_be_trained_again(runs: Path) -> None:
    weights = hashlib.sha256((runs / "trained" / "weights-0.safetensors").read_bytes()).hexdigest()
    found = forget("S1", [runs])
    assert {p.relative_to(runs) for p, _ in found.retrain} == {Path("others/model"), Path("trained")}
    assert sorted(p.name for p in (runs / "personal" / "model").iterdir()) == ["S10", "S11"]
    assert retraining_note(runs / "personal" / "model" / "S10") == ""
    assert "trained on a person's recordings, removed on" in retraining_note(runs / "trained")
    model = Estimator.load(runs / "trained")
    assert set(model.normaliser.people) == set(model.scaler.people) == {"S10", "S11"}
    assert hashlib.sha256((runs / "trained" / "weights-0.safetensors").read_bytes()).hexdigest() == weights
    story = json.loads((runs / "trained" / "training.json").read_text())
    assert story["subjects"] == ["S10", "S11"]


@pytest.mark.usefixtures("quick_page")
def test_a_changed_description_of_a_model_is_not_made_good(runs: Path) -> None:
    path = runs / "trained" / "estimator.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    forget("S1", [runs])
    with pytest.raises(ValueError, match="was changed since it was saved"):
        Estimator.load(runs / "trained")


@pytest.mark.usefixtures("quick_page")
def test_a_dry_run_says_the_same_and_changes_nothing(runs: Path) -> None:
    before = bytes_of(runs)
    planned = forget("S1", [runs], dry_run=True)
    assert bytes_of(runs) == before
    done = forget("S1", [runs])
    assert planned.done == done.done
    assert planned.retrain == done.retrain
    assert planned.leftovers == done.leftovers == ()
    assert bytes_of(runs) != before


@pytest.mark.usefixtures("quick_page")
def test_a_name_nobody_has_is_refused_with_near_ones(runs: Path) -> None:
    before = bytes_of(runs)
    with pytest.raises(InputError, match=r"person 'S12'; expected one of S1, S10, S11\. Did you mean"):
        forget("S12", [runs])
    with pytest.raises(InputError, match="expected a folder that insula wrote"):
        forget("S1", [runs / "nowhere"])
    assert bytes_of(runs) == before


@pytest.mark.usefixtures("quick_page")
def test_a_result_of_too_few_people_goes(runs: Path) -> None:
    forget("S1", [runs / "others"])
    found = forget("S10", [runs])
    assert (runs / "others", "result removed: 1 person is left, leave_one_subject_out needs 2") in found.done
    assert not (runs / "others").exists()
    assert set(Result.load(runs / "personal").predictions["subject"]) == {"S1", "S11"}
    forget("S1", [runs])
    found = forget("S11", [runs])
    assert [w for p, w in found.done if p == runs / "personal"] == ["result removed: nobody is left"]
    assert not (runs / "personal").exists()
    assert not (runs / "trained").exists()


@pytest.mark.usefixtures("quick_page")
def test_what_was_stopped_in_the_middle_goes_on(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("disk full")

    before = Result.load(runs / "others")
    with monkeypatch.context() as patch:
        patch.setattr(module, "write", broken)
        with pytest.raises(OSError, match="disk full"):
            forget("S1", [runs])
    assert Result.load(runs / "others").predictions.equals(before.predictions)
    assert not list(runs.rglob("*.partial"))
    assert not list(runs.rglob("*.old"))
    assert forget("S1", [runs]).leftovers == ()
    assert_gone(runs, b"S1", (b"S10", b"S11"))


@pytest.mark.usefixtures("quick_page")
def test_what_insula_did_not_write_is_named_and_left(runs: Path, monkeypatch: Any, capsys: Any) -> None:
    terminal = Terminal(monkeypatch, capsys)
    (runs / "S1 alone").mkdir()
    (runs / "S1 alone" / "notes.md").write_text("S10 was tired\nS1 was not\n")
    (runs / "table.csv").write_text("who,subject\nx,S1\n")
    planned = terminal("forget", "S1", "--in", runs, "--dry-run")
    assert planned.code == 1
    assert planned.out.count("would stay: ") == 3
    done = terminal("forget", "S1", "--in", runs, "--yes")
    assert done.code == 1
    assert f"still names the person: {runs / 'S1 alone'}: in the folder's name" in done.out
    assert f"still names the person: {runs / 'S1 alone' / 'notes.md'}: in line 2" in done.out
    assert f"still names the person: {runs / 'table.csv'}: in line 2" in done.out
    assert f"must be trained again: {runs / 'trained'}: it was trained on the person's recordings" in done.out
    assert (runs / "S1 alone" / "notes.md").read_text() == "S10 was tired\nS1 was not\n"


@pytest.mark.usefixtures("quick_page")
def test_the_command_takes_several_folders_and_prints_json(runs: Path, monkeypatch: Any, capsys: Any) -> None:
    terminal = Terminal(monkeypatch, capsys)
    done = terminal("forget", "S1", "--in", runs / "others", runs / "trained", "--json", "--yes")
    assert done.code == 0
    assert {Path(d["path"]).name for d in json.loads(done.out)["done"]} == {"model", "others", "trained"}
    terminal.refused("forget", "S1", "--in", runs / "others", says="person 'S1'; expected one of")
    assert forget("S1", [runs / "personal", runs]).leftovers == ()


@pytest.mark.usefixtures("quick_page")
def test_predictions_for_new_recordings_lose_the_rows(runs: Path, root: Path, monkeypatch: Any, capsys: Any) -> None:
    terminal = Terminal(monkeypatch, capsys)
    out = runs / "predicted.csv"
    said = terminal("predict", "--model", runs / "trained", "--data", "manifest", "--root", root, "--out", out)
    assert "must be trained again" not in said.err
    lines = out.read_text().splitlines()
    forget("S1", [runs])
    assert out.read_text().splitlines() == [line for line in lines if not line.startswith("S1,")]
    said = terminal("predict", "--model", runs / "trained", "--data", "manifest", "--root", root, "--subjects", "S10")
    assert "note: this model must be trained again: it was trained on a person's recordings" in said.err


def result_of(people: dict[str, str], **more: Any) -> Result:
    """An invented result over people of other names."""
    table = make_table(people=len(people), trials=4, windows=3, seed=0)
    known = sorted(table["subject"].unique())
    y = table["y"].to_numpy()
    rows = predictions(table.assign(subject=table["subject"].map(dict(zip(known, people, strict=True)))), y, system="m")
    return Result(
        target="state", classes=("a", "b"), protocol={"name": "leave_subjects_out", "leaky": False, "folds": 2,
        "notes": more.pop("notes", [])}, systems=(System("m", "M", "model"),), predictions=rows, **more,
    )  # fmt: skip


def test_a_number_is_a_name_only_where_a_person_is_meant(tmp_path: Path) -> None:
    people = dict.fromkeys(("1", "2", "12", "21"), "")
    notes = ["1/1: no reference windows", "12/1: no reference windows", "1 trial left out"]
    analyses = {
        "latent": {"subject": ["1", "12"], "xy": [[0.0, 1.0], [2.0, 3.0]], "note": "1 fold"},
        "quality": {"people": {"1": 0.5, "2": 0.25}, "counts": {"1": 7}},
    }
    result_of(
        people, notes=notes, analyses=analyses, provenance={"command": "insula evaluate --subjects 1,2 --folds 1"}
    ).save(tmp_path)
    found = forget("1", [tmp_path])
    assert found.ordinary
    assert found.leftovers == ()
    after = Result.load(tmp_path)
    assert set(after.predictions["subject"]) == {"2", "12", "21"}
    assert after.protocol["notes"][:2] == ["12/1: no reference windows", "1 trial left out"]
    assert after.analyses["latent"]["subject"] == ["12"]
    assert after.analyses["latent"]["xy"] == [[2.0, 3.0]]
    assert after.analyses["quality"] == {"people": {"2": 0.25}, "counts": {"1": 7},
                                         "note": "computed before a person was removed"}  # fmt: skip
    assert after.provenance["command"] == "insula evaluate --subjects 2 --folds 1"


def test_names_of_other_scripts_and_marks_are_found_in_every_spelling(tmp_path: Path) -> None:
    people = dict.fromkeys(("Zoë O'Neil", "Zoë", "山田", "Ann-Zoë"), "")
    result = result_of(
        people, notes=["Zoe\u0308/1: no reference windows", "Zoë O'Neil: one class only", "Ann-Zoë: 1 session"]
    )
    result.save(tmp_path / "r")
    (tmp_path / "notes.html").write_text("<p>Zo&#235; no; Zoë O&#39;Neil yes")
    assert forget("Zoë", [tmp_path]).leftovers == ()
    assert Result.load(tmp_path / "r").protocol["notes"][:2] == ["Zoë O'Neil: one class only", "Ann-Zoë: 1 session"]
    found = forget("Zoë O'Neil", [tmp_path])
    assert [(p.name, w) for p, w in found.leftovers] == [("notes.html", "in line 1")]
    assert forget("山田", [tmp_path]).leftovers == ()
    assert not (tmp_path / "r").exists()


def test_counts_are_taken_down_and_old_figures_are_marked(tmp_path: Path) -> None:
    people = dict.fromkeys(("ann", "bob", "cyd"), "")
    result = result_of(
        people,
        analyses={
            "data": {"people": 3, "trials": 12, "windows": 36, "problems": [
                "x/ann/eda.csv: flat", "bob: late; ann: gap",
            ]},
            "controls": {"rows": [], "note": "after training"},
            "pairs": [],
        },
        nulls={"m": {"p": 0.04, "text": "p = .04"}},
    )  # fmt: skip
    result = replace(result, systems=(replace(result.systems[0], notes=("ann: tuned", "all: tuned")),))
    result.save(tmp_path)
    forget("ann", [tmp_path])
    after = Result.load(tmp_path)
    assert after.analyses["data"] == {
        "people": 2, "trials": 8, "windows": 24, "problems": ["bob: late"],
        "other_figures": "computed before a person was removed",
    }  # fmt: skip
    assert after.analyses["controls"]["note"] == "after training; computed before a person was removed"
    assert after.nulls["m"]["text"] == "p = .04 (computed before a person was removed)"
    assert after.systems[0].notes == ("all: tuned",)
    said = after.protocol["notes"][-1]
    assert "controls, null test" in said
    assert said.endswith("the models had learned from that person")


def test_cells_of_a_grid_lose_the_person_and_stay_finished(tmp_path: Path) -> None:
    grid = tiny()
    with locked(tmp_path):
        pass
    invent(grid, tmp_path, lambda *_: 0.6)
    person = sorted(Result.load(tmp_path / "cells" / grid.cells[0].key).predictions["subject"].unique())[0]
    failed = grid.cells[-1].key
    shutil.rmtree(tmp_path / "cells" / failed)
    keep(Outcome(failed, "failed", 1.0, why=f"{person}: one class only"), tmp_path)
    (tmp_path / "workers.log").write_text(f"line one\n{person}/1: broken\n")
    (tmp_path / "ledger.md").write_text("figures of everybody")
    found = forget(person, [tmp_path])
    assert found.leftovers == ()
    assert_gone(tmp_path, person.encode())
    assert not (tmp_path / "ledger.md").exists()
    assert (tmp_path / "workers.log").read_text() == "line one\n[removed]/1: broken\n"
    known = outcomes(grid, tmp_path)
    assert all(finished(known[c.key], None) for c in grid.cells[:-1])
    assert known[failed].state == "failed"


def test_a_store_forgets_the_person(root: Path, tmp_path: Path) -> None:
    from insula.data import info

    store = Store(tmp_path / "store")
    store.hold("manifest", root, info("manifest").recipe, options={})
    result_of(dict.fromkeys(PEOPLE, "")).save(tmp_path / "r")
    assert set(store.people()) == set(PEOPLE)
    found = forget("S1", [tmp_path])
    assert found.leftovers == ()
    (told,) = (what for path, what in found.done if path == tmp_path / "store")
    assert re.fullmatch(r"\d+ trials removed from the store: [0-9a-f]{20}/data/[0-9a-f]{32}", told)
    assert set(Store(tmp_path / "store").people()) == {"S10", "S11"}


@pytest.mark.slow
def test_a_shared_model_is_trained_again_on_the_others(root: Path, tmp_path: Path) -> None:
    train_model(experiment(root, "leave_one_subject_out"), tmp_path / "m")
    found = forget("S1", [tmp_path], retrain=True)
    assert found.retrain == ()
    assert found.leftovers == ()
    assert retraining_note(tmp_path / "m") == ""
    assert json.loads((tmp_path / "m/training.json").read_text())["subjects"] == ["S10", "S11"]
    Estimator.load(tmp_path / "m")
