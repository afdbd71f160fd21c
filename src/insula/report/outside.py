"""Pictures of how well systems do: scores, comparisons, mistakes, people."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from insula import plots
from insula.explain import facts as read
from insula.explain import picture
from insula.explain.facts import Facts, Row, real
from insula.explain.pairs import pair as paired_with
from insula.explain.picture import Picture
from insula.explain.wording import difference_text, p_text, score_text, the
from insula.report.by_class import roc
from insula.report.words import null_p


def pictures(facts: Facts) -> dict[str, Picture]:
    """Draw every picture whose numbers are there, by name."""
    makers: Sequence[Callable[[Facts], Picture | None]] = (
        _systems, _pairs, _ablation, _contrast, _null, _confusion, roc, _scatter, _reliability, _people, _timeline,
    )  # fmt: skip
    found = (make(facts) for make in makers)
    return {one.name: one for one in found if one is not None}


def _lines(facts: Facts) -> tuple[plots.Line, ...]:
    chance = plots.Line("chance", facts.chance)
    return (chance, plots.Line("time alone", facts.clock.score, "clock")) if facts.clock else (chance,)


def _systems(facts: Facts) -> Picture:
    rows = [picture.interval(facts, r) for r in sorted(facts.rows, key=lambda r: -r.score) if math.isfinite(r.score)]
    least = "left of chance it knows nothing"
    dashed = f"the dashed lines: {least}, left of the time alone it knows no more than that"
    if facts.clock is None:
        dashed = f"the dashed line: {least}"
    caption = f"""Mean over {len(facts.people)} people; each row is a system on the same windows, best first, and
        {facts.headline.title} is in bold. Look at where an interval stands against {dashed}. Overlapping intervals do
        not mean equal: compare person by person."""
    return picture.make(
        "systems", "All systems on the same windows", caption, picture.say(facts, rows), plots.intervals, rows,
        _lines(facts), axis=picture.axis(facts), text=picture.written(facts), tick=picture.tick(facts),
    )  # fmt: skip


def _pairs(facts: Facts) -> Picture | None:
    head = facts.headline
    by_name = {r.system: r for r in facts.rows}
    found = [(by_name[o], facts.pair(head.system, o)) for o in by_name if o != head.system]
    rows = [
        plots.Interval(row.title, pair.difference, pair.lo, pair.hi, row.ink)
        for row, pair in found
        if pair is not None and math.isfinite(pair.difference)
    ]
    if not rows:
        return None
    caption = f"""The same people under both systems: {head.title} minus each other row, person by person. An interval
        wholly right of the line means that {head.title} is better for people like these."""
    return picture.differences(
        facts, "pairs", "Person by person", caption, rows, ("other is better", "model is better")
    )


ABLATIONS: Mapping[str, tuple[str, str]] = {
    "core": (
        "Is it the core?",
        "The same network with other layers of about equal size in the place of its core. If one of them does as well, "
        "the core is not what makes the figure.",
    ),
    "twin": (
        "What do the spikes cost in accuracy?",
        "The same layers with rectified units instead of spiking neurons. What the twin scores above the spiking "
        "network is the price of the energy that spikes save.",
    ),
    "": (
        "Which parts matter?",
        "The same network with one part exchanged or left out. Where that does as well, the part is not what makes the "
        "figure.",
    ),
}
"""Heading and words of the picture of variants, by their role where all have the same."""


def _ablation(facts: Facts) -> Picture | None:
    # Networks trained with other time constants, and those adapted to a person, have pictures of their own.
    wanted = [
        r for r in facts.rows
        if r.kind == "ablation" and math.isfinite(r.score) and r.role not in ("control", "adapted")
    ]  # fmt: skip
    if not wanted:
        return None
    rows = [picture.interval(facts, r) for r in (facts.headline, *sorted(wanted, key=lambda r: -r.score))]
    told = []
    for row in wanted:
        like = _like(facts, row)
        headed = like == facts.headline.system
        pair = facts.pair(like, row.system) if headed else paired_with(facts.result, like, row.system)
        if pair is not None:
            word = "better than" if pair.lo > 0 else "worse than" if pair.hi < 0 else "not told apart from"
            model = "The model" if headed else "Without other people\u2019s prior the model"
            told.append(f"{model} is {word} {the(row)} ({difference_text(facts, pair.difference)}).")
    roles = {r.role for r in wanted}
    title, why = ABLATIONS.get(roles.pop() if len(roles) == 1 else "", ABLATIONS[""])
    return picture.make(
        "ablation", title, f"{why} {' '.join(told)}", picture.say(facts, rows), plots.intervals, rows,
        (plots.Line("chance", facts.chance),), axis=picture.axis(facts),
        text=picture.written(facts), tick=picture.tick(facts),
    )  # fmt: skip


def _like(facts: Facts, row: Row) -> str:
    """Name of the row that a variant is but for one part: without other people's prior where it has none."""
    bare = facts.result.system(facts.headline.system).bare
    lends = row.system == bare or facts.result.system(row.system).prior
    return facts.headline.system if lends else bare


