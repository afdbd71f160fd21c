"""The restricted unpickler: arrays and plain containers come through, everything else is refused and not run."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fixtures_lab_eeg import write_deap
from fixtures_python2 import python2_pickle
from fixtures_wesad import write_wesad
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from insula.data import load
from insula.data.formats import guarded
from insula.data.formats.pickles import load_pickle
from insula.errors import DataError


class Runs:
    """Asks for a shell command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "x.pkl"
    path.write_bytes(content)
    return path


def test_a_real_exploit_works_on_the_usual_reader_and_not_here(tmp_path: Path) -> None:
    mark = tmp_path / "was_run"
    for protocol in range(6):
        content = pickle.dumps({"data": Runs(mark), "labels": 1}, protocol=protocol)
        pickle.loads(content)
        assert mark.exists()
        mark.unlink()
        with pytest.raises(DataError, match=r"x\.pkl: its pickle asks for posix\.system.* It was not run"):
            load_pickle(saved(tmp_path, content))
        assert not mark.exists()


@pytest.mark.parametrize("reader", ["deap", "wesad"])
def test_readers_of_pickles_refuse_an_exploit(tmp_path: Path, reader: str) -> None:
    mark = tmp_path / "was_run"
    if reader == "deap":
        write_deap(tmp_path / "d", people=(1,))
        path = tmp_path / "d/data_preprocessed_python/s01.dat"
    else:
        write_wesad(tmp_path / "d", people=(2,))
        path = tmp_path / "d/S2/S2.pkl"
    path.write_bytes(pickle.dumps({"data": Runs(mark), "signal": Runs(mark)}, protocol=2))
    with pytest.raises(DataError, match=rf"{path.name}: its pickle asks for posix\.system"):
        load(reader, tmp_path / "d")
    assert not mark.exists()


BUILTIN = b"\x80\x02c__builtin__\neval\n(X\x03\x00\x00\x001+1tR."
STACKED = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R."
NUMPY_EVAL = b"\x80\x02cnumpy.core.multiarray\nfromfile\n(U\x0b/etc/passwdtR."
OBJECTS = pickle.dumps(np.array([{}, 1], dtype=object), protocol=2)
FORGED = (  # an array of objects said to be numbers' bytes: numpy's own state would hand out wild pointers
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01K\x01\x85cnumpy\ndtype\n"
    b"(U\x02O8K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08AAAAAAAAtb."
)
FIELDS = pickle.dumps(np.zeros(2, dtype=[("a", "f8"), ("b", "O")]), protocol=2)
MEMO = b"\x80\x02]r\xff\xff\xff\x7f."
HUGE = b"\x80\x02T\xff\xff\xff\x7fabc."
HUGER = b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc."
DEEP = b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b"."
SET = pickle.dumps({1, 2}, protocol=4)
STATE_ON_NAME = b"\x80\x02cnumpy\ndtype\n}U\x05_makeK\x01sb."
EXTENSION = b"\x80\x02\x82\x01."
PERSISTENT = b"\x80\x02U\x01aQ."
SHAPE = python2_pickle({"a": np.zeros((2, 3))}).replace(
    b"(J\x02\0\0\0J\x03\0\0\0t", b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft"
)


@pytest.mark.parametrize(
    "content",
    [
        BUILTIN, STACKED, NUMPY_EVAL, OBJECTS, FORGED, FIELDS, MEMO, HUGE, HUGER, DEEP, SET, STATE_ON_NAME, EXTENSION,
        PERSISTENT, SHAPE, b"", b".", b"\0" * 4096, b"\x80\x02}",
    ],
    ids=lambda c: c[:12].hex(),
)  # fmt: skip
def test_forged_pickles_are_one_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match=r"x\.pkl: "):
        load_pickle(saved(tmp_path, content))


def bomb_of_shared_parts() -> bytes:
    value: object = [np.arange(3)]
    for _ in range(25):  # 2**25 elements once written out
        value = [value, value]
    return pickle.dumps(value, protocol=2)


def nested_tuples_as_keys() -> bytes:
    """A tuple of one tuple twice, thirty deep, as a key: its hash takes 2**30 steps, or the stack."""
    return b"\x80\x02}(K\x01" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(60)) + b"K\x01u."


def deep_tuple_as_key() -> bytes:
    return b"\x80\x02}(K\x01" + b"\x85" * 2_000_000 + b"K\x01u."


@pytest.mark.slow
@pytest.mark.parametrize("make", [bomb_of_shared_parts, nested_tuples_as_keys, deep_tuple_as_key])
def test_bombs_are_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], bytes]) -> None:
    monkeypatch.setattr(guarded, "LEAST_CPU_S", 2)
    with pytest.raises(DataError, match=r"x\.pkl: "):
        load_pickle(saved(tmp_path, make()))
    assert load_pickle(saved(tmp_path, pickle.dumps({"a": 1}, protocol=2))) == {"a": 1}  # the next file is read


kinds = st.sampled_from(["f8", "f4", "i4", "i8", "u1", "?", "c16", ">f8", ">i2"])
arrays = kinds.flatmap(lambda k: hnp.arrays(np.dtype(k), hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)))
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | arrays
)
plain = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)


@settings(max_examples=150, deadline=None)
@given(value=plain, protocol=st.integers(2, 5), order=st.sampled_from("CF"))
def test_what_numpy_and_python_write_comes_back(
    tmp_path_factory: pytest.TempPathFactory, value: object, protocol: int, order: str
) -> None:
    if isinstance(value, np.ndarray):
        value = np.asarray(value, order=order)
    path = saved(tmp_path_factory.mktemp("p"), pickle.dumps(value, protocol=protocol))
    found = load_pickle(path)
    assert same(found, value)
    if isinstance(value, np.ndarray):
        path.write_bytes(pickle.dumps(value[...].sum() if value.size else value, protocol=protocol))
        load_pickle(path)


def same(a: object, b: object) -> bool:
    if isinstance(b, np.ndarray):
        return isinstance(a, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(b, list):
        return type(a) is list and len(a) == len(b) and all(map(same, a, b))
    if isinstance(b, dict):
        return type(a) is dict and a.keys() == b.keys() and all(same(a[k], b[k]) for k in b)
    return type(a) is type(b) and a == b


def test_python_2_text_and_arrays(tmp_path: Path) -> None:
    value = {"subject": "S\xe92", "a": np.arange(6.0).reshape(2, 3), "n": (1, None, True)}
    found = load_pickle(saved(tmp_path, python2_pickle(value)))
    assert found["subject"] == "S\xe92"
    assert found["n"] == [1, None, True]  # tuples come back as lists
    np.testing.assert_array_equal(found["a"], value["a"])
