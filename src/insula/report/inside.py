"""Pictures of what goes on inside a model: ablation, sensors, attention, time constants, memory, latent map."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from insula.report import picture, plots, words
from insula.report.facts import Facts, real
from insula.report.picture import Picture

ABLATIONS: Mapping[str, tuple[str, str]] = {
    "liquid": (
        "Is it the liquid layer?",
        "The same network with its liquid layer replaced by something simpler of equal size. If a replacement does as "
        "well, the liquid layer is not what makes the figure.",
    ),
    "spiking": (
        "What do the spikes cost in accuracy?",
        "The same layers with rectified units instead of spiking neurons. What the twin scores above the spiking "
        "network is the price of the energy that spikes save.",
    ),
}
"""Heading and words of the picture of ablations, by what was taken out."""


def pictures(facts: Facts) -> dict[str, Picture]:
    """Draw every picture whose numbers are there, by name, in reading order."""
    makers: Sequence[Callable[[Facts], Picture | None]] = (
        _ablation, _modalities, _attention, _heads, _matrices,
    )  # fmt: skip
    found = [make(facts) for make in makers]
    found += _layers(facts)
    found += [_controls(facts), _latent(facts)]
    return {one.name: one for one in found if one is not None}


def _layers(facts: Facts) -> list[Picture]:
    layers: Mapping[str, Any] = (facts.analyses.get("time_constants") or {}).get("layers") or {}
    out = []
    for number, (layer, data) in enumerate(layers.items()):
        out += [p for p in (_constants(facts, number, layer, data), _memory(number, layer, data)) if p]
    return out


def _positive(values: Any) -> list[float]:
    return [real(v) for v in values or () if real(v) > 0 and math.isfinite(real(v))]


def _constants(facts: Facts, number: int, layer: str, data: Mapping[str, Any]) -> Picture | None:
    trained, untrained = _positive(data.get("tau_sys_mean_s")), _positive(data.get("tau_sys_untrained_s"))
    if len(trained) < 2:
        return None
    groups: Mapping[str, Any] = data.get("groups") or {}
    separated = bool(groups.get("separated"))
    members = {k: list(groups.get(k) or ()) for k in ("fast", "slow")} if separated else {}
    bic1, bic2 = real(groups.get("bic1")), real(groups.get("bic2"))
    test = f" (BIC {bic1:.1f} for one group, {bic2:.1f} for two; lower is better)" if math.isfinite(bic1 + bic2) else ""
    told = (
        f"Two groups describe them better than one{test}"
        if separated
        else f"One group describes them as well as two{test}: no fast and slow neurons are claimed"
    )
    if separated and groups.get("untrained_separated"):
        told += ", but the untrained network has two groups as well, so training did not make them"
    middle = float(np.median(trained))
    caption = f"""How long neurons of this layer remember: the mean system time constant of each, median
        {plots.seconds(middle)}. The outline is the same network before training; where both agree, training changed
        nothing. {told}.{picture.note(facts, "time_constants")}"""
    before = f", {plots.seconds(float(np.median(untrained)))} untrained" if untrained else ""
    span = f"{plots.seconds(min(trained))} to {plots.seconds(max(trained))}"
    alt = f"Time constants of {len(trained)} neurons, {span}, median {plots.seconds(middle)}{before}."
    return picture.make(
        f"constants-{number}", f"Time constants, {layer} layer", caption, alt, plots.time_constants, trained, untrained,
        members,
    )  # fmt: skip


def _memory(number: int, layer: str, data: Mapping[str, Any]) -> Picture | None:
    kept = {
        "one window" if k == "window" else str(k): [real(x) for x in v]
        for k, v in (data.get("retention") or {}).items()
        if v
    }
    if not kept:
        return None
    share: Mapping[str, Any] = data.get("memory_dominant_share") or {}
    trained, untrained = real(share.get("trained")), real(share.get("untrained"))
    seeds = [real(v) for v in share.get("per_seed") or () if math.isfinite(real(v))]
    compare = ""
    if math.isfinite(trained):
        compare = f"Memory-dominant neurons keep more than half over the longest horizon: {100 * trained:.0f} %"
        compare += f", {100 * untrained:.0f} % before training" if math.isfinite(untrained) else ""
        compare += f", {100 * min(seeds):.0f} to {100 * max(seeds):.0f} % over {len(seeds)} seeds." if seeds else "."
    alt = f"State kept by {len(next(iter(kept.values())))} neurons. {compare}"
    caption = f"""How much of a neuron's state is left after each horizon, neurons in order. A curve that hugs the top
        belongs to a layer that remembers, one at the bottom to a layer that only reacts. {compare}"""
    return picture.make(
        f"memory-{number}", f"Memory, {layer} layer", caption, alt, plots.retention, kept, trained, untrained, seeds,
    )  # fmt: skip


def _attention(facts: Facts) -> Picture | None:
    data: Mapping[str, Any] = facts.analyses.get("attention") or {}
    ages = np.asarray(data.get("tokens_s") or (), dtype=float)
    classes: Mapping[str, Any] = data.get("classes") or {}
    if len(ages) < 2 or not classes:
        return None
    intervals, p = data.get("interval") or {}, data.get("p") or {}
    rows = []
    for name, mean in classes.items():
        lo, hi = intervals.get(name) or ([math.nan] * len(ages),) * 2
        curves = [np.asarray([real(v) for v in curve], dtype=np.float64) for curve in (mean, lo, hi)]
        rows.append(plots.Attention(name, curves[0], curves[1], curves[2], real(p.get(name))))
    told = [r.name for r in rows if r.p < 0.05]
    found = ""
    if any(math.isfinite(r.p) for r in rows):
        found = (
            f"Different from the others at p < .05: {', '.join(told) or 'none'}. p comes from shuffling labels between"
        )
        found += " whole trials, not windows."
    caption = f"""Which seconds of a window the model weighs, label by label; the dashed line is the mean of all labels
        and the band a 95 % interval. {found}
        Attention tells what this network weighs, not what the body does.{picture.note(facts, "attention")}"""
    alt = "; ".join(
        f"{r.name} looks most at {ages[int(r.mean.argmax())]:.3g} s before the end {words.p_text(r.p)}".strip()
        for r in rows
    )
    return picture.make("attention", "Which seconds it weighs", caption, alt, plots.attention, ages, rows)


def _maps(facts: Facts) -> list[plots.ElectrodeMap]:
    data: Mapping[str, Any] = facts.analyses.get("electrodes") or {}
    titles = (("matrix", "measured"), ("shuffled", "electrodes shuffled"))
    maps = [plots.ElectrodeMap(title, np.asarray(data.get(key) or (), dtype=np.float64)) for key, title in titles]
    return maps if all(m.matrix.ndim == 2 and len(m.matrix) > 1 for m in maps) else []


def _heads(facts: Facts) -> Picture | None:
    data: Mapping[str, Any] = facts.analyses.get("electrodes") or {}
    maps, channels = _maps(facts), [str(c) for c in data.get("channels") or ()]
    xy = np.asarray([[math.nan] * 2 if p is None else p for p in data.get("xy") or ()], dtype=np.float64)
    if not maps or xy.ndim != 2 or np.isfinite(xy[:, 0]).sum() < 3:
        return None
    outside = [str(c) for c in data.get("outside") or ()]
    count = len(channels)
    received, control = (m.matrix.mean(0) * count for m in maps)
    apart = float(np.abs(received - control).max())
    told = (
        f"In bold, outside the range of the control: {', '.join(outside)}; at most {apart:.2f} of an even share apart."
        if outside
        else "No electrode lies outside the range of the control: the map shows places learned, not brains measured."
    )
    shares = [*received, *control]
    caption = f"""Seen from above, nose up. A larger disc receives more attention, {min(shares):.2f} to
        {max(shares):.2f} times an even share; the 12 strongest links above an even share are drawn. In the second map
        the electrodes of every window were shuffled before the network read them: what looks the same there has nothing
        to do with what an electrode measured. {told}{picture.note(facts, "electrodes")}"""
    ranked = sorted(zip(channels, received, strict=True), key=lambda pair: -pair[1])
    alt = "Attention received, even share 1: " + ", ".join(f"{c} {v:.2f}" for c, v in ranked)
    return picture.make(
        "electrodes", "Which electrodes it attends to", caption, alt, plots.electrode_heads, maps, channels, xy,
        outside,
    )  # fmt: skip


def _matrices(facts: Facts) -> Picture | None:
    data: Mapping[str, Any] = facts.analyses.get("electrodes") or {}
    maps = _maps(facts)
    if not maps:
        return None
    r = real(data.get("correlation"))
    told = (
        f"Correlation of the two off the diagonal: {words.minus(f'{r:.2f}')}; near 1, attention goes by place alone."
        if math.isfinite(r)
        else ""
    )
    low, top = (100 * f([float(f(m.matrix.ravel())) for m in maps]) for f in (min, max))
    caption = f"""How much each electrode (row) attends to each other (column), from {low:.1f} % of a row (lightest) to
        {top:.1f} % (darkest); an even share is {100 / len(maps[0].matrix):.1f} %. Beside it the control with electrodes
        shuffled. {told}"""
    return picture.make(
        "electrode-matrix", "Who attends to whom", caption, f"Two matrices of attention. {told}",
        plots.electrode_matrices, maps, [str(c) for c in data.get("channels") or ()],
    )  # fmt: skip


def _difference_rows(rows: Sequence[Mapping[str, Any]], ink: str, prefix: str = "difference") -> list[plots.Interval]:
    low, high = ("lo", "hi") if prefix == "plain" else ("difference_lo", "difference_hi")
    made = [
        plots.Interval(str(r.get("name")), real(r.get("difference")), real(r.get(low)), real(r.get(high)), ink)
        for r in rows
    ]
    return [r for r in made if math.isfinite(r.value)]


def _controls(facts: Facts) -> Picture | None:
    rows = _difference_rows((facts.analyses.get("controls") or {}).get("rows") or (), "ablation")
    if not rows:
        return None
    caption = f"""What the score loses when the time constants are tampered with. Intervals that include 0 mean that the
        very values of the time constants do not matter for the score here.{picture.note(facts, "controls")}"""
    return picture.differences(
        facts, "controls", "Do the time constants matter?", caption, rows, ("control is worse", "control is better")
    )


def _ablation(facts: Facts) -> Picture | None:
    # Networks trained with other time constants have a picture of their own.
    wanted = [
        r for r in facts.rows
        if r.kind == "ablation" and math.isfinite(r.score) and not r.system.endswith(("_frozen", "_equal"))
    ]  # fmt: skip
    if not wanted:
        return None
    rows = [picture.interval(facts, r) for r in (facts.headline, *sorted(wanted, key=lambda r: -r.score))]
    told = []
    for row in wanted:
        pair = facts.pair(facts.headline.system, row.system)
        if pair is not None:
            word = "better than" if pair.lo > 0 else "worse than" if pair.hi < 0 else "not told apart from"
            told.append(f"The model is {word} {words.the(row)} ({words.difference_text(facts, pair.difference)}).")
    title, why = ABLATIONS["liquid" if facts.headline.system != "eavs_tf" else "spiking"]
    return picture.make(
        "ablation", title, f"{why} {' '.join(told)}", picture.say(facts, rows), plots.intervals, rows,
        (plots.Line("chance", facts.chance),), axis=picture.axis(facts),
        text=picture.written(facts), tick=picture.tick(facts),
    )  # fmt: skip


def _latent(facts: Facts) -> Picture | None:
    data: Mapping[str, Any] = facts.analyses.get("latent") or {}
    xy = np.asarray(data.get("xy") or (), dtype=float)
    if xy.ndim != 2 or len(xy) < 3:
        return None
    labels = [str(v) for v in data.get("label") or ()]
    subjects = [str(v) for v in data.get("subject") or [""] * len(xy)]
    classes = list(facts.result.classes)
    if not classes:
        classes = ["low", "middle", "high"]
        value = np.asarray([real(v) for v in labels])
        labels = [classes[i] for i in np.searchsorted(np.nanquantile(value, [1 / 3, 2 / 3]), value)]
    score, shuffled = real(data.get("silhouette")), [real(v) for v in data.get("silhouette_shuffled") or ()]
    told = ""
    if math.isfinite(score):
        told = f"Silhouette of the labels: {words.minus(f'{score:.2f}')}"
        told += (
            f"; with shuffled labels {words.minus(f'{min(shuffled):.2f} to {max(shuffled):.2f}')}." if shuffled else "."
        )
    caption = f"""Windows the network finds alike lie close (t-SNE of the latent vector). If islands follow people
        rather than labels, it has learned who, not how. Distances between islands mean nothing.
        {told}{picture.note(facts, "latent")}"""
    return picture.make(
        "latent", "What it holds alike", caption, f"Map of {len(xy)} windows of {len(set(subjects))} people. {told}",
        plots.latent, xy, labels, subjects, classes,
    )  # fmt: skip


def _modalities(facts: Facts) -> Picture | None:
    rows = _difference_rows((facts.analyses.get("modalities") or {}).get("rows") or (), "model", "plain")
    if not rows:
        return None
    caption = f"""Each sensor left out in turn. Far left of the line: the model leans on it. On the line: it could be
        left at home, at least beside the others.{picture.note(facts, "modalities")}"""
    return picture.differences(
        facts, "modalities", "Which sensors matter?", caption, rows, ("needed", "better without it")
    )
