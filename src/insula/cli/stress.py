"""The command that spoils recordings by rule and looks what becomes of the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from insula.cli import options as o
from insula.cli import show


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(stress)


def stress(
    folder: Annotated[Path, typer.Argument(help="Folder written by `insula evaluate --keep-folds`.")],
    faults: Annotated[
        str | None,
        typer.Option(
            "--faults",
            help="Comma-separated of noise, blinks, muscle, electrodes, sensors, drift, rate. Default: all that apply.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", help="Write the curves as .png, .svg or .pdf. Default: stress.png in the folder."),
    ] = None,
    seed: o.Seed = 0,
) -> None:
    """Spoil the recordings of a result by rule and let its fold models answer again, without retraining.

    Draws the score of the first row, of the best classical row and of networks of the same shape against each fault's
    level, and puts the section into the folder's report.
    """
    from insula.errors import InputError
    from insula.explain.stress import STRESS
    from insula.pipeline.reopened import stress_result
    from insula.report.page import figures

    place = folder / "stress.png" if picture is None else picture
    kind = place.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg", "pdf"):
        raise InputError(f"picture {place}; expected a name that ends in .png, .svg or .pdf. Rename it.")
    with show.progress() as report:
        result = stress_result(folder, o.names(faults), seed=seed, progress=report)
    found = STRESS.read(result)
    drawn = figures(result, kind).get("stress")  # type: ignore[arg-type]
    if drawn is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(drawn[1])
    console = show.console()
    console.print(show.facts(list(STRESS.lines(found)) if found is not None else []))
    console.print(f"picture: {place}\nreport: {folder / 'report.html'}", soft_wrap=True)
