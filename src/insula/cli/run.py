"""Commands that compute: demo, evaluate, train."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from insula.cli import options as o
from insula.cli import show
from insula.cli.tables import calibration_lines, result_table, verdict_lines
from insula.notebook import counted

Out = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Folder for result.json, predictions.parquet, report.html, model/. Default: a new one in runs/."
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Processes; results do not depend on it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (demo, evaluate, train):
        app.command()(command)


def demo(
    out: Out = None,
    people: Annotated[int, typer.Option("--people", min=2, help="Simulated people.")] = 4,
    seed: o.Seed = 0,
    jobs: Jobs = 2,
    overwrite: o.Overwrite = False,
    settings: o.Set = None,
) -> None:
    """Simulate a PhyMER-like cohort, train a personal model for each person, evaluate, explain and report."""
    from insula.pipeline.running import run_experiment

    folder = o.result_folder(out, Path("runs/demo"), overwrite)
    tables: dict[str, dict[str, Any]] = {
        "data": {"name": "simulate", "target": "emotion", "options": {"people": people, "seed": seed}},
        "protocol": {"name": "within_subject", "folds": 4},
        "train": {"epochs": 12},
        "": {"seed": seed},
    }
    plan = o.make_experiment(None, tables, settings)
    with show.progress() as report:
        done = run_experiment(plan, folder, jobs=jobs, command=_command(), progress=report, tell=show.say)
    _finish(done)


def evaluate(
    data: o.DataName = None,
    root: o.Root = None,
    target: o.TargetName = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Networks of `insula models`, comma-separated: the first with its variants and analyses, the others "
            "beside it on the same windows. Default: liquid.",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", help="E.g. within_subject, leave_one_subject_out. Default: within_subject."),
    ] = None,
    encoder: o.Encoder = None,
    finetune: o.Finetune = None,
    out: Out = None,
    size: Annotated[str | None, typer.Option("--size", help="small or medium. Default: small.")] = None,
    scope: Annotated[str | None, typer.Option("--scope", help="window, trial or session. Default: trial.")] = None,
    normaliser: o.Normaliser = None,
    align: o.Align = None,
    teacher: o.Teacher = None,
    start: o.Start = None,
    modalities: o.Modalities = None,
    subjects: o.Subjects = None,
    pseudonyms: o.Pseudonyms = None,
    traits: Annotated[
        bool | None, typer.Option("--traits/--no-traits", help="People's traits as inputs. Default: on.")
    ] = None,
    trials: Annotated[
        str | None,
        typer.Option(
            "--trials", help="Under calibrated: labelled trials of each class that adapt to a new person, e.g. 0,1,2,4."
        ),
    ] = None,
    minutes: Annotated[
        str | None, typer.Option("--minutes", help="The same in labelled minutes of each class, e.g. 0,0.5,1,2,5.")
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            help="Ways of adapting to compare, by comma: normalised, recalibrated, bayes, head, adapters, last, all, "
            "scratch, pooled. Default: the first five.",
        ),
    ] = None,
    folds: Annotated[int | None, typer.Option("--folds", help="Folds, where the protocol leaves them free.")] = None,
    null: Annotated[
        int | None,
        typer.Option("--null", help="Refits on shuffled labels; below 19 a verdict stays provisional. Default: 0."),
    ] = None,
    window: o.Window = None,
    hop: o.Hop = None,
    guard: o.Guard = None,
    epochs: o.Epochs = None,
    quality: o.Quality = None,
    prior: Annotated[
        str | None,
        typer.Option(
            "--prior",
            help="Multiply a person's own models by what other people taught: a weight (0 to 1), or inner to have it "
            "chosen on inner people. The first and the classical rows stand with it and without. Default: 0.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed. Default: 0.")] = None,
    experiment: o.ExperimentFile = None,
    settings: o.Set = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only the model, classical rows and baselines; no analyses.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Allow session scope where it can read the clock (marked).")
    ] = False,
    keep_folds: Annotated[
        bool,
        typer.Option(
            "--keep-folds",
            help="Also keep the models of the folds, which `insula stress` and `insula explain --trial` need.",
        ),
    ] = False,
    store: o.StoreFolder = None,
    jobs: Jobs = 2,
    device: o.Device = "cpu",
    overwrite: o.Overwrite = False,
) -> None:
    """Evaluate a model beside the clock, majority, prior and classical rows on the same windows.

    Prints the table and writes result.json, predictions.parquet, report.html and model/ into --out.
    """
    from insula.pipeline.running import run_experiment

    folder = o.result_folder(out, Path("runs/evaluation"), overwrite)
    chosen, others = o.network(o.names(model) or (), encoder, finetune)
    tables: dict[str, dict[str, Any]] = {
        "data": {
            "name": data,
            "root": o.text(root),
            "target": target,
            "modalities": o.names(modalities),
            "subjects": o.names(subjects),
            "pseudonyms": o.text(pseudonyms),
            "traits": traits,
        },
        "model": {
            **chosen,
            "size": size,
            "scope": scope,
            "normaliser": normaliser,
            "prior": None if prior is None else o.value(prior),
            "align": align,
            "teacher": teacher,
            "start": start,
        },
        "compare": {"models": others or None},
        "protocol": {
            "name": protocol,
            "folds": folds,
            "null": null,
            "trials": o.numbers("--trials", trials, int),
            "minutes": o.numbers("--minutes", minutes, float),
            "strategies": o.names(strategy),
        },
        "recipe": {"window_s": window, "hop_s": hop, "guard_s": guard},
        "train": {"epochs": epochs, "quality": quality},
        "": {"seed": seed},
    }
    if quick:
        tables["compare"] |= {"variants": [], "session": False}
    plan = o.make_experiment(experiment, tables, settings)
    with show.progress() as report:
        done = run_experiment(
            plan,
            folder,
            jobs=jobs,
            device=device,
            force=force,
            analyses=not quick,
            keep_folds=keep_folds,
            command=_command(),
            progress=report,
            store=o.store(store),
            tell=show.say,
        )
    _finish(done)


def train(
    out: Annotated[Path, typer.Option("--out", help="Folder for the model.")],
    data: o.DataName = None,
    root: o.Root = None,
    target: o.TargetName = None,
    model: Annotated[str | None, typer.Option("--model", help="Network. Default: liquid.")] = None,
    encoder: o.Encoder = None,
    finetune: o.Finetune = None,
    size: Annotated[str | None, typer.Option("--size", help="small or medium. Default: small.")] = None,
    normaliser: o.Normaliser = None,
    align: o.Align = None,
    teacher: o.Teacher = None,
    start: o.Start = None,
    modalities: o.Modalities = None,
    subjects: o.Subjects = None,
    pseudonyms: o.Pseudonyms = None,
    window: o.Window = None,
    hop: o.Hop = None,
    epochs: o.Epochs = None,
    quality: o.Quality = None,
    prior: Annotated[
        str | None,
        typer.Option(
            "--prior",
            help="With --person: multiply the person's own model by what all others taught: a weight (0 to 1), or "
            "inner to have it chosen on them.",
        ),
    ] = None,
    person: Annotated[
        str, typer.Option("--person", help="Whose model it is, where it has a --prior; all others lend it.")
    ] = "",
    seed: Annotated[int | None, typer.Option("--seed", help="Seed. Default: 0.")] = None,
    experiment: o.ExperimentFile = None,
    settings: o.Set = None,
    store: o.StoreFolder = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="People cleaned at a time into the --store.")] = 2,
    device: o.Device = "cpu",
) -> None:
    """Train one model on all labelled windows (one person's with --subjects) and save it.

    With --prior and --person it is that person's own model times what the others taught.
    """
    from insula.pipeline.running import train_model

    chosen = o.one_network(model, encoder, finetune)
    tables: dict[str, dict[str, Any]] = {
        "data": {
            "name": data,
            "root": o.text(root),
            "target": target,
            "modalities": o.names(modalities),
            "subjects": o.names(subjects),
            "pseudonyms": o.text(pseudonyms),
        },
        "model": {
            **chosen,
            "size": size,
            "normaliser": normaliser,
            "prior": None if prior is None else o.value(prior),
            "align": align,
            "teacher": teacher,
            "start": start,
        },
        "recipe": {"window_s": window, "hop_s": hop},
        "train": {"epochs": epochs, "quality": quality},
        "": {"seed": seed},
    }
    plan = o.make_experiment(experiment, tables, settings)
    with show.progress() as report:
        trained, windows = train_model(
            plan, out, device=device, progress=report, store=o.store(store), jobs=jobs, person=person
        )
    show.warn(windows.notes)
    rows = [
        ("model", str(out)),
        ("windows", f"{len(windows)} of {counted(windows.table['subject'].nunique(), 'person')}"),
    ]
    show.console().print(show.facts([*rows, *show.trained(trained)]))


def _finish(done: Any) -> None:
    console = show.console()
    console.print(result_table(done.result, console.width))
    console.print("\n".join((*verdict_lines(done.result), *calibration_lines(done.result))))
    show.warn(done.result.protocol["notes"])
    console.print(f"report: {done.page}", soft_wrap=True)


def _command() -> str:
    return "insula " + " ".join(shlex.quote(a) for a in sys.argv[1:])
