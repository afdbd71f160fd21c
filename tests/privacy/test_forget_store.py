"""Stores: forged records and links remove nothing outside, strangers' are refused, and somebody says yes first."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest
from command_line import Terminal

from insula.errors import DataError
from insula.privacy.forget import forget
from insula.windows.store import Store


@pytest.fixture
def stored(root: Path, tmp_path: Path) -> Path:
    """A store of three people beside somebody else's folder."""
    from insula.data import info

    Store(tmp_path / "store").hold("manifest", root, info("manifest").recipe, options={})
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim/precious.txt").write_text("x")
    return tmp_path / "store"


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    "data", ["../../../victim", "", ".", "/etc", "..", "C:\\x", "a/b", "0" * 31, "0" * 33, None, 7, ["a"]]
)
def test_a_forged_record_removes_nothing(stored: Path, data: object) -> None:
    record = next(stored.glob("*/people/*.json"))
    told = json.loads(record.read_text())
    person = told["subject"]
    record.write_text(json.dumps({**told, "data": data}))
    before = tree(stored.parent)
    with pytest.raises(DataError, match="is no record of a store"):
        forget(person, [stored])
    with pytest.raises(DataError):
        Store(stored).forget(person)
    assert tree(stored.parent) == before


@pytest.mark.parametrize(
    "path", ["../../../victim", "SET/data/OTHER/0/eda", "SET/data/OWN/0/../../../x", "SET/set.json"]
)
def test_arrays_lie_in_the_record_s_own_samples(stored: Path, path: str) -> None:
    record = next(stored.glob("*/people/*.json"))
    told = json.loads(record.read_text())
    forged = path.replace("SET", record.parts[-3]).replace("OWN", told["data"]).replace("OTHER", "0" * 32)
    session = told["sessions"][0]
    name = next(iter(session["arrays"]))
    record.write_text(json.dumps(told).replace(json.dumps(name), json.dumps(forged)))
    with pytest.raises(DataError, match="names array"):
        Store(stored).people()


def test_links_out_of_a_store_are_neither_read_nor_removed(stored: Path) -> None:
    record = next(stored.glob("*/people/*.json"))
    told = json.loads(record.read_text())
    samples = record.parents[1] / "data" / told["data"]
    samples.rename(samples.parents[3] / "away")
    samples.symlink_to(stored.parent / "victim")
    with pytest.raises(DataError, match="leads out of"):
        Store(stored).forget(told["subject"])
    assert (stored.parent / "victim/precious.txt").exists()


@pytest.mark.parametrize("change", ["key", "record", "marker"])
def test_a_store_that_insula_did_not_write_is_refused(stored: Path, change: str) -> None:
    one = next(p for p in stored.iterdir() if p.is_dir())
    if change == "key":
        one.rename(one.with_name("0" * 20))
        for record in stored.glob("*/people/*.json"):
            record.write_text(record.read_text().replace(one.name, "0" * 20))
    elif change == "record":
        first, second = sorted(one.glob("people/*.json"))[:2]
        second.write_bytes(first.read_bytes())
    else:
        (stored / "insula-store.json").write_text('{"format": 99}')
    before = tree(stored)
    with pytest.raises(DataError):
        forget("S1", [stored])
    assert tree(stored) == before


def test_nothing_goes_before_somebody_said_yes(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(stored)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    done = Terminal(monkeypatch, capsys)("forget", "S1", "--in", stored)
    assert done.code == 2
    assert "will be done" in done.err
    assert "/data/" in done.err
    assert "add --yes" in done.err
    assert tree(stored) == before
    assert Terminal(monkeypatch, capsys)("forget", "S1", "--in", stored, "--yes").code == 0
    assert set(Store(stored).people()) == {"S10", "S11"}


def test_what_cannot_be_looked_into_is_said_and_killed_saves_go(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (stored.parent / "backup.tar.gz").write_bytes(gzip.compress(b"S1 S1"))
    (stored.parent / "mail.txt").write_text("S1 was here", encoding="utf-16")
    (stored.parent / "model.onnx").write_bytes(b"\x08\x07\x12\x00\xff\xfeS1")
    half = stored.parent / f".model-{'ab' * 16}.partial"
    half.mkdir()
    (half / "training.json").write_text('{"subjects": ["S1"]}')
    found = forget("S1", [stored.parent])
    assert {path.name: why for path, why in found.closed} == {
        "backup.tar.gz": "compressed (gzip)",
        "mail.txt": "text in UTF-16",
        "model.onnx": "not text that insula can read",
    }
    assert not half.exists()
    (stored.parent / "r").mkdir()
    Store(stored).people()
    done = Terminal(monkeypatch, capsys)("forget", "S10", "--in", stored.parent, "--yes")
    assert "as far as they can be read (3 files cannot)" in done.out
