"""How good the signals are: strips of people, a table of flags, what training did, and the score where they are bad."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from insula.report import picture, plots, words
from insula.report.facts import Facts, real
from insula.report.picture import Picture

_MEANINGS: Mapping[str, str] = {
    "flat": "flat: the raw value stood still",
    "clipped": "clipped: it rested at its extreme",
    "gap": "gap: no value, or one out of range",
    "line noise": "line noise: mains hum 30 dB above its neighbourhood",
    "motion": "motion: the wrist moved (0.1 g or more within a second)",
}


@dataclass(frozen=True)
class Cell:
    """Share of windows that a flag marks in one modality, and of all time; NaN where it was not judged."""

    windows: float
    time: float


@dataclass(frozen=True)
class Summary:
    """What the section says in words, and its table: flags, and a row a modality with a cell a flag."""

    sentences: tuple[str, ...]
    flags: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...], float], ...]
    legend: tuple[str, ...]


def summary(facts: Facts) -> Summary | None:
    """Return the words and the table of the section, None where nothing was judged."""
    data = _data(facts)
    if not data:
        return None
    flags = _flags(data)
    rows = tuple(
        (name, tuple(Cell(real(one["flagged"].get(f)), real(one["time"].get(f))) for f in flags), real(one.get("any")))
        for name, one in data["modalities"].items()
    )
    share = percent(real(data.get("share")))
    legend = (f"windows of which the flag marks more than {share}; below: share of all time", "–: cannot be judged")
    told = [_worst(data), _trained(data), *(_compared(data) if _spoiled(data) else ())]
    return Summary(tuple(t for t in told if t), flags, rows, (*legend, *(_MEANINGS.get(f, f) for f in flags)))


def pictures(facts: Facts) -> dict[str, Picture]:
    """Draw the strips of people and the comparison of scores, where their numbers are there."""
    found = (_strips(facts), _scores(facts)) if _data(facts) else ()
    return {one.name: one for one in found if one is not None}


def percent(share: float) -> str:
    """Write a share for people: 0, < 0.1 %, 3.4 %, 62 %; an en dash for none."""
    if not math.isfinite(share):
        return "–"
    if share == 0:
        return "0"
    if share < 0.001:
        return "< 0.1 %"
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"


def _data(facts: Facts) -> Mapping[str, Any]:
    data = facts.analyses.get("quality")
    return data if isinstance(data, Mapping) and data.get("modalities") else {}


def _flags(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Flags that could be judged in some modality."""
    every = dict.fromkeys(f for one in data["modalities"].values() for f in one["time"])
    return tuple(f for f in every if any(one["time"].get(f) is not None for one in data["modalities"].values()))


def _worst(data: Mapping[str, Any]) -> str:
    spoiled = _spoiled(data)
    if not spoiled:
        return "No flag marks a single second of the scored windows."
    share, flag, modality = max(spoiled)
    who, most = _worst_person(data["modalities"][modality], flag)
    person = f", most of all in {who} ({percent(most)})" if who and most > share else ""
    return f"The most frequent flag is {flag} in {modality}: {percent(share)} of the time{person}."


def _spoiled(data: Mapping[str, Any]) -> list[tuple[float, str, str]]:
    """Share of time, flag and modality of whatever is marked at all."""
    every = [(real(v), flag, m) for m, one in data["modalities"].items() for flag, v in one["time"].items()]
    return [one for one in every if one[0] > 0]


def _worst_person(one: Mapping[str, Any], flag: str) -> tuple[str, float]:
    ranked = [(real(shares.get(flag)), who) for who, shares in (one.get("people") or {}).items()]
    share, who = max((r for r in ranked if math.isfinite(r[0])), default=(0.0, ""))
    return who, share


def _trained(data: Mapping[str, Any]) -> str:
    training: Mapping[str, Any] = data.get("training") or {}
    count, dropped = int(data.get("windows") or 0), int(training.get("dropped") or 0)
    weight = words.minus(f"{real(training.get('mean_weight')):.2f}")
    of = f"{dropped:,} of {count:,} windows"
    if training.get("how") == "drop":
        return f"Training left out {of}, those bad in more than half of their modalities; testing left out none."
    if training.get("how") == "weigh":
        return f"Training weighed each window by what is good of it, {weight} on average; testing weighed none."
    if not dropped and weight == "1.00":
        return "Training kept every window, and no other rule would have changed much."
    return f"Training kept every window; drop would leave out {of}, weigh would count a window as {weight} on average."


def _compared(data: Mapping[str, Any]) -> list[str]:
    rows = data.get("scores") or ()
    if not rows:
        return ["No window is flagged, so that scores of good and bad windows cannot be compared."]
    if not any(math.isfinite(real(r.get("difference"))) for r in rows):
        count = max(int(r.get("windows") or 0) for r in rows)
        return [f"{count:,} windows are flagged; too few a person, or of one label, to compare scores with."]
    return []


def _strips(facts: Facts) -> Picture | None:
    data = _data(facts)
    if not _spoiled(data):
        return None
    people = [
        who for who in facts.people if any(who in (one.get("people") or {}) for one in data["modalities"].values())
    ]
    strips = []
    for name, one in data["modalities"].items():
        flags = tuple(f for f, v in one["time"].items() if v is not None)
        shares = [[real((one["people"].get(who) or {}).get(f)) for who in people] for f in flags]
        texts = tuple(percent(real(one["time"][f])) for f in flags)
        strips.append(plots.Strips(name, flags, texts, np.asarray(shares, np.float64).reshape(len(flags), len(people))))
    strips = [s for s in strips if s.flags]
    caption = """A row a flag, a cell a person: the stronger the colour, the more of the person's time is marked; at the
        right, of all people's time. A strong column is a person whose sensors sat badly, a strong row a sensor that did
        badly on everybody. Flags that cannot be judged (hum at a low rate, motion without acceleration) have no row."""
    alt = "; ".join(
        f"{s.name}: " + ", ".join(f"{f} {t}" for f, t in zip(s.flags, s.texts, strict=True)) for s in strips
    )
    return picture.make("quality", "Whose signals are bad, and how", caption, alt, plots.quality, strips, people)


def _scores(facts: Facts) -> Picture | None:
    rows = [r for r in _data(facts).get("scores") or () if math.isfinite(real(r.get("difference")))]
    if not rows:
        return None
    made = [
        plots.Interval(
            "any modality" if r["name"] == "any" else str(r["name"]), real(r["difference"]), real(r.get("lo")),
            real(r.get("hi")), "model", r["name"] == "any",
        )
        for r in rows
    ]  # fmt: skip
    counts = "; ".join(
        f"{m.name} {int(r['windows']):,} windows, {int(r['people'])} people" for m, r in zip(made, rows, strict=True)
    )
    caption = f"""Score of {facts.headline.title} on flagged windows minus that on good windows of the same people, over
        the labels that both have. Left of the line it is worse where the signal is bad. Windows may be flagged because
        of what people did, so this compares moments, not only signals. Compared: {counts}."""
    return picture.differences(
        facts, "quality-scores", "Is it worse where signals are bad?", caption, made, ("worse if flagged", "better")
    )
