"""The command that begins a study: draft a manifest for a folder of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from insula.cli import show

if TYPE_CHECKING:
    from insula.data.draft.drafting import Draft

SHOWN = 12
"""Lines of a kind that are printed; all of them are in manifest.reasons.txt."""
REASONS = "manifest.reasons.txt"
TEMPLATE = """\
file,modality,subject,session,trial,stimulus,start,stop,rate,unit,valence,emotion
anna/eeg.edf,eeg,anna,1,clip1,happy_dog.mp4,0,60,,,7,happy
anna/eda.csv,eda,anna,1,clip1,happy_dog.mp4,0,60,4,microsiemens,7,happy
anna/eeg.edf,eeg,anna,1,clip2,rainy_day.mp4,75,135,,,2,sad
anna/eda.csv,eda,anna,1,clip2,rainy_day.mp4,75,135,4,microsiemens,2,sad
"""
PEOPLE_TEMPLATE = "subject,extraversion,agreeableness,conscientiousness,neuroticism,openness\nanna,3.5,4,3,2.5,4.5\n"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(init)


def init(
    folder: Annotated[
        Path, typer.Argument(help="Folder with your recordings, in whatever order they lie there.")
    ] = Path(),
    template: Annotated[
        bool,
        typer.Option("--template", help="Write an example manifest.csv and people.csv to fill in; look at nothing."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace manifest.csv and people.csv that are there.")
    ] = False,
) -> None:
    """Look at a folder of recordings and draft manifest.csv and people.csv, with a reason for each guess.

    Nothing but these two and manifest.reasons.txt is written. Read what was guessed, correct the tables in any
    spreadsheet, then run `insula data check manifest --root FOLDER`.
    """
    from insula.errors import InputError

    _require_free(folder, overwrite)
    if template:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; expected one to write to. Make it first.")
        _write(folder, {"manifest.csv": TEMPLATE, "people.csv": PEOPLE_TEMPLATE})
        show.console().print(
            f"wrote {folder / 'manifest.csv'} and {folder / 'people.csv'}: replace the examples by yours"
        )
        return
    from insula.data.draft.drafting import draft

    with show.progress() as report:
        made = draft(folder, report)
    texts = {"manifest.csv": made.manifest(), REASONS: _reasons(made)}
    if made.people:
        texts["people.csv"] = made.people_table()
    _write(folder, texts)
    _print(made)


def _require_free(folder: Path, overwrite: bool) -> None:
    from insula.errors import InputError

    there = [name for name in ("manifest.csv", "manifest.xlsx", "people.csv") if (folder / name).exists()]
    if there and not overwrite:
        raise InputError(
            f"{folder} has {' and '.join(there)} already; expected none to draft one. Give --overwrite to replace it."
        )


def _write(folder: Path, texts: dict[str, str]) -> None:
    from insula.files import put

    for name, text in texts.items():
        put(folder / name, text)


def _reasons(made: Draft) -> str:
    parts = [
        ("What was guessed, and why", made.reasons),
        ("What is not known: say it", made.unknown),
        ("What was left out", [f"{name}: {why}" for name, why in made.left_out]),
    ]
    return "\n".join(
        f"{title}\n{''.join(f'- {line}{chr(10)}' for line in lines) or '- nothing'}" for title, lines in parts
    )


def _print(made: Draft) -> None:
    console = show.console()
    people = {row["subject"] for row in made.rows}
    trials = {(row["subject"], row["session"], row["trial"]) for row in made.rows}
    console.print(
        show.facts(
            [
                ("people", f"{len(people)}: {', '.join(sorted(people)[:8])}{', ...' if len(people) > 8 else ''}"),
                ("sessions", str(len({(row["subject"], row["session"]) for row in made.rows}))),
                ("trials", str(len(trials))),
                ("modalities", ", ".join(sorted({row["modality"] for row in made.rows}))),
                ("labels", ", ".join(made.labels) or "none"),
            ]
        )
    )
    out = show.grouped(made.left_out)
    for title, lines in (("guessed", made.reasons), ("not known", made.unknown), ("left out", out)):
        if lines:
            console.print(f"\n{title}:")
        for line in lines[:SHOWN]:
            console.print(f"  - {line}", soft_wrap=True)
        if len(lines) > SHOWN:
            console.print(f"  ... and {len(lines) - SHOWN} more in {REASONS}")
    console.print(
        f"\nwrote {made.root / 'manifest.csv'}{' and people.csv' if made.people else ''}; correct them, then",
        soft_wrap=True,
    )
    console.print(f"  insula data check manifest --root {made.root}", soft_wrap=True)
