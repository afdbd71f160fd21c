"""How good the signals of the scored windows are, what training made of that, and whether it shows in the score."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from insula import plots
from insula.evaluation.results import Result
from insula.evaluation.scores import per_person
from insula.explain import picture
from insula.explain.analysis import Analysis, Cell, Evaluated, Shown, Table, TableRow
from insula.explain.facts import Facts
from insula.explain.picture import Picture
from insula.explain.wording import minus, percent
from insula.learning.train_config import TrainConfig
from insula.learning.weighing import good_rows, weights
from insula.protocols.own_median import decided
from insula.signals.quality import FLAGS
from insula.types import BoolArray, FloatArray
from insula.windows.table import Windows

LEAST_WINDOWS = 5
"""A person's windows are compared where so many are good and so many are flagged."""
_KEYS = ["subject", "session", "trial", "start_s"]
_DRAWS = 2000


_MEANINGS: Mapping[str, str] = {
    "flat": "flat: the raw value stood still",
    "clipped": "clipped: it rested at its extreme",
    "gap": "gap: no value, or one out of range",
    "line noise": "line noise: mains hum 30 dB above its neighbourhood",
    "motion": "motion: the wrist moved (0.1 g or more within a second)",
}


@dataclass(frozen=True)
class Flagged:
    """Flags of one modality that could be judged: share of ``flagged`` windows, of ``time``, and of each person's time.

    ``any`` is the share of windows that some flag marks.
    """

    flagged: Mapping[str, float] = field(default_factory=dict)
    time: Mapping[str, float] = field(default_factory=dict)
    any: float = math.nan
    people: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """What training did with spoiled windows, and what the two other rules would do."""

    how: str = ""
    dropped: int = 0
    mean_weight: float = math.nan


@dataclass(frozen=True)
class Spoiled:
    """Score on flagged windows beside that on good ones of the same people."""

    name: str
    windows: int = 0
    people: int = 0
    flagged: float = math.nan
    good: float = math.nan
    difference: float = math.nan
    lo: float = math.nan
    hi: float = math.nan


@dataclass(frozen=True)
class Quality:
    """Flags of all modalities, over ``windows`` scored ones; a flag counts where it marks more than ``share``."""

    share: float = math.nan
    windows: int = 0
    modalities: Mapping[str, Flagged] = field(default_factory=dict)
    training: Trained = Trained()
    scores: tuple[Spoiled, ...] = ()
    note: str = ""


def signal_quality(result: Result, windows: Windows) -> Quality:
    """Sum up the flags of the scored windows, a modality and a person each.

    A window is flagged in a modality when a flag marks more than the share that training is configured with. A flag
    that could not be judged has no number.
    """
    scored = decided(windows.take((windows.table["role"] == "scored").to_numpy()))
    train = _training(result)
    shares = scored.quality()
    people = scored.table["subject"].to_numpy()
    return Quality(
        share=train.quality_share,
        windows=len(scored),
        modalities={name: _modality(values, people, train.quality_share) for name, values in shares.items()},
        training=Trained(
            train.quality, len(scored) - len(good_rows(scored, train.quality_share)), float(weights(scored).mean())
        ),
        scores=_scores(result, scored.table, shares, train.quality_share),
        note="judged on the raw signals; flags are told of test windows too, but never change what is predicted",
    )


def _training(result: Result) -> TrainConfig:
    """The rule for spoiled windows that the result was made with."""
    made = (result.config.get("experiment") or {}).get("train") or {}
    return TrainConfig(**{k: made[k] for k in ("quality", "quality_share") if k in made})


def _modality(values: FloatArray, people: Any, share: float) -> Flagged:
    return Flagged(
        flagged=_by_flag(_over(values, share)),
        time=_by_flag(values),
        any=float((np.nan_to_num(values) > share).any(axis=1).mean()) if len(values) else 0.0,
        people={str(who): _by_flag(values[people == who]) for who in pd.unique(people)},
    )


def _over(values: FloatArray, share: float) -> FloatArray:
    return np.where(np.isfinite(values), values > share, np.nan).astype(np.float32)


