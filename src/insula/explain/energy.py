"""What a decision of each system costs, beside what it scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from insula import plots
from insula.explain import picture
from insula.explain.analysis import Analysis, Cell, Evaluated, Shown, Table, TableRow
from insula.explain.cost import EnergySheet, joules_text, shared_basis
from insula.explain.cost.systems import energy_of_systems
from insula.explain.facts import Facts
from insula.explain.picture import Picture
from insula.explain.wording import joules, score_text, short


@dataclass(frozen=True)
class Energy:
    """Sheets of the systems of a result, titles of those ``without`` one, and what holds for all."""

    rows: tuple[EnergySheet, ...] = ()
    without: tuple[str, ...] = ()
    hop_s: float = math.nan
    note: str = ""


def energy(evaluated: Evaluated, runs: int = 60) -> Energy | None:
    """Make the sheets of an evaluation's systems, timed over ``runs`` decisions; None where it holds no experiment."""
    found, without, note = energy_of_systems(evaluated.result, evaluated.windows, evaluated.models, runs)
    if not found:
        return None
    rows = tuple(replace(one, layers=()) for one in found)
    return Energy(rows, tuple(without), evaluated.windows.recipe.hop_s, note)


def _show(found: Energy, facts: Facts) -> Shown:
    rows = sorted(found.rows, key=lambda r: r.joules_decision)
    drawn = _picture(found, facts)
    left = f"no sheet was made for: {', '.join(found.without)}"
    basis = [*([found.note] if found.note else []), *shared_basis({r.title: r.basis for r in found.rows})]
    return Shown(
        tables=(_table(rows, facts),),
        details=("Where these figures come from", *basis, *([left] if found.without else [])),
        pictures=(drawn,) if drawn is not None else (),
    )


def _table(rows: Sequence[EnergySheet], facts: Facts) -> Table:
    measured = any(r.measured_joules_decision is not None for r in rows)
    columns = (
        "system", "energy a decision", "a day of wearing", "MACs", "additions", "other functions", "parameters",
        "memory (kB)", "p50 (ms)", "p99 (ms)", *(["measured"] if measured else []),
    )  # fmt: skip
    legend = (
        "energy = 4.6 pJ × MACs (multiply-accumulates) + 0.9 pJ × additions, 45 nm, counted and not measured",
        "under each name: what it reads and whose weights were counted",
        "memory: weights + working memory (classical rows: weights)",
        *([] if measured else ["measured joules: not measured, this machine shows no counters"]),
        "p50, p99: latency of one decision on this CPU, one thread",
    )
    made = []
    for r in rows:
        memory = " + ".join(short(size / 1000) for size in (r.weight_bytes, r.working_bytes) if size)
        counts = (r.macs, r.adds, r.others, r.parameters)
        cells = [
            Cell(joules(r.joules_decision), r.joules_decision),
            Cell(joules(r.joules_day), r.joules_day),
            *(Cell(f"{n:,}", n) for n in counts),
            Cell(memory, r.weight_bytes),
            *(Cell(short(v), v) for v in (r.latency.p50_ms, r.latency.p99_ms)),
        ]
        if measured:
            cells.append(Cell(joules_text(r.measured_joules_decision), r.measured_joules_decision))
        small = "; ".join(text for text in (r.reads, r.weights) if text)
        ink = "clock" if r.system == "clock" else r.kind
        made.append(TableRow(r.title, tuple(cells), ink, (small,), r.system == facts.headline.system))
    return Table("energy", "What a decision costs", columns, tuple(made), legend)


def _picture(found: Energy, facts: Facts) -> Picture | None:
    by_name = {r.system: r for r in facts.rows}
    points = []
    for row in found.rows:
        one, spent = by_name.get(row.system), row.joules_decision
        if one is None or not spent > 0 or not math.isfinite(one.score):
            continue
        points.append(plots.CostPoint(one.title, spent, one.score, one.lo, one.hi, one.ink, one is facts.headline))
    if len(points) < 2:
        return None
    mine = next((p for p in points if p.strong), None)
    beaten = "" if mine is None else dominated(mine, points)
    caption = f"""Counted operations at 45 nm prices (4.6 pJ a multiply-accumulate, 0.9 pJ an addition), a decision
        every {found.hop_s:g} s. Up and to the left is better; each step of the axis is
        ten times the energy. {beaten} Cleaning and hand-made features are not counted, memory access and sensors are
        not priced: compare, but do not plan a battery by it."""
    alt = "; ".join(f"{p.name} {joules(p.joules)}, {score_text(facts, p.score)}" for p in points)
    return picture.make(
        "energy", "What it costs and what it gives", caption, alt, plots.energy, points, facts.chance,
        axis=facts.score_name, tick=picture.tick(facts), joules=joules,
    )  # fmt: skip


def dominated(mine: plots.CostPoint, points: Sequence[plots.CostPoint]) -> str:
    """Name what scores at least as well for less energy."""
    better = [p for p in points if p is not mine and p.joules < mine.joules and p.score >= mine.score]
    if not better:
        return f"Nothing cheaper scores as well as {mine.name}."
    names = ", ".join(p.name for p in sorted(better, key=lambda p: p.joules))
    return f"For less energy, {names} score{'s' if len(better) == 1 else ''} at least as well as {mine.name}."


ENERGY = Analysis(
    "energy",
    Energy,
    energy,
    _show,
    methods=(
        "Energy is counted operations at 45 nm prices (Horowitz 2014, doi:10.1109/ISSCC.2014.6757323): 4.6 pJ a "
        "multiply-accumulate, 0.9 pJ an addition."
    ),
    part="energy",
    needs_models=False,
    people=False,
)