def _contrast(facts: Facts) -> Picture | None:
    rows = [
        plots.Interval(r.title, r.contrast, r.contrast_lo, r.contrast_hi, r.ink, r is facts.headline)
        for r in sorted(facts.rows, key=lambda r: -r.contrast if math.isfinite(r.contrast) else math.inf)
        if math.isfinite(r.contrast)
    ]
    if not rows:
        return None
    caption = """Score against a person's own labels minus score against other people's labels at the same minute. The
        schedule alone gives 0, and so does the time. Only rows whose interval lies right of 0 have been shown to
        use something about this very person."""
    return picture.differences(
        facts, "contrast", "Own labels against other people's", caption, rows, ("schedule", "the person")
    )


def _null(facts: Facts) -> Picture | None:
    null = facts.result.nulls.get(facts.headline.system) or {}
    scores = [real(v) for v in null.get("scores") or () if math.isfinite(real(v))]
    p = null_p(facts)
    if len(scores) < 2:
        return _null_interval(facts, null, p)
    floor = (
        f"; {len(scores)} shuffles can give no less than {p_text(1 / (1 + len(scores)))}." if math.isfinite(p) else ""
    )
    caption = f"""The whole pipeline refitted {len(scores)} times with labels shuffled between whole trials of a
        person. Grey bars should pile up at chance; they show how far luck goes. The blue line is the score with the
        true labels. {p_text(p)}{floor}"""
    by_luck = score_text(facts, float(np.mean(scores)))
    alt = (
        f"Histogram of {len(scores)} scores with shuffled labels, mean {by_luck}, "
        f"against {score_text(facts, facts.headline.score)} with the true labels. {p_text(p)}"
    )
    return picture.make(
        "null", "What luck alone reaches", caption, alt, plots.null_histogram, scores, facts.headline.score,
        facts.chance, axis=facts.score_name, tick=picture.tick(facts),
    )  # fmt: skip


def _null_interval(facts: Facts, null: Mapping[str, Any], p: float) -> Picture | None:
    mean, lo, hi = (real(null.get(k)) for k in ("mean", "lo", "hi"))
    if not math.isfinite(mean):
        return None
    head = facts.headline
    rows = [
        plots.Interval("true labels", head.score, head.lo, head.hi, head.ink, True),
        plots.Interval("shuffled labels, mean", mean, lo, hi, "baseline"),
    ]
    caption = f"""The whole pipeline refitted {null.get("shuffles") or "several"} times with labels shuffled between
        whole trials of a person. Shuffled labels should score at chance. {p_text(p)}"""
    return picture.make(
        "null", "What luck alone reaches", caption, picture.say(facts, rows), plots.intervals, rows,
        (plots.Line("chance", facts.chance),), axis=facts.score_name,
        text=picture.written(facts), tick=picture.tick(facts),
    )  # fmt: skip


