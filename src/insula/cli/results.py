"""The command that makes a page of results anew from a folder of experiments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from insula.cli import show
from insula.errors import unknown_name

if TYPE_CHECKING:
    from insula.evaluation.experiment import Experiment
    from insula.evaluation.results import Result


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(results)


def results(
    experiments: Annotated[Path, typer.Argument(help="Folder of experiments (TOML), run in the order of their names.")],
    out: Annotated[Path, typer.Option("--out", help="Page to write.")] = Path("docs/results.md"),
    runs: Annotated[
        Path, typer.Option("--runs", help="Folder of runs; what is there already is not run again.")
    ] = Path("runs/results"),
    only: Annotated[
        str | None, typer.Option("--only", help="Run this experiment alone; the page holds what has run of the others.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Processes.")] = 2,
) -> None:
    """Run every experiment of a folder that has not run yet and write one page of all; can be stopped and goes on.

    An experiment with ``seeds`` runs once with each: in full with the first, without variants and null test after that.
    """
    from insula.evaluation.experiment import read_experiment
    from insula.pipeline.running import run_experiment
    from insula.report.results_page import page

    console = show.console()
    found: list[tuple[str, tuple[Result, ...]]] = []
    files = sorted(experiments.glob("*.toml"))
    if only is not None and only not in {f.stem for f in files}:
        raise unknown_name("experiment", only, [f.stem for f in files])
    for file in files:
        plan = read_experiment(file)
        if plan.data.root is not None and not Path(plan.data.root).exists():
            console.print(f"{file.stem}: {plan.data.root} is not here, left out", soft_wrap=True)
            continue
        done: list[Result] = []
        for part in plan.repeats():
            folder = runs / file.stem / f"seed-{part.seed}"
            kept = _kept(folder, part)
            fresh = kept is None and only in (None, file.stem)
            if fresh:
                with show.progress() as report:
                    command = f"insula results {experiments} --only {file.stem}"
                    kept = run_experiment(
                        part, folder, jobs=jobs, analyses=False, keep_model=False, command=command, progress=report
                    ).result
            if kept is None:
                break
            done.append(kept)
            if fresh:  # whoever stops it finds a page of what has run
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(page([*found, (file.stem, tuple(done))]), encoding="utf-8")
            seed = f", seed {part.seed}" if plan.seeds else ""
            console.print(f"{file.stem}{seed}: {kept.verdict(kept.systems[0].name).text}", soft_wrap=True)
        if done:
            found.append((file.stem, tuple(done)))
    if not found:
        console.print(f"no experiment ran: {experiments} holds none, or their recordings are not here", soft_wrap=True)
        raise typer.Exit(2)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page(found), encoding="utf-8")
    console.print(f"page: {out}", soft_wrap=True)


def _kept(folder: Path, plan: Experiment) -> Result | None:
    """What an earlier run of exactly this experiment left; None where there is none."""
    from insula.errors import InsulaError
    from insula.evaluation.experiment import experiment_from
    from insula.evaluation.results import Result
    from insula.evaluation.writing import jsonable

    if not (folder / "result.json").is_file():
        return None
    found = Result.load(folder)
    asked: Any = found.config.get("experiment")
    try:
        same = jsonable(experiment_from(asked).to_dict()) == jsonable(plan.to_dict())
    except InsulaError:
        return None
    return found if same else None
