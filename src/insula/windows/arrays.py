"""Windows and plain arrays: made from them, shown as a table of features, served to torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from insula.errors import InputError
from insula.signals import features as feature_functions
from insula.signals.cleaner import CleanTrial
from insula.signals.recipe import Recipe, SignalRecipe
from insula.types import ChannelSpec, Schema

if TYPE_CHECKING:
    from insula.windows.table import Windows


def from_arrays(
    x: NDArray[Any],
    y: Sequence[Any] | NDArray[Any],
    groups: Sequence[Any] | NDArray[Any],
    *,
    rate_hz: float,
    channels: Sequence[str],
    modality: str = "eeg",
    unit: str = "uV",
    trials: Sequence[Any] | NDArray[Any] | None = None,
    target: str = "label",
) -> Windows:
    """Make Windows of samples that are cut already; they are taken as they are, not cleaned.

    Parameters
    ----------
    x : (windows, channels, samples), NaN where nothing was measured.
    y : a label each (text or whole numbers: classes; other numbers: a continuous target).
    groups : the person of each window.
    trials : the trial of each window inside its person, windows of one trial in time order; protocols keep trials
        whole. Default: every window is a trial, which is only true if no two were cut from one stretch.
    """
    from insula.windows.table import Shared, Windows

    x = np.asarray(x, np.float32)
    names = np.asarray(list(map(str, groups)), object)
    pieces = np.asarray(list(map(str, range(len(x)) if trials is None else trials)), object)
    labels = np.asarray(y)
    if x.ndim != 3 or not len(x) or len({len(x), len(labels), len(names), len(pieces)}) != 1:
        raise InputError(
            f"x of shape {x.shape}, {len(labels)} labels, {len(names)} groups, {len(pieces)} trials; expected x "
            "(windows, channels, samples) and one label, group and trial a window."
        )
    recipe = Recipe({modality: SignalRecipe(float(rate_hz))}, x.shape[2] / rate_hz, x.shape[2] / rate_hz, guard_s=0.0)
    spec = ChannelSpec(tuple(map(str, channels)), float(rate_hz), unit)
    if len(spec.channels) != x.shape[1]:
        raise InputError(f"{len(spec.channels)} channel names for {x.shape[1]} channels; expected one each.")
    classes, codes = _encoded(labels)
    clean: dict[tuple[str, str, str], CleanTrial] = {}
    rows: list[dict[str, Any]] = []
    of_person: dict[str, int] = {}
    for person, trial in dict.fromkeys(zip(names, pieces, strict=True)):
        members = np.flatnonzero((names == person) & (pieces == trial))
        index = of_person[person] = of_person.get(person, -1) + 1
        values = np.concatenate(list(x[members]), axis=1)  # (channels, windows x samples)
        seen = np.isfinite(values).all(axis=0)
        begin = max((c.stop_s for k, c in clean.items() if k[0] == person), default=0.0)
        stop = begin + recipe.window_s * len(members)
        key = (person, "1", trial)
        clean[key] = CleanTrial(
            key,
            begin,
            stop,
            {modality: np.where(seen, values, 0).astype(np.float32)},
            {modality: seen},
            {},
            {modality: spec},
        )
        for hop, row in enumerate(members):
            start = begin + hop * recipe.window_s
            rows.append(
                {
                    "row": row, "subject": person, "session": "1", "trial": trial, "stimulus": None,
                    "trial_index": index, "start_s": start, "stop_s": start + recipe.window_s,
                    "elapsed_s": start + recipe.window_s, "hop": hop, "role": "scored", "y": codes[row],
                }
            )  # fmt: skip
    table = pd.DataFrame(rows).sort_values("row").drop(columns="row").reset_index(drop=True)
    columns = tuple(c.name for c in feature_functions.columns(modality, spec, recipe.window_s))
    schema = Schema({modality: spec}, {modality: columns}, (), target, classes)
    return Windows(Shared(clean, {}, table), np.arange(len(table)), schema, recipe)


def _encoded(labels: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[Any]]:
    if labels.dtype.kind == "f":
        return (), labels.astype(np.float64)
    found, codes = np.unique(labels, return_inverse=True)
    return tuple(map(str, found)), codes.astype(np.int64)


def frame(windows: Windows) -> pd.DataFrame:
    """Hand-made features by name, a row a window; ``subject``, ``trial``, ``start_s`` ... are its index."""
    found = windows.features()
    names = [f"{m}.{c}" for m in found for c in windows.schema.features[m]]
    values = np.hstack(list(found.values())) if found else np.empty((len(windows), 0), np.float32)
    keys = ["subject", "session", "trial", "start_s"]
    return pd.DataFrame(values, columns=names, index=pd.MultiIndex.from_frame(windows.table[keys]))


def dataset(windows: Windows, modality: str | None = None) -> Any:
    """Serve windows to a torch DataLoader: (samples, label), samples (C, T) of one modality or a dict of all."""
    import torch
    from torch.utils.data import Dataset

    if modality is not None and modality not in windows.schema.modalities:
        raise InputError(f"modality {modality!r}; expected one of {', '.join(windows.schema.modalities)}.")

    class WindowsDataset(Dataset[Any]):
        def __len__(self) -> int:
            return len(windows)

        def __getitem__(self, index: int) -> tuple[Any, Any]:
            values, _ = windows.signals([index])
            samples = {name: torch.from_numpy(block[0]) for name, block in values.items()}
            return (samples if modality is None else samples[modality]), torch.as_tensor(windows.y[index])

    return WindowsDataset()
