"""Numbers of a ledger as a reader sees them; what is no number is a dash."""

from __future__ import annotations

import math

SPACE = "\N{NO-BREAK SPACE}"
SHARE = "balanced_accuracy"
"""The score that is told in percent."""


def score_text(metric: str, value: float) -> str:
    """Tell a score: 61.2 % of a balanced accuracy, 0.61 of others."""
    if not math.isfinite(value):
        return "–"
    return f"{100 * value:.1f}{SPACE}%" if metric == SHARE else f"{value:.2f}".replace("-", "−")


def range_text(metric: str, lo: float, hi: float) -> str:
    """Tell an interval of scores; that of a share ends at 0 and 100 %."""
    if metric == SHARE:
        lo, hi = max(0.0, lo), min(1.0, hi)
    return f"{score_text(metric, lo).removesuffix(f'{SPACE}%')} to {score_text(metric, hi)}"


def points_text(metric: str, value: float) -> str:
    """Tell a difference with its sign: +3.9 points of a balanced accuracy, +0.04 of others."""
    if not math.isfinite(value):
        return "–"
    text = f"{100 * value:+.1f}" if metric == SHARE else f"{value:+.2f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def points_range(metric: str, lo: float, hi: float) -> str:
    """Tell an interval of differences."""
    return f"{points_text(metric, lo)} to {points_text(metric, hi)}"


def p_text(value: float) -> str:
    """Tell a probability to three places."""
    return "–" if not math.isfinite(value) else "< .001" if value < 0.001 else f"{value:.3f}"


def milliseconds_text(value: float | None) -> str:
    """Tell a latency: 140 ms, 6.6 ms, 0.095 ms."""
    return "–" if value is None else f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"


def row_title(title: str, label: str) -> str:
    """Title a row that a grid labels: the label alone where it names the system itself, else in brackets behind it."""
    return label if label.startswith(title.split(",")[0]) else f"{title} ({label})"