def _confusion(facts: Facts) -> Picture | None:
    classes = facts.result.classes
    if not classes:
        return None
    counts = read.confusion_counts(facts.predictions(facts.headline.system), classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    alt = "; ".join(
        f"true {c}: " + ", ".join(f"{d} {100 * shares[i, j]:.0f} %" for j, d in enumerate(classes))
        for i, c in enumerate(classes)
    )
    off = shares * (1 - np.eye(len(classes)))
    i, j = np.unravel_index(int(off.argmax()), off.shape)
    best = int(np.diag(shares).argmax())
    caption = f"""Of all windows with a true label (row), the percentage predicted as each label (column), pooled over
        people. Blue is right, orange is a mistake. Best recognised: {classes[best]}
        ({100 * shares[best, best]:.0f} %). Most common mistake: {classes[int(i)]} taken for {classes[int(j)]}
        ({100 * shares[i, j]:.0f} %)."""
    return picture.make("confusion", "What is taken for what", caption, alt, plots.confusion, counts, classes)


def _scatter(facts: Facts) -> Picture | None:
    if facts.result.classes:
        return None
    true, predicted = read.values(facts.predictions(facts.headline.system))
    alt = f"Predicted against true {facts.result.target} of {len(true)} windows."
    caption = """Each dot is a window. On the dashed line prediction equals truth. A flat cloud means that the model
        stays near the mean and misses the extremes."""
    return picture.make(
        "scatter", "True and predicted", caption, alt, plots.true_against_predicted, true, predicted,
        axis=facts.result.target,
    )  # fmt: skip


def _reliability(facts: Facts) -> Picture | None:
    classes = facts.result.classes
    bins = read.reliability_bins(facts.predictions(facts.headline.system), classes) if classes else ()
    if len(bins) < 2:
        return None
    gap = sum(b.count * (b.confidence - b.right) for b in bins) / sum(b.count for b in bins)
    lean = "too sure of itself" if gap > 0.02 else "not sure enough" if gap < -0.02 else "about as sure as it should be"
    ece = facts.headline.others["ece"]
    size = f" Calibration error (ECE), mean over people: {ece:.3f}." if math.isfinite(ece) else ""
    caption = f"""Predictions grouped by how sure the model was. On the dashed line, 80 % sure means right in 80 % of
        cases; below it the model boasts. Overall it is {lean}: {100 * abs(gap):.0f} points on
        average.{size} The bars below count the windows, so do not read much into a point with few."""
    alt = "; ".join(f"{100 * b.confidence:.0f} % sure, {100 * b.right:.0f} % right, {b.count} windows" for b in bins)
    return picture.make(
        "reliability", "How sure, and how often right", caption, alt, plots.reliability, bins, 1 / len(classes)
    )


def _people(facts: Facts) -> Picture | None:
    rows = read.people_rows(facts)
    against = read.opponent(facts)
    if not rows or against is None or not all(math.isfinite(r.baseline) for r in rows):
        return None
    ahead = sum(r.model > r.baseline for r in rows)
    under = sum(r.model <= facts.chance for r in rows)
    caption = f"""One row a person, best first: filled dot {facts.headline.title}, open square {against.title}, the best
        row that is no network. The model is ahead for {ahead} of {len(rows)} people
        {f"and at or below chance for {under}" if under else "and above chance for all"}. A mean hides
        this spread, and a person at the bottom would be served badly."""
    alt = "; ".join(f"{r.name} {score_text(facts, r.model)} against {score_text(facts, r.baseline)}" for r in rows)
    return picture.make(
        "people", "Every person", caption, alt, plots.per_person, rows, titles=(facts.headline.title, against.title),
        chance=facts.chance, axis=facts.score_name, text=picture.tick(facts),
    )  # fmt: skip


def _timeline(facts: Facts) -> Picture | None:
    classes = facts.result.classes
    if not classes or read.probabilities(facts.predictions(facts.headline.system), classes) is None:
        return None
    mine = facts.person_scores[facts.headline.system]
    strips = read.strips(facts, {who: score_text(facts, score) for who, score in mine.items()})
    if not strips:
        return None
    below = f"the probability of {classes[1]}" if len(classes) == 2 else "the probability of each label, stacked"
    caption = f"""The best, the middle and the worst person. The thin band on top is the true label, below it {below},
        as it becomes known at the end of each window. Gaps are guard times, rests and windows left out. Look for late
        switches and for probabilities that drift on their own."""
    alt = f"Predictions along the session for {', '.join(f'{s.name} ({s.score})' for s in strips)}."
    return picture.make("timeline", "Along the session", caption, alt, plots.timeline, strips, classes)
