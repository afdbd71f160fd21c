"""From windows to batches: whole trials (or sessions) in hops for step models, single windows for the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from insula.learning.level import Normaliser
from insula.learning.scale import SignalScaler
from insula.signals.recipe import Recipe
from insula.types import Batch, BoolArray, FloatArray, InputSpec, Schema
from insula.windows.store.arrays import TrialKey
from insula.windows.table import Windows


@dataclass(frozen=True)
class Item:
    """A stretch through which state is carried: its trials in time order, in hops.

    ``rows`` holds for each hop the window (row of the prepared windows) that ends there, or -1; ``labelled`` says
    which of those windows the caller asked for.
    """

    trials: tuple[TrialKey, ...]
    hops: tuple[int, ...]
    gaps_s: tuple[float, ...]
    rows: NDArray[np.int64]
    labelled: BoolArray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class LabelledBatch:
    """A Batch of B stretches of N hops (or B single windows, N = 1) with targets.

    y (B, N), weight (B, N) in the loss, zero where there is no label, row (B, N) row of the asked windows or -1;
    ``mix`` (B, N, K) shares of the emotions where the target is a mixture.
    """

    batch: Batch
    y: Tensor
    weight: Tensor
    row: Tensor
    mix: Tensor | None = None


def input_spec(windows: Windows) -> InputSpec:
    """Size a model for these windows."""
    keys = dict.fromkeys(_keys(windows))
    lengths = [windows.clean[key].stop_s - windows.clean[key].start_s - windows.recipe.guard_s for key in keys]
    return replace(spec_of(windows.schema, windows.recipe), trial_s=float(np.median(lengths)) if lengths else 0.0)


def spec_of(schema: Schema, recipe: Recipe) -> InputSpec:
    """Size a model for a schema and the cutting of a recipe."""
    return InputSpec(
        signals={m: (len(s.channels), s.rate_hz) for m, s in schema.modalities.items()},
        features={m: len(c) for m, c in schema.features.items()},
        traits=len(schema.traits),
        outputs=1 if schema.continuous else len(schema.classes),
        continuous=schema.continuous,
        window_s=recipe.window_s,
        hop_s=recipe.hop_s,
        channels={m: s.channels for m, s in schema.modalities.items()},
    )


class Prepared:
    """Windows made ready for a network once: scaled signals by trial, normalised features and traits by row.

    All windows of the trials concerned are kept, since state passes through them; only ``windows``' own rows carry
    labels, with ``weights`` (windows,) in the loss. Signals that would fill the memory are read when a batch needs
    them (see `insula.learning.scale.ScaledSignals`).
    """

    def __init__(
        self,
        windows: Windows,
        scaler: SignalScaler,
        normaliser: Normaliser,
        traits: tuple[FloatArray, FloatArray],
        weights: FloatArray | None = None,
    ) -> None:
        everything = windows.everything()
        keys = _keys(windows)
        wanted = set(keys)
        inside = np.asarray([k in wanted for k in _keys(everything)])
        self.windows = everything.take(np.flatnonzero(inside))
        position = {int(row): i for i, row in enumerate(windows.rows)}
        self.asked = np.asarray([position.get(int(row), -1) for row in self.windows.rows])
        self.weights = np.ones(len(windows), np.float32) if weights is None else weights
        self.y = np.zeros(len(self.windows))
        self.y[self.asked >= 0] = windows.y[self.asked[self.asked >= 0]]
        self.mix: FloatArray | None = None
        if windows.mix is not None:
            self.mix = np.zeros((len(self.windows), windows.mix.shape[1]), np.float32)
            self.mix[self.asked >= 0] = windows.mix[self.asked[self.asked >= 0]]
        joined = normaliser.features(self.windows)
        self.features = _split_columns(joined, windows.schema)
        centre, spread = traits
        self.traits = ((self.windows.traits() - centre) / spread).astype(np.float32)
        self.present = self.windows.present()
        self.signals = scaler.apply(self.windows, keys)

    def items(self, scope: str) -> list[Item]:
        """List the stretches of ``trial`` or ``session`` scope that hold asked windows."""
        table = self.windows.table
        keys = _keys(self.windows)
        by_trial: dict[TrialKey, list[int]] = {}
        for i in table.sort_values(["subject", "session", "start_s"], kind="stable").index:
            by_trial.setdefault(keys[i], []).append(int(i))
        if scope == "trial":
            return [self._item([(key, rows)]) for key, rows in by_trial.items()]
        sessions: dict[tuple[str, str], list[tuple[TrialKey, list[int]]]] = {}
        for key, rows in by_trial.items():
            sessions.setdefault(key[:2], []).append((key, rows))
        return [self._item(trials) for trials in sessions.values()]

    def _item(self, trials: list[tuple[TrialKey, list[int]]]) -> Item:
        hop_of = self.windows.table["hop"].to_numpy()
        clean = self.windows.clean
        rows, hops, gaps = [], [], []
        before: float | None = None
        for key, members in trials:
            count = int(hop_of[members].max()) + 1
            at = np.full(count, -1)
            at[hop_of[members]] = members
            rows.append(at)
            hops.append(count)
            begin = clean[key].start_s + self.windows.recipe.guard_s
            gaps.append(0.0 if before is None else max(0.0, begin - before))
            before = begin + count * self.windows.recipe.hop_s
        joined = np.concatenate(rows)
        labelled = (joined >= 0) & (self.asked[joined] >= 0)
        return Item(tuple(k for k, _ in trials), tuple(hops), tuple(gaps), joined, labelled)

    def blocks(
        self, rows: NDArray[np.int64], limit_bytes: int, rng: np.random.Generator | None
    ) -> Iterator[tuple[list[TrialKey], NDArray[np.int64]]]:
        """Group rows into blocks of whole trials of at most so many bytes, trials in random order with a generator."""
        keys = _keys(self.windows)
        by_trial: dict[TrialKey, list[int]] = {}
        for row in rows.tolist():
            by_trial.setdefault(keys[row], []).append(row)
        trials = list(by_trial)
        order = np.arange(len(trials)) if rng is None else rng.permutation(len(trials))
        block: list[TrialKey] = []
        size = 0
        for key in (trials[i] for i in order):
            if block and size + self.signals.size_bytes(key) > limit_bytes:
                yield block, np.asarray([row for k in block for row in by_trial[k]])
                block, size = [], 0
            block.append(key)
            size += self.signals.size_bytes(key)
        if block:
            yield block, np.asarray([row for k in block for row in by_trial[k]])

    # -- batches ------------------------------------------------------------------------------------------------

    def stretches(self, items: Sequence[Item]) -> LabelledBatch:
        """Pad items to one length and stack them; features are (B, N, F_m) and present (B, N, M)."""
        hops = max(len(i) for i in items)
        recipe = self.windows.recipe
        signals: dict[str, Tensor] = {}
        observed: dict[str, Tensor] = {}
        elapsed: dict[str, Tensor] = {}
        for m, spec in self.windows.schema.modalities.items():
            per_hop = round(recipe.hop_s * spec.rate_hz)
            values = np.zeros((len(items), len(spec.channels), hops * per_hop), np.float32)
            seen = np.zeros((len(items), hops * per_hop), bool)
            since = np.full((len(items), hops * per_hop, 1), 1 / spec.rate_hz, np.float32)
            for b, item in enumerate(items):
                self._fill(item, m, per_hop, round(recipe.guard_s * spec.rate_hz), values[b], seen[b], since[b])
            signals[m], observed[m], elapsed[m] = map(torch.from_numpy, (values, seen, since))
        rows = np.full((len(items), hops), -1)
        labelled = np.zeros((len(items), hops), bool)
        for b, item in enumerate(items):
            rows[b, : len(item)] = item.rows
            labelled[b, : len(item)] = item.labelled
        features = {}
        for m, matrix in self.features.items():
            block = matrix[rows]  # (B, N, F)
            block[rows < 0] = np.nan
            features[m] = torch.from_numpy(block)
        present = torch.from_numpy(self.present[rows] & (rows >= 0)[..., None])
        first = np.asarray([item.rows[item.rows >= 0][0] for item in items])
        batch = Batch(signals, observed, elapsed, features, torch.from_numpy(self.traits[first]), present)
        return self._label(batch, rows, labelled)

    def singles(self, rows: NDArray[np.int64]) -> LabelledBatch:
        """Stack single windows for models without a sequence method; N = 1."""
        schema, recipe = self.windows.schema, self.windows.recipe
        table = self.windows.table
        signals, observed, elapsed = {}, {}, {}
        places = list(zip(table["subject"], table["session"], table["trial"], table["hop"], strict=True))
        per_window = round(recipe.hops_per_window)
        for m, spec in schema.modalities.items():
            length, per_hop = round(recipe.window_s * spec.rate_hz), round(recipe.hop_s * spec.rate_hz)
            values = np.zeros((len(rows), len(spec.channels), length), np.float32)
            seen = np.zeros((len(rows), length), bool)
            for i, row in enumerate(rows):
                key, hop = places[row][:3], places[row][3]
                first = round(recipe.guard_s * spec.rate_hz) + (hop + 1 - per_window) * per_hop
                piece = self.signals.piece(key, m, first, length)
                if piece is not None:
                    values[i], seen[i] = piece
            signals[m], observed[m] = torch.from_numpy(values), torch.from_numpy(seen)
            elapsed[m] = torch.full((len(rows), length, 1), 1 / spec.rate_hz)
        features = {m: torch.from_numpy(matrix[rows]) for m, matrix in self.features.items()}
        batch = Batch(
            signals,
            observed,
            elapsed,
            features,
            torch.from_numpy(self.traits[rows]),
            torch.from_numpy(self.present[rows]),
        )
        return self._label(batch, rows[:, None], self.asked[rows][:, None] >= 0)

    def _fill(
        self,
        item: Item,
        modality: str,
        per_hop: int,
        guard: int,
        values: FloatArray,
        seen: BoolArray,
        since: FloatArray,
    ) -> None:
        place = 0
        for key, hops, gap_s in zip(item.trials, item.hops, item.gaps_s, strict=True):
            length = hops * per_hop
            since[place] += gap_s
            piece = self.signals.piece(key, modality, guard, length)
            if piece is not None:
                values[:, place : place + length], seen[place : place + length] = piece
            place += length

    def _label(self, batch: Batch, rows: NDArray[np.int64], labelled: BoolArray) -> LabelledBatch:
        y = torch.from_numpy(self.y[rows])
        asked = np.where(labelled, self.asked[rows], -1)
        weight = np.where(labelled, self.weights[asked], np.float32(0))
        mix = None if self.mix is None else torch.from_numpy(self.mix[rows])
        return LabelledBatch(batch, y, torch.from_numpy(weight), torch.from_numpy(asked), mix)


def batches(items: Sequence[Item], size: int, order: NDArray[np.int64]) -> Iterator[list[Item]]:
    """Group items in the given order, shorter ones are padded.

    Items of similar length are not sought: a trial's length is often its label, and a batch of one class teaches none.
    """
    for i in range(0, len(order), size):
        yield [items[k] for k in order[i : i + size].tolist()]


def by_length(items: Sequence[Item]) -> NDArray[np.int64]:
    """Order that pads least, for passes that train nothing."""
    return np.argsort([len(item) for item in items], kind="stable")


def chosen(whole: LabelledBatch, rows: NDArray[np.int64], hops: int) -> LabelledBatch:
    """Some stretches of a stacked batch, cut to so many hops."""
    at, all_hops, b = torch.from_numpy(rows), whole.y.shape[1], whole.batch

    def cut(values: Mapping[str, Tensor], axis: int) -> dict[str, Tensor]:
        return {m: v[at].narrow(axis, 0, v.shape[axis] * hops // all_hops) for m, v in values.items()}

    batch = Batch(
        cut(b.signals, 2), cut(b.observed, 1), cut(b.elapsed_s, 1), cut(b.features, 1), b.traits[at],
        b.present[at, :hops],
    )  # fmt: skip
    mix = None if whole.mix is None else whole.mix[at, :hops]
    return LabelledBatch(batch, whole.y[at, :hops], whole.weight[at, :hops], whole.row[at, :hops], mix)


def without(batch: Batch, modality: str, position: int, rows: Tensor | None = None) -> Batch:
    """Return the batch with one modality absent (for the samples that ``rows`` (B,) marks, else for all)."""
    drop = torch.ones(batch.traits.shape[0], dtype=torch.bool) if rows is None else rows
    drop = drop.to(batch.traits.device)

    def masked(values: Mapping[str, Tensor], fill: float | bool) -> dict[str, Tensor]:
        out = dict(values)
        if modality in out:
            shape = (-1,) + (1,) * (out[modality].dim() - 1)
            out[modality] = torch.where(drop.view(shape), torch.full_like(out[modality], fill), out[modality])
        return out

    present = batch.present.clone()
    present[drop, ..., position] = False
    return replace(
        batch,
        signals=masked(batch.signals, 0.0),
        observed=masked(batch.observed, False),
        features=masked(batch.features, float("nan")),
        present=present,
    )


def to_device(part: LabelledBatch, device: torch.device) -> LabelledBatch:
    """Move every tensor of a batch."""
    if device.type == "cpu":
        return part
    b = part.batch
    parts = ("signals", "observed", "elapsed_s", "features")
    moved = replace(
        b,
        **{name: {k: v.to(device) for k, v in getattr(b, name).items()} for name in parts},
        traits=b.traits.to(device),
        present=b.present.to(device),
    )
    mix = None if part.mix is None else part.mix.to(device)
    return LabelledBatch(moved, part.y.to(device), part.weight.to(device), part.row.to(device), mix)


def _keys(windows: Windows) -> list[TrialKey]:
    t = windows.table
    return list(zip(t["subject"], t["session"], t["trial"], strict=True))


def _split_columns(joined: FloatArray, schema: Schema) -> dict[str, FloatArray]:
    out, place = {}, 0
    for m, columns in schema.features.items():
        out[m] = np.ascontiguousarray(joined[:, place : place + len(columns)], dtype=np.float32)
        place += len(columns)
    return out
