"""Temporal attention over a ring of recent tokens, carried from call to call."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Ring = tuple[Tensor, Tensor]
"""Tokens (B, R, D), oldest first, and which of them are filled (B, R)."""


class RingAttention(nn.Module):
    """A learned query a head looks at the last ``length`` tokens; a learned slope favours recent or older ones.

    Returned weights (B, N, heads, R) sum to one over R; index R - 1 is the newest token. (p) The flagship's paper
    names self-attention that summarises time; (?) a learned query over a ring is our causal reading of it.
    """

    age: Tensor

    def __init__(self, width: int, length: int, heads: int = 4) -> None:
        super().__init__()
        self.length, self.heads = length, heads
        self.keys = nn.Linear(width, width)
        self.values = nn.Linear(width, width)
        self.query = nn.Parameter(torch.randn(heads, width // heads) / (width // heads) ** 0.5)
        self.slope = nn.Parameter(torch.zeros(heads))
        self.register_buffer("age", torch.linspace(1, 0, length))

    def init(self, tokens: Tensor) -> Ring:
        """Make an empty ring for tokens like these (B, T, D)."""
        batch, _, width = tokens.shape
        return (
            tokens.new_zeros(batch, self.length, width),
            torch.zeros(batch, self.length, dtype=torch.bool, device=tokens.device),
        )

    def forward(self, tokens: Tensor, filled: Tensor, per_hop: int, ring: Ring | None) -> tuple[Tensor, Tensor, Ring]:
        """Summarise the ring at the end of each hop.

        tokens (B, N * per_hop, D) and filled (B, N * per_hop) are new; returns summaries (B, N, D), weights
        (B, N, heads, R) and the ring after the last token.
        """
        old, old_filled = self.init(tokens) if ring is None else ring
        all_tokens = torch.cat([old, tokens], 1)
        all_filled = torch.cat([old_filled, filled], 1)
        keys = self.keys(all_tokens).unflatten(-1, (self.heads, -1))  # (B, T', heads, d)
        scores = torch.einsum("bthd,hd->bth", keys, self.query)
        scores = scores.masked_fill(~all_filled.unsqueeze(-1), -1e4)
        values = self.values(all_tokens).unflatten(-1, (self.heads, -1))
        # windows of R tokens that end at each hop: (B, N, heads, R) and (B, N, heads, d, R)
        scores = scores[:, per_hop:].unfold(1, self.length, per_hop) - self.slope[:, None] * self.age
        weights = torch.softmax(scores, -1)
        seen = values[:, per_hop:].unfold(1, self.length, per_hop)
        summary = torch.einsum("bnhr,bnhdr->bnhd", weights, seen).flatten(2)
        newest = all_tokens.shape[1] - self.length
        return summary, weights, (all_tokens[:, newest:], all_filled[:, newest:])
