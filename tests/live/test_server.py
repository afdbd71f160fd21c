"""The server: who gets in, what it understands, and that one client's trouble is its own."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_server import serving
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from insula.errors import InputError
from insula.learning.estimator import Estimator
from insula.live.access import Access
from insula.live.messages import Allowance, Label, parse
from insula.live.predictor import Predictor
from insula.live.sources.replay import Replay
from insula.types import Recording

TOKEN = "a-secret-of-twenty-signs"


@pytest.fixture(scope="module")
def address(model: Estimator, people: tuple[Recording, ...]) -> Iterator[str]:
    source = Replay(people[0], speed=20.0, loop=True)
    with serving(source, predictor=Predictor(model)) as (where, _):
        yield where


def wait_for(socket: ClientConnection, kind: str, most: int = 3000) -> dict[str, Any]:
    for _ in range(most):
        frame = socket.recv(timeout=30)
        if isinstance(frame, str) and (message := json.loads(frame))["type"] == kind:
            found: dict[str, Any] = message
            return found
    raise AssertionError(f"no {kind}")


def test_page_and_assets(address: str) -> None:
    page = httpx.get(f"http://{address}/")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for name in ("app.js", "live.css", "uplot.js", "uplot-licence.txt", "icon.svg"):
        assert f"{name}" in page.text or httpx.get(f"http://{address}/{name}").status_code == 200
    for wrong in ("nothing.js", "..%2fserver.py", "%2e%2e/engine.py", "page/index.html"):
        assert httpx.get(f"http://{address}/{wrong}").status_code == 404


def test_decisions_for_programs(address: str) -> None:
    with connect(f"ws://{address}/decisions", open_timeout=20, close_timeout=0.5) as socket:
        message = wait_for(socket, "decision")
    assert len(message["chances"]) == len(message["classes"]) == 7
    assert sum(message["chances"]) == pytest.approx(1.0, abs=1e-4)
    assert message["sensors"]["eeg"]["counts"] is True


def listen(socket: ClientConnection, pings: int = 0) -> None:
    for _ in range(pings):
        socket.send('{"type": "ping", "sent": 1}')
    for _ in range(3000):
        socket.recv(timeout=20)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_other_origins_are_refused(address: str, origin: str) -> None:
    with pytest.raises(InvalidStatus), connect(f"ws://{address}/ws", origin=origin, open_timeout=20, close_timeout=0.5):
        pass


def test_other_host_names_are_refused(address: str) -> None:
    assert httpx.get(f"http://{address}/", headers={"host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"type": "label"}', '{"type": "label", "name": "<b>", "seconds": 5}', "x" * 5000,
     '{"type": "label", "name": "sad", "seconds": NaN}', '{"type": "undo", "more": 1}', '{"type": "eval"}'],
)  # fmt: skip
def test_what_is_not_understood_closes_that_client_only(address: str, text: str) -> None:
    with connect(f"ws://{address}/decisions", open_timeout=20, close_timeout=0.5) as other:
        with connect(f"ws://{address}/ws", open_timeout=20, close_timeout=0.5) as socket:
            socket.send(text)
            with pytest.raises(ConnectionClosed):
                listen(socket)
        wait_for(other, "decision")


def test_a_flood_closes_the_client(address: str) -> None:
    flood = connect(f"ws://{address}/decisions", open_timeout=20, close_timeout=1)
    with flood as socket, pytest.raises(ConnectionClosed) as closed:
        listen(socket, pings=2000)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_a_token_is_asked_for(model: Estimator, people: tuple[Recording, ...]) -> None:
    with serving(Replay(people[0], 20.0, loop=True), token=TOKEN, predictor=Predictor(model)) as (where, _):
        assert httpx.get(f"http://{where}/").status_code == 403
        with httpx.Client() as client:
            assert client.get(f"http://{where}/?token={TOKEN}", follow_redirects=True).status_code == 200
            assert client.get(f"http://{where}/app.js").status_code == 200
        with pytest.raises(InvalidStatus), connect(f"ws://{where}/ws", open_timeout=20, close_timeout=0.5):
            pass
        with connect(f"ws://{where}/decisions?token={TOKEN}", open_timeout=20, close_timeout=0.5) as socket:
            wait_for(socket, "decision")


def test_others_than_loopback_need_a_token() -> None:
    with pytest.raises(InputError, match="token"):
        Access("0.0.0.0", "")
    with pytest.raises(InputError, match="token"):
        Access("192.168.1.5", "short")
    for own in ("localhost", "127.0.0.1", "::1"):
        Access(own, "")


def test_messages_and_rates() -> None:
    assert parse('{"type": "label", "name": "sad", "seconds": 5}') == Label("sad", 5)
    allowance = Allowance(rate=2.0, burst=3.0)
    assert [allowance.spend(0.0) for _ in range(4)] == [True, True, True, False]
    assert allowance.spend(1.0)


@pytest.mark.slow
def test_ten_thousand_hostile_messages(address: str) -> None:
    rng = random.Random(0)
    pieces = [
        '{"type": "',
        "label",
        "undo",
        '"}',
        "\x00",
        "\ud7ff",
        "[" * 200,
        '"name": "',
        "9" * 400,
        "NaN",
        "{}",
        ",",
    ]
    sent = 0
    with connect(f"ws://{address}/decisions", open_timeout=20, close_timeout=0.5) as bystander:
        while sent < 10_000:
            try:
                with connect(f"ws://{address}/ws", open_timeout=20, close_timeout=0.2) as socket:
                    for _ in range(200):
                        text = "".join(rng.choices(pieces, k=rng.randrange(0, 12)))
                        socket.send(text if rng.random() < 0.8 else rng.randbytes(rng.randrange(0, 9000)))
                        sent += 1
            except ConnectionClosed:
                continue
        wait_for(bystander, "decision")
    with connect(f"ws://{address}/decisions", open_timeout=20, close_timeout=0.5) as after:
        wait_for(after, "decision")


@pytest.mark.slow
def test_fifty_clients_one_of_them_asleep(address: str) -> None:
    with ExitStack() as stack:
        asleep = stack.enter_context(connect(f"ws://{address}/ws", open_timeout=30, max_queue=1, close_timeout=0.1))
        clients = [
            stack.enter_context(connect(f"ws://{address}/ws", open_timeout=30, close_timeout=0.1)) for _ in range(49)
        ]
        for client in clients:
            wait_for(client, "decision")
        for client in clients[:5]:
            client.send('{"type": "ping", "sent": 1}')
            assert wait_for(client, "pong")["sent"] == 1
        assert asleep.protocol.state.name == "OPEN"


def test_the_example_client(address: str) -> None:
    example = Path(__file__).parents[2] / "examples" / "live_client.py"
    running = subprocess.Popen(
        [sys.executable, str(example), f"ws://{address}/decisions"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        assert " s  " in running.stdout.readline()
    finally:
        running.kill()
        running.wait(10)
