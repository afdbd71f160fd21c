"""Pickles of protocol 2 as Python 2 and its numpy wrote them, put together byte by byte."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np


def python2_pickle(value: Any) -> bytes:
    return b"\x80\x02" + _one(value) + b"."


def _one(value: Any) -> bytes:
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, str | bytes):
        text = value.encode("latin-1") if isinstance(value, str) else value
        return b"T" + struct.pack("<I", len(text)) + text
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_one, value)) + b"t"
    if isinstance(value, dict):
        return b"}(" + b"".join(_one(k) + _one(v) for k, v in value.items()) + b"u"
    if isinstance(value, np.ndarray):
        return _array(value)
    raise TypeError(type(value))


def _array(value: np.ndarray) -> bytes:
    kind = value.dtype.newbyteorder("<")
    dtype = b"cnumpy\ndtype\n" + _one((value.dtype.str[1:], 0, 1)) + b"R"
    dtype += _one((3, "<", None, None, None, -1, -1, 0)) + b"b"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _one((0,)) + _one("b") + b"tR"
    content = value.astype(kind).tobytes()
    state = b"(" + _one(1) + _one(value.shape) + dtype + _one(False) + _one(content) + b"t"
    return made + state + b"b"
