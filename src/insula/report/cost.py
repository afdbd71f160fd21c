"""What a decision costs: the table of energy sheets, and its pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from insula.explain.cost import joules_text, shared_basis
from insula.report import picture, plots, words
from insula.report.facts import Facts, real
from insula.report.picture import Picture


def pictures(facts: Facts) -> dict[str, Picture]:
    """Draw energy against score, spikes, and the curve of a cascade, where their numbers are there."""
    found = (_energy(facts), _spikes(facts), _gate(facts))
    return {one.name: one for one in found if one is not None}


def table(facts: Facts) -> list[Mapping[str, Any]]:
    """List the energy sheets, cheapest first, with texts for the page."""
    rows: Sequence[Mapping[str, Any]] = (facts.analyses.get("energy") or {}).get("rows") or ()
    return [
        {
            **row,
            "ink": _ink(row),
            "decision": joules(real(row["joules_decision"])),
            "day": joules(real(row["joules_day"])),
            "memory": " + ".join(_short(row[k] / 1000) for k in ("weight_bytes", "working_bytes") if row[k]),
            "measured": joules_text(row["measured_joules_decision"]),
            "p50": _short(row["latency"]["p50_ms"]),
            "p99": _short(row["latency"]["p99_ms"]),
        }
        for row in sorted(rows, key=lambda r: float(r["joules_decision"]))
    ]


def basis(facts: Facts) -> list[str]:
    """Say once where the figures of the table come from."""
    data: Mapping[str, Any] = facts.analyses.get("energy") or {}
    said = shared_basis({row["title"]: row.get("basis") or () for row in data.get("rows") or ()})
    note = str(data.get("note") or "")
    without = ", ".join(data.get("without") or ())
    left = f"no sheet was made for: {without}"
    return [*([note] if note else []), *said, *([left] if without else [])]


def joules(value: float) -> str:
    """Write joules for the page: a micro sign, an en dash for nothing."""
    return joules_text(value).replace("uJ", "µJ") if value > 0 else "–"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ink(row: Mapping[str, Any]) -> str:
    return "clock" if row["system"] == "clock" else str(row["kind"])


def _energy(facts: Facts) -> Picture | None:
    by_name = {r.system: r for r in facts.rows}
    points = []
    for row in (facts.analyses.get("energy") or {}).get("rows") or ():
        one, spent = by_name.get(row["system"]), real(row["joules_decision"])
        if one is None or not spent > 0 or not math.isfinite(one.score):
            continue
        points.append(plots.CostPoint(one.title, spent, one.score, one.lo, one.hi, one.ink, one is facts.headline))
    if len(points) < 2:
        return None
    mine = next((p for p in points if p.strong), None)
    beaten = "" if mine is None else _dominated(mine, points)
    caption = f"""Counted operations at 45 nm prices (4.6 pJ a multiply-accumulate, 0.9 pJ an addition), a decision
        every {real(facts.analyses["energy"].get("hop_s")):g} s. Up and to the left is better; each step of the axis is
        ten times the energy. {beaten} Cleaning and hand-made features are not counted, memory access and sensors are
        not priced: compare, but do not plan a battery by it."""
    alt = "; ".join(f"{p.name} {joules(p.joules)}, {words.score_text(facts, p.score)}" for p in points)
    return picture.make(
        "energy", "What it costs and what it gives", caption, alt, plots.energy, points, facts.chance,
        axis=facts.score_name, tick=picture.tick(facts), joules=joules,
    )  # fmt: skip


def _dominated(mine: plots.CostPoint, points: Sequence[plots.CostPoint]) -> str:
    """Name what scores at least as well for less energy."""
    better = [p for p in points if p is not mine and p.joules < mine.joules and p.score >= mine.score]
    if not better:
        return f"Nothing cheaper scores as well as {mine.name}."
    names = ", ".join(p.name for p in sorted(better, key=lambda p: p.joules))
    return f"For less energy, {names} score{'s' if len(better) == 1 else ''} at least as well as {mine.name}."


def _spikes(facts: Facts) -> Picture | None:
    data: Mapping[str, Any] = facts.analyses.get("spikes") or {}
    sheets: Sequence[Mapping[str, Any]] = data.get("sheets") or ()
    if not sheets or not sheets[0].get("rates"):
        return None
    one_block = not any("block1." in str(name) for name, _ in sheets[0]["rates"])
    rates = [(_layer(str(name), one_block), real(rate)) for name, rate in sheets[0]["rates"]]
    bills = [
        plots.SpikeBill(str(s["name"]), *(real(s[f"joules_{cause}"]) for cause in ("synaptic", "membrane", "analogue")))
        for s in sheets
    ]
    own = sum(real(sheets[0][f"joules_{cause}"]) for cause in ("synaptic", "membrane", "analogue"))
    told = f"{real(sheets[0]['synaptic']):,.0f} synaptic operations and {joules(own)} a decision"
    if len(bills) > 1:
        other = bills[1].spikes + bills[1].membranes + bills[1].analogue
        told += f", {joules(other)} for the same network without spikes"
    highest = max(rates, key=lambda r: r[1])
    caption = f"""A spike costs an addition for every weight it meets, silence costs nothing: the less the layers fire,
        the less the part called spikes. Membranes are updated at every step, spike or not; analogue are the encoders
        that turn samples into currents, and the classifier. Here {told}. Only hardware that works where a spike is
        saves this: this computer does not.{picture.note(facts, "spikes")}"""
    alt = f"{len(rates)} layers, most active {highest[0]} with {100 * highest[1]:.0f} %; {told}"
    return picture.make("spikes", "What the spikes cost", caption, alt, plots.spikes, rates, bills, joules=joules)


_PARTS = {
    "enter": "input", "within": "over time", "across": "across signals", "feed": "feed-forward", "gather": "sums",
    "qkv": "q, k, v", "hidden": "hidden", "leave": "last", "first": "first branch",
    "second": "second branch",
}  # fmt: skip


def _layer(name: str, one_block: bool) -> str:
    """Say a layer's dotted name in words: ``block0.within.gather`` is block 1, over time, sums."""
    if one_block:
        name = name.replace("block0.", "")
    if name.split(".")[-2:-1] == ["enter"]:
        name = name.replace("enter.", "")
    parts = [f"block {int(p[5:]) + 1}" if p.startswith("block") and p[5:].isdigit() else p for p in name.split(".")]
    return " · ".join(_PARTS.get(p, p) for p in parts)


