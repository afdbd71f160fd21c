"""Figures that others published, with their protocol and source; data, not judgement.

Figures of networks that are built stand on their cards; here are those of systems that are not. A claim stands beside
a figure of ours only where the data are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from insula.models import MODELS, card
from insula.models.card import Claim


@dataclass(frozen=True)
class Published:
    """One published figure of a system: the name of our registry (or of a variant's row) where ``built``."""

    system: str
    title: str
    claim: Claim
    built: bool = True

    @property
    def text(self) -> str:
        """The figure as it was published."""
        value, metric = self.claim.value, self.claim.metric
        return f"{value:g} {'%' if metric in ('accuracy', 'F1') else ''} {metric}".replace("  ", " ")


def _own(name: str) -> list[Published]:
    """Published figures of a registered network."""
    facts = card(name)
    found = []
    for claim in facts.claims:
        variant = facts.variants[claim.variant] if claim.variant else None
        system = f"{name}_{claim.variant}" if claim.variant else name
        found.append(Published(system, variant.title if variant else facts.title, claim))
    return found


_LIBEER = "LibEER and EEGain, public benchmark code"


def _other(
    system: str, title: str, data: str, target: str, value: float, metric: str, protocol: str, ours: str | None,
    source: str, inferred: bool = False,
) -> Published:  # fmt: skip
    claim = Claim(data, target, metric, value, protocol, source, ours=ours, inferred=inferred)
    return Published(system, title, claim, built=False)


def _anchors() -> list[Published]:
    """What public benchmark code reaches with whole trials held out."""
    within, across = "whole trials held out, subject-dependent, best of several networks", "people held out"
    rows = [
        ("deap", "valence", 57.7, within, "within_subject"),
        ("deap", "arousal", 66.1, within, "within_subject"),
        ("deap", "valence", 57.8, across, "leave_one_subject_out"),
        ("deap", "arousal", 51.5, across, "leave_one_subject_out"),
        ("seed", "emotion", 82.6, within, "within_subject"),
        ("seed", "emotion", 64.0, across, "leave_one_subject_out"),
        ("seed_iv", "emotion", 53.5, within, "within_subject"),
        ("seed_iv", "emotion", 56.1, across, "leave_one_subject_out"),
    ]
    return [
        Published(
            "anchor", "Best published network under benchmark code", Claim(d, t, "accuracy", v, p, _LIBEER, ours=ours)
        )
        for d, t, v, p, ours in rows
    ]


_OTHERS: tuple[Published, ...] = (
    *(
        _other("eav_cnn", f"EAV's own CNN, {part}", "eav", "emotion", value, "accuracy",
              "the first 56 of 80 segments a class train", None, "EAV data set paper")
        for part, value in (("EEG", 60.0), ("audio", 61.9), ("video", 71.4))
    ),
    _other(
        "wesad_personal", "Personal models", "wesad", "3 classes", 95.0, "accuracy", "a model a person", None,
        "arXiv 2308.14245",
    ),
    _other(
        "wesad_general", "General models", "wesad", "3 classes", 67.0, "accuracy", "people held out",
        "leave_one_subject_out", "arXiv 2308.14245",
    ),
    *_anchors(),
)  # fmt: skip
"""Figures of systems that are not built; the anchors at the end are others' runs of published networks."""


@cache
def _claims(names: tuple[str, ...]) -> tuple[Published, ...]:
    return (*(one for name in names for one in _own(name)), *_OTHERS)


def claims() -> tuple[Published, ...]:
    """Published figures, a system after the other: of the registered networks first, then of what is not built."""
    return _claims(tuple(MODELS))


def claims_for(system: str, data: str, target: str) -> list[Published]:
    """Find the figures published for this system on this very data set and target."""
    return [p for p in claims() if (p.system, p.claim.data, p.claim.target) == (system, data, _plain(target))]


def _plain(target: str) -> str:
    """Drop a threshold or kind: ``valence>=5`` is the target valence."""
    for mark in (">=", "<=", ">", "<", ":"):
        target = target.split(mark)[0]
    return target
