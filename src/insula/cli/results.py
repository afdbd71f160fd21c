"""The command that makes a page of results anew from a folder of experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from insula.cli import show


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(results)


def results(
    experiments: Annotated[Path, typer.Argument(help="Folder of experiments (TOML), run in the order of their names.")],
    out: Annotated[Path, typer.Option("--out", help="Page to write.")] = Path("docs/results.md"),
    runs: Annotated[
        Path, typer.Option("--runs", help="Folder of runs; what is there already is not run again.")
    ] = Path("runs/results"),
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes.")] = 2,
) -> None:
    """Run every experiment of a folder that has not run yet and write one page of all; can be stopped and goes on."""
    from insula.evaluation.experiment import read_experiment
    from insula.evaluation.results import Result, jsonable
    from insula.pipeline import run_experiment
    from insula.report.results_page import page

    console = show.console()
    found: list[tuple[str, Result]] = []
    for file in sorted(experiments.glob("*.toml")):
        plan = read_experiment(file)
        folder = runs / file.stem
        if plan.data.root is not None and not Path(plan.data.root).exists():
            console.print(f"{file.stem}: {plan.data.root} is not here, left out", soft_wrap=True)
            continue
        done = Result.load(folder) if (folder / "result.json").is_file() else None
        if done is None or done.config.get("experiment") != jsonable(plan.to_dict()):
            with show.progress() as report:
                command = f"insula evaluate --experiment {file}"
                done = run_experiment(plan, folder, jobs=jobs, analyses=False, command=command, progress=report).result
        console.print(f"{file.stem}: {done.verdict(done.systems[0].name).text}", soft_wrap=True)
        found.append((file.stem, done))
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page(found), encoding="utf-8")
    if not found:
        console.print(f"no experiment ran: {experiments} holds none, or their recordings are not here", soft_wrap=True)
        raise typer.Exit(2)
    console.print(f"page: {out}", soft_wrap=True)
