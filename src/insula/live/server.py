"""The web server: the page, its signals, commands from it, and decisions as JSON for programs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from insula.errors import InputError
from insula.live.access import COOKIE, Access
from insula.live.engine import Engine
from insula.live.hub import Listener
from insula.live.messages import Allowance, Ping, parse

CLIENTS = 64
"""Most clients at once."""
TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "txt": "text/plain"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
SEND_S = 5.0
"""A client that takes no frame for so long is gone."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


def assets() -> dict[str, bytes]:
    """Files of the page by name."""
    folder = files("insula.live").joinpath("page")
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name.rsplit(".")[-1] in TYPES}


class Guard:
    """Refuse what `Access` refuses, before any route sees it; put safe headers on every answer."""

    def __init__(self, app: Any, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        socket = scope["type"] == "websocket"
        why = self.access.refuses(connection.headers, connection.query_params, connection.cookies, socket)
        if why is not None and socket:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": f"wrong {why}"})
            return
        if why is not None:
            await PlainTextResponse(f"wrong {why}\n", 403, HEADERS)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def build(engine: Engine, access: Access) -> Guard:
    """Make the application around an engine, which starts and stops with it."""
    page = assets()

    async def show(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in page:
            return PlainTextResponse("not found\n", 404, HEADERS)
        if access.token and "token" in request.query_params:  # out of the address bar, into a cookie
            answer = RedirectResponse(request.url.path, 303, HEADERS)
            answer.set_cookie(COOKIE, access.token, httponly=True, samesite="strict")
            return answer
        return Response(page[name], 200, HEADERS, TYPES[name.rsplit(".")[-1]])

    async def export(_: Request) -> Response:
        headers = {**HEADERS, "Content-Disposition": 'attachment; filename="insula-personal.json"'}
        text = await asyncio.to_thread(lambda: json.dumps(engine.learner.to_dict()))
        return Response(text, 200, headers, "application/json")

    async def page_socket(socket: WebSocket) -> None:
        await serve(socket, engine, ("page", "decision", "signals"), commands=True)

    async def program_socket(socket: WebSocket) -> None:
        await serve(socket, engine, ("decision",), commands=True)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        engine.hub.attach(asyncio.get_running_loop())
        engine.start()
        try:
            yield
        finally:
            engine.hub.attach(None)
            await asyncio.to_thread(engine.stop)

    routes = [
        Route("/", show),
        Route("/export", export),
        WebSocketRoute("/ws", page_socket),
        WebSocketRoute("/decisions", program_socket),
        Route("/{name}", show),
    ]
    return Guard(Starlette(routes=routes, lifespan=lifespan), access)


async def serve(socket: WebSocket, engine: Engine, kinds: tuple[str, ...], commands: bool) -> None:
    """Serve one client until it leaves or breaks a rule; no other client notices."""
    if engine.hub.clients >= CLIENTS:
        await socket.close(1013, "too many clients")
        return
    await socket.accept()
    listener = engine.hub.join(kinds)
    sending = asyncio.create_task(_send(socket, listener))
    listening = asyncio.create_task(_listen(socket, engine, listener, commands))
    try:
        await asyncio.wait((sending, listening), return_when=asyncio.FIRST_COMPLETED)
        code, reason = listening.result() if listening.done() and not listening.cancelled() else (1001, "too slow")
    except (WebSocketDisconnect, RuntimeError):
        code, reason = 1000, ""
    finally:
        engine.hub.leave(listener)
        for task in (sending, listening):
            task.cancel()
        await asyncio.gather(sending, listening, return_exceptions=True)
    if socket.client_state is WebSocketState.CONNECTED and socket.application_state is WebSocketState.CONNECTED:
        with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
            async with asyncio.timeout(1.0):
                await socket.close(code, reason[:100])


async def _send(socket: WebSocket, listener: Listener) -> None:
    """Send what is queued; end when the client takes nothing any more."""
    try:
        while True:
            frame = await listener.queue.get()
            async with asyncio.timeout(SEND_S):  # not wait_for, which in Python 3.11 may swallow a cancellation
                if isinstance(frame, bytes):
                    await socket.send_bytes(frame)
                else:
                    await socket.send_text(frame)
    except (TimeoutError, RuntimeError, WebSocketDisconnect):
        return


async def _listen(socket: WebSocket, engine: Engine, listener: Listener, commands: bool) -> tuple[int, str]:
    """Take messages; return the code and reason with which to close."""
    allowance = Allowance()
    while True:
        message = await socket.receive()
        if message["type"] != "websocket.receive":
            return 1000, ""
        if not allowance.spend(time.monotonic()):
            return 1008, "too many messages"
        text = message.get("text")
        if text is None:
            return 1003, "text only"
        try:
            said = parse(text)
        except InputError as error:
            return 1007, str(error)
        if isinstance(said, Ping):
            now_ms = time.time() * 1000
            listener.put(json.dumps({"type": "pong", "sent": said.sent, "now_ms": now_ms, "dropped": listener.dropped}))
        elif commands:
            engine.command(said)


def make_server(engine: Engine, access: Access, host: str, port: int, ready: Callable[[str], None]) -> Any:
    """Make a server whose ``run`` serves until Ctrl-C or SIGTERM; ``ready`` is called with the page's address."""
    import uvicorn

    config = uvicorn.Config(
        build(engine, access), host=host, port=port, log_level="warning", access_log=False, server_header=False,
        ws="websockets-sansio", ws_max_size=8192, ws_max_queue=16, ws_ping_interval=10.0, ws_ping_timeout=20.0,
        ws_per_message_deflate=False, timeout_graceful_shutdown=2, h11_max_incomplete_event_size=16384,
        limit_concurrency=200, lifespan="on",
    )  # fmt: skip

    class Announcing(uvicorn.Server):
        """A server that says where it listens."""

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started and self.servers:
                at, number = self.servers[0].sockets[0].getsockname()[:2]
                ready(f"http://[{at}]:{number}/" if ":" in at else f"http://{at}:{number}/")

    return Announcing(config)
