"""Spiking self-attention within a modality over time and across modalities, and the block built of both.

(p) Spikformer (Zhou et al. 2023, arXiv 2209.15425): queries, keys and values are spikes, their products need no
softmax, and the sums are turned into spikes again. (?) Ours: attention over time looks back over a ring of recent
tokens, so that it streams; shortcuts add currents, not spikes, so that every product has a spike as a factor
(Yao et al. 2023, arXiv 2307.01694); the scale of the sums is the threshold of the neurons behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from insula.models.cells.spiking import USUAL_RATE, spike_weights

Make = Callable[..., nn.Module]
State = Mapping[str, Any]


class TimeMixer(nn.Module):
    """Every token looks at itself and the ``length - 1`` tokens before it, step by step and head by head.

    Spikes are (G, L * steps, D), the steps of a token together. State: keys and values of the last ``length`` tokens,
    (2, G, length, steps, D).
    """

    band: Tensor

    def __init__(self, heads: int, length: int, per_hop: int, steps: int) -> None:
        super().__init__()
        self.heads, self.length, self.per_hop, self.steps = heads, length, per_hop, steps
        place = torch.arange(per_hop)[:, None] - torch.arange(length + per_hop)
        self.register_buffer("band", (place >= -length) & (place < 0), persistent=False)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, ring: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return sums (G, L * steps, D), scores of each hop's last token (G, N, steps, heads, length), and the ring."""
        new = torch.stack([k, v]).unflatten(2, (-1, self.steps))  # (2, G, L, steps, D)
        old = new.new_zeros(*new.shape[:2], self.length, *new.shape[3:]) if ring is None else ring
        joined = torch.cat([old, new], 2)
        blocks = joined.unfold(2, self.length + self.per_hop, self.per_hop)  # (2, G, N, steps, D, R + h)
        keys, values = blocks.unflatten(4, (self.heads, -1)).unbind(0)  # (G, N, steps, heads, d, R + h)
        queries = q.unflatten(1, (-1, self.per_hop, self.steps)).unflatten(-1, (self.heads, -1))
        queries = queries.permute(0, 1, 3, 4, 2, 5)  # (G, N, steps, heads, h, d)
        scores = (queries @ keys).masked_fill(~self.band, 0.0)  # (G, N, steps, heads, h, R + h)
        sums = (scores @ values.transpose(-1, -2)).permute(0, 1, 4, 2, 3, 5)  # (G, N, h, steps, heads, d)
        last = scores[..., -1, self.per_hop :].detach()  # (G, N, steps, heads, R)
        return sums.flatten(4).flatten(1, 3), last, joined[:, :, -self.length :]


class ModalityMixer(nn.Module):
    """Every modality looks at all modalities at the same step, head by head; no state."""

    def __init__(self, heads: int, groups: int) -> None:
        super().__init__()
        self.heads, self.groups = heads, groups

    def forward(self, q: Tensor, k: Tensor, v: Tensor, ring: None) -> tuple[Tensor, Tensor, None]:
        """Return sums (B * M, S, D) and scores (B, S, heads, M, M), row = looking, column = looked at."""
        del ring

        def apart(spikes: Tensor) -> Tensor:
            """Bring (B * M, S, D) to (B, S, heads, M, d)."""
            split: Tensor = spikes.unflatten(0, (-1, self.groups)).unflatten(-1, (self.heads, -1))
            return split.permute(0, 2, 3, 1, 4)

        scores = apart(q) @ apart(k).transpose(-1, -2)
        sums = (scores @ apart(v)).permute(0, 3, 1, 2, 4)  # (B, M, S, heads, d)
        return sums.flatten(3).flatten(0, 1), scores.detach(), None


