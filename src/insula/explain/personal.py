"""How many labels a new person needs: the calibration curve of a result, in words, a picture and tables."""

from __future__ import annotations

import math
from collections.abc import Iterator

from insula import plots
from insula.evaluation.adapting import CHOSEN, OWN, POPULATION, SHUFFLED, SUGGESTED, WRONG
from insula.evaluation.calibration import CURVE, TITLES, Curve
from insula.evaluation.results import Result
from insula.explain import picture, wording
from insula.explain.analysis import Analysis, Cell, Evaluated, Shown, Table, TableRow
from insula.explain.facts import Facts
from insula.learning.personal.personal import STRATEGIES

_INKS = ("model", "c2", "c3", "c4", "c6", "c7", "c8", "c5")
_CONTROLS = {WRONG: "clock", SHUFFLED: "bad"}


def lead(curve: Curve) -> tuple[str, ...]:
    """The answer: labels needed to beat the population model, and to come near people's own full models."""
    largest = curve.amounts[-1]
    beats, reach = curve.needed(CHOSEN)
    gain = f"with {curve.said(largest)} of each class it gains {_signed(curve.interval(CHOSEN, largest, POPULATION))}"
    first = (
        f"Adapted by the strategy that inner people chose, a model beats the population model from {curve.said(beats)} "
        f"labelled of each class on: {gain}."
        if beats is not None
        else f"Up to {curve.said(largest)} labelled of each class were not shown to make a model better than the "
        f"population model: {gain}."
    )
    own, lowest, _ = curve.interval(OWN, largest)
    if not len(curve.of(OWN, largest)):
        return (first,)
    if lowest <= curve.chance:
        second = f"People's own full models ({own:.3f}) were not shown to be above chance: there is nothing to reach."
    elif reach is not None:
        second = f"90 % of people's own full models ({own:.3f}) is reached at {curve.said(reach)}."
    else:
        second = f"90 % of people's own full models ({own:.3f}) is not reached."
    return first, second


def controls(curve: Curve) -> tuple[str, ...]:
    """What the controls gained, which must not be above 0."""
    largest, out = curve.amounts[-1], []
    for name, what in ((WRONG, "another person's labels"), (SHUFFLED, "the person's own labels in shuffled order")):
        if len(curve.of(name, largest)):
            found = curve.interval(name, largest, POPULATION)
            end = (
                "and above chance: the adaptation is not the person's, do not use it"
                if curve.rises(name)
                else "as it must be, not shown to be a gain"
                if found[1] <= 0
                else "no more than a return to chance, from a population model that is below it"
            )
            out.append(f"Adapted to {what} it gains {_signed(found)}, {end}.")
    return tuple(out)


def order(curve: Curve) -> tuple[str, ...]:
    """What it gained to label the trials that were suggested instead of the first ones, at the smallest amount."""
    least = next(a for a in curve.amounts if a > 0)
    if not len(curve.of(SUGGESTED, least)):
        return ()
    found = curve.interval(SUGGESTED, least, CHOSEN)
    how = "is better" if found[1] > 0 else "is worse" if found[2] < 0 else "was not shown to be better or worse"
    return (
        f"Labelling the trials that were suggested, instead of the first ones, {how} at {curve.said(least)} of each "
        f"class: {_signed(found)}.",
    )


def _signed(found: tuple[float, float, float]) -> str:
    if not math.isfinite(found[1]):
        return wording.minus(f"{found[0]:+.3f} (one person)")
    return wording.minus("{:+.3f} [{:+.3f}, {:+.3f}]".format(*found))


def _nothing(_: Evaluated) -> None:
    """`insula.evaluation.evaluate` puts the curve beside the predictions it comes from."""


def _show(curve: Curve, facts: Facts) -> Shown:
    largest, unit = curve.said(curve.amounts[-1]), curve.unit
    caption = f"""Each person's first labelled {unit} of each class adapt a model of the other people; every point is
        tested on the same later trials of that person. Means over {len(curve.people)} people; the band is the 95 %
        interval over people. Dashed: controls, which must not rise."""
    alt = f"Score against labelled {unit} of each class, a line a strategy: " + "; ".join(
        f"{line.title} {line.mean[-1]:.3f}" for line in _lines_of(curve)
    )
    made = picture.make(
        "personal", "Score against labels", caption, alt, plots.calibration, _lines_of(curve), unit=unit,
        chance=curve.chance, own=curve.interval(OWN, curve.amounts[-1])[0],
    )  # fmt: skip
    exploratory = (
        "The strategy was chosen on inner people; the person's own scores were not looked at. Intervals of several "
        "strategies and amounts are not corrected for their number: they are exploratory."
    )
    left = ("", *curve.left_out) if curve.left_out else ()
    details = (f"{len(curve.left_out)} people were not tested", *left[1:]) if left else ()
    return Shown(
        (*lead(curve), *order(curve), *controls(curve)),
        (
            Table(
                "personal", f"With {largest} of each class",
                ("how", "score", "gain over the population", "beats it from", "90 % of own model from"),
                tuple(_row(curve, s, facts) for s in _order(curve)), (exploratory,),
            ),
            _people(curve, facts),
        ),
        details,
        (made,),
    )  # fmt: skip


