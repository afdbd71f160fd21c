"""What every encoder shares: frozen weights read once a process, embeddings kept by content, one linear head.

Frozen, an encoder is no part of the network: the head alone is trained, saved and made a person's own, and a model
folder holds no weight of others. Fine-tuned, it is a copy, learns at `Probe.encoder_rate` of the rate, and is saved.
"""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from insula.errors import DataError, InputError
from insula.models.card import ModelCard
from insula.models.encoders.weights import Folder
from insula.types import Batch, InputSpec, ModelOutput

KEPT_BYTES = 256 << 20
"""Embeddings of an encoder that a process keeps at most."""
WIDEST = 1 << 15
"""Numbers of an embedding at most."""
OPEN = 2
"""Encoders that a process holds at most."""
NOT_OURS = "its weights are not ours to pass on"
"""Why no encoder is exported."""


class Held:
    """A frozen encoder and the embeddings it gave, by the content of the window.

    Windows pass it one by one, so that an embedding does not depend on the batch; copies are the same object, and
    another process opens the folder itself.
    """

    def __init__(self, kind: type[Probe], spec: InputSpec, weights: str, options: Mapping[str, Any]) -> None:
        self.made_of = (kind, spec, weights, dict(options))
        folder = Folder(weights, kind.card)
        with torch.device("cpu"):
            self.native = kind.opened(folder, spec, **options).eval().requires_grad_(False)
        self.sha256 = folder.sha256
        self.kept: OrderedDict[bytes, Tensor] = OrderedDict()
        self.bytes = 0

    def __call__(self, values: Tensor) -> Tensor:
        """Embeddings (B, H) of windows (B, C, T)."""
        self.native.to(values.device)
        rows = values.detach().cpu().contiguous()
        with torch.no_grad():
            found = [self._one(rows[i : i + 1], values.device) for i in range(len(rows))]
        return torch.cat(found).to(values.device)

    def _one(self, row: Tensor, device: torch.device) -> Tensor:
        key = hashlib.blake2b(row.numpy().tobytes(), digest_size=16).digest()
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        found: Tensor = self.native(row.to(device)).cpu()
        self.kept[key] = found
        self.bytes += found.nbytes
        while self.bytes > KEPT_BYTES:
            self.bytes -= self.kept.popitem(last=False)[1].nbytes
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> Held:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return held, self.made_of


_OPEN: OrderedDict[tuple[Any, ...], Held] = OrderedDict()


def held(kind: type[Probe], spec: InputSpec, weights: str, options: Mapping[str, Any]) -> Held:
    """Open an encoder for these inputs, once a process while its file stays as it is."""
    file = Folder(weights, kind.card).file
    now = (str(file.resolve()), file.stat().st_mtime_ns, file.stat().st_size)
    signals = tuple((m, s, tuple(spec.channels.get(m, ()))) for m, s in spec.signals.items())
    key = (kind, now, signals, spec.window_s, tuple(sorted(options.items())))
    if key not in _OPEN:
        _OPEN[key] = Held(kind, spec, weights, options)
        while len(_OPEN) > OPEN:
            _OPEN.popitem(last=False)
    _OPEN.move_to_end(key)
    return _OPEN[key]


