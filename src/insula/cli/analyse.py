"""Commands that look at what is there: explain, report, models, audit, energy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from insula.cli import show


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (explain, report, models, audit):
        app.command()(command)


ResultFolder = Annotated[Path, typer.Argument(help="Folder written by `insula evaluate`.")]


def explain(
    folder: ResultFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Print the analyses as JSON.")] = False,
) -> None:
    """Print what the model's analyses say: attention, time constants, controls, latent space, modalities."""
    from insula.evaluation.results import Result
    from insula.report import numbers

    result = Result.load(folder)
    if as_json:
        print(json.dumps(numbers(result), indent=1))
        return
    console = show.console()
    console.print(show.result_table(result))
    console.print(show.facts(analysis_rows(result)))


def report(
    folder: ResultFolder,
    out: Annotated[Path | None, typer.Option("--out", help="HTML file. Default: report.html in the folder.")] = None,
) -> None:
    """Write the report page of a result again."""
    from insula.evaluation.results import Result
    from insula.report import write

    page = write(Result.load(folder), out if out is not None else folder / "report.html")
    show.console().print(f"report: {page}", soft_wrap=True)


def models() -> None:
    """List the networks and classical rows that `evaluate` knows."""
    from rich.table import Table

    from insula.learning.classical import CLASSICAL
    from insula.models import MODELS, model_class

    table = Table("name", "kind", "needs", "what it is")
    for name in MODELS:
        kind = model_class(name)
        text = (kind.__doc__ or "").strip().splitlines()[0]
        table.add_row(name, "network", ", ".join(kind.modalities_required) or "any", text)
    for name, row in CLASSICAL.items():
        table.add_row(name, row.kind, row.inputs, row.description)
    show.console().print(table)


def audit(
    splits: Annotated[Path, typer.Argument(help="CSV of windows: subject, session, trial, start, stop, fold, role.")],
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="Judge by this protocol, e.g. leave_one_subject_out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Check somebody's splits for leaks; exit code 1 when there are some."""
    from insula.evaluation.audit import audit_file

    found = audit_file(splits, protocol)
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        print(found.text)
    if found.leaks:
        raise typer.Exit(1)


def analysis_rows(result: object) -> list[tuple[str, str]]:
    """Say each analysis in a line or two."""
    from insula.evaluation.results import Result
    from insula.explain.cost import joules_text

    assert isinstance(result, Result)
    found, rows = result.analyses, []
    for pair in found.get("pairs", []):
        text = f"{_interval(pair)}, p = {_p(pair['p'])} over {pair['n']} people"
        rows.append((f"{pair['a']} minus {pair['b']}", text))
    if "attention" in found:
        ps = ", ".join(f"{name} p = {p:.3f}" for name, p in found["attention"]["p"].items())
        rows.append(("attention over time", ps))
    for name, layer in found.get("time_constants", {}).get("layers", {}).items():
        tau = sorted(layer["tau_sys_mean_s"])
        share, groups = layer["memory_dominant_share"], layer["groups"]
        rows.append(
            (
                f"time constants, {name}",
                f"{tau[0]:.2g} to {tau[-1]:.2g} s, middle {tau[len(tau) // 2]:.2g} s; two groups: "
                f"{_yes(groups['separated'])} (untrained: {_yes(groups['untrained_separated'])}); "
                f"memory-dominant over a window: {share['trained']:.0%} (untrained {share['untrained']:.0%})",
            )
        )
    for row in found.get("controls", {}).get("rows", []):
        rows.append(
            (row["name"], f"{row['difference']:+.3f} [{row['difference_lo']:+.3f}, {row['difference_hi']:+.3f}]")
        )
    if "latent" in found:
        latent = found["latent"]
        shuffled = sum(latent["silhouette_shuffled"]) / len(latent["silhouette_shuffled"])
        rows.append(("latent silhouette", f"{latent['silhouette']:.3f} (shuffled labels {shuffled:.3f})"))
    for row in found.get("modalities", {}).get("rows", []):
        rows.append((row["name"], _interval(row)))
    for point in found.get("cascade", {}).get("points", [])[::5]:
        text = f"balanced accuracy {point['balanced_accuracy']:.3f} for {joules_text(point['joules'])} a decision"
        rows.append((f"gate, {point['woken']:.0%} woken, threshold {point['threshold']:.3f}", text))
    quality = found.get("quality", {})
    for name, one in quality.get("modalities", {}).items():
        marked = ", ".join(f"{flag} {share:.1%}" for flag, share in one["time"].items() if share)
        rows.append((f"quality, {name}", f"{marked} of the time" if marked else "no flag"))
    if quality:
        made = quality["training"]
        text = f"{made['dropped']} of {quality['windows']} windows bad, mean weight {made['mean_weight']:.2f}"
        rows.append(("quality, training", f"{made['how']}; {text}"))
    return rows


def _interval(row: dict[str, float]) -> str:
    return f"{row['difference']:+.3f} [{row['lo']:+.3f}, {row['hi']:+.3f}]"


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