def _gate(facts: Facts) -> Picture | None:
    data: Mapping[str, Any] = facts.analyses.get("cascade") or {}
    curve = [_gate_point(p) for p in data.get("points") or ()]
    if len(curve) < 2 or not data.get("second_alone"):
        return None
    alone = _gate_point(data["second_alone"])
    asleep, awake = curve[0], curve[-1]
    best = max(curve, key=lambda p: p.score)
    told = (
        f"First branch alone {words.score_text(facts, asleep.score)} for {joules(asleep.joules)}; always both "
        f"{words.score_text(facts, awake.score)} for {joules(awake.joules)}; second branch alone "
        f"{words.score_text(facts, alone.score)} for {joules(alone.joules)}. Best here with "
        f"{100 * best.woken:.0f} % woken."
    )
    caption = f"""The cheap branch answers first, and the second one runs only where the first is unsure; from left to
        right the threshold falls. A flat curve means that the second branch is not worth waking; a marker above the
        curve, that the first is of no use. {told} Energy: counted operations at 45 nm prices, mean of a
        decision.{picture.note(facts, "cascade")}"""
    return picture.make(
        "gate", "What the gate saves", caption, told, plots.gate, curve, alone, facts.chance,
        axis=facts.score_name, tick=picture.tick(facts), joules=joules,
    )  # fmt: skip


def _gate_point(data: Mapping[str, Any]) -> plots.GatePoint:
    return plots.GatePoint(real(data["woken"]), real(data["joules"]), real(data["balanced_accuracy"]))
