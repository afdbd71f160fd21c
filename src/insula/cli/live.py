"""The command that serves the live page."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from insula.cli import options as o

if TYPE_CHECKING:
    from insula.live.engine import Outlet
    from insula.live.predictor import Predictor
    from insula.live.recorder import Recorder


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(live)


def live(
    source: Annotated[
        str,
        typer.Option(
            "--source",
            help="replay:NAME or replay:PATH, simulate[:p02], lsl[:eeg=NAME,...], brainflow[:ID].",
        ),
    ],
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Folder written by `insula train`. Default: none, learn from your labels alone."),
    ] = None,
    root: o.Root = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Whose recording is replayed.")] = None,
    speed: Annotated[float, typer.Option("--speed", help="Times real time, of replay and simulate.")] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Replay again and again.")] = False,
    host: Annotated[str, typer.Option("--host", help="Address to listen on; others than loopback need --token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8765,
    token: Annotated[
        str, typer.Option("--token", envvar="INSULA_LIVE_TOKEN", help="Secret of 16 characters or more.")
    ] = "",
    record: Annotated[
        Path | None, typer.Option("--record", help="Folder into which the page may record. Default: nothing is kept.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="Folder into which the page may save the personal model.")
    ] = None,
    person: Annotated[str, typer.Option("--person", help="Name under which recordings are kept.")] = "me",
    lsl_out: Annotated[bool, typer.Option("--lsl-out", help="Decisions and markers as LSL streams.")] = False,
    osc: Annotated[str | None, typer.Option("--osc", help="HOST:PORT that gets decisions as OSC messages.")] = None,
    patience: Annotated[
        float, typer.Option("--patience", min=0, max=10, help="Seconds a decision waits for late packets.")
    ] = 0.25,
    settings: o.Set = None,
) -> None:
    """Serve a page that shows a person's signals, says what the model sees, and learns from labels given on it."""
    from insula.live.extras import require_live

    require_live()
    from insula.live.access import Access
    from insula.live.engine import Engine, Setup
    from insula.live.hub import Hub
    from insula.live.server import build
    from insula.live.serving import make_server
    from insula.live.sources.naming import open_source

    access = Access(host, token)
    predictor = None if model is None else _predictor(model)
    options: dict[str, Any] = {}
    if settings:
        plan = o.make_experiment(None, {"data": {"name": source.partition(":")[2]}}, settings)
        options = dict(plan.data.options)
    opened = open_source(source, speed=speed, root=root, subject=subject, loop=loop, options=options)
    target = "label" if predictor is None else predictor.schema.target
    setup = Setup(
        opened,
        Hub(),
        predictor,
        None if record is None else _recorder(record, person, target),
        None if save is None else (lambda data: _save(save, data)),
        _outlets(lsl_out, osc, predictor),
        None if predictor is None else _energy(predictor),
        "" if model is None else str(model),
        patience,
    )
    suffix = f"?token={token}" if token else ""

    def ready(url: str) -> None:
        print(f"insula live: {url}{suffix}", file=sys.stderr, flush=True)

    make_server(build(Engine(setup), access), host, port, ready).run()


def _predictor(model: Path) -> Predictor:
    from insula.learning.saving import load_model
    from insula.live.predictor import Predictor

    return Predictor(load_model(model))


def _energy(predictor: Predictor) -> float | None:
    from insula.live.energy import joules_a_decision

    return joules_a_decision(predictor)


def _recorder(folder: Path, person: str, target: str) -> Recorder:
    from insula.live.recorder import Recorder

    return Recorder(folder, person, target)


def _save(folder: Path, data: dict[str, Any]) -> str:
    """Write the personal model at once or not at all."""
    from insula.files import replacing, require_folder

    require_folder(folder, "personal.json", "personal model")
    with replacing(folder) as work:
        (work / "personal.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
    return str(folder)


def _outlets(lsl_out: bool, osc: str | None, predictor: Predictor | None) -> tuple[Outlet, ...]:
    from insula.live.outlets import LSLOutlet, OSCOutlet

    out: list[Outlet] = []
    if lsl_out:
        out.append(LSLOutlet(() if predictor is None else predictor.schema.classes))
    if osc is not None:
        out.append(OSCOutlet.to(osc))
    return tuple(out)
