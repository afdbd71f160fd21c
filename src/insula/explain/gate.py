"""What the gate of a cascade saves and costs, on held-out windows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add

from insula import plots
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Fitted, Shown
from insula.explain.cascade import CurvePoint, branch_answers, cascade_curve
from insula.explain.cost import joules_text
from insula.explain.facts import Facts
from insula.explain.wording import joules, score_text
from insula.models.cascade import Cascade


@dataclass(frozen=True)
class Gate:
    """A cascade over thresholds, and its second branch alone."""

    points: tuple[CurvePoint, ...] = ()
    second_alone: CurvePoint | None = None
    joules_first: float = math.nan
    joules_second: float = math.nan
    windows: int = 0
    basis: tuple[str, ...] = ()
    threshold: float = math.nan
    note: str = ""


def gate_curve(fitted: Fitted) -> Gate | None:
    """Read accuracy, energy and the share of woken windows over thresholds, all folds together.

    None for a model that is no cascade, and for a continuous target.
    """
    network = fitted[0][0].networks[0]
    if not isinstance(network, Cascade) or network.spec.continuous:
        return None
    answers = reduce(add, (branch_answers(model, held_out) for model, held_out in fitted))
    curve = cascade_curve(answers)
    note = (
        f"{len(answers.y)} held-out windows of {len(fitted)} folds, first network of each; the curve describes: a "
        "threshold to be used must be chosen on other people or trials"
    )
    return Gate(**vars(curve), threshold=network.threshold, note=note)


def _run(evaluated: Evaluated) -> Gate | None:
    return gate_curve(evaluated.fitted)


def _show(found: Gate, facts: Facts) -> Shown:
    if len(found.points) < 2 or found.second_alone is None:
        return Shown()
    curve, alone = [_point(p) for p in found.points], _point(found.second_alone)
    asleep, awake = curve[0], curve[-1]
    best = max(curve, key=lambda p: p.score)
    told = (
        f"First branch alone {score_text(facts, asleep.score)} for {joules(asleep.joules)}; always both "
        f"{score_text(facts, awake.score)} for {joules(awake.joules)}; second branch alone "
        f"{score_text(facts, alone.score)} for {joules(alone.joules)}. Best here with "
        f"{100 * best.woken:.0f} % woken."
    )
    caption = f"""The cheap branch answers first, and the second one runs only where the first is unsure; from left to
        right the threshold falls. A flat curve means that the second branch is not worth waking; a marker above the
        curve, that the first is of no use. {told} Energy: counted operations at 45 nm prices, mean of a
        decision.{picture.sentence(found.note)}"""
    made = picture.make(
        "gate", "What the gate saves", caption, told, plots.gate, curve, alone, facts.chance,
        axis=facts.score_name, tick=picture.tick(facts), joules=joules,
    )  # fmt: skip
    return Shown(pictures=(made,))


def _point(one: CurvePoint) -> plots.GatePoint:
    return plots.GatePoint(one.woken, one.joules, one.balanced_accuracy)


def _lines(found: Gate) -> Iterator[tuple[str, str]]:
    for point in found.points[::5]:
        text = f"balanced accuracy {point.balanced_accuracy:.3f} for {joules_text(point.joules)} a decision"
        yield f"gate, {point.woken:.0%} woken, threshold {point.threshold:.3f}", text


GATE = Analysis("cascade", Gate, _run, _show, _lines, part="energy")
