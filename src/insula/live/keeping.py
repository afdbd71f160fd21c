"""A seat's state in a file: plain arrays and JSON, nothing that could be executed."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from insula.errors import DataError
from insula.live.seat import Seat

FORMAT = 1


def save_state(seat: Seat, path: Path) -> None:
    """Write everything that a seat carries, the networks' memory included; packets not yet handled are not kept."""
    arrays: dict[str, Any] = {}
    tree = _packed({"format": FORMAT, "seat": seat.to_dict(), "memory": seat.memory}, arrays)
    arrays["tree"] = np.frombuffer(json.dumps(tree).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    part = path.with_name(path.name + ".part")
    part.write_bytes(buffer.getvalue())
    os.replace(part, path)


def load_state(seat: Seat, path: Path) -> None:
    """Let a new seat of the same model go on from what `save_state` wrote."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            tree = _unpacked(json.loads(bytes(arrays["tree"])), arrays)
        if tree["format"] != FORMAT:
            raise DataError(f"{path} of format {tree['format']}; expected {FORMAT}. Start a new session.")
        seat.restore(tree["seat"])
        seat.memory = tree["memory"]
    except (OSError, EOFError, zipfile.BadZipFile, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} cannot be read ({error}); expected what save_state wrote. Start a new session."
        ) from None


def _packed(value: Any, arrays: dict[str, Any]) -> Any:
    """Plain JSON values, arrays put aside under a number."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        name = f"a{len(arrays)}"
        tensor = isinstance(value, torch.Tensor)
        arrays[name] = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        return {"tensor" if tensor else "array": name}
    if isinstance(value, Mapping):
        return {"map": {str(k): _packed(v, arrays) for k, v in value.items()}}
    if isinstance(value, tuple):
        return {"tuple": [_packed(v, arrays) for v in value]}
    if isinstance(value, list):
        return [_packed(v, arrays) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _unpacked(value: Any, arrays: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_unpacked(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    kind, inside = next(iter(value.items()))
    if kind == "map":
        return {k: _unpacked(v, arrays) for k, v in inside.items()}
    if kind == "tuple":
        return tuple(_unpacked(v, arrays) for v in inside)
    return torch.from_numpy(arrays[inside].copy()) if kind == "tensor" else arrays[inside]
