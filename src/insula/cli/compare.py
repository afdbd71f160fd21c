"""Commands over many experiments: compare, ledger, power."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from insula.cli import show

if TYPE_CHECKING:
    from insula.grid.forecast import Size
    from insula.grid.grid import Grid
    from insula.grid.run import Report, Step


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (compare, ledger, power):
        app.command()(command)


def compare(
    grid: Annotated[list[Path], typer.Argument(help="TOML grid, e.g. experiments/ledger_simulated.toml.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the cells and the ledger. Default: runs/NAME of the grid.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Local processes, one thread each.")] = 2,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan with an estimate of time; run nothing.")
    ] = False,
    on: Annotated[str, typer.Option("--on", help="local or ray.")] = "local",
    address: Annotated[
        str | None, typer.Option("--address", help="Ray cluster, e.g. auto. Default: one on this machine.")
    ] = None,
    limit: Annotated[
        float | None, typer.Option("--limit", help="Seconds a cell may take. Default: the grid's time_limit_s.")
    ] = None,
) -> None:
    """Run a grid of experiments, cell by cell, and write its ledger; run it again to go on where it was stopped."""
    from insula.errors import InputError, unknown_name
    from insula.grid.grid import read_grid

    if on not in ("local", "ray"):
        raise unknown_name("--on", on, ("local", "ray"))
    if address is not None and on != "ray":
        raise InputError("--address without --on ray; expected both. Add --on ray.")
    plan = read_grid(_alone(grid))
    folder = out if out is not None else Path("runs") / plan.name
    limit_s = plan.time_limit_s if limit is None else limit
    if limit_s is not None and not limit_s > 0:
        raise InputError(f"--limit {limit_s:g}; expected seconds above 0. Leave it out for no limit.")
    if dry_run:
        _print_plan(plan, folder, jobs, limit_s)
        return
    with _bar(len(plan.cells)) as report:
        if on == "ray":
            from insula.grid.on_ray import run_on_ray

            known = run_on_ray(plan, folder, address=address, limit_s=limit_s, report=report)
        else:
            from insula.grid.run import run_grid

            known = run_grid(plan, folder, jobs=jobs, limit_s=limit_s, report=report)
    states = [o.state for o in known.values()]
    console = show.console()
    console.print(", ".join(f"{states.count(s)} {s}" for s in ("done", "over limit", "failed") if s in states))
    for cell in plan.cells:
        if known[cell.key].state == "failed":
            console.print(f"not run: {cell}: {known[cell.key].why}", soft_wrap=True)
    _write([(plan, folder)], plan.title, folder / "ledger.html", folder / "ledger.md")


def _alone(grids: list[Path]) -> Path:
    """The one grid; folders of finished runs are compared by another command, which this says."""
    from insula.errors import InputError

    runs = [g for g in grids if g.is_dir()]
    if runs:
        raise InputError(
            f"{runs[0]} is a folder; expected a TOML grid of experiments to run. Finished runs are compared by "
            f"insula report {' '.join(str(r) for r in runs)}."
        )
    if len(grids) > 1:
        raise InputError(f"{len(grids)} grids; expected one. Run them one by one, then insula ledger on all of them.")
    return grids[0]


def ledger(
    grids: Annotated[list[Path], typer.Argument(help="TOML grids whose cells have been run.")],
    runs: Annotated[Path, typer.Option("--runs", help="Folder that holds a folder a grid.")] = Path("runs"),
    out: Annotated[Path, typer.Option("--out", help="Markdown to write.")] = Path("docs/ledger.md"),
    html: Annotated[Path | None, typer.Option("--html", help="Page to write. Default: beside the Markdown.")] = None,
    title: Annotated[str, typer.Option("--title", help="Title.")] = "The ledger",
) -> None:
    """Write the ledger of grids that `insula compare` has run; cells that have not run say so."""
    from insula.grid.grid import read_grid

    plans = [read_grid(g) for g in grids]
    _write([(p, runs / p.name) for p in plans], title, html or out.with_suffix(".html"), out)


def power(
    folder: Annotated[Path, typer.Argument(help="Pilot: a folder written by `insula evaluate`.")],
    system: Annotated[str | None, typer.Option("--system", help="Row of the pilot. Default: its first.")] = None,
    against: Annotated[str, typer.Option("--against", help="chance, or another row, e.g. clock.")] = "chance",
    effect: Annotated[
        float | None, typer.Option("--effect", help="Smallest effect worth finding, e.g. 0.05. Default: the pilot's.")
    ] = None,
    wanted: Annotated[float, typer.Option("--power", help="Power to reach.")] = 0.8,
    studies: Annotated[int, typer.Option("--studies", help="Simulated studies a design.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the simulation.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Say how many people and trials a study needs, by simulation from a pilot."""
    from rich.table import Table

    from insula.evaluation.power import ASSUMPTIONS, pilot_of
    from insula.evaluation.power import power as simulate
    from insula.evaluation.results import Result

    pilot = pilot_of(Result.load(folder), system, against)
    plan = simulate(pilot, effect=effect, wanted=wanted, studies=studies, seed=seed)
    if as_json:
        print(json.dumps(plan.to_dict(), indent=1))
        return
    console = show.console()
    console.print(
        show.facts(
            [
                ("pilot", f"{pilot.system} against {against}, {pilot.people} people, "
                          f"{pilot.trials_per_class:.3g} trials a class"),
                ("effect", f"{pilot.effect:+.3f} [{pilot.lo:+.3f}, {pilot.hi:+.3f}]"
                           + ("" if effect is None else f"; assumed {effect:+.3f}")),
                ("spread", f"{pilot.between_sd:.3f} between people, {pilot.within_sd:.3f} between a person's trials"),
            ]
        )
    )  # fmt: skip
    frame = plan.table()
    table = Table("people", *(f"{t} trials a class" for t in frame.columns), title="power", title_justify="left")
    for people, row in frame.iterrows():
        table.add_row(str(people), *(f"{v:.2f}" for v in row))
    console.print(table)
    if plan.effect <= 0:
        console.print(
            f"an effect of {plan.effect:+.3f}: no number of people shows it. Give one worth finding (--effect 0.05)."
        )
    for trials, people_needed in plan.needed.items() if plan.effect > 0 else ():
        enough = f"{people_needed} people" if people_needed is not None else f"more than {frame.index.max()} people"
        console.print(f"power {wanted:g} with {trials} trials a class: {enough}")
    for line in ASSUMPTIONS:
        console.print(f"assumed: {line}")


