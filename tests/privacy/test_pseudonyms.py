"""With a private file of codes nothing that is written or told names a person, and a code is forgotten whole."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from command_line import Done, Terminal
from compare_grids import tiny
from small_cohort import recording, write_manifest

from insula.data.pseudonyms import NOTE, Pseudonyms, coded
from insula.errors import DataError, InputError
from insula.evaluation.elders import elders_of
from insula.evaluation.experiment import experiment_from
from insula.evaluation.results import Result
from insula.evaluation.saved import Saved, named_otherwise
from insula.grid.run import run_grid
from insula.pipeline.reading import cut_windows, hold_recordings, read_recordings, require_codes
from insula.pipeline.reopened import open_result
from insula.windows.store import Store

NAMES = ("annabel", "bobette", "cydonia", "dorothea")
CUT = ("--window", "4", "--hop", "2", "--set", "recipe.guard_s=2", "--target", "state")


def test_codes_are_drawn_once_in_private(tmp_path: Path) -> None:
    kept = Pseudonyms(tmp_path / "codes.json")
    people = [f"person{i}" for i in range(40)]
    first = dict(kept.of(people))
    assert sorted(first.values()) == [f"c{i:02d}" for i in range(1, 41)]
    assert list(first.values()) != sorted(first.values()), "the order of names says nothing"
    assert stat.S_IMODE((tmp_path / "codes.json").stat().st_mode) == 0o600
    more = kept.of(["zoe", *people[:3]])
    assert (more["zoe"], more["person0"]) == ("c41", first["person0"])
    assert kept.names([first["person7"]]) == ("person7",)
    kept.forget("person7")
    with pytest.raises(InputError, match="code of "):
        kept.names([first["person7"]])
    kept.forget("zoe")
    assert kept.of(["yann"]) == {"yann": "c42"}, "copies that still have the code speak of somebody else"
    again = Pseudonyms(tmp_path / "others.json").of(["c01", "ann"])
    assert "c01" not in again.values(), "a code is nobody's name"


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "codes.json"
    for text in ("[]", '{"codes": {"a": "x", "b": "x"}}', '{"codes": {"a": "../x"}}', '{"codes": {"a": 1}}'):
        path.write_text(text)
        with pytest.raises(DataError):
            _ = Pseudonyms(path).codes
    with pytest.raises(InputError, match="elsewhere, in private"):
        Pseudonyms(tmp_path / "run" / "codes.json").require_outside(tmp_path / "run")
    there = {"name": "simulate", "pseudonyms": str(tmp_path / "grid" / "codes.json")}
    with pytest.raises(InputError, match="elsewhere, in private"):
        run_grid(tiny(data=[there]), tmp_path / "grid")
    with pytest.raises(InputError, match="in no folder"):
        Pseudonyms(tmp_path / "no" / "codes.json").of(["ann"])


def test_names_inside_other_names_go_too() -> None:
    codes = {"Ann": "c01", "annabel": "c02", "4": "c03", "bo": "c04"}
    assert coded("ANNABEL_ann-4 bo", codes) == "c02_c01-4 bo", "numbers and two letters are too common"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    made = [recording(n, trials=4, trial_s=8) for n in NAMES]
    first = made[0]
    made[0] = replace(first, trials=(*first.trials[:-1], replace(first.trials[-1], trial="Annabel-4")))
    write_manifest(tmp_path / "data", made)
    (tmp_path / "data" / "bobette-hr.csv").unlink()
    return tmp_path / "data"


def told(done: Done) -> Done:
    assert done.code == 0, done
    assert not [n for n in NAMES if n in (done.out + done.err).lower()], done
    return done


def require_nobody(folder: Path) -> None:
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if path.suffix == ".parquet":
            content = str(pq.read_table(path).to_pydict()).encode()
        for name in NAMES:
            assert name.encode() not in content.lower(), path
            assert name not in str(path.relative_to(folder)).lower()


@pytest.mark.slow
def test_nothing_names_anybody(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal, private, out = Terminal(monkeypatch, capsys), tmp_path / "private.json", tmp_path / "shared"
    data = ("--data", "manifest", "--root", study, "--pseudonyms", private)
    rows = ("--set", "compare.rows=['majority']", "--set", "compare.context=false", "--quick", "--jobs", 1)
    told(
        terminal("evaluate", *data, *CUT, "--model", "logistic_regression", *rows, "--keep-folds", "--out", out / "run")
    )
    told(terminal("train", *data, *CUT, "--model", "logistic_regression", "--out", out / "model"))
    told(terminal("predict", *data, "--model", out / "model", "--out", out / "answers.csv"))
    require_nobody(out)
    codes = Pseudonyms(private).codes
    assert set(codes) == {"annabel", "cydonia", "dorothea"}, "whose file is gone has no recording"
    result = Result.load(out / "run")
    assert set(result.predictions["subject"]) == set(codes.values())
    assert NOTE in result.protocol["notes"]
    assert any("could not be read: insula data check lists" in note for note in result.protocol["notes"])
    assert codes["annabel"] + "-4" in set(pd.read_csv(out / "answers.csv")["trial"])
    assert open_result(out / "run").rows, "it is read again by its codes"

    ann = codes["annabel"]
    one = ("train", *data, *CUT, "--model", "logistic_regression", "--out", out / "one", "--subjects")
    terminal.refused(*one, "annabel", says="code of")
    told(terminal(*one, ann))
    assert json.loads((out / "one" / "training.json").read_text())["subjects"] == [ann]
    inside = ("train", "--data", "manifest", "--root", study, *CUT, "--pseudonyms", out / "two" / "codes.json")
    terminal.refused(*inside, "--out", out / "two", says="elsewhere, in private")

    done = terminal("forget", "annabel", "--in", out, "--yes", "--pseudonyms", private)
    assert done.code == 0, done
    assert "no longer says whose the code was" in done.err
    assert set(Pseudonyms(private).codes) == {"cydonia", "dorothea"}
    assert ann not in set(Result.load(out / "run").predictions["subject"])
    assert not (out / "one").exists()


def test_recordings_of_a_store_have_codes_too(study: Path, tmp_path: Path) -> None:
    asked = experiment_from(
        {
            "data": {
                "name": "manifest", "root": str(study), "target": "state", "pseudonyms": str(tmp_path / "codes.json"),
            },
            "recipe": {"window_s": 4.0, "hop_s": 2.0, "guard_s": 2.0},
        }
    )  # fmt: skip
    plain = cut_windows(asked, read_recordings(asked, []))
    held = hold_recordings(asked, plain.recipe, Store(tmp_path / "store"), [])
    stored = cut_windows(asked, held.recordings, clean=held.clean)
    assert stored.fingerprint() == plain.fingerprint()
    codes = Pseudonyms(tmp_path / "codes.json").codes
    assert set(plain.table["subject"]) == set(codes.values())
    texts = plain.table[["session", "trial", "stimulus"]].to_csv().lower()
    assert not [name for name in NAMES if name in texts]


def test_what_cannot_be_read_names_nobody(study: Path, tmp_path: Path) -> None:
    data = {"name": "manifest", "root": str(study), "target": "state", "pseudonyms": str(tmp_path / "codes.json")}
    codes = Pseudonyms(tmp_path / "codes.json").of([*NAMES, "gone"])
    for asked in ([codes["gone"]], [codes["annabel"]]):
        for path in study.glob("annabel-*.csv"):
            path.unlink()
        with pytest.raises((DataError, InputError)) as told:
            read_recordings(experiment_from({"data": {**data, "subjects": asked}}), [])
        assert not [name for name in (*NAMES, "gone") if name in str(told.value).lower()], told.value


def test_other_codes_are_not_drawn_where_a_result_is_read_again(tmp_path: Path) -> None:
    away = str(tmp_path / "away.json")
    with pytest.raises(InputError, match="whose codes name the people"):
        require_codes(experiment_from({"data": {"name": "manifest", "pseudonyms": away}}))
    (tmp_path / "training.json").write_text(json.dumps({"experiment": {"data": {"pseudonyms": away}}}))
    model = Saved(tmp_path, ("c01",), None)
    assert "may be another's" in named_otherwise([model], str(tmp_path / "other.json"))[0]
    assert named_otherwise([model], away) == named_otherwise([model], None) == []


def test_a_model_of_other_names_teaches_nobody(study: Path, tmp_path: Path) -> None:
    tables = {"data": {"name": "manifest", "root": str(study), "target": "state"}}
    private = {"data": {**tables["data"], "pseudonyms": str(tmp_path / "codes.json")}}
    assert read_recordings(experiment_from(private), [])[0].provenance.keys() <= {"data"}
    elder = tmp_path / "elder"
    elder.mkdir()
    (elder / "estimator.json").write_text("{}")
    (elder / "training.json").write_text(json.dumps({"subjects": ["annabel"], "experiment": tables}))
    with pytest.raises(InputError, match="names people by their names and this experiment by"):
        elders_of(experiment_from({**private, "model": {"start": str(elder)}}))
    assert elders_of(experiment_from({**tables, "model": {"start": str(elder)}}))
