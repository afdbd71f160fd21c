"""The Matlab reader against what scipy writes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.io import savemat

from insula.data.formats.matlab import field, read_mat, unwrapped, variables
from insula.errors import DataError

kinds = st.sampled_from(["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
arrays = kinds.flatmap(lambda k: hnp.arrays(np.dtype(k), hnp.array_shapes(min_dims=2, max_dims=3, max_side=4)))


@settings(max_examples=80, deadline=None)
@given(values=st.lists(arrays, min_size=1, max_size=4), packed=st.booleans())
def test_numbers_come_back(tmp_path_factory: pytest.TempPathFactory, values: list, packed: bool) -> None:
    path = tmp_path_factory.mktemp("m") / "a.mat"
    savemat(path, {f"v{i}": v for i, v in enumerate(values)}, do_compression=packed)
    assert variables(path) == {f"v{i}": v.shape for i, v in enumerate(values)}
    found = read_mat(path, [f"v{i}" for i in range(1, len(values))])
    assert list(found) == [f"v{i}" for i in range(1, len(values))]
    for i in range(1, len(values)):
        assert found[f"v{i}"].dtype == values[i].dtype
        np.testing.assert_array_equal(found[f"v{i}"], values[i])


@pytest.mark.parametrize("packed", [False, True])
def test_structs_cells_text_and_the_rest(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "a.mat"
    cell = np.empty((2, 1), dtype=object)
    cell[0, 0], cell[1, 0] = np.arange(6.0).reshape(2, 3), "text"
    inner = {"Age": "22", "cells": cell, "logical": np.array([[True, False]]), "none": np.zeros((0, 0))}
    savemat(path, {"S": {"Data": inner}, "z": np.array([[1 + 2j]])}, do_compression=packed)
    data = field(path, field(path, read_mat(path, ["S"])["S"], "Data", "S"), "cells", "Data")
    assert data.shape == (2, 1)
    np.testing.assert_array_equal(data[0, 0], cell[0, 0])
    assert data[1, 0] == "text"
    other = unwrapped(field(path, read_mat(path, ["S"])["S"], "Data", "S"))
    assert other["Age"] == "22"
    assert other["logical"].tolist() == [[1, 0]]
    assert other["none"].shape == (0, 0)
    assert read_mat(path, ["z"]) == {"z": None}
    with pytest.raises(DataError, match=r"a\.mat: Data has Age, cells, logical, none; expected a struct with EEG"):
        field(path, {"Age": 1, "cells": 2, "logical": 3, "none": 4}, "EEG", "Data")


def test_big_endian(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    body = (
        struct.pack(">IIII", 6, 8, 6, 0) + struct.pack(">IIii", 5, 8, 1, 2) + struct.pack(">I4s", (1 << 16) | 1, b"v")
    )
    body += struct.pack(">II2d", 9, 16, 1.5, -2.5)
    path.write_bytes(b"MATLAB 5.0 ".ljust(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(body)) + body)
    np.testing.assert_array_equal(read_mat(path, ["v"])["v"], [[1.5, -2.5]])


def test_a_type_outside_the_table_is_an_error_and_no_crash(tmp_path: Path) -> None:
    """What crashed scipy's reader: the type of the numbers is an index into a table there."""
    path = tmp_path / "a.mat"
    savemat(path, {"v": np.arange(40.0).reshape(5, 8)})
    content = bytearray(path.read_bytes())
    at = content.rindex(struct.pack("<II", 9, 320))
    for kind in (0, 8, 200, 2**31):
        struct.pack_into("<I", content, at, kind)
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.mat: (reading it crashed its reader|scipy or h5py cannot read it)"):
            read_mat(path, ["v"])


@pytest.mark.slow
def test_every_cut_and_every_flipped_byte_is_numbers_or_one_error(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"S": {"a": np.arange(3.0), "b": "text"}, "v": np.arange(4)})
    content = path.read_bytes()
    for at in range(len(content)):
        for changed in (content[:at], content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]):
            path.write_bytes(changed)
            for read in (lambda: read_mat(path, ["S", "v"]), lambda: variables(path)):
                assert told(read) in ("", str(path))


def told(read: Callable[[], object]) -> str:
    try:
        read()
    except DataError as error:
        return str(error).split(": ")[0]
    return ""


def write_7_3(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """A file as Matlab's save(..., '-v7.3') lays it out: text header in a user block, axes in reverse."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in arrays.items():
            stored = file.create_dataset(name, data=values.T)
            stored.attrs["MATLAB_class"] = np.bytes_(values.dtype.name.replace("float64", "double"))
        file.create_group("info")
    content = bytearray(path.read_bytes())
    content[:512] = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512)
    path.write_bytes(content)


def test_arrays_of_matlab_7_3_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"djc_eeg1": rng.standard_normal((62, 40)), "label": np.arange(6, dtype=np.int16).reshape(1, 6)}
    write_7_3(tmp_path / "a.mat", arrays)
    assert variables(tmp_path / "a.mat") == {"djc_eeg1": (62, 40), "label": (1, 6), "info": ()}
    found = read_mat(tmp_path / "a.mat", ("djc_eeg1", "label", "absent"))
    assert found.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)
    with pytest.raises(DataError, match=r"a\.mat: info is a struct or cell in a Matlab 7\.3 file"):
        read_mat(tmp_path / "a.mat", ("info",))


def test_a_cut_file_of_matlab_7_3_is_one_error(tmp_path: Path) -> None:
    write_7_3(tmp_path / "a.mat", {"x": np.arange(4000.0).reshape(40, 100)})
    whole = (tmp_path / "a.mat").read_bytes()
    for size in (600, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a.mat").write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"a\.mat"):
            read_mat(tmp_path / "a.mat", ("x",))
