"""One window and what a network looks at in it."""

from __future__ import annotations

import re

import numpy as np

from insula import plots

TRACES = [plots.Trace("eda", np.sin(np.arange(40.0))), plots.Trace("hr", np.arange(4.0))]


def drawn(weights: np.ndarray) -> str:
    return plots.window(TRACES, 4.0, weights, name="w", alt="A window")


def tints(svg: str) -> int:
    return len(re.findall(r"opacity: ?0\.\d+", svg))


def test_what_is_looked_at_more_lies_on_a_tint() -> None:
    even = drawn(np.full((2, 8), 1 / 8))
    peak = np.full((2, 8), 0.5 / 7)
    peak[:, 5] = 0.5
    looked = drawn(peak)
    assert "A window" in looked
    assert "seconds before the window" in looked
    assert tints(looked) == tints(even) + len(TRACES)
