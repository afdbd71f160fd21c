"""Fixtures for all tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

CHROMIUM = Path(os.environ.get("INSULA_CHROMIUM", "/usr/bin/chromium"))

# The same examples in every run, so that a change is judged by itself; HYPOTHESIS_PROFILE=explore searches on.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Folder of real recordings: $INSULA_RECORDINGS, else ../shared/data beside the project; skips where absent."""
    named = os.environ.get("INSULA_RECORDINGS")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real recordings: {folder} does not exist (set INSULA_RECORDINGS to their folder)")
    return folder


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Ray, for one test at a time on this machine: a cluster that starts meanwhile would be taken for the own one.

    Its workers are as urgent as the tests beside them (they would be the last that a busy machine serves), and it
    tells nobody that it ran.
    """
    found = pytest.importorskip("ray", reason="ray is not installed (extra scale)")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with FileLock(Path(tempfile.gettempdir()) / "insula-tests-ray.lock", timeout=550):
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium for one module: while it is open an event loop runs in this thread; other modules start their own."""
    if not CHROMIUM.exists():
        pytest.skip(f"no browser: {CHROMIUM} does not exist (set INSULA_CHROMIUM to a chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        made = running.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        yield made
        made.close()
