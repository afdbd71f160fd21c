"""SFT-CRN: band maps of the scalp, convolved in space and frequency, read one after the other in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from insula.errors import unknown_name
from insula.models.blocks.parts import parted
from insula.models.blocks.scalp import SIDE, scalp_map
from insula.models.card import ModelCard, Variant
from insula.models.rbtransformer import BANDS_HZ, BandEntropy
from insula.types import Batch, InputSpec, ModelOutput

SIZES: Mapping[str, tuple[int, int]] = {"small": (16, 48), "medium": (32, 96)}
"""Maps after the first convolution, and units of the recurrent layer."""
PART_S = 0.5
MOST_PARTS = 12
"""Windows are cut into parts of half a second, at most so many (longer parts then)."""


class SFTCRN(nn.Module):
    """Spatial, frequency and temporal convolutional recurrent network on maps of electrodes.

    (p) What the title says (2022): electrode maps, convolution over space and frequency, recurrence over time.
    (?) Everything else: a map of 9 x 9 cells from the electrodes' names (`insula.models.blocks.scalp`), empty cells
    zero; band entropies as in RBTransformer, scaled a window over electrodes and bands; parts of half a second, at
    most 12; bands as the channels of two convolutions of 3 x 3, then one of 1 x 1, ELU; an LSTM over the parts; learned
    attention over its outputs, so that a page can show when it looks. A window is read as a whole: no step model.

    Parameters
    ----------
    spec : sizes; must hold ``eeg`` at more than 98 Hz; ``spec.channels["eeg"]`` places the electrodes.
    size : ``small`` or ``medium``.
    maps : ``scalp``, or ``order``: cells in the order of the channels, the ablation of space.
    dropout : before the recurrent layer and the classifier.

    Output: ``attention["time"]`` (B, 1, parts), summing to 1, oldest part first.
    """

    card = ModelCard(
        title="SFT-CRN",
        summary="Band maps of the scalp through convolutions, then a recurrent layer over half seconds",
        source="SFT-CRN 2022; only its title was read",
        reads=("eeg",),
        experiment="sft_crn.toml",
        not_exportable="its band entropies are convolved through a Fourier transform, which torch cannot write",
        variants={"no_map": Variant("SFT-CRN with electrodes in no place", {"maps": "order"}, "ablation")},
        window_cost_s=3e-3,
    )

    laid: Tensor
    attend: nn.Linear

    def __init__(self, spec: InputSpec, size: str = "small", *, maps: str = "scalp", dropout: float = 0.3) -> None:
        super().__init__()
        if size not in SIZES:
            raise unknown_name("sft_crn size", size, SIZES)
        if maps not in ("scalp", "order"):
            raise unknown_name("maps", maps, ("scalp", "order"))
        filters, units = SIZES[size]
        electrodes, rate_hz = spec.signals["eeg"]
        self.parts = max(1, min(MOST_PARTS, int(spec.window_s / PART_S)))
        names = spec.channels.get("eeg", ()) if maps == "scalp" else ()
        self.register_buffer("laid", scalp_map(names, electrodes), persistent=False)  # (cells, C)
        self.entropy = BandEntropy(rate_hz, round(spec.window_s * rate_hz))
        self.convolve = nn.Sequential(
            nn.Conv2d(len(BANDS_HZ), filters, 3, padding=1),
            nn.ELU(),
            nn.Conv2d(filters, 2 * filters, 3, padding=1, stride=2),
            nn.ELU(),
            nn.Conv2d(2 * filters, filters // 2, 1),
            nn.ELU(),
        )
        self.dropout = nn.Dropout(dropout)
        side = (SIDE + 1) // 2
        self.recur = nn.LSTM(filters // 2 * side * side, units, batch_first=True)
        self.attend = nn.Linear(units, 1, bias=False)
        self.classify = nn.Linear(units, spec.outputs)

    def forward(self, batch: Batch, state: Any = None) -> ModelOutput:
        """Classify each window by itself; ``state`` is ignored and returned."""
        present = batch.present[:, list(batch.signals).index("eeg")]
        seen = batch.observed["eeg"] & present[:, None]  # (B, T)
        signals = torch.where(seen.unsqueeze(1), batch.signals["eeg"], torch.zeros_like(batch.signals["eeg"]))
        cut, there = parted(signals, self.parts), parted(seen.unsqueeze(1), self.parts)[:, 0]  # (B * parts, ...)
        entropies = self.entropy(cut, there).unflatten(0, (-1, self.parts))  # (B, parts, C, bands)
        entropies = nn.functional.layer_norm(entropies, entropies.shape[1:])
        entropies = entropies * there.any(1).unflatten(0, (-1, self.parts))[..., None, None]
        maps = (self.laid @ entropies).transpose(2, 3).unflatten(-1, (SIDE, SIDE))  # (B, parts, bands, 9, 9)
        space = self.convolve(maps.flatten(0, 1)).flatten(1).unflatten(0, (-1, self.parts))
        over_time, _ = self.recur(self.dropout(space))  # (B, parts, units)
        weights = self.attend(over_time).softmax(1)  # (B, parts, 1)
        embedding = (weights * over_time).sum(1)
        logits = self.classify(self.dropout(embedding))
        return ModelOutput(logits, embedding, state, {"time": weights.detach().transpose(1, 2)})
