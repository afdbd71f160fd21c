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

from insula.data.matlab import field, read_mat, require_sound, unwrapped, variables
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
    require_sound(path)


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
        with pytest.raises(DataError, match=r"a\.mat: damaged \("):
            read_mat(path, ["v"])
        with pytest.raises(DataError, match=r"a\.mat: damaged \("):
            require_sound(path)


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