def _order(curve: Curve) -> list[str]:
    rows = [POPULATION, CHOSEN, *(s for s in curve.strategies if s not in (POPULATION, CHOSEN))]
    rows += [SUGGESTED, WRONG, SHUFFLED, OWN]
    return [s for s in rows if len(curve.of(s, curve.amounts[-1]))]


def _row(curve: Curve, name: str, facts: Facts) -> TableRow:
    last = curve.amounts[-1]
    mean, lo, hi = curve.interval(name, last)
    lo, hi = max(lo, 0.0), min(hi, 1.0)  # an interval ends where scores do
    cells = [Cell(wording.score_text(facts, mean), mean, wording.range_text(facts, lo, hi))]
    if name == POPULATION:
        cells += [Cell("–")] * 3
    else:
        gain, low, high = curve.interval(name, last, POPULATION)
        cells.append(Cell(wording.difference_text(facts, gain), gain, wording.difference_range(facts, low, high)))
        if name in (WRONG, SHUFFLED, OWN):
            cells += [Cell("–")] * 2
        else:
            cells += [Cell("not shown" if v is None else curve.said(v), v) for v in curve.needed(name)]
    return TableRow(wording.capital(TITLES[name]), tuple(cells), strong=name == CHOSEN)


def _people(curve: Curve, facts: Facts) -> Table:
    """Every person's score with each amount under the chosen strategy, and the own full model's."""
    amounts = [a for a in curve.amounts if a > 0]
    rows = []
    for who in curve.people:
        chances = [curve.scores[POPULATION][who][-1]]
        chances += [curve.scores[CHOSEN][who][curve.amounts.index(a)] for a in amounts]
        chances += [curve.scores[OWN].get(who, (math.nan,))[-1]]
        cells = tuple(Cell(wording.score_text(facts, v), v) for v in chances)
        rows.append(TableRow(who, (*cells, Cell(curve.chosen.get(who, "–"), curve.chosen.get(who)))))
    heads = ("population", *(curve.said(a) for a in amounts), "own full model", "chosen by inner people")
    return Table("personal-people", "Every person", ("person", *heads), tuple(rows))


def _lines_of(curve: Curve) -> list[plots.CurveLine]:
    out = []
    inks = iter(_INKS)
    for name in (CHOSEN, *(s for s in curve.strategies if s != CHOSEN), SUGGESTED, WRONG, SHUFFLED):
        amounts = tuple(a for a in curve.amounts if len(curve.of(name, a)))
        if not amounts:
            continue
        found = [curve.interval(name, a) for a in amounts]
        colour = _CONTROLS.get(name) or ("soft" if name == POPULATION else next(inks))
        mean, lo, hi = (tuple(p[k] for p in found) for k in range(3))
        out.append(plots.CurveLine(TITLES[name], colour, amounts, mean, lo, hi, name in _CONTROLS, name == CHOSEN))
    return out


def _lines(curve: Curve) -> Iterator[tuple[str, str]]:
    yield "labels a new person needs", " ".join(lead(curve))
    if order(curve):
        yield "which trials to label", order(curve)[0]
    yield "controls of that", " ".join(controls(curve))
    for name in curve.strategies:
        if name in STRATEGIES and name != POPULATION:
            yield TITLES[name], f"gain {_signed(curve.interval(name, curve.amounts[-1], POPULATION))}"


def _renew(old: Curve, _before: Result, after: Result) -> Curve:
    return old.without(sorted(set(after.predictions["subject"].astype(str))))


PERSONAL: Analysis[Curve] = Analysis(
    CURVE,
    Curve,
    _nothing,
    _show,
    _lines,
    methods="The strategy of adapting was chosen on training people of each fold; score was drawn against labelled "
    "calibration with two controls, another person's labels and labels shuffled between trials.",
    part="personal",
    needs_models=False,
    renew=_renew,
)
