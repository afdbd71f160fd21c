"""How insula serves a page: safe headers on every answer, nobody in whom `Access` refuses, Ctrl-C ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from importlib.resources import files
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from insula.live.access import COOKIE, Access

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
READING = ("GET", "HEAD")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


def assets(room: str) -> dict[str, bytes]:
    """Files of a room's page by name (``insula.live``: those of its folder ``page``)."""
    folder = files(room).joinpath("page")
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name.rsplit(".")[-1] in TYPES}


def shown(page: dict[str, bytes], request: HTTPConnection, access: Access, headers: dict[str, str]) -> Response:
    """Answer with the file that a path names; a token in the query moves into a cookie."""
    name = request.path_params.get("name", "index.html")
    if name not in page:
        return PlainTextResponse("not found\n", 404, headers)
    if access.token and "token" in request.query_params:  # out of the address bar
        answer = RedirectResponse(request.url.path, 303, headers)
        answer.set_cookie(COOKIE, access.token, httponly=True, samesite="strict")
        return answer
    return Response(page[name], 200, headers, TYPES[name.rsplit(".")[-1]])


class Guard:
    """Refuse what `Access` refuses, before any route sees it."""

    def __init__(self, app: Any, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        socket = scope["type"] == "websocket"
        changes = socket or scope["method"] not in READING
        why = self.access.refuses(connection.headers, connection.query_params, connection.cookies, changes)
        if why is not None and socket:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": f"wrong {why}"})
            return
        if why is not None:
            await PlainTextResponse(f"wrong {why}\n", 403, HEADERS)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def make_server(app: Guard, host: str, port: int, ready: Callable[[str], None]) -> Any:
    """Make a server whose ``run`` serves until Ctrl-C or SIGTERM; ``ready`` is called with the page's address."""
    import uvicorn

    config = uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False,
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
