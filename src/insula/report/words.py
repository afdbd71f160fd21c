"""What a report says in words: verdict, checks, meaning, limits, methods; every sentence follows from the numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from insula.evaluation.nulls import FEW_SHUFFLES
from insula.evaluation.verdict import LEVEL
from insula.evaluation.verdict import Verdict as Decided
from insula.explain.facts import Facts, Row, real
from insula.explain.wording import (
    capital,
    difference_range,
    difference_text,
    minus,
    p_text,
    range_text,
    score_text,
    the,
    tick_text,
)
from insula.protocols.protocols import PROTOCOLS, Protocol

LEAKY_BANNER = (
    "This protocol puts windows of the same trial on both sides; "
    "the figure does not tell how well emotion is recognised."
)


@dataclass(frozen=True)
class Verdict:
    """One sentence and what follows it; tone is good, unclear, bad or leaky."""

    tone: str
    sentence: str
    more: str


@dataclass(frozen=True)
class Check:
    """One question an honest reader asks; state is yes, no or unknown."""

    question: str
    state: str
    answer: str


def protocol_of(facts: Facts) -> Protocol | None:
    """Return the protocol of a result, None for one that is not known here."""
    return PROTOCOLS.get(str(facts.result.protocol.get("name")))


def null_p(facts: Facts) -> float:
    """Return p of the null test of the headline system, NaN where none was made."""
    return real((facts.result.nulls.get(facts.headline.system) or {}).get("p"))


def checks(facts: Facts) -> tuple[Check, ...]:
    """Answer the questions that decide whether a figure means anything.

    A tick and a cross each need an interval on their side; everything else is open.
    """
    head = facts.headline
    out = [
        Check(
            "Better than guessing?",
            _state(head.lo - facts.chance, head.hi - facts.chance),
            f"{score_text(facts, head.score)} ({range_text(facts, head.lo, head.hi)}); guessing gives "
            f"{tick_text(facts, facts.chance)}.",
        )
    ]
    if facts.clock is not None and facts.clock is not head:
        out.append(_against(facts, facts.clock, "Better than the time alone?"))
    if facts.rival is not None:
        which = "the classical row declared before" if facts.declared else "the best classical row"
        out.append(_against(facts, facts.rival, f"Better than {which}?"))
    swap = facts.result.contrast(head.system)
    if swap is not None:
        inside = f"({difference_range(facts, swap.lo, swap.hi)})"
        testable = math.isfinite(swap.share[0])
        lo = swap.lo if swap.p <= LEVEL else min(swap.lo, 0.0)
        out.append(
            Check(
                "About this person, not the schedule?",
                _state(lo, swap.hi) if testable else "unknown",
                f"Person-swap contrast {difference_text(facts, swap.mean)} {inside} of "
                f"{difference_text(facts, swap.ceiling)} that perfect predictions would have; {p_text(swap.p)}. "
                + ("It must exclude 0." if testable else "People's timetables are too alike to test it."),
            )
        )
    null = facts.result.nulls.get(head.system) or {}
    p = null_p(facts)
    if math.isfinite(p):
        few = int(null["shuffles"]) < FEW_SHUFFLES
        answer = f"Shuffled between whole trials they score {score_text(facts, real(null.get('mean')))}; {p_text(p)}"
        answer += f", provisional: {null['shuffles']} shuffles, {FEW_SHUFFLES} needed." if few else "."
        out.append(Check("Gone when labels are shuffled?", "yes" if p <= LEVEL and not few else "unknown", answer))
    elif null:
        answer = "Too few trials to test: fewer than 20 labellings could be exchanged."
        out.append(Check("Gone when labels are shuffled?", "unknown", answer))
    if facts.result.leaky or facts.verdict.step == 1:
        return tuple(replace(c, state="unknown") for c in out)
    return tuple(out)


def _state(lo: float, hi: float) -> str:
    return "yes" if lo > 0 else "no" if hi < 0 else "unknown"


def _against(facts: Facts, other: Row, question: str) -> Check:
    pair = facts.pair(facts.headline.system, other.system)
    if pair is None:
        answer = f"{other.title} scores {score_text(facts, other.score)}; no paired comparison was made."
        return Check(question, "unknown", answer)
    tail = f", {p_text(pair.p)}" if math.isfinite(pair.p) else ""
    answer = (
        f"{other.title} scores {score_text(facts, other.score)}; difference {difference_text(facts, pair.difference)} "
        f"({difference_range(facts, pair.lo, pair.hi)}{tail}, paired over {pair.people} people)."
    )
    return Check(question, _state(pair.lo, pair.hi), answer)


def verdict(facts: Facts) -> Verdict:
    """Say what `insula.evaluation.verdict` decided about the headline system, and against what it stands."""
    head, found, target = facts.headline, facts.verdict, facts.result.target
    figure = f"{score_text(facts, head.score)} {facts.score_name} ({range_text(facts, head.lo, head.hi)})"
    known = protocol_of(facts)
    where = known.where if known else "on data it has not seen"
    name = the(head)
    sentence = {
        0: f"{capital(name)} sees no signal.",
        1: f"Whether {name} recognises {target} {where} cannot be tested here.",
        2: f"{capital(name)} is not above chance for {target} {where}.",
        3: f"What {name} scores for {target} {where} is explained by the timetable.",
        4: f"{capital(name)} follows the person for {target} {where}: {_attained(found)}.",
        5: f"{capital(name)} follows the person for {target} {where}: {_attained(found)}.",
    }[found.step]
    sentence = f"{capital(found.marks)}: {sentence}" if found.marks else sentence
    more = [f"It scores {figure}; guessing gives {tick_text(facts, facts.chance)}."]
    more += [f"{capital(found.why)}."] if found.why else []
    if facts.result.leaky:
        more.append("Its protocol leaks, so that no check below can tell more. Run a clean protocol.")
    elif found.claims:
        more.append(_beside(facts))
    return Verdict(found.tone if found.tone != "none" else "unclear", minus(sentence), minus(" ".join(more)))


def _attained(found: Decided) -> str:
    """The verdict's own words after its first ones."""
    return found.short.replace("follows the person, ", "")


def _beside(facts: Facts) -> str:
    rival = facts.rival
    if rival is None:
        return "No classical row was run beside it."
    name, figure = the(rival), score_text(facts, rival.score)
    pair = facts.pair(facts.headline.system, rival.system)
    if pair is None:
        return f"{capital(name)} scores {figure} beside it; no paired comparison was made."
    if pair.lo > 0:
        return f"It beats {name} ({figure}), person by person."
    if pair.hi < 0:
        return f"But {name} does better ({figure}), person by person."
    return f"It is not told apart from {name} ({figure}): their difference includes 0."
