"""The command that makes a model a person's own, and draws how many labels that takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from insula.cli import options as o
from insula.cli import show


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(personalise)


def personalise(
    out: Annotated[Path, typer.Option("--out", help="Folder for the personal model, or for the curve.")] = Path(
        "runs/personal"
    ),
    model: Annotated[
        Path | None, typer.Option("--model", help="Population model (`insula train`), for one person's own model.")
    ] = None,
    person: Annotated[str | None, typer.Option("--person", help="Whose model it becomes.")] = None,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            help="normalised, recalibrated, bayes, head, adapters, last, all, scratch; for a curve several, by comma.",
        ),
    ] = "",
    suggest: Annotated[
        int | None, typer.Option("--suggest", help="Only rank this many of the person's trials: which to label next.")
    ] = None,
    trials: Annotated[
        str | None, typer.Option("--trials", help="Draw the curve over labelled trials of each class, e.g. 0,1,2,4.")
    ] = None,
    minutes: Annotated[
        str | None, typer.Option("--minutes", help="Draw it over labelled minutes of each class, e.g. 0,0.5,1,2.")
    ] = None,
    data: o.DataName = None,
    root: o.Root = None,
    target: o.TargetName = None,
    network: Annotated[str | None, typer.Option("--network", help="For a curve: its network. Default: liquid.")] = None,
    normaliser: o.Normaliser = None,
    modalities: o.Modalities = None,
    subjects: o.Subjects = None,
    epochs: o.Epochs = None,
    seed: o.Seed = 0,
    settings: o.Set = None,
) -> None:
    """Adapt a population model to one person, or draw score against labelled calibration (--trials, --minutes).

    The curve leaves each person out, adapts the others' model with that person's first labels, and tests every amount
    on the same later trials, beside controls: another person's labels, and shuffled ones.
    """
    from insula.errors import InputError

    tables: dict[str, dict[str, Any]] = {
        "data": {
            "name": data, "root": None if root is None else str(root), "target": target,
            "modalities": o.names(modalities), "subjects": (person,) if person else o.names(subjects),
        },
        "model": {"name": network, "normaliser": normaliser},
        "train": {"epochs": epochs},
        "": {"seed": seed},
    }  # fmt: skip
    plan = o.make_experiment(None, tables, settings)
    if (trials is None) == (minutes is None) and model is None:
        raise InputError("neither a population model nor a curve; expected --model DIR --person P, or --trials 0,1,2.")
    if model is None:
        _curve(plan, out, _numbers(trials or minutes or ""), "trials" if trials else "minutes", o.names(strategy))
        return
    if person is None or trials or minutes:
        raise InputError(
            "--model without --person, or with a curve; expected one person, or --trials or --minutes only."
        )
    _one(plan, model, out, strategy or "bayes", suggest, seed)


def _curve(plan: Any, out: Path, amounts: list[float], unit: Any, strategies: tuple[str, ...] | None) -> None:
    from insula.pipeline import personal_curve
    from insula.report.calibration import lead, notes

    with show.progress() as report:
        curve, page = personal_curve(plan, out, amounts, unit, strategies or (), report)
    console = show.console()
    console.print(lead(curve))
    for note in notes(curve):
        console.print(note)
    console.print(f"page: {page}", soft_wrap=True)


def _one(plan: Any, model: Path, out: Path, strategy: str, count: int | None, seed: int) -> None:
    from insula.learning.estimator import Estimator
    from insula.pipeline import person_windows
    from insula.privacy.survey import read_json

    population = Estimator.load(model)
    with show.progress() as report:
        windows = person_windows(population, plan, labelled=count is None, progress=report)
    console = show.console()
    if count is not None:
        from insula.learning.personal.suggest import suggest

        found = suggest(population, windows, count=count)
        console.print(found.to_string(index=False, float_format="%.2f"))
        return
    own = population.personalise(windows, strategy, seed=seed)
    story = read_json(model / "training.json")
    story = story if isinstance(story, dict) else {}
    people = sorted({*map(str, story.get("subjects") or ()), *map(str, windows.table["subject"].unique())})
    own.save(out, {**story, "subjects": people, "personal": strategy})
    trained = windows.scored
    console.print(
        show.facts(
            [
                ("personal model", str(out)),
                ("strategy", strategy),
                ("learned from", f"{len(trained)} windows of {trained.table['trial'].nunique()} labelled trials"),
            ]
        )
    )


def _numbers(text: str) -> list[float]:
    from insula.errors import InputError

    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(f"amounts {text!r}; expected numbers by comma. For instance 0,1,2.") from None
