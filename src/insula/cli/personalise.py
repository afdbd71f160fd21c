"""The command that makes a model a person's own, or says which moment to label next."""

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
    model: Annotated[Path, typer.Option("--model", help="Population model (`insula train`).")],
    person: Annotated[str, typer.Option("--person", help="Whose model it becomes.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the personal model.")] = Path("runs/personal"),
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            help="normalised, recalibrated, bayes, head, adapters, last, all, scratch, pooled (scratch "
            "times the population model). Default: the one that inner "
            "people chose where `insula evaluate --protocol calibrated` made the model, else bayes.",
        ),
    ] = None,
    suggest: Annotated[
        int | None, typer.Option("--suggest", help="Only rank this many of the person's trials: which to label next.")
    ] = None,
    data: o.DataName = None,
    root: o.Root = None,
    pseudonyms: o.Pseudonyms = None,
    target: o.TargetName = None,
    start: o.Start = None,
    seed: o.Seed = 0,
    settings: o.Set = None,
) -> None:
    """Adapt a population model to one person's labelled recordings.

    How many labels that takes: `insula evaluate --protocol calibrated --trials 0,1,2`.
    """
    tables: dict[str, dict[str, Any]] = {
        "data": {
            "name": data, "root": o.text(root), "target": target, "subjects": (person,),
            "pseudonyms": o.text(pseudonyms),
        },
        "": {"seed": seed},
    }  # fmt: skip
    _one(o.make_experiment(None, tables, settings), model, out, strategy, suggest, seed, start)


def _one(
    plan: Any, model: Path, out: Path, strategy: str | None, count: int | None, seed: int, start: str | None
) -> None:
    from dataclasses import replace

    from insula.errors import InputError
    from insula.evaluation.elders import open_elder
    from insula.evaluation.experiment import checked
    from insula.evaluation.story import merged, read_story, records
    from insula.files import STORY, read_json
    from insula.learning.estimator import Estimator
    from insula.learning.personal.personal import DEFAULT
    from insula.learning.prior import own_of
    from insula.learning.saving import load_model
    from insula.learning.train_config import TrainConfig
    from insula.pipeline.predicting import person_windows

    population = load_model(model)
    if own_of(population) is not population:
        raise InputError(
            f"{model} holds one person's own model with other people's prior; expected a model of many. Train one "
            "without --prior."
        )
    if start is not None and (strategy != "scratch" or not isinstance(population, Estimator)):
        raise InputError(
            f"--from with strategy {strategy or 'not said'}; expected scratch of a network, since all others begin "
            "from the population model. Leave it out, or say --strategy scratch."
        )
    if plan.train and (strategy != "scratch" or not isinstance(population, Estimator)):
        raise InputError(
            f"--set train.{next(iter(plan.train))} with strategy {strategy or 'not said'}; expected scratch of a "
            "network, since all others are trained as the population model or not at all. Leave it out, or say "
            "--strategy scratch."
        )
    begun = {} if start is None else open_elder(start, "start").seen
    if strategy == "scratch" and isinstance(population, Estimator):
        how = replace(population.config.train, **checked("[train] key", TrainConfig, plan.train))
        population.config = replace(population.config, start=start or population.config.start, train=how)
    with show.progress() as report:
        windows = person_windows(population, plan, labelled=count is None, progress=report)
    console = show.console()
    if count is not None:
        from insula.learning.personal.suggest import suggest

        found = suggest(population, windows, count=count)
        console.print(found.to_string(index=False, float_format="%.2f"))
        return
    story = read_story(model)
    strategy = strategy or story.strategy or DEFAULT
    own = population.personalise(windows, strategy, seed=seed)
    people = sorted({*story.subjects, *map(str, windows.table["subject"].unique())})
    seen = merged(story.everybody, {plan.data.name: list(windows.table["subject"].astype(str))}, begun)
    told = read_json(model / STORY, dict[str, Any], "the story of a model") if (model / STORY).is_file() else {}
    told |= {"people": len(people), "subjects": people, "seen": records(seen), "personal": strategy}
    told["person"] = str(windows.table["subject"].iloc[0])
    own.save(out, told)
    trained = windows.scored
    console.print(
        show.facts(
            [
                ("personal model", str(out)),
                ("strategy", strategy),
                ("learned from", f"{len(trained)} windows of {trained.table['trial'].nunique()} labelled trials"),
                *show.trained(own.base),
                ("drift", _drift(population, trained)),
            ]
        )
    )


def _drift(population: Any, trained: Any) -> str:
    """Whether the person's trials stopped being like those before."""
    from insula.explain.drift import trial_means
    from insula.learning.personal.drift import FEWEST, drift

    trials = trial_means(population, trained)
    if len(trials) < FEWEST:
        return f"cannot be told from {len(trials)} trials; {FEWEST} or more would tell"
    at = drift(trials).at
    return "none seen" if at is None else f"from labelled trial {at + 1} on: calibrate with later ones"
