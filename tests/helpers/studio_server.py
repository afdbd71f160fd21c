"""`insula studio` as a process of its own, and a small study to open in it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fixtures_data import lines


@contextmanager
def studio(*arguments: str, cwd: Path | None = None) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run ``insula studio``; yields the page's address and the process, which is ended by its number."""
    command = [sys.executable, "-m", "insula", "studio", "--port", "0", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=cwd)
    assert running.stderr is not None
    drain: threading.Thread | None = None
    try:
        said: list[str] = []
        url = None
        for line in running.stderr:
            said.append(line)
            if found := re.match(r"insula studio: (\S+)", line):
                url = found[1]
                break
        assert url is not None, "".join(said)
        drain = threading.Thread(target=running.stderr.read, daemon=True)
        drain.start()
        yield url, running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGTERM)
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(10)
        if drain is not None:
            drain.join(5)


class Visit:
    """A window of the studio; whatever its console complains of fails the test at its end."""

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.goto(url)

    def until(self, condition: str, seconds: float = 300) -> None:
        """Ask the page until a condition holds; its own polling would need eval, which the page forbids."""
        for _ in range(int(seconds * 10)):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"never: {condition}; the page says: {self.page.inner_text('body')[:2000]}")

    def eventually(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something outside the page holds."""
        for _ in range(int(seconds * 10)):
            if holds():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"never; the page says: {self.page.inner_text('body')[:2000]}")

    def screen(self, title: str) -> None:
        """Wait for a screen by the beginning of its title."""
        self.until(f"document.querySelector('h1')?.textContent.startsWith({title!r})")

    def sound(self, name: str = "") -> None:
        """Require that a screen fits a desk and a phone, light and dark.

        axe-core, which takes a second or two, has nothing against the desk by day and the phone by night.
        """
        from axe_playwright_python.sync_playwright import Axe

        wrong = []
        for width, theme in ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")):
            self.page.set_viewport_size({"width": width, "height": 800})
            self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            self.page.wait_for_timeout(150)
            if shots := os.environ.get("INSULA_SHOTS"):
                self.page.screenshot(path=Path(shots) / f"{name}-{width}-{theme}.png", full_page=True)
            if self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong.append(f"{width} {theme}: wider than the window")
            if (width > 1000) != (theme == "light"):
                continue
            found = Axe().run(self.page).response["violations"]
            wrong += [
                f"{width} {theme}: {one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"][:3]
            ]
        self.page.set_viewport_size({"width": 1280, "height": 800})
        self.page.emulate_media(color_scheme="light")
        assert wrong == [], f"{name}: {wrong}"

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, selector: str, most: int = 80) -> None:
        """Press Tab until an element has the focus."""
        for _ in range(most):
            if self.page.evaluate(f"document.activeElement?.matches({selector!r})"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab never came to {selector}")

    def close(self) -> None:
        """Close the window; it must have been quiet."""
        self.context.close()
        assert self.errors == []


def write_study(root: Path, people: int = 3, trials: int = 6, seconds: int = 30, seed: int = 0) -> None:
    """A folder a person with one CSV of skin conductance and temperature a trial, and answers in a table."""
    rng = np.random.default_rng(seed)
    answers = ["participant,trial,mood"]
    for k in range(people):
        person = f"P{k + 1:02d}"
        (root / person).mkdir(parents=True, exist_ok=True)
        moods = rng.permutation(["calm", "tense"] * (trials // 2))
        for i, mood in enumerate(moods):
            level = 2 + k + 2.0 * (mood == "tense")
            eda = level + np.cumsum(rng.normal(size=4 * seconds)) * 0.02
            temp = 33 + 0.05 * np.cumsum(rng.normal(size=4 * seconds)) * 0.1
            rows = [f"{t / 4:.2f},{a:.4f},{b:.4f}" for t, (a, b) in enumerate(zip(eda, temp, strict=True))]
            lines(root / person / f"trial{i + 1}.csv", ["time,EDA,TEMP", *rows])
            answers.append(f"{person},trial{i + 1},{mood}")
    lines(root / "answers.csv", answers)
