"""Commands that look at what is there: explain, report, models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from insula.cli import show
from insula.cli.tables import result_table, verdict_lines
from insula.errors import InputError

if TYPE_CHECKING:
    from insula.evaluation.results import Result


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (explain, report, models):
        app.command()(command)


ResultFolder = Annotated[Path, typer.Argument(help="Folder written by `insula evaluate`.")]


def explain(
    folder: ResultFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print the analyses as JSON.")] = False,
    trial: Annotated[
        str | None,
        typer.Option(
            "--trial",
            help="Explain one answer instead: TRIAL, PERSON/TRIAL or PERSON/SESSION/TRIAL. FOLDER is a "
            "result of evaluate --keep-folds, or a saved model.",
        ),
    ] = None,
    row: Annotated[
        str | None, typer.Option("--row", help="With --trial: a kept row. Default: the first and the linear one.")
    ] = None,
) -> None:
    """Print what the model's analyses say, or with --trial what moved one answer, into the report too."""
    from insula.evaluation.results import Result
    from insula.files import understood
    from insula.report import numbers

    if trial is not None:
        _explain_trial(folder, trial, row, as_json)
        return
    if row is not None:
        raise InputError("--row without --trial; expected both. Name the trial to explain.")
    result = Result.load(folder)
    with understood(folder / "result.json", "a result that insula wrote"):
        if as_json:
            print(json.dumps(numbers(result), indent=1))
            return
        console = show.console()
        console.print(result_table(result, console.width))
        console.print("\n".join(verdict_lines(result)))
        console.print(show.facts(analysis_rows(result)))


def _explain_trial(folder: Path, trial: str, row: str | None, as_json: bool) -> None:
    from insula.explain.single import SINGLE
    from insula.pipeline.reopened import explain_answers

    with show.progress() as told:
        found = explain_answers(folder, trial, row, progress=told)
    if as_json:
        print(json.dumps(SINGLE.write(found), indent=1))
        return
    console = show.console()
    console.print(show.facts(list(SINGLE.lines(found))))
    if (folder / "report.html").is_file():
        console.print(f"report: {folder / 'report.html'}", soft_wrap=True)


def report(
    folders: Annotated[
        list[Path], typer.Argument(help="Folder written by `insula evaluate`; several are compared on one page.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="HTML file. Default: report.html in the folder, or comparison.html here."),
    ] = None,
) -> None:
    """Write the report page of a result again, or one page that compares several."""
    from insula.evaluation.results import Result
    from insula.files import understood
    from insula.report import write, write_comparison

    results = [Result.load(folder) for folder in folders]
    with understood(folders[0] / "result.json", "a result that insula wrote"):
        if len(results) == 1:
            page = write(results[0], out if out is not None else folders[0] / "report.html")
        else:
            names = [folder.name or str(folder) for folder in folders]
            page = write_comparison(results, names, out if out is not None else Path("comparison.html"))
    show.console().print(f"report: {page}", soft_wrap=True)


def models() -> None:
    """List the networks, classical rows and encoders that `evaluate` knows."""
    from rich.table import Table

    from insula.learning.classical_rows import CLASSICAL
    from insula.models import ENCODERS, MODELS, card

    table = Table("name", "kind", "needs", "what it is", "variants")
    for name in MODELS:
        one = card(name)
        kind = "step network" if one.step else "window network"
        text = f"{one.title}: {one.summary} ({one.source})" if one.source else f"{one.title}: {one.summary}"
        table.add_row(name, kind, ", ".join(one.reads) or "any", text, ", ".join(one.variants))
    for name, row in CLASSICAL.items():
        table.add_row(name, row.kind, row.inputs, row.description)
    for name in ENCODERS:
        one = card(name)
        if one.pretraining is not None:
            form = ":".join([name, *(part.upper() for part in one.pretraining.parts[:-1]), "DIR"])
            text = (
                f"--encoder {form}. {one.title}: {one.summary} ({one.source}). {', '.join(one.pretraining.files)} from "
                f"{one.pretraining.where} (licence: {one.pretraining.licence})"
            )
            table.add_row(name, "encoder", " or ".join(one.pretraining.reads), text, "")
    show.console().print(table)


def analysis_rows(result: Result) -> list[tuple[str, str]]:
    """Say each analysis in a line or two."""
    from insula.explain import ANALYSES

    rows: list[tuple[str, str]] = []
    for one in ANALYSES.values():
        found = one.read(result)
        rows += one.lines(found) if found is not None else ()
    return rows