def _by_flag(values: FloatArray) -> dict[str, float]:
    """Mean of each flag's column (windows, flags) over the windows where it was judged."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    mean = np.where(known, values, 0).sum(axis=0, dtype=np.float64) / np.maximum(count, 1)
    return {flag: float(mean[i]) for i, flag in enumerate(FLAGS) if count[i]}


def _scores(result: Result, table: pd.DataFrame, shares: dict[str, FloatArray], share: float) -> tuple[Spoiled, ...]:
    """Compare the first system on flagged and on good windows of the same people, a modality each and all together."""
    bad: dict[str, BoolArray] = {}
    for name, values in shares.items():
        bad[name] = np.asarray((np.nan_to_num(values) > share).any(axis=1))
    if len(bad) > 1:
        bad["any"] = np.asarray(np.stack(list(bad.values())).any(axis=0))
    found = result.of(result.systems[0].name)
    rows = []
    for name, marks in bad.items():
        if not marks.any():
            continue
        marked = found.merge(table[_KEYS].assign(flagged=marks), on=_KEYS, how="inner")
        difference, flagged, good = _difference(marked, result.main_metric)
        row = Spoiled(name, int(marks.sum()), len(difference), flagged, good)
        if len(difference):
            lo, hi = _interval(difference)
            row = replace(row, difference=float(difference.mean()), lo=lo, hi=hi)
        rows.append(row)
    return tuple(rows)


def _difference(marked: pd.DataFrame, metric: str) -> tuple[FloatArray, float, float]:
    """Score on flagged minus score on good windows of each person who has enough of both, and the two means.

    Labels that only one of the two sides has are left out: a person who moves under stress only says nothing.
    """
    sides: dict[bool, list[pd.DataFrame]] = {True: [], False: []}
    for _, own in marked.groupby("subject", sort=True):
        if metric == "balanced_accuracy":
            both = set(own.loc[own["flagged"], "y_true"]) & set(own.loc[~own["flagged"], "y_true"])
            own = own[own["y_true"].isin(both)] if len(both) > 1 else own[:0]
        parts = {side: own[own["flagged"] == side] for side in sides}
        if min(map(len, parts.values())) >= LEAST_WINDOWS:
            for side, part in parts.items():
                sides[side].append(part.drop(columns="flagged"))
    if not sides[True]:
        return np.zeros(0, np.float32), float("nan"), float("nan")
    flagged, good = (per_person(pd.concat(sides[side]), metric) for side in (True, False))
    known: BoolArray = np.asarray((flagged.notna() & good.notna()).to_numpy(), bool)
    a, b = flagged.to_numpy()[known], good.to_numpy()[known]
    if not known.any():
        return np.zeros(0, np.float32), float("nan"), float("nan")
    return (a - b).astype(np.float32), float(a.mean()), float(b.mean())


def _interval(difference: FloatArray) -> tuple[float, float]:
    """95 % bootstrap interval over whole people; NaN for fewer than three."""
    if len(difference) < 3:
        return math.nan, math.nan
    rng = np.random.default_rng(0)
    means = difference[rng.integers(0, len(difference), (_DRAWS, len(difference)))].mean(axis=1)
    lo, hi = np.quantile(means, [0.025, 0.975])
    return float(lo), float(hi)


# -- what the page says ----------------------------------------------------------------------------------------------


def _run(evaluated: Evaluated) -> Quality:
    return signal_quality(evaluated.result, evaluated.windows)


def _show(found: Quality, facts: Facts) -> Shown:
    if not found.modalities:
        return Shown()
    told = [_worst(found), _trained(found), *(_compared(found) if _marked(found) else ())]
    made = (_strips(found, facts), _differences(found, facts))
    return Shown(tuple(t for t in told if t), (_table(found),), pictures=tuple(p for p in made if p is not None))


def _flags(found: Quality) -> tuple[str, ...]:
    """Flags that could be judged in some modality."""
    return tuple(dict.fromkeys(flag for one in found.modalities.values() for flag in one.time))


def _table(found: Quality) -> Table:
    flags = _flags(found)
    rows = []
    for name, one in found.modalities.items():
        cells = []
        for flag in flags:
            windows, time = one.flagged.get(flag, math.nan), one.time.get(flag, math.nan)
            small = percent(time) if math.isfinite(time) and time + windows > 0 else ""
            cells.append(Cell(percent(windows), windows, small))
        rows.append(TableRow(name, (*cells, Cell(percent(one.any), one.any))))
    share = f"windows of which the flag marks more than {percent(found.share)}; below: share of all time"
    legend = (share, "–: cannot be judged", *(_MEANINGS.get(f, f) for f in flags))
    return Table("quality", "Flagged windows", ("modality", *flags, "any flag"), tuple(rows), legend)


def _worst(found: Quality) -> str:
    marked = _marked(found)
    if not marked:
        return "No flag marks a single second of the scored windows."
    share, flag, modality = max(marked)
    who, most = _worst_person(found.modalities[modality], flag)
    person = f", most of all in {who} ({percent(most)})" if who and most > share else ""
    return f"The most frequent flag is {flag} in {modality}: {percent(share)} of the time{person}."


def _marked(found: Quality) -> list[tuple[float, str, str]]:
    """Share of time, flag and modality of whatever is marked at all."""
    return [(v, flag, m) for m, one in found.modalities.items() for flag, v in one.time.items() if v > 0]


def _worst_person(one: Flagged, flag: str) -> tuple[str, float]:
    ranked = [(shares[flag], who) for who, shares in one.people.items() if math.isfinite(shares.get(flag, math.nan))]
    share, who = max(ranked, default=(0.0, ""))
    return who, share


def _trained(found: Quality) -> str:
    training = found.training
    weight = minus(f"{training.mean_weight:.2f}")
    of = f"{training.dropped:,} of {found.windows:,} windows"
    if training.how == "drop":
        return f"Training left out {of}, those bad in more than half of their modalities; testing left out none."
    if training.how == "weigh":
        return f"Training weighed each window by what is good of it, {weight} on average; testing weighed none."
    if not training.dropped and weight == "1.00":
        return "Training kept every window, and no other rule would have changed much."
    return f"Training kept every window; drop would leave out {of}, weigh would count a window as {weight} on average."


def _compared(found: Quality) -> list[str]:
    if not found.scores:
        return ["No window is flagged, so that scores of good and bad windows cannot be compared."]
    if not any(math.isfinite(r.difference) for r in found.scores):
        count = max(r.windows for r in found.scores)
        return [f"{count:,} windows are flagged; too few a person, or of one label, to compare scores with."]
    return []


def _strips(found: Quality, facts: Facts) -> Picture | None:
    if not _marked(found):
        return None
    people = [who for who in facts.people if any(who in one.people for one in found.modalities.values())]
    strips = []
    for name, one in found.modalities.items():
        if not one.time:
            continue
        flags = tuple(one.time)
        shares = [[one.people.get(who, {}).get(f, math.nan) for who in people] for f in flags]
        texts = tuple(percent(one.time[f]) for f in flags)
        strips.append(plots.Strips(name, flags, texts, np.asarray(shares, np.float64).reshape(len(flags), len(people))))
    caption = """A row a flag, a cell a person: the stronger the colour, the more of the person's time is marked; at the
        right, of all people's time. A strong column is a person whose sensors sat badly, a strong row a sensor that did
        badly on everybody. Flags that cannot be judged (hum at a low rate, motion without acceleration) have no row."""
    alt = "; ".join(
        f"{s.name}: " + ", ".join(f"{f} {t}" for f, t in zip(s.flags, s.texts, strict=True)) for s in strips
    )
    return picture.make("quality", "Whose signals are bad, and how", caption, alt, plots.quality, strips, people)


def _differences(found: Quality, facts: Facts) -> Picture | None:
    rows = [r for r in found.scores if math.isfinite(r.difference)]
    if not rows:
        return None
    made = [
        plots.Interval(
            "any modality" if r.name == "any" else r.name, r.difference, r.lo, r.hi, "model", r.name == "any"
        )
        for r in rows
    ]
    counts = "; ".join(f"{m.name} {r.windows:,} windows, {r.people} people" for m, r in zip(made, rows, strict=True))
    caption = f"""Score of {facts.headline.title} on flagged windows minus that on good windows of the same people, over
        the labels that both have. Left of the line it is worse where the signal is bad. Windows may be flagged because
        of what people did, so this compares moments, not only signals. Compared: {counts}."""
    return picture.differences(
        facts, "quality-scores", "Is it worse where signals are bad?", caption, made, ("worse if flagged", "better")
    )


def _lines(found: Quality) -> Iterator[tuple[str, str]]:
    for name, one in found.modalities.items():
        marked = ", ".join(f"{flag} {share:.1%}" for flag, share in one.time.items() if share)
        yield f"quality, {name}", f"{marked} of the time" if marked else "no flag"
    made = found.training
    text = f"{made.dropped} of {found.windows} windows bad, mean weight {made.mean_weight:.2f}"
    yield "quality, training", f"{made.how}; {text}"


QUALITY = Analysis(
    "quality",
    Quality,
    _run,
    _show,
    _lines,
    methods="Flat, clipped, missing, noisy and moving stretches were flagged on the raw signals.",
    part="signals",
    needs_models=False,
)
