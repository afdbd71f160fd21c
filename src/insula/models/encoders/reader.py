"""How an encoder reads a window: at its own rate, in stretches of its own length, whose embeddings are averaged."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from insula.models.encoders.resample import Resampler


class Reader(nn.Module, ABC):
    """Windows (B, C, T) as a batch has them -> embeddings (B, H); a subclass says what becomes of a stretch.

    Parameters
    ----------
    network : the encoder.
    rates_hz : of the recording and of the encoder.
    longest : samples of a stretch at most, at the encoder's rate; what is left over at the end is not read. None takes
        the window whole.
    places : of the electrodes, for an encoder that asks where they lie.
    """

    places: Tensor

    def __init__(
        self,
        network: nn.Module,
        rates_hz: tuple[float, float],
        longest: int | None = None,
        places: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.resample = Resampler(*rates_hz)
        self.network = network
        self.longest = longest
        if places is not None:
            self.register_buffer("places", places, persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        found = self.resample(values)
        length = found.shape[-1] if self.longest is None else min(found.shape[-1], self.longest)
        cut = found.unfold(-1, length, length).transpose(1, 2)  # (B, stretches, C, length)
        each = self.stretch(cut.flatten(0, 1))
        embedded: Tensor = each.unflatten(0, cut.shape[:2]).mean(1)
        return embedded

    @abstractmethod
    def stretch(self, values: Tensor) -> Tensor:
        """Embeddings (n, H) of stretches (n, C, length)."""
