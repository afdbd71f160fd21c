"""What a row may be said to show: one of five sentences with its numbers, decided here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from insula.evaluation.contrast import LEAST_CEILING, Contrast
from insula.evaluation.nulls import FEW_SHUFFLES
from insula.evaluation.scores import FEW_PEOPLE, Interval
from insula.protocols.schedule import FEW_LABELLINGS

FEW_TRIALS = 20
"""Below this many trials of a single person nothing can be tested."""
LEVEL = 0.05

Tone = Literal["good", "unclear", "bad", "leaky", "none"]
WORDS = {
    0: "signal-free row",
    1: "cannot be tested",
    2: "not above chance",
    3: "explained by the timetable",
    4: "follows the person",
    5: "follows the person and better",
}


@dataclass(frozen=True)
class Opponent:
    """The signal-free row that a row must beat, and by how much it does, paired over people."""

    title: str
    lead: Interval


@dataclass(frozen=True)
class Evidence:
    """Everything a verdict stands on.

    ``score`` is over people, or over the trials of one person; ``trials`` and ``labellings`` count that person's.
    ``contrast`` is None for one person, and where no two people can be compared. ``own_p`` is the p of one person's
    labels exchanged between trials. ``known_stimuli`` is the score of knowing the stimulus alone, where tested stimuli
    were in training. ``declared`` is the comparison named before the figures were seen.
    """

    score: Interval
    chance: float
    people: int
    trials: int
    labellings: int
    marks: str = ""
    signal_free: bool = False
    contrast: Contrast | None = None
    own_p: float = math.nan
    opponent: Opponent | None = None
    null: Mapping[str, Any] | None = None
    declared: Opponent | None = None
    known_stimuli: float = math.nan


@dataclass(frozen=True)
class Verdict:
    """A sentence of `WORDS` by its ``step``, after the row's marks; ``why`` has the numbers, ``short`` fits a table."""

    step: int
    marks: str
    short: str
    why: str
    provisional: bool = False

    @property
    def text(self) -> str:
        return f"{self.marks}: {self.short}" if self.marks else self.short

    @property
    def sentence(self) -> str:
        """The whole sentence with its numbers."""
        return f"{self.text}: {self.why}" if self.why else self.text

    @property
    def claims(self) -> bool:
        """Whether something about the person is claimed."""
        return self.step >= 4

    @property
    def tone(self) -> Tone:
        """How loudly a page may say it: ``good`` needs a claim that is neither marked nor provisional."""
        if "leaky" in self.marks:
            return "leaky"
        if self.claims:
            return "unclear" if self.marks or self.provisional else "good"
        return {0: "none", 3: "bad"}.get(self.step, "unclear")  # type: ignore[return-value]


def decide(found: Evidence) -> Verdict:
    """Decide which of the five sentences holds; the first that applies does."""
    if found.signal_free:
        return Verdict(0, "", WORDS[0], "")
    for step, test in ((1, _untestable), (2, _at_chance), (3, _by_timetable)):
        why = test(found)
        if why:
            return Verdict(step, found.marks, WORDS[step], why)
    return _follows(found)


def _untestable(found: Evidence) -> str:
    """Why nothing can be tested, and what would test it; empty where something can."""
    if found.people == 1:
        if found.trials < FEW_TRIALS:
            return f"{found.trials} trials of one person, {FEW_TRIALS} needed. Record more trials"
        if found.labellings < FEW_LABELLINGS:
            return _few(found.labellings, "this person's trials", "Record more trials of each class, in a random order")
        return ""
    if found.people < FEW_PEOPLE:
        return f"{found.people} people, {FEW_PEOPLE} needed. Record more people (`insula power` says how many)"
    swap = found.contrast
    if swap is None:
        return "no two people have labels at the same elapsed time. Record people in the same session layout"
    if not swap.ceiling >= LEAST_CEILING:
        return (
            f"perfect labels would have a contrast of {swap.ceiling:.3f}, {LEAST_CEILING:g} needed: people go through "
            "the labels at the same times. Give people different orders"
        )
    if swap.labellings < FEW_LABELLINGS:
        return _few(swap.labellings, "people's timelines", "Record more people, or more orders")
    return ""


