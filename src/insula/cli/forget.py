"""The command that removes a person: forget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from insula.cli import show


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(forget)


def forget(
    person: Annotated[str, typer.Argument(help="The person's name, as in the column subject.")],
    folders: Annotated[
        list[Path], typer.Option("--in", help="Folder that insula wrote, or one that holds such; may be repeated.")
    ],
    more: Annotated[list[Path] | None, typer.Argument(metavar="[DIR]...", help="More folders, as after --in.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Remove a person from results, models' bookkeeping, grids of cells and stores; say what must be trained again.

    Every file and file name is looked through afterwards: exit code 1 where the name still stands, with each place.
    """
    from insula.privacy.forget import forget as remove

    found = remove(person, [*folders, *(more or [])], dry_run=dry_run)
    parts = (
        ("would be done" if dry_run else "done", found.done),
        ("must be trained again", found.retrain),
        ("would stay" if dry_run else "still names the person", found.leftovers),
    )
    if as_json:
        lists = {what.replace(" ", "_"): [{"path": str(p), "what": w} for p, w in rows] for what, rows in parts}
        print(json.dumps({"person": found.person, "ordinary": found.ordinary, **lists}, indent=1))
    else:
        console = show.console()
        for what, rows in parts:
            for path, why in rows:
                console.print(f"{what}: {path}: {why}", soft_wrap=True, markup=False)
        if found.ordinary:
            console.print(
                f"{found.person!r} is a number or a common word: looked for only where a person is meant. "
                "Read notes of your own yourself.",
                soft_wrap=True,
            )
        if not found.leftovers and not dry_run:
            console.print(f"nothing under the folders names {found.person!r} any more", soft_wrap=True, markup=False)
    if found.leftovers:
        raise typer.Exit(1)