class SpikingAttention(nn.Module):
    """Current in, current out: spikes, their queries, keys and values, a mixer, spikes of its sums, output weights.

    ``fan`` is the number of tokens one token looks at; it sets the threshold of the neurons behind the sums.
    """

    def __init__(self, width: int, heads: int, mixer: nn.Module, fan: int, make: Make) -> None:
        super().__init__()
        self.enter = make(width)
        self.project = spike_weights(width, 3 * width)
        self.fire = make(3 * width)
        self.mixer = mixer
        self.gather = make(width, threshold=max(0.5, fan * width / heads * USUAL_RATE**3))
        self.out = spike_weights(width, width)

    def forward(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, dict[str, Tensor], dict[str, Any]]:
        """Map currents (G, S, D) to (G, S, D); return also the mixer's scores, the spikes by layer, and the state."""
        new: dict[str, Any] = {}
        entered, new["enter"] = self.enter(current, state.get("enter"))
        fired, new["fire"] = self.fire(self.project(entered), state.get("fire"))
        q, k, v = fired.chunk(3, -1)
        sums, scores, new["ring"] = self.mixer(q, k, v, state.get("ring"))
        gathered, new["gather"] = self.gather(sums, state.get("gather"))
        return self.out(gathered), scores, {"enter": entered, "qkv": fired, "gather": gathered}, new


class SpikingFeedForward(nn.Module):
    """Current in, current out: spikes, weights, spikes, weights."""

    def __init__(self, width: int, hidden: int, make: Make) -> None:
        super().__init__()
        self.enter = make(width)
        self.up = spike_weights(width, hidden)
        self.fire = make(hidden)
        self.down = spike_weights(hidden, width)

    def forward(self, current: Tensor, state: State) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
        """Map currents (G, S, D) to (G, S, D); return also the spikes by layer, and the state."""
        new: dict[str, Any] = {}
        entered, new["enter"] = self.enter(current, state.get("enter"))
        fired, new["fire"] = self.fire(self.up(entered), state.get("fire"))
        return self.down(fired), {"enter": entered, "hidden": fired}, new


class SpikingBlock(nn.Module):
    """Attention over time within each modality, attention across modalities, feed-forward; each added to the current.

    Rows are (batch, modality), modalities sharing the weights. ``attention`` holds, as shares that sum to one where
    any pair of spikes met: ``time`` (B, N, heads, R) at the last token of each hop, newest last, over modalities, and
    ``modalities`` (B, N, M, M) over the hop, row = looking.
    """

    def __init__(
        self, width: int, heads: int, hidden: int, groups: int, length: int, per_hop: int, steps: int, make: Make
    ) -> None:
        super().__init__()
        self.groups = groups
        self.within = SpikingAttention(width, heads, TimeMixer(heads, length, per_hop, steps), length, make)
        self.across = SpikingAttention(width, heads, ModalityMixer(heads, groups), groups, make)
        self.feed = SpikingFeedForward(width, hidden, make)
        self.shares = Shares()

    def forward(
        self, current: Tensor, hops: int, state: State
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
        """Map currents (B * M, S, D) to the same; return also attention, spikes by layer, and the state."""
        new: dict[str, Any] = {}
        spikes: dict[str, Tensor] = {}
        change, in_time, fired, new["within"] = self.within(current, state.get("within", {}))
        spikes |= {f"within.{name}": value for name, value in fired.items()}
        current = current + change
        change, in_groups, fired, new["across"] = self.across(current, state.get("across", {}))
        spikes |= {f"across.{name}": value for name, value in fired.items()}
        current = current + change
        change, fired, new["feed"] = self.feed(current, state.get("feed", {}))
        spikes |= {f"feed.{name}": value for name, value in fired.items()}
        return current + change, self.shares(in_time, in_groups, self.groups, hops), spikes, new


class Shares(nn.Module):
    """Turn counted spike pairs into shares for the report: bookkeeping, free of charge in energy."""

    def forward(self, in_time: Tensor, in_groups: Tensor, groups: int, hops: int) -> dict[str, Tensor]:
        """Sum (B * M, N, steps, heads, R) over modalities and steps, (B, S, heads, M, M) over heads and steps."""
        time = in_time.unflatten(0, (-1, groups)).sum((1, 3))  # (B, N, heads, R)
        across = in_groups.unflatten(1, (hops, -1)).sum((2, 3))  # (B, N, M, M)
        return {"time": _share(time), "modalities": _share(across)}

    def operations(self, *inputs: object) -> tuple[int, int, int]:
        """None: a device without a report would not compute them."""
        del inputs
        return 0, 0, 0


def _share(counts: Tensor) -> Tensor:
    return counts / counts.sum(-1, keepdim=True).clamp_min(1e-6)