class Probe(nn.Module, ABC):
    """An encoder of somebody's weights and a linear head on its embedding, brought to unit scale a window.

    A subclass is one encoder: its ``card`` with ``pretraining`` and `opened`. Frozen, the head is the convex solution
    of `insula.learning.readout`; fine-tuned, training begins there. The encoder stays in evaluation mode (no dropout,
    batch statistics as published); an absent or empty window embeds as zeros.
    """

    card: ClassVar[ModelCard]
    encoder_rate: float = 0.03
    """Share of the learning rate at which the encoder learns."""
    centred = True
    """The readout is fitted without the mean of the embedding, which is far larger than its spread."""
    sha256: Tensor
    gate: Tensor

    def __init__(self, spec: InputSpec, *, weights: str = "", finetune: bool = False) -> None:
        self._begin(spec, weights, finetune)

    def _begin(self, spec: InputSpec, weights: str, finetune: bool, **options: Any) -> None:
        super().__init__()
        self.modality = self.reading(spec)
        self.held = held(type(self), spec, weights, options)
        self.residual: Literal["always", "never"] = "always" if finetune else "never"
        self.remembers = True
        self.encoder = _learning(self.held.native) if finetune else None
        channels, rate_hz = spec.signals[self.modality]
        with torch.no_grad(), torch.device("cpu"):
            width = self.held(torch.zeros(1, channels, round(spec.window_s * rate_hz))).shape[-1]
        if width > WIDEST:
            raise InputError(
                f"an embedding of {width:,} numbers a window; expected at most {WIDEST:,} for a linear probe. Use "
                "shorter windows, fewer channels or another encoder."
            )
        self.register_buffer("gate", torch.ones(()))
        self.register_buffer("sha256", torch.tensor(list(self.held.sha256), dtype=torch.uint8))
        self.head = nn.Linear(width, spec.outputs)
        if self.encoder is not None and self.head.weight.is_meta:  # drawn up without memory
            self.encoder.to("meta")

    @classmethod
    def reading(cls, spec: InputSpec) -> str:
        """The modality that it reads of these inputs."""
        known = cls.card.pretraining.reads if cls.card.pretraining is not None else ()
        found = [m for m in known if m in spec.signals]
        if not found:
            raise InputError(
                f"{cls.card.title} on {', '.join(spec.signals) or 'no signal'}; expected {' or '.join(known)} among "
                "them. Choose data that have it."
            )
        return found[0]

    @classmethod
    @abstractmethod
    def opened(cls, folder: Folder, spec: InputSpec, **options: Any) -> nn.Module:
        """Build the encoder from a folder: windows (B, C, T) as the batch has them -> embeddings (B, H)."""

    def train(self, mode: bool = True) -> Probe:
        super().train(mode)
        if self.encoder is not None:
            self.encoder.eval()
        return self

    def embed(self, batch: Batch) -> Tensor:
        """Embeddings (B, H) of unit scale."""
        signals = batch.signals[self.modality]  # (B, C, T)
        present = batch.present[:, list(batch.signals).index(self.modality)]
        valid = (batch.observed[self.modality] & present[:, None])[:, None, :]
        values = torch.where(valid, signals, torch.zeros_like(signals))
        if self.encoder is not None:
            found = self.encoder(values)
        elif values.requires_grad or not self.remembers:
            found = self.held.native.to(values.device)(values)
        else:
            found = self.held(values)
        found = functional.layer_norm(found, found.shape[-1:])
        return torch.where(valid.any(-1), found, torch.zeros_like(found))

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Classify each window by itself; ``state`` is ignored and returned."""
        embedding = self.embed(batch)
        return ModelOutput(self.head(embedding), embedding, state)

    def forget(self) -> None:
        """Compute every embedding from now on, also of windows seen before."""
        self.remembers = False

    def readout_columns(self, batch: Batch) -> Tensor:
        """What the convex readout sees, (B, 1, H)."""
        return self.embed(batch).unsqueeze(1)

    def start_readout(self, weight: Tensor, bias: Tensor) -> None:
        """Begin at a fitted readout: weight (H, K), bias (K,)."""
        with torch.no_grad():
            self.head.weight.copy_(weight.T)
            self.head.bias.copy_(bias)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        told, mine = state_dict.get(f"{prefix}sha256"), self.sha256
        if told is not None and not told.is_meta and not mine.is_meta and not torch.equal(told.cpu(), mine.cpu()):
            raise DataError(
                f"{self.held.made_of[2]} holds other weights than those the head was trained on; expected "
                f"{bytes(told.tolist()).hex()[:16]}.. (SHA-256). Put them there again, or train again."
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _learning(native: nn.Module) -> nn.Module:
    """A copy that learns, but for what it says is ``fixed``."""
    made = copy.deepcopy(native)
    fixed: tuple[str, ...] = getattr(native, "fixed", ())
    for name, weight in made.named_parameters():
        weight.requires_grad_(not name.startswith(fixed) if fixed else True)
    return made
