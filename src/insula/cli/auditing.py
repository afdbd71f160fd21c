"""Commands that doubt: audit splits, results and predictions; play how recognition is faked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from insula.cli import show


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(audit)
    app.command()(fakes)


def audit(
    path: Annotated[
        Path,
        typer.Argument(
            help="A results folder; a CSV of predictions (person, trial, time, true, predicted); or a CSV of "
            "windows in folds (subject, session, trial, start, stop, fold, role)."
        ),
    ],
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="Judge splits by this protocol, e.g. leave_one_subject_out.")
    ] = None,
    time: Annotated[
        Literal["session", "trial"] | None,
        typer.Option("--time", help="Seconds count from the session's or each trial's start. Default: found out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Check somebody's splits, results or predictions; exit code 1 when something leaks."""
    from insula.evaluation.audit import AuditReport, audit_file
    from insula.evaluation.audit_run import RunAudit, audit_predictions, audit_result
    from insula.evaluation.audit_table import is_predictions

    found: AuditReport | RunAudit
    if path.is_dir():
        found = audit_result(path)
    elif is_predictions(path):
        found = audit_predictions(path, time)
    else:
        found = audit_file(path, protocol, time)
    print(json.dumps(found.to_dict(), indent=1, default=str) if as_json else show.visible(found.text))
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def fakes(
    name: Annotated[str, typer.Argument(help="clocks, segmentation, stimuli or budgets.")],
    people: Annotated[int, typer.Option("--people", help="Simulated people.")] = 12,
    seed: Annotated[int, typer.Option("--seed", help="Seed.")] = 0,
) -> None:
    """Play on simulated people how clocks, segmentation, stimuli or budgets fake recognition."""
    from rich.table import Table

    from insula.evaluation.fakes import play

    moral, scenes = play(name, people, seed)
    table = Table(title=f"{people} simulated people who feel nothing; chance .5", title_justify="left")
    for column in ("what was done", "score", "what may be said"):
        table.add_column(column, justify="right" if column == "score" else "left")
    for scene in scenes:
        table.add_row(scene.title, f"{scene.score:.3f}", scene.said)
    console = show.console()
    console.print(table)
    console.print(moral)