def _print_plan(plan: Grid, folder: Path, jobs: int, limit_s: float | None) -> None:
    """Print one line a data set, target and protocol, with forecasts, and the whole."""
    from rich.table import Table

    from insula.grid.forecast import Forecast, size_of, sizes
    from insula.grid.run import finished, outcomes

    console = show.console()
    known = outcomes(plan, folder)
    left = [c for c in plan.cells if not finished(known.get(c.key), limit_s)]
    found: dict[str, Size] = sizes(plan.cells)
    forecast = Forecast(folder, plan.cells, known, found)
    table = Table("data", "target", "protocol", "cells", "finished", "people", "windows", "estimate", title=plan.title)
    for place in dict.fromkeys((c.label, c.target, c.protocol) for c in plan.cells):
        cells = [c for c in plan.cells if (c.label, c.target, c.protocol) == place]
        size = size_of(cells[0], found)
        todo = [c for c in cells if c in left]
        each = sum(min(forecast.seconds(c), limit_s or float("inf")) for c in todo)
        text = f"not run: {size.why.split(';')[0]}" if size.why else _duration(each)
        table.add_row(*place, str(len(cells)), str(len(cells) - len(todo)), str(size.people), f"{size.windows:,}", text)
    console.print(table)
    limit = "no limit a cell" if limit_s is None else f"at most {limit_s:g} s a cell"
    total = forecast.total(left, jobs, limit_s)
    console.print(
        f"{len(plan.cells)} cells, {len(left)} to run, {limit}; about {_duration(total)} on {jobs} processes, into "
        f"{folder}",
        soft_wrap=True,
    )


@contextmanager
def _bar(total: int) -> Iterator[Report]:
    """A bar on standard error with what was done last and the time that remains."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("cells"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]} {task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("", total=total, left="")

        def report(step: Step) -> None:
            left = "" if step.remaining_s is None else f"{_duration(step.remaining_s)} left,"
            bars.update(task, completed=step.done, description=f"{step.outcome.state}: {step.cell}", left=left)

        yield report


def _write(plans: list[tuple[Grid, Path]], title: str, page: Path, text: Path) -> None:
    from insula.grid.ledger import build
    from insula.grid.page import write

    for path in write(build(plans, title), page, text):
        show.console().print(f"ledger: {path}", soft_wrap=True)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
