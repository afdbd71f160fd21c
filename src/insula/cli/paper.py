"""Commands that take a result to a paper: table, figure, methods, card."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from insula.cli import show
from insula.cli.tables import result_table


class Rows(StrEnum):
    """What a row of a table is."""

    system = "system"
    trial = "trial"
    window = "window"


RunFolder = Annotated[Path, typer.Argument(help="Folder written by `insula evaluate`.")]
OutFile = Annotated[Path | None, typer.Option("--out", help="File to write. Default: print.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (table, figure, methods, card):
        app.command()(command)


def table(
    runs: Annotated[list[Path], typer.Argument(help="Folders written by `insula evaluate`; several are compared.")],
    latex: Annotated[bool, typer.Option("--latex", help="For LaTeX with booktabs.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="For spreadsheets, R, SPSS and pandas.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="For a README; the default in a file.")] = False,
    per: Annotated[Rows, typer.Option("--per", help="A row a system, or every prediction a trial or window.")] = (
        Rows.system
    ),
    out: OutFile = None,
) -> None:
    """Write the table of one or more runs, or a row a trial or window, for a paper or another program."""
    from insula.errors import InputError
    from insula.evaluation.results import Result
    from insula.report import paper

    if latex + csv + markdown > 1:
        raise InputError("--latex, --csv and --markdown together; expected one of them. Drop the others.")
    results = [Result.load(run) for run in runs]
    if per is Rows.system:
        names = [run.name or str(run) for run in runs]
        if csv:
            _give(paper.systems_csv(results, names), out)
        elif out is None and not (latex or markdown) and sys.stdout.isatty():
            for result in results:
                show.console().print(result_table(result, show.console().width))
        else:
            _give((paper.as_latex if latex else paper.as_markdown)(paper.systems(results, names)), out)
        return
    if latex or markdown or len(results) > 1:
        raise InputError(f"--per {per} with other than one run as CSV; expected one folder. Give --csv and one run.")
    _give(paper.rows_csv(results[0], "trial" if per is Rows.trial else "window"), out)


def figure(
    run: RunFolder,
    name: Annotated[str | None, typer.Argument(help="Figure of the report. Default: list them.")] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="For print. The default.")] = False,
    svg: Annotated[bool, typer.Option("--svg", help="To edit.")] = False,
    png: Annotated[bool, typer.Option("--png", help="For slides, 300 dots an inch.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="File. Default: NAME.pdf and so on, here.")] = None,
) -> None:
    """Write one figure of the report as a file for a paper."""
    from insula.errors import InputError, unknown_name
    from insula.evaluation.results import Result
    from insula.report import figures

    if pdf + svg + png > 1:
        raise InputError("--pdf, --svg and --png together; expected one of them. Drop the others.")
    made = figures(Result.load(run), "svg" if svg else "png" if png else "pdf")
    if name is None:
        show.console().print(show.facts([(key, title) for key, (title, _) in made.items()]))
        return
    if name not in made:
        raise unknown_name("figure", name, list(made))
    path = out or Path(f"{name}.{'svg' if svg else 'png' if png else 'pdf'}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made[name][1])
    print(f"{made[name][0]}: {path}")


def methods(run: RunFolder, out: OutFile = None) -> None:
    """Write the methods paragraph of a run, with bands, features, analyses and sources."""
    from insula.evaluation.results import Result
    from insula.explain.facts import gather
    from insula.report import prose, sources

    facts = gather(sources.public(Result.load(run)))
    listed = "".join(f"\n- {what}: {source}" for what, source in sources.references(facts))
    _give(f"{prose.methods(facts)}\n" + (f"\nSources:{listed}\n" if listed else ""), out)


def card(run: RunFolder, out: OutFile = None) -> None:
    """Write the model card of a run: data, protocol, scores, limits, licence."""
    from insula.evaluation.results import Result
    from insula.report.card import model_card

    _give(model_card(Result.load(run)), out)


def _give(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8", newline="")
    print(f"written: {out}")
