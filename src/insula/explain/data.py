"""What an evaluation stood on: people, trials, windows, rates, channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from insula.evaluation.results import Result
from insula.explain.analysis import Analysis, Evaluated
from insula.windows.table import Windows


@dataclass(frozen=True)
class DataSummary:
    """Counts of what was scored, the cut, and what was found damaged while reading."""

    people: int | None = None
    sessions: int | None = None
    trials: int | None = None
    windows: int | None = None
    reference_windows: int | None = None
    rates_hz: Mapping[str, float] | None = None
    channels: Mapping[str, int] | None = None
    features: Mapping[str, int] | None = None
    observed_share: Mapping[str, float] | None = None
    window_s: float | None = None
    hop_s: float | None = None
    guard_s: float | None = None
    opening_s: float | None = None
    problems: tuple[Any, ...] = ()
    other_figures: str | None = None

    @property
    def record(self) -> dict[str, Any]:
        """What is known, for a list of terms, without the problems."""
        return {k: v for k, v in vars(self).items() if k != "problems" and v is not None}


def data_summary(windows: Windows) -> DataSummary:
    """Count what the evaluation stood on."""
    table = windows.table[windows.table["role"] == "scored"]
    seen = windows.present()
    recipe = windows.recipe
    return DataSummary(
        people=int(table["subject"].nunique()),
        sessions=len(table[["subject", "session"]].drop_duplicates()),
        trials=len(table[["subject", "session", "trial"]].drop_duplicates()),
        windows=len(table),
        reference_windows=int((windows.table["role"] == "reference").sum()),
        rates_hz={m: s.rate_hz for m, s in windows.schema.modalities.items()},
        channels={m: len(s.channels) for m, s in windows.schema.modalities.items()},
        features={m: len(c) for m, c in windows.schema.features.items()},
        observed_share={m: float(seen[:, i].mean()) for i, m in enumerate(windows.schema.modalities)},
        window_s=recipe.window_s,
        hop_s=recipe.hop_s,
        guard_s=recipe.guard_s,
        opening_s=recipe.opening_s,
        problems=tuple(windows.notes),
    )


def _run(evaluated: Evaluated) -> DataSummary:
    return data_summary(evaluated.windows)


def _without(old: DataSummary, before: Result, after: Result) -> DataSummary:
    """Counts without those who are no longer predicted; other figures stay and are marked."""
    gone = [a - b for a, b in zip(_counts(before), _counts(after), strict=True)]
    if not gone[0]:
        return old
    people, sessions, trials, windows = (
        None if count is None else count - less
        for count, less in zip((old.people, old.sessions, old.trials, old.windows), gone, strict=True)
    )
    said = "computed before a person was removed"
    return replace(old, people=people, sessions=sessions, trials=trials, windows=windows, other_figures=said)


def _counts(result: Result) -> list[int]:
    rows = result.of(result.systems[0].name)
    keys = ["subject", "session", "trial"]
    return [*(len(rows[keys[:k]].drop_duplicates()) for k in (1, 2, 3)), len(rows)]


DATA = Analysis("data", DataSummary, _run, part="data", needs_models=False, renew=_without)
