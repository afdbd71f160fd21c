"""The command that removes a person: forget."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

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
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before anything is removed.")] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train models that learned from the person again, on the others.")
    ] = False,
    pseudonyms: Annotated[
        Path | None,
        typer.Option("--pseudonyms", help="File of codes: the person's code is forgotten too, and whose it was."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Remove a person from results, models' bookkeeping, grids of cells and stores; say what must be trained again.

    What will be removed is listed first. Every file and file name is looked through afterwards: exit code 1 where the
    name still stands, with each place. Files that cannot be looked into (archives, ONNX, UTF-16) are listed.
    """
    where = [*folders, *(more or [])]
    clean = [_forget(one, where, dry_run, yes, retrain, as_json) for one in _called(person, where, pseudonyms)]
    if pseudonyms is not None and not dry_run:
        _uncode(person, pseudonyms)
    if not all(clean):
        raise typer.Exit(1)


def _called(person: str, where: list[Path], pseudonyms: Path | None) -> list[str]:
    """What a person is called there: the name, the code, or both where both stand somewhere."""
    if pseudonyms is None:
        return [person]
    from insula.data.pseudonyms import Pseudonyms
    from insula.errors import InputError
    from insula.privacy.forget import forget as remove

    codes = Pseudonyms(pseudonyms).codes
    names = {code: name for name, code in codes.items()}
    if person not in codes and person not in names:
        raise InputError(f"{person!r} is neither a name nor a code of {pseudonyms}; expected one of them. Correct it.")
    found, why = [], None
    for one in dict.fromkeys((person, codes.get(person, person), names.get(person, person))):
        try:
            remove(one, where, dry_run=True)
            found.append(one)
        except InputError as error:
            why = why or error
    if not found and why is not None:
        raise why
    return found


def _uncode(person: str, pseudonyms: Path) -> None:
    from insula.data.pseudonyms import Pseudonyms

    codes = Pseudonyms(pseudonyms)
    name = person if person in codes.codes else codes.names((person,))[0]
    codes.forget(name)
    show.say(f"{pseudonyms}: no longer says whose the code was")


def _forget(person: str, where: list[Path], dry_run: bool, yes: bool, retrain: bool, as_json: bool) -> bool:
    """Remove one name and print what was done; False where it still stands somewhere."""
    from insula.privacy.forget import forget as remove

    if not (dry_run or yes):
        _ask(remove(person, where, dry_run=True))
    found = remove(person, where, dry_run=dry_run, retrain=retrain)
    parts = (
        ("would be done" if dry_run else "done", found.done),
        ("must be trained again", found.retrain),
        ("would stay" if dry_run else "still names the person", found.leftovers),
        ("could not be looked into", found.closed),
    )
    if as_json:
        lists = {what.replace(" ", "_"): [{"path": str(p), "what": w} for p, w in rows] for what, rows in parts}
        print(json.dumps({"person": found.person, "ordinary": found.ordinary, **lists}, indent=1))
    else:
        console = show.console()
        for what, rows in parts:
            for path, why in rows:
                console.print(f"{what}: {path}: {why}", soft_wrap=True)
        if found.ordinary:
            console.print(
                f"{found.person!r} is a number or a common word: looked for only where a person is meant. "
                "Read notes of your own yourself.",
                soft_wrap=True,
            )
        if not found.leftovers and not dry_run:
            but = f", as far as they can be read ({len(found.closed)} files cannot)" if found.closed else ""
            console.print(f"nothing under the folders names {found.person!r} any more{but}", soft_wrap=True)
    return not found.leftovers


def _ask(planned: Any) -> None:
    """List what will be removed and wait for a yes; without somebody to ask nothing is done."""
    from insula.errors import InputError

    for path, why in planned.done:
        show.say(f"will be done: {path}: {why}")
    if not sys.stdin.isatty():
        raise InputError(
            "nobody to ask whether to go on; expected a yes. Nothing was removed: add --yes (or --dry-run)."
        )
    if not typer.confirm("Go on?", err=True):
        raise typer.Exit(1)
