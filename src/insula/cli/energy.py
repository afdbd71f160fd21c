"""The command that says what a decision costs."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from insula.cli import options as o
from insula.cli import show

if TYPE_CHECKING:
    from insula.evaluation.experiment import Experiment
    from insula.explain.cost import EnergySheet
    from insula.learning.estimator import Estimator
    from insula.types import Recording
    from insula.windows.table import Windows


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(energy)


def energy(
    model: Annotated[
        str | None, typer.Option("--model", help="Network or classical row of `insula models`. Default: liquid.")
    ] = None,
    size: Annotated[str | None, typer.Option("--size", help="small or medium. Default: small.")] = None,
    data: o.DataName = None,
    root: o.Root = None,
    target: o.TargetName = None,
    trained: Annotated[
        Path | None,
        typer.Option("--trained", help="Folder written by `insula train`: count its weights. Spiking models need it."),
    ] = None,
    modalities: o.Modalities = None,
    subjects: Annotated[
        str | None, typer.Option("--subjects", help="Comma-separated people to count on. Default: the first one.")
    ] = None,
    window: o.Window = None,
    hop: o.Hop = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="Decisions timed for the latency.")] = 200,
    settings: o.Set = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print whole sheets, layer by layer, as JSON.")] = False,
) -> None:
    """Print what a decision and a day of wearing cost: operations, joules, memory, latency, beside other systems.

    Joules are counted operations at 45 nm prices; measured ones stand beside where the processor shows its counters.
    Nothing is trained: networks are counted with fresh weights, save with --trained.
    """
    from dataclasses import asdict

    from insula.errors import InputError
    from insula.explain.cost.systems import beside
    from insula.learning.estimator import Estimator

    tables: dict[str, dict[str, Any]] = {
        "data": {
            "name": data,
            "root": o.text(root),
            "target": target,
            "modalities": o.names(modalities),
            "subjects": o.names(subjects),
        },
        "model": {"name": model, "size": size},
        "recipe": {"window_s": window, "hop_s": hop},
    }
    plan = o.make_experiment(None, tables, settings)
    loaded = None if trained is None else Estimator.load(trained)
    if loaded is not None:
        for given, own, what in ((model, loaded.config.model, "--model"), (size, loaded.config.size, "--size")):
            if given is not None and given != own:
                raise InputError(f"{what} {given} with --trained of a {own} model; expected the same. Leave one out.")
    windows = _windows(plan, loaded)
    named = plan.model.name if loaded is None else loaded
    found, notes = beside(named, windows, plan.model.size, dict(plan.model.options) or None, runs)
    people = ", ".join(dict.fromkeys(windows.table["subject"]))
    basis = f"windows of {plan.data.name}: {people}; target {windows.schema.target}"
    if as_json:
        document = {
            "data": plan.data.name,
            "people": people.split(", "),
            "target": windows.schema.target,
            "window_s": windows.recipe.window_s,
            "hop_s": windows.recipe.hop_s,
            "systems": [asdict(one) for one in found],
            "notes": notes,
        }
        print(json.dumps(document, indent=1))
        return
    _print(found, [basis, *notes])


def _windows(plan: Experiment, trained: Estimator | None) -> Windows:
    """Cut the first person's recordings (all people's if that one lacks a class, or those named)."""
    from insula.errors import InputError, SchemaError
    from insula.pipeline.reading import cut_windows, read_recordings
    from insula.windows.cutting import cut

    with show.progress() as report:
        recordings = read_recordings(plan, [], report)

        def made(some: tuple[Recording, ...]) -> Windows:
            if trained is None:
                return cut_windows(plan, some, report)
            known = trained.schema
            target, modalities = known.target, tuple(known.modalities)
            windows = cut(some, trained.recipe, target, modalities=modalities, traits=bool(known.traits))
            known.require(windows.schema, "the model", "the data")
            return windows

        if plan.data.subjects is None:
            with suppress(InputError, SchemaError):
                return made(tuple(r for r in recordings if r.subject == recordings[0].subject))
        return made(recordings)


def _print(found: list[EnergySheet], notes: list[str]) -> None:
    from rich.table import Table

    from insula.explain.cost import joules_text, shared_basis

    console = show.console()
    table = Table()
    for name in ("system", "reads"):
        table.add_column(name)
    columns = (
        "MACs",
        "additions",
        "others",
        "parameters",
        "weights + working kB",
        "nJ a decision",
        "J a day",
        "p50 ms",
        "p99 ms",
    )
    for name in (*columns, "measured"):
        table.add_column(name, justify="right")
    for s in found:
        counts = (f"{n:,}" for n in (s.macs, s.adds, s.others, s.parameters))
        memory = f"{_number(s.weight_bytes / 1000)} + {_number(s.working_bytes / 1000)}"
        joules = (_number(s.joules_decision / 1e-9), _number(s.joules_day))
        timed = (*map(_number, (s.latency.p50_ms, s.latency.p99_ms)), joules_text(s.measured_joules_decision))
        table.add_row(s.title, s.reads, *counts, memory, *joules, *timed)
    console.print(table)
    for one in found:
        console.print(f"{one.title}: {one.formula}", soft_wrap=True)
    console.print()
    lines = [*notes, *shared_basis({one.title: one.basis for one in found})]
    for line in lines:
        console.print(f"- {line}", soft_wrap=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
