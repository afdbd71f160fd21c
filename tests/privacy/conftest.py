"""Recordings of three people whose names begin alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_cohort import recording, write_manifest


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("data"), [recording(name) for name in ("S1", "S10", "S11")])
