"""Command that takes a model elsewhere: export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from insula.cli import options as o
from insula.cli import show

if TYPE_CHECKING:
    from insula.data import Problem
    from insula.evaluation.experiment import Experiment
    from insula.export.writing import Export
    from insula.learning.estimator import Estimator
    from insula.windows.table import Windows


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(export)


def export(
    model: Annotated[Path, typer.Option("--model", help="Folder written by `insula train` or evaluate (model/).")],
    out: Annotated[Path, typer.Option("--out", help="Folder for model.onnx, model-int8.onnx and model.json.")],
    data: Annotated[
        str | None, typer.Option("--data", help="Data set to measure the loss by int8 on. Default: noise.")
    ] = None,
    root: o.Root = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Only to state it again: the model's own target is measured.")
    ] = None,
    subjects: o.Subjects = None,
    int8: Annotated[bool, typer.Option("--int8/--no-int8", help="Also write a variant with int8 weights.")] = True,
    settings: o.Set = None,
) -> None:
    """Write a saved model as ONNX: one step a call with state in and out, checked against PyTorch."""
    from insula.errors import InputError
    from insula.export.writing import export as write
    from insula.learning.estimator import Estimator

    estimator = Estimator.load(model)
    if target is not None and target != estimator.schema.target:
        raise InputError(f"--target {target!r}; expected {estimator.schema.target!r}, that of the model. Leave it out.")
    if data is None and (root is not None or subjects is not None or settings):
        raise InputError("--root, --subjects or --set without --data; expected --data NAME with them. Name the data.")
    if data is not None and not int8:
        raise InputError("--data with --no-int8; expected no data, as they serve to measure int8. Drop one of them.")
    windows = None
    if data is not None:
        tables = {"data": {"name": data, "root": o.text(root), "subjects": o.names(subjects)}}
        windows = _labelled(estimator, o.make_experiment(None, tables, settings))
    done = write(estimator, out, int8=int8, windows=windows)
    show.console().print(show.facts(rows_of(done)))


def _labelled(model: Estimator, experiment: Experiment) -> Windows:
    """Cut recordings as the model expects them, with its own target."""
    from insula.pipeline.reading import read_recordings
    from insula.windows.cutting import cut

    problems: list[Problem] = []
    with show.progress() as report:
        windows = cut(
            read_recordings(experiment, problems, report),
            model.recipe,
            model.schema.target,
            traits=bool(model.schema.traits),
            schema=model.schema,
            progress=lambda done, total: report("cleaning trials", done, total),
        )
    for problem in problems[:5]:
        show.say(f"note: {problem.file}: {problem.what}")
    return windows


def rows_of(done: Export) -> list[tuple[str, str]]:
    """Say what was written and measured."""
    rows = [
        ("written", f"{done.folder} in {done.seconds:.1f} s"),
        ("step", f"{len(done.graph.inputs)} inputs, {len(done.graph.state)} states, {done.graph.nodes} nodes"),
        ("against PyTorch", f"largest difference {done.difference:.1e}"),
    ]
    for variant, size in done.bytes.items():
        grown = done.resident_bytes[variant]
        ram = "RAM not measured here" if grown is None else f"{grown / 1e6:.1f} MB of RAM when loaded and run"
        rows.append((variant, f"{size / 1e3:.0f} kB on disk, {ram}"))
    if done.loss is None:
        return rows
    loss = done.loss
    said = [f"largest change {loss['largest_change']:.3g}"]
    if "same_class" in loss:
        said.insert(0, f"same class in {loss['same_class']:.1%}")
    if loss.get("loss") is not None:
        name = loss["metric"].replace("_", " ")
        said.insert(0, f"{name} {loss['float32']:.3f} to {loss['int8']:.3f} (loss {loss['loss']:+.3f})")
    rows.append(("int8 against float32", f"{'; '.join(said)}; on {loss['measured_on']}"))
    return rows
