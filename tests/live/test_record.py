"""What was recorded is read back by the manifest reader; nothing lands elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from live_server import folder_text

import insula
from insula.errors import InputError
from insula.live.engine import Engine, Setup
from insula.live.hub import Hub
from insula.live.messages import AddClass, Record
from insula.live.recorder import Recorder
from insula.live.sources.replay import Replay
from insula.types import Recording


def test_recorded_stretches_come_back(people: tuple[Recording, ...], tmp_path: Path) -> None:
    """Without a model: name two states, record, label trials; the manifest gives the same samples."""
    folder = tmp_path / "study"
    engine = Engine(Setup(Replay(people[0], np.inf, packet_s=0.5), Hub(), recorder=Recorder(folder, "anna", "emotion")))
    assert not folder.exists()  # off until asked for
    for _ in range(12):
        engine.turn()
    for name in ("calm", "tense"):
        engine.command(AddClass(name))
    engine.command(Record(True))
    stops = []
    for _ in range(40_000):
        engine.turn()
        if engine.last is not None and (not stops or engine.last.stop_s >= stops[-1] + 18):
            stops.append(engine.last.stop_s)
            if len(stops) in (3, 4, 5, 6):
                engine.label("calm" if len(stops) % 2 else "tense", stops[-1] - 6, stops[-1])
        if engine.ended:
            break
    engine.turn()
    engine.close()
    assert engine.learner.counts == {"calm": 2, "tense": 2}

    read = insula.load("manifest", folder)[0]
    assert read.subject == "anna"
    assert [t.labels["emotion"] for t in read.trials] == ["calm", "tense", "calm", "tense"]
    for trial in read.trials:
        eda = trial.signals["eda"]
        assert trial.stop_s - trial.start_s == pytest.approx(6.0, abs=0.3)
        source = next(t for t in people[0].trials if t.start_s <= trial.start_s < t.stop_s).signals["eda"]
        first = round((trial.start_s - source.start_s) * 4)
        count = min(eda.n_samples, source.n_samples - first)
        np.testing.assert_allclose(eda.values[0, :count], source.values[0, first : first + count], rtol=1e-5)
    assert all(name == "manifest.csv" or name.count("/") == 1 for name in folder_text(folder))
    assert folder_text(tmp_path) == [f"study/{name}" for name in folder_text(folder)]


@pytest.mark.parametrize("name", ["../me", "a/b", "", "x" * 100])
def test_names_that_are_paths_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError):
        Recorder(tmp_path, name)
