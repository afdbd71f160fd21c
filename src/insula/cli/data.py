"""Commands about data: list what can be read, check what a folder holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from insula.cli import options as o
from insula.cli import show

if TYPE_CHECKING:
    from insula.data.check import Description, TargetSummary

SHOWN = 10
"""Lines of a kind that `check` prints."""

app = typer.Typer(help="List data sets; check what a folder holds and what it allows.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the data sets that can be read, with licence, targets and where to get them."""
    from rich.table import Table

    from insula.data import READERS, info

    table = Table("name", "what it is", "targets", "licence", "where")
    for name in sorted(READERS):
        known = info(name)
        table.add_row(name, known.title, ", ".join(known.targets), known.licence, known.where)
    show.console().print(table)


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="Data set: a name of `insula data list`.")],
    root: Annotated[Path | None, typer.Option("--root", help="Folder of the data.")] = None,
    window: o.Window = None,
    hop: o.Hop = None,
    guard: o.Guard = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Tell people, sessions, rates, labels, gaps, faults, shared schedule, allowed protocols and every problem.

    Exit code 1 when a file could not be read.
    """
    from insula.data import Problem, info, load
    from insula.data.check import nothing
    from insula.evaluation.experiment import apply_recipe
    from insula.protocols.describing import describe

    flags = {"window_s": window, "hop_s": hop, "guard_s": guard}
    recipe = apply_recipe(info(name).recipe, {k: v for k, v in flags.items() if v is not None})
    problems: list[Problem] = []
    with show.progress() as report:
        report("reading recordings", 0, 1)
        recordings = load(name, root, problems=problems)
        report("reading recordings", 1, 1)
    unread = as_json and problems and not recordings
    found = nothing(problems) if unread else describe(recordings, recipe, problems=problems)
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        _print(name, found)
    if any(p.fatal for p in found.problems):
        raise typer.Exit(1)


@app.command()
def look(
    name: Annotated[str, typer.Argument(help="Data set: a name of `insula data list`.")],
    subject: Annotated[str, typer.Option("--subject", help="Person whose signals are read.")],
    root: Annotated[Path | None, typer.Option("--root", help="Folder of the data.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print curves and the verdict on each second too.")] = False,
) -> None:
    """Tell each trial of a person: its labels, and what share of each signal is spoiled, and why."""
    from rich.table import Table

    from insula.data import info, load
    from insula.data.looking import look as read

    found = read(load(name, root, subjects=[subject], problems=[]), info(name).recipe)
    if as_json:
        print(json.dumps(found.to_dict()))
        return
    table = Table("session", "trial", "seconds", "labels", *found.modalities)
    for trial in found.trials:
        told = {signal.modality: signal.told for signal in trial.signals}
        labels = ", ".join(f"{k} {v}" for k, v in trial.labels.items()) or trial.role
        cells = [told.get(m, "not there") for m in found.modalities]
        table.add_row(trial.session, trial.trial, f"{trial.seconds:.0f}", labels, *cells)
    show.console().print(table)


@app.command()
def store(
    where: Annotated[str, typer.Argument(help="Folder or URL of a store, as --store takes it.")],
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Delete samples that writers who died left; none may be writing now.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Tell what a store of cleaned trials holds: sets, people, trials, size."""
    from dataclasses import asdict

    from rich.table import Table

    from insula.errors import InputError
    from insula.windows.store import Store, is_store

    if not is_store(where):
        raise InputError(f"{where} is no store; expected a folder that --store has filled. Give its path.")
    found = Store(where)
    swept = found.sweep(0.0) if sweep else 0
    sets = found.sets()
    if as_json:
        print(json.dumps({"swept": swept, "sets": [asdict(one) for one in sets]}, indent=1))
        return
    table = Table("set", "data", "made by insula", "people", "trials", "size MB")
    for one in sets:
        table.add_row(one.key, one.reader, one.insula, str(one.people), str(one.trials), f"{one.size_bytes / 1e6:.0f}")
    show.console().print(table)
    if sweep:
        show.console().print(f"swept: {swept} folders of samples without a record")


def _print(name: str, found: Description) -> None:
    from rich.table import Table

    from insula.notebook import counted

    console = show.console()
    low, middle, high = found.trial_seconds
    rest = f"; beside them rest, {counted(found.rests, 'stretch', 'stretches')}" if found.rests else ""
    console.print(
        show.facts(
            [
                ("data", name),
                ("people", f"{len(found.people)}: {', '.join(found.people)}"),
                ("sessions", f"{found.recordings} recordings, sessions {', '.join(found.sessions)}"),
                ("trials", f"{found.trials} of {low:.0f} to {high:.0f} s, middle one {middle:.0f} s{rest}"),
                ("traits", ", ".join(found.traits) or "none"),
            ]
        )
    )
    table = Table("modality", "rate Hz", "channels", "unit", "trials", "minutes", "missing", "time flagged")
    for m in found.modalities:
        rates = ", ".join("irregular" if r == 0 else f"{r:g}" for r in m.rates_hz)
        channels = "; ".join(", ".join(c) for c in m.channels)
        marked = ", ".join(f"{flag} {share:.1%}" for flag, share in m.flags.items() if share >= 0.0005)
        marked = marked or ("none" if m.flags else "not judged")
        table.add_row(
            m.modality,
            rates,
            channels,
            ", ".join(m.units),
            str(m.trials),
            f"{m.minutes:.0f}",
            f"{m.missing:.1%}",
            marked,
        )
    console.print(table)
    for target in found.targets:
        _print_target(target)
    where = [(f"{g.subject}/{g.session} after {g.after}", f"{g.seconds:.1f} s before {g.before}") for g in found.gaps]
    gaps = [f"gap: {line}" for line in show.grouped(where, "of them")]
    said = [
        (f"{f.subject}/{f.session}/{f.trial}", f"{f.modality} {f.channel} {f.what} for {f.fraction:.0%}")
        for f in found.faults
    ]
    faults = [f"fault: {line}" for line in show.grouped(said, "trials")]
    problems = [f"problem: {line}" for line in show.grouped((p.file, p.what) for p in found.problems if p.fatal)]
    problems += [f"note: {line}" for line in show.grouped((p.file, p.what) for p in found.problems if not p.fatal)]
    for lines in (gaps, faults, problems):
        for line in lines[:SHOWN]:
            console.print(line, soft_wrap=True)
        if len(lines) > SHOWN:
            console.print(f"… and {len(lines) - SHOWN} more such lines (all with --json)")


def _print_target(target: TargetSummary) -> None:
    console = show.console()
    if target.continuous and target.value_range is not None:
        low, middle, high = target.value_range
        counts = f"a number, {low:g} to {high:g}, middle {middle:g}"
    else:
        counts = ", ".join(f"{k} {n} trials {target.minutes[k]:.0f} min" for k, n in target.trials.items())
    rows = [("target", f"{target.target}: {counts}")]
    if target.people_without:
        rows.append(("  without labels", ", ".join(target.people_without)))
    if target.schedule is not None:
        shared = "shared: a clock can read it" if target.schedule.shared else "not shared"
        told = f"{target.schedule.kappa:.2f} at equal times, {target.schedule.order_kappa:.2f} at equal places"
        rows.append(("  schedule", f"{shared} (other people's labels tell {told}; 0 is chance, 1 everything)"))
    if target.opening:
        rows.append(("  opening", target.opening))
    rows += [(f"  {name}", "allowed" if why is None else why) for name, why in target.protocols.items()]
    console.print(show.facts(rows))
