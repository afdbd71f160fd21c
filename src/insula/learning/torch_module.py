"""Any torch module of the signature ``(n_chans, n_times, n_outputs)``, as braindecode's, as a row of insula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from insula.errors import InputError
from insula.types import Batch, InputSpec, ModelOutput


class TorchModule(nn.Module):
    """Feed one modality's samples (B, C, T) to a module that answers with logits (B, K)."""

    def __init__(self, inner: nn.Module, modality: str) -> None:
        super().__init__()
        self.inner, self.modality = inner, modality

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:  # noqa: ARG002
        logits = self.inner(batch.signals[self.modality])
        return ModelOutput(logits, logits)


def from_torch(
    kind: Callable[..., nn.Module], modality: str = "eeg", **options: Any
) -> Callable[[InputSpec], nn.Module]:
    """Make a factory for `insula.make` from a module's class: ``make("mine", factory=from_torch(EEGConformer))``."""

    def build(spec: InputSpec) -> nn.Module:
        if modality not in spec.signals:
            raise InputError(f"{modality} in no window; expected one of {', '.join(spec.signals)}. Name it.")
        channels, rate_hz = spec.signals[modality]
        times = round(spec.window_s * rate_hz)
        return TorchModule(kind(n_chans=channels, n_times=times, n_outputs=spec.outputs, **options), modality)

    build.__name__ = build.__qualname__ = getattr(kind, "__name__", "module")
    build.__module__ = getattr(kind, "__module__", __name__)
    return build
