"""Dropout whose masks come from a hash of a drawn key and each number's place: the same ones on every processor.

torch draws its masks by one way on some processors and by a slow one on others; here both ways, plain and compiled,
say the same of the same key. The mask is computed again in the backward pass, not stored.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from insula.models.kernels import use_compiled

WHOLE = 1 << 32
MIX = (0x7FEB352D, 0x846CA68B)
"""Multipliers of a 32-bit mixer by C. Wellons ("lowbias32", public domain)."""
Key = tuple[int, int]


def draw_key(generator: torch.Generator | None = None) -> Key:
    """Two numbers below 2^32 from torch's generator."""
    first, second = torch.randint(WHOLE, (2,), generator=generator).tolist()
    return int(first), int(second)


def factors(shape: tuple[int, ...] | torch.Size, p: float, key: Key, device: torch.device | None = None) -> Tensor:
    """What each number of a tensor is multiplied by: 0 with probability ``p``, else 1 / (1 - p)."""
    count = torch.Size(shape).numel()
    h = _mixed(torch.arange(count, dtype=torch.int64, device=device) ^ key[0])
    h = _mixed((h + key[1]) % WHOLE)
    return (h < threshold(p)).to(torch.float32).mul_(scale(p)).view(shape)


def threshold(p: float) -> int:
    """Hashes below it keep their number."""
    return round((1 - p) * WHOLE)


def scale(p: float) -> float:
    """What a kept number is multiplied by."""
    return 1 / (1 - p) if p < 1 else 0.0


def dropped(x: Tensor, p: float, key: Key) -> Tensor:
    """Multiply by `factors`, on the compiled kernel where it serves."""
    if x.numel() and use_compiled(x):
        from insula.models.kernels.dropout_numba import Dropped

        return Dropped.apply(x, p, key)  # type: ignore[no-any-return,no-untyped-call]
    return x * factors(x.shape, p, key, x.device).to(x.dtype)


def _mixed(h: Tensor) -> Tensor:
    """Mix 32-bit numbers, held in 64 bits."""
    h = h ^ (h >> 16)
    h = (h * MIX[0]) % WHOLE
    h = h ^ (h >> 15)
    h = (h * MIX[1]) % WHOLE
    return h ^ (h >> 16)


class Dropout(nn.Dropout):
    """`nn.Dropout` by `dropped`; the key comes from torch's generator."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return dropped(x, self.p, draw_key())
