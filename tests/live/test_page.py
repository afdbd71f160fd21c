"""The page in a real browser, against `insula live` as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from families import alive, family
from live_server import process

pytestmark = pytest.mark.slow
WAIT_MS = 60_000


def until(page: Any, condition: str) -> None:
    """Ask the page until a condition holds; its own polling would need eval, which the page forbids."""
    for _ in range(WAIT_MS // 50):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def counts(page: Any, what: str, more: int) -> None:
    """Wait until the page has had so many more frames or decisions."""
    begin = int(page.evaluate(f"Number(document.body.dataset.{what} || 0)"))
    until(page, f"Number(document.body.dataset.{what} || 0) >= {begin + more}")


def pixels(page: Any) -> str:
    return str(page.evaluate("document.getElementById('eeg-canvas').toDataURL()"))


def test_signals_labels_adaptation_reload(browser: Any, model_folder: Path, tmp_path: Path) -> None:
    arguments = (
        "--model",
        str(model_folder),
        "--source",
        "simulate:p01",
        "--speed",
        "10",
        "--save",
        str(tmp_path / "me"),
    )
    with process(*arguments) as (url, _):
        page = browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.goto(url)
        counts(page, "frames", 5)
        before = pixels(page)
        counts(page, "frames", 10)
        assert pixels(page) != before
        counts(page, "decisions", 14)  # the rest is over
        assert page.locator("#sensors li").count() == 5
        until(page, "document.getElementById('latency').textContent.endsWith('ms')")
        page.select_option("#seconds", "10")
        for _ in range(2):
            for number, name in (("1", "anger"), ("6", "sad")):
                page.click(f"#keys button:has-text('{name}')")
                counts(page, "decisions", 7)
                page.keyboard.press(number)
        until(page, "document.querySelector('#score table') !== null")
        assert "of 4" in page.inner_text("#score table")
        page.click("#save")
        until(page, "document.getElementById('note').textContent.startsWith('saved')")
        assert (tmp_path / "me" / "personal.json").is_file()
        page.reload()
        counts(page, "frames", 3)
        assert page.locator("#labels li").count() == 4
        page.keyboard.press("u")
        until(page, "document.querySelectorAll('#labels li').length === 3")
        assert errors == []
        page.close()


def test_sixty_four_channels_at_512_hz_keep_up(browser: Any, model_folder: Path) -> None:
    """A minute of signal in frames of a sixtieth of a second: drawing must not fall behind."""
    script = """async () => {
      const { Sweep } = await import("./sweep.js");
      const canvas = document.createElement("canvas");
      canvas.style.cssText = "width: 1000px; height: 600px; display: block";
      document.body.append(canvas);
      const names = Array.from({ length: 64 }, (_, i) => `E${i}`), sweep = new Sweep(canvas, names, 512);
      const seen = new Uint8Array(9).fill(1), took = [];
      let first = 0;
      for (let k = 0; k < 3600; k++) {
        const count = Math.floor((k + 1) * 512 / 60) - first, values = new Float32Array(64 * count);
        for (let i = 0; i < values.length; i++) values[i] = 40 * Math.sin(i * 12.9898 + k);
        const began = performance.now();
        sweep.add(values, count, first, seen); sweep.draw();
        took.push(performance.now() - began);
        first += count;
      }
      sweep.context.getImageData(0, 0, 1, 1);
      took.sort((a, b) => a - b);
      return { median: took[1800], p99: took[3564], total: took.reduce((a, b) => a + b) };
    }"""
    with process("--model", str(model_folder), "--source", "simulate:p01") as (url, _):
        page = browser.new_page()
        page.goto(url)
        found = page.evaluate(script)
        page.close()
    assert found["median"] < 1000 / 60
    assert found["total"] < 60_000


def test_the_page_outlives_its_server(browser: Any, model_folder: Path) -> None:
    arguments = ("--model", str(model_folder), "--source", "simulate:p01", "--speed", "5")
    page = browser.new_page()
    with process(*arguments) as (url, running):
        port = int(url.rstrip("/").rsplit(":", 1)[1])
        page.goto(url)
        counts(page, "frames", 3)
        os.kill(running.pid, signal.SIGKILL)
        page.wait_for_selector("body.lost", timeout=WAIT_MS)
    with process(*arguments, port=port):
        page.wait_for_selector("body:not(.lost)", timeout=WAIT_MS)
        counts(page, "frames", 5)
    page.close()


def test_small_screens_have_no_sideways_scroll(browser: Any, model_folder: Path) -> None:
    with process("--model", str(model_folder), "--source", "simulate:p01", "--speed", "5") as (url, _):
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
            page = context.new_page()
            page.goto(url)
            counts(page, "decisions", 2)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            context.close()


def test_a_killed_browser_harms_nobody(browser: Any, model_folder: Path) -> None:
    with process("--model", str(model_folder), "--source", "simulate:p01", "--speed", "5") as (url, running):
        script = (
            "import sys; from playwright.sync_api import sync_playwright\n"
            "with sync_playwright() as p:\n"
            "  b = p.chromium.launch(executable_path=sys.argv[2], args=['--no-sandbox', '--disable-gpu'])\n"
            "  g = b.new_page(); g.goto(sys.argv[1])\n"
            "  g.wait_for_selector('body[data-frames]')\n"
            "  print('there', flush=True); sys.stdin.read()\n"
        )
        chromium = os.environ.get("INSULA_CHROMIUM", "/usr/bin/chromium")
        other = subprocess.Popen(
            [sys.executable, "-c", script, url, chromium], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "there"
        os.killpg(other.pid, signal.SIGKILL)
        other.wait(10)
        page = browser.new_page()
        page.goto(url)
        counts(page, "frames", 5)
        assert running.poll() is None
        page.close()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_server_and_all_it_started_end_when_it_is_told(model_folder: Path, end: int) -> None:
    with process("--model", str(model_folder), "--source", "simulate:p01") as (_, running):
        started = family(running.pid)
        running.send_signal(end)
        assert running.wait(20) in (0, 130, -end)
        until = time.monotonic() + 10
        while any(map(alive, started)) and time.monotonic() < until:
            time.sleep(0.1)
        assert not [one for one in started if alive(one)]