def _few(labellings: int, of: str, do: str) -> str:
    return f"{labellings} ways to exchange {of}, {FEW_LABELLINGS} needed. {do}"


def _at_chance(found: Evidence) -> str:
    score = found.score
    if not score.lo > found.chance:
        how = "lies below" if score.hi < found.chance else "includes"
        return f"{_span(score)} {how} {_number(found.chance)}"
    null = found.null or {}
    if null.get("enough") and int(null["shuffles"]) >= FEW_SHUFFLES and not float(null["p"]) <= LEVEL:
        return f"labels shuffled between trials do as well (p = {_p(float(null['p']))})"
    return ""


def _by_timetable(found: Evidence) -> str:
    p = found.contrast.p if found.contrast else found.own_p
    if not p <= LEVEL:
        whose = "other people's labels" if found.contrast else "labels exchanged between trials"
        return f"{whose} fit the predictions too often (p = {_p(p)})"
    if found.contrast is not None and not found.contrast.lo > 0:
        return f"the person-swap contrast {_signed(found.contrast)} includes 0"
    other = found.opponent
    if other is not None and not other.lead.lo > 0:
        return f"not above {other.title}, which sees no signal: {_signed(other.lead)}"
    return ""


def _follows(found: Evidence) -> Verdict:
    if found.contrast is not None:
        share = found.contrast.share
        swap = f"contrast {_signed(found.contrast)} of {found.contrast.ceiling:.3f}, p = {_p(found.contrast.p)}"
    else:
        room = 1 - found.chance
        share = tuple((v - found.chance) / room for v in (found.score.mean, found.score.lo, found.score.hi))  # type: ignore[assignment]
        swap = f"{_span(found.score)}, p = {_p(found.own_p)}"
    lacking = []
    null = found.null or {}
    if not null.get("enough") or int(null["shuffles"]) < FEW_SHUFFLES:
        lacking.append(f"no null test of {FEW_SHUFFLES} shuffles or more")
    else:
        swap += f"; null test p = {_p(float(null['p']))} over {null['shuffles']} shuffles"
    if found.opponent is None:
        lacking.append("no signal-free opponent was run")
    else:
        swap += f"; above {found.opponent.title} by {_signed(found.opponent.lead)}"
    if math.isfinite(found.known_stimuli):
        swap += (
            "; tested stimuli were in training, where knowing the stimulus alone scores "
            f"{_number(found.known_stimuli)}: leave_stimulus_out tells a feeling from the film"
        )
    short = f"{WORDS[4]}, {100 * share[0]:.0f} % [{100 * share[1]:.0f}, {100 * share[2]:.0f}] of what is attainable"
    better = found.declared
    step = 5 if better is not None and better.lead.lo > 0 else 4
    if better is not None and step == 5:
        short += f", and better than {better.title} by {_signed(better.lead)}"
    elif better is not None:
        swap += f"; against {better.title} {_signed(better.lead)}"
    if lacking:
        short = f"provisional: {short}"
        swap += f"; provisional, since {' and '.join(lacking)}"
    return Verdict(step, found.marks, short, swap, bool(lacking))


def _span(found: Interval) -> str:
    return f"{_number(found.mean)} [{_number(found.lo)}, {_number(found.hi)}]"


def _signed(found: Interval | Contrast) -> str:
    return f"{found.mean:+.3f} [{found.lo:+.3f}, {found.hi:+.3f}]"


def _number(value: float) -> str:
    return f"{value:.3f}"


def _p(p: float) -> str:
    return "not tested" if not math.isfinite(p) else f"{p:.3f}" if p >= 0.001 else f"{p:.1g}"
