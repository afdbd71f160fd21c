"""What a report says in words: verdict, checks, meaning, limits, methods; every sentence follows from the numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from insula.explain.facts import Facts, Row, real
from insula.explain.wording import (
    capital,
    difference_range,
    difference_text,
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


def data_name(facts: Facts) -> str:
    """Return the name of the data set, empty where the configuration has none."""
    experiment: Mapping[str, Any] = facts.result.config.get("experiment") or {}
    return str((experiment.get("data") or {}).get("name") or "")


def checks(facts: Facts) -> tuple[Check, ...]:
    """Answer the questions that decide whether a figure means anything."""
    head = facts.headline
    out = [
        Check(
            "Better than guessing?",
            _state(head.lo > facts.chance, math.isfinite(head.lo)),
            f"{score_text(facts, head.score)} ({range_text(facts, head.lo, head.hi)}); guessing gives "
            f"{tick_text(facts, facts.chance)}.",
        )
    ]
    if facts.clock is not None and facts.clock is not head:
        out.append(_against(facts, facts.clock, "Better than a clock?"))
    if facts.rival is not None:
        out.append(_against(facts, facts.rival, "Better than the best classical row?"))
    if math.isfinite(head.contrast):
        inside = f"({difference_range(facts, head.contrast_lo, head.contrast_hi)})"
        out.append(
            Check(
                "About this person, not the schedule?",
                _state(head.contrast_lo > 0, math.isfinite(head.contrast_lo)),
                f"Person-swap contrast {difference_text(facts, head.contrast)} {inside}; it must exclude 0.",
            )
        )
    p = null_p(facts)
    if math.isfinite(p):
        null = facts.result.nulls[head.system]
        answer = f"Shuffled between whole trials they score {score_text(facts, real(null.get('mean')))}; {p_text(p)}."
        out.append(
            Check("Gone when labels are shuffled?", _state(p <= max(0.05, real(null.get("floor"))), True), answer)
        )
    elif facts.result.nulls.get(head.system):
        answer = "Too few trials to test: fewer than 20 labellings could be exchanged."
        out.append(Check("Gone when labels are shuffled?", "unknown", answer))
    if facts.result.leaky:
        return tuple(replace(c, state="unknown") for c in out)
    return tuple(out)


def _state(holds: bool, known: bool) -> str:
    return "unknown" if not known else ("yes" if holds else "no")


def _against(facts: Facts, other: Row, question: str) -> Check:
    pair = facts.pair(facts.headline.system, other.system)
    if pair is None:
        ahead = facts.headline.score > other.score
        answer = f"{other.title} scores {score_text(facts, other.score)}; no paired comparison was made."
        return Check(question, "unknown" if ahead else "no", answer)
    state = "yes" if pair.lo > 0 else ("no" if pair.difference <= 0 else "unknown")
    tail = f", {p_text(pair.p)}" if math.isfinite(pair.p) else ""
    answer = (
        f"{other.title} scores {score_text(facts, other.score)}; difference {difference_text(facts, pair.difference)} "
        f"({difference_range(facts, pair.lo, pair.hi)}{tail}, paired over {pair.people} people)."
    )
    return Check(question, state, answer)


def verdict(facts: Facts) -> Verdict:
    """Say in one sentence whether the headline system recognises its target, and in a second one against what."""
    head, target = facts.headline, facts.result.target
    figure = f"{score_text(facts, head.score)} {facts.score_name} ({range_text(facts, head.lo, head.hi)})"
    if facts.result.leaky:
        sentence = f"This run cannot tell whether {target} is recognised: its protocol leaks."
        return Verdict(
            "leaky",
            sentence,
            f"{capital(the(head))} reads {figure}, and no check below can tell more. Run a clean protocol.",
        )
    known = protocol_of(facts)
    where = known.where if known else "on data it has not seen"
    guess = f"guessing gives {tick_text(facts, facts.chance)}"
    asked = {c.question.split()[0] + c.question.split()[-1]: c for c in checks(facts)}
    clock, swap, null = (asked.get(k) for k in ("Betterclock?", "Aboutschedule?", "Goneshuffled?"))
    verb = "follows" if facts.continuous else "recognises"
    if not head.lo > facts.chance:
        sentence = f"{capital(the(head))} does not {verb[:-1]} {target} {where}: {figure}, where {guess}."
        return Verdict("bad", sentence, "Its interval reaches down to chance.")
    nothing = f"These figures do not show that {the(head)} {verb} {target}"
    if clock and facts.clock and not head.score > facts.clock.score:
        sentence = f"{nothing}: a clock that sees no body signal does as well or better."
        return Verdict("bad", sentence, f"The model scores {figure}, the clock {score_text(facts, facts.clock.score)}.")
    if swap and swap.state != "yes" and facts.result.shared_schedule:
        sentence = f"{nothing}: labels of other people at the same minute fit its predictions about as well."
        return Verdict("bad", sentence, f"It scores {figure}. {swap.answer}")
    if null and null.state == "no":
        sentence = f"{nothing}: shuffled labels do about as well."
        return Verdict("bad", sentence, f"It scores {figure}. {null.answer}")
    sentence = f"{capital(the(head))} {verb} {target} {where}: {figure}, where {guess}."
    doubts = []
    if clock and clock.state != "yes" and facts.clock:
        doubts.append(f"Its lead over the clock ({score_text(facts, facts.clock.score)}) is not certain.")
    if swap and swap.state != "yes":
        doubts.append("Its person-swap contrast includes 0.")
    if head.scope == "session":
        doubts.append("It carries state across the session, so that it may read the time.")
    if head.transductive:
        doubts.append("Its normaliser used the whole test session, which a live system could not.")
    return Verdict("unclear" if doubts else "good", sentence, " ".join([_beside(facts), *doubts]))


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
