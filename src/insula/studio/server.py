"""The studio's web server: the page, one state, messages from it, and files of the chosen folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from insula.errors import InputError, InsulaError
from insula.live.access import Access
from insula.live.hub import Hub
from insula.live.serving import HEADERS, Guard, assets, shown
from insula.studio import messages as m
from insula.studio.desk import Desk
from insula.studio.places import dropped, listing, named
from insula.studio.results import FILES, ONNX
from insula.studio.state import State

CLIENTS = 32
"""Most windows at once."""
SHARED = ("live.css", "theme.js", "icon.svg", "colours.js")
"""What the page takes from the live page."""
PAGE = {
    **HEADERS,
    "Content-Security-Policy": HEADERS["Content-Security-Policy"] + "; frame-src 'self'",
}
REPORT = {
    **HEADERS,
    "Content-Security-Policy": (
        "sandbox allow-scripts allow-downloads allow-popups; default-src 'none'; script-src 'unsafe-inline'; "
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
}
"""A report is a file of the folder: it runs its own script in a box without the studio's origin."""
ROWS = 200
"""Most rows of the table in one answer."""


def build(desk: Desk, hub: Hub, access: Access) -> Guard:
    """Make the application around a desk, which closes with it."""
    page = {k: v for k, v in assets("insula.live").items() if k in SHARED} | assets("insula.studio")

    async def show(request: Request) -> Response:
        return shown(page, request, access, PAGE)

    async def take(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise InputError("a message that is not JSON; expected content-type application/json. Send it so.")
        message = m.parse(await _body(request))
        await asyncio.to_thread(desk.take, message)
        return JSONResponse({"error": None}, 200, HEADERS)

    async def state(_: Request) -> Response:
        told = await asyncio.to_thread(lambda: msgspec.json.encode(desk.state()))
        return Response(told, 200, HEADERS, "application/json")

    async def table(request: Request) -> Response:
        first, count = _number(request, "first", 0, 10_000_000), _number(request, "count", ROWS, ROWS)
        text = request.query_params.get("find", "")[:200]
        return JSONResponse(await asyncio.to_thread(desk.rows, first, count, text), 200, HEADERS)

    async def places(request: Request) -> Response:
        if desk.fixed or not access.local:
            raise InputError(
                "a list of folders; expected none, the folder was chosen at the start. Start another studio."
            )
        path = named(request.query_params.get("path") or str(Path.home()))
        if "named" in request.query_params:
            asked = [one for one in request.query_params.getlist("holds")[:20] if "/" not in one and named(one)]
            starts = (path, Path.cwd(), Path.home())
            told = await asyncio.to_thread(dropped, request.query_params["named"], asked, starts)
            return JSONResponse(told, 200, HEADERS)
        return JSONResponse(await asyncio.to_thread(listing, path), 200, HEADERS)

    async def signals(_: Request) -> Response:
        return Response(await asyncio.to_thread(desk.signals), 200, HEADERS, "application/json")

    async def file(request: Request) -> Response:
        run, name = request.path_params["run"], request.path_params["file"]
        if name not in (*FILES, *(f"onnx/{one}" for one in ONNX)):
            raise InputError(f"file {name!r}; expected one that a run is told to have. Load the page again.")
        path = await asyncio.to_thread(desk.file, run, name)
        if path is None:
            return PlainTextResponse("not found\n", 404, HEADERS)
        if name == "report.html" and "save" not in request.query_params:
            return FileResponse(path, 200, REPORT, "text/html; charset=utf-8")
        attached = f"{run}-{path.name}"
        return FileResponse(path, 200, HEADERS, "application/octet-stream", filename=attached)

    async def schema(_: Request) -> Response:
        told = {"messages": msgspec.json.schema(m.Message), "state": msgspec.json.schema(State)}
        return JSONResponse(told, 200, HEADERS)

    async def window(socket: WebSocket) -> None:
        await _serve(socket, hub)

    async def refused(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, 400, HEADERS)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        hub.attach(asyncio.get_running_loop())
        await asyncio.to_thread(desk.changed)
        try:
            yield
        finally:
            hub.attach(None)
            await asyncio.to_thread(desk.close)

    routes = [
        Route("/", show),
        Route("/api/message", take, methods=["POST"]),
        Route("/api/state", state),
        Route("/api/table", table),
        Route("/api/places", places),
        Route("/api/signals", signals),
        Route("/api/schema", schema),
        Route("/runs/{run}/{file:path}", file),
        WebSocketRoute("/ws", window),
        Route("/{name}", show),
    ]
    return Guard(Starlette(routes=routes, lifespan=lifespan, exception_handlers={InsulaError: refused}), access)


def telling(hub: Hub) -> Callable[[str], None]:
    """Return how a desk tells its state to every window; newcomers get the latest."""
    return lambda text: hub.publish("state", text, keep="state")


async def _body(request: Request) -> bytes:
    """Read a request's body, no more of it than a message may have."""
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > m.MAX_BYTES:
            break
    return bytes(parts)


def _number(request: Request, name: str, usual: int, most: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not text.isdecimal() or int(text[:9]) > most:
        raise InputError(f"{name} {text[:20]!r}; expected a whole number up to {most}. Load the page again.")
    return int(text[:9])


async def _serve(socket: WebSocket, hub: Hub) -> None:
    """Send the state, whenever it is new, until the window closes."""
    if hub.clients >= CLIENTS:
        await socket.close(1013, "too many windows")
        return
    await socket.accept()
    listener = hub.join(("state",))
    sending = asyncio.create_task(_send(socket, listener.queue))
    try:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass  # the page says nothing here
    except (WebSocketDisconnect, RuntimeError):
        pass
    finally:
        hub.leave(listener)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _send(socket: WebSocket, queue: asyncio.Queue[Any]) -> None:
    while True:
        text = await queue.get()
        while not queue.empty():
            text = queue.get_nowait()  # only the latest counts
        await socket.send_text(text)
