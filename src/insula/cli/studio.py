"""The command that serves the studio."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(studio)


def studio(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder with your recordings. Default: the page asks for it.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="Data set in it: a name of `insula data list`. Default: your own files."),
    ] = None,
    demo: Annotated[Path, typer.Option("--demo", help="Folder for the results of simulated people.")] = Path(
        "insula-demo"
    ),
    host: Annotated[str, typer.Option("--host", help="Address to listen on; others than loopback need --token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8760,
    token: Annotated[
        str, typer.Option("--token", envvar="INSULA_STUDIO_TOKEN", help="Secret of 16 characters or more.")
    ] = "",
) -> None:
    """Serve a page that leads from a folder of recordings to a report, a model and its files, without programming.

    Results go to FOLDER/runs, the table is FOLDER/manifest.csv, and what the page remembers is in FOLDER/.insula.
    """
    from insula.errors import InputError
    from insula.live.extras import require_live

    require_live()
    from insula.data import info
    from insula.live.access import Access
    from insula.live.hub import Hub
    from insula.live.serving import make_server
    from insula.studio.desk import Desk
    from insula.studio.server import build, telling

    access = Access(host, token)
    if data is not None:
        info(data)
    if folder is None and (data is not None or not access.local):
        raise InputError(
            "studio without a folder; expected one with --data, and with a --host that others reach. Give the folder."
        )
    hub = Hub()
    desk = Desk(telling(hub), folder, not access.local, demo, data)
    suffix = f"?token={token}" if token else ""

    def ready(url: str) -> None:
        print(f"insula studio: {url}{suffix}", file=sys.stderr, flush=True)

    try:
        make_server(build(desk, hub, access), host, port, ready).run()
    finally:
        desk.close()
