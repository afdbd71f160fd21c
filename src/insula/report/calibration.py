"""The page of a calibration curve: picture, how much is needed, controls, and every person."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from insula.evaluation.calibration import OWN, SHUFFLED, WRONG, Curve
from insula.explain.wording import minus
from insula.files import replacing, require_folder
from insula.learning.personal.personal import STRATEGIES
from insula.plots import NARROW_PX, WIDE_PX, css_variables
from insula.plots.calibration import CurveLine, calibration

_INKS = ("model", "c2", "c3", "c4", "c6", "c7", "c8", "c5")
_FILE = "calibration.json"
_OTHERS = {
    WRONG: "control: adapted to another person",
    SHUFFLED: "control: labels shuffled",
    OWN: "the person's own full model",
}


def write_curve(curve: Curve, folder: str | Path) -> Path:
    """Write ``calibration.json`` and ``calibration.html``, both or neither; return the page's path."""
    target = Path(folder)
    require_folder(target, _FILE, "calibration curve")
    with replacing(target) as work:
        text = json.dumps(curve.to_dict(), indent=1, default=_plain)
        (work / _FILE).write_text(text, encoding="utf-8")
        (work / "calibration.html").write_text(page(curve), encoding="utf-8")
    return target / "calibration.html"


def page(curve: Curve) -> str:
    """Return the page as one HTML text that asks nothing of the network."""
    largest = curve.amounts[-1]
    own = curve.interval(OWN, largest)[0]
    chance = 1 / len(curve.classes)

    def picture(width_px: int, name: str) -> Markup:
        alt = f"Balanced accuracy against labelled {curve.unit} of each class, a line a strategy"
        found = _lines(curve)
        svg = calibration(found, unit=curve.unit, chance=chance, own=own, name=name, alt=alt, width_px=width_px)
        return Markup(svg)

    chosen = curve.chosen() if curve.people > 1 else None
    environment = Environment(
        loader=PackageLoader("insula.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    head = ["person", *(_short(s) for s in (*curve.strategies, OWN)), "chosen by the others"]
    people = [
        [p, *(_score(curve.of(s, largest).get(p, math.nan)) for s in (*curve.strategies, OWN)),
         _short(str(chosen[p])) if chosen is not None else "–"]
        for p in curve.of("population", largest).index
    ]  # fmt: skip
    return environment.get_template("calibration.html.j2").render(
        css=Markup(css_variables()),
        title=f"{curve.target.capitalize()}: how many labelled {curve.unit} does a new person need?",
        lead=lead(curve),
        wide=picture(WIDE_PX, "wide"),
        narrow=picture(NARROW_PX, "narrow"),
        caption=(
            f"Each person's first labelled {curve.unit} of each class adapt a model of the other people; every point "
            f"is tested on the same later trials of that person. Means over {curve.people} people, bands are 95 % "
            "intervals over people (Student's t). Dashed: controls, which must not rise."
        ),
        largest=f"{largest:g} {curve.unit}",
        rows=[_row(curve, s) for s in (*curve.strategies, WRONG, SHUFFLED, OWN) if len(curve.of(s, largest))],
        notes=notes(curve),
        head=head,
        people=people,
    )


def lead(curve: Curve) -> str:
    """The answer in two sentences."""
    needed = {s: curve.needed(s) for s in curve.strategies if s in STRATEGIES and STRATEGIES[s].labels}
    beats = {s: n["beats_population"] for s, n in needed.items() if n["beats_population"] is not None}
    if not beats:
        first = (
            f"With up to {curve.amounts[-1]:g} labelled {curve.unit} of each class, no strategy was shown to be better "
            "than the population model: every paired interval over people includes 0."
        )
    else:
        best = min(beats, key=lambda s: (beats[s], -curve.interval(s, curve.amounts[-1])[0]))
        first = (
            f"{STRATEGIES[best].title.capitalize()} beat the population model from {beats[best]:g} labelled "
            f"{curve.unit} of each class on."
        )
    reach = {s: n["reaches_own"] for s, n in needed.items() if n["reaches_own"] is not None}
    own, lowest, _ = curve.interval(OWN, curve.amounts[-1])
    if lowest <= 1 / len(curve.classes):
        second = f"People's own full models ({own:.3f}) were not shown to be above chance: there is nothing to reach."
    elif reach:
        least = min(reach, key=lambda s: reach[s] or 0.0)
        second = (
            f"90 % of people's own full models ({own:.3f}) is reached at {reach[least]:g} ({STRATEGIES[least].title})."
        )
    else:
        second = f"90 % of people's own full models ({own:.3f}) is not reached."
    return f"{first} {second}"


def notes(curve: Curve) -> list[str]:
    """What must be known to read the curve."""
    last = curve.amounts[-1]
    out = []
    for name, meaning in (
        (WRONG, "A model adapted to another person's labels gains over the population model"),
        (SHUFFLED, "A model adapted to the person's own labels in shuffled order gains"),
    ):
        if len(curve.of(name, last)):
            mean, lo, hi = curve.interval(name, last, "population")
            end = (
                "as it must be, not above 0."
                if lo <= 0
                else "above 0: the adaptation is not the person's. Do not use it."
            )
            out.append(minus(f"{meaning} {mean:+.3f} [{lo:+.3f}, {hi:+.3f}]") + f", {end}")
    out.append(
        "The strategy chosen for a person is the one that was best over the other people; the person's own scores were "
        "not looked at. Intervals of several strategies are not corrected for their number: they are exploratory."
    )
    if curve.left_out:
        out.append("Left out: " + "; ".join(curve.left_out) + ".")
    return out


def _lines(curve: Curve) -> list[CurveLine]:
    out = []
    for i, name in enumerate((*curve.strategies, WRONG, SHUFFLED)):
        amounts = [a for a in curve.amounts if len(curve.of(name, a))]
        if not amounts:
            continue
        points = [curve.interval(name, a) for a in amounts]
        if name not in ("population", WRONG, SHUFFLED) and curve.amounts[0] == 0:
            amounts, points = [0.0, *amounts], [curve.interval("population", 0.0), *points]
        control = name in (WRONG, SHUFFLED)
        colour = "soft" if name == "population" else "clock" if name == WRONG else "bad" if control else _INKS[i - 1]
        mean, lo, hi = (tuple(p[k] for p in points) for k in range(3))
        out.append(CurveLine(_title(name), colour, tuple(amounts), mean, lo, hi, control))
    return out


def _row(curve: Curve, name: str) -> list[str]:
    last = curve.amounts[-1]
    score = "{:.3f} [{:.3f}, {:.3f}]".format(*curve.interval(name, last))
    if name in ("population", OWN):
        return [_title(name), score, "", "", ""]
    gain = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*curve.interval(name, last, "population"))
    if name in (WRONG, SHUFFLED):
        return [_title(name), score, minus(gain), "", ""]
    needed = curve.needed(name)
    told = ["not reached" if v is None else f"{v:g} {curve.unit}" for v in needed.values()]
    return [_title(name), score, minus(gain), *told]


def _title(name: str) -> str:
    return _OTHERS.get(name) or STRATEGIES[name].title


def _short(name: str) -> str:
    return "own model" if name == OWN else name


def _score(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _plain(value: Any) -> Any:
    return value.item()
