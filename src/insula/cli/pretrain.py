"""The command that learns from recordings without their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from insula.cli import options as o
from insula.cli import show
from insula.notebook import counted


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(pretrain)


def pretrain(
    out: Annotated[Path, typer.Option("--out", help="Folder for the weights, which --from takes.")],
    data: o.DataName = None,
    root: o.Root = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Network of `insula models`. Default: the one made for it.")
    ] = None,
    size: Annotated[str | None, typer.Option("--size", help="small or medium. Default: small.")] = None,
    normaliser: o.Normaliser = None,
    modalities: o.Modalities = None,
    subjects: o.Subjects = None,
    pseudonyms: o.Pseudonyms = None,
    window: o.Window = None,
    hop: o.Hop = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the recordings.")] = 20,
    hidden: Annotated[float, typer.Option("--hidden", help="Share of the signals that is hidden and told.")] = 0.5,
    seed: o.Seed = 0,
    settings: o.Set = None,
    device: o.Device = "cpu",
) -> None:
    """Hide parts of unlabelled signals and have a network tell them; train, evaluate and personalise begin --from it.

    The people of these recordings are written down: nobody of them may be in a test fold of what begins from them.
    """
    from insula.learning.pretraining import PretrainConfig
    from insula.models import PRETRAINED
    from insula.pipeline.running import pretrain_model

    tables: dict[str, dict[str, Any]] = {
        "data": {
            "name": data,
            "root": o.text(root),
            "modalities": o.names(modalities),
            "subjects": o.names(subjects),
            "pseudonyms": o.text(pseudonyms),
        },
        "model": {"name": model or PRETRAINED, "size": size, "normaliser": normaliser},
        "recipe": {"window_s": window, "hop_s": hop},
        "": {"seed": seed},
    }
    plan = o.make_experiment(None, tables, settings)
    how = PretrainConfig(epochs=epochs, hidden=hidden)
    with show.progress() as report:
        done, windows = pretrain_model(plan, out, how, device=device, progress=report)
    show.warn(windows.notes)
    told = (
        "nothing was held out"
        if done.told != done.told
        else f"{max(0.0, done.told):.0%} of the variance of hidden parts"
    )
    show.console().print(
        show.facts(
            [
                ("weights", str(out)),
                (
                    "windows",
                    f"{len(windows)} of {counted(windows.table['subject'].nunique(), 'person')}, no label read",
                ),
                ("loss", f"{done.losses[0]:.3f} at first, {done.losses[-1]:.3f} at last"),
                ("told of what was held out", told),
            ]
        )
    )
