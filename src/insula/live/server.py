"""The web server: the page, its signals, commands from it, and decisions as JSON for programs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from insula.errors import InputError
from insula.live.access import Access
from insula.live.engine import Engine
from insula.live.hub import Listener
from insula.live.messages import Allowance, Ping, parse
from insula.live.serving import HEADERS, Guard, assets, shown

CLIENTS = 64
"""Most clients at once."""
SEND_S = 5.0
"""A client that takes no frame for so long is gone."""


def build(engine: Engine, access: Access) -> Guard:
    """Make the application around an engine, which starts and stops with it."""
    page = assets("insula.live")

    async def show(request: Request) -> Response:
        return shown(page, request, access, HEADERS)

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
