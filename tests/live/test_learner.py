"""Learning the person: labels, a score that is honest, undo, and the guided way."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from insula.errors import InputError
from insula.live.calibration import Calibration
from insula.live.hub import QUEUE, Hub
from insula.live.learner import Learner
from insula.live.predictor import Decision


def decision(stop_s: float, features: np.ndarray, chances: np.ndarray | None = None) -> Decision:
    said = np.empty(0) if chances is None else chances
    return Decision(
        ("p", "s", "t"), stop_s - 4.0, stop_s, "scored", said, None, float("nan"), np.empty(0, np.float32),
        features.astype(np.float32),
    )  # fmt: skip


def taught(signal: float, seed: int = 0, saved: bool = False) -> Learner:
    """Twelve stretches of two states; ``signal`` is how much the features say."""
    rng = np.random.default_rng(seed)
    learner = Learner(("calm", "tense") if saved else ())
    if not saved:
        learner.add_class("calm")
        learner.add_class("tense")
    way = rng.normal(0, 1, 20)
    for k in range(12):
        state = k % 2
        for second in range(20):
            x = rng.normal(0, 1, 20) + signal * (2 * state - 1) * way
            learner.see(decision(20.0 * k + second + 1, x, np.array([0.9, 0.1]) if saved else None))
        learner.label(("calm", "tense")[state], 20.0 * k, 20.0 * k + 20)
    return learner


def test_it_learns_what_is_there_in_seconds() -> None:
    learner = taught(0.6)
    task = learner.snapshot()
    assert task is not None
    began = time.monotonic()
    adapted = task.run()
    assert time.monotonic() - began < 10
    assert adapted.score.stretches == adapted.score.after == 12
    learner.take(adapted)
    asked = decision(999.0, np.zeros(20))
    found = learner.chances(asked)
    assert found is not None
    assert found[0].sum() == pytest.approx(1.0)


def test_noise_is_not_told_apart_and_not_believed() -> None:
    shares, tops = [], []
    for seed in range(8):
        adapted = taught(0.0, seed).snapshot().run()  # type: ignore[union-attr]
        shares.append(adapted.score.windows_after)
        rng = np.random.default_rng(100 + seed)
        tops += [adapted.chances(rng.normal(0, 1, 20))[0].max() for _ in range(50)]
    assert abs(np.mean(shares) - 0.5) < 0.12
    assert np.median(tops) < 0.75


def test_a_worse_head_does_not_serve() -> None:
    learner = taught(0.0, saved=True)
    learner.stretches = [s for s in learner.stretches if s.name == "calm"][:4] + learner.stretches[1:4:2]
    adapted = learner.snapshot().run()  # type: ignore[union-attr]
    assert adapted.score.before is not None
    learner.take(adapted)
    serves = learner.chances(decision(999.0, np.zeros(20), np.array([0.5, 0.5]))) is not None
    assert serves == (adapted.score.windows_after >= (adapted.score.windows_before or 0.0))


def test_undo_takes_the_head_back_with_its_label() -> None:
    learner = taught(0.6)
    learner.take(learner.snapshot().run())  # type: ignore[union-attr]
    assert learner.adapted is not None
    assert learner.undo() is not None
    assert learner.adapted is None
    for _ in range(20):
        learner.undo()
    assert learner.undo() is None
    assert learner.snapshot() is None


def test_labels_are_checked_and_later_ones_replace() -> None:
    learner = taught(0.6)
    learner.label("tense", 0.0, 20.0)
    assert learner.counts == {"calm": 5, "tense": 7}
    with pytest.raises(InputError, match="expected one of"):
        learner.label("hungry", 0.0, 5.0)
    with pytest.raises(InputError, match="no whole window"):
        learner.label("calm", 5000.0, 5001.0)
    with pytest.raises(InputError, match="model's"):
        Learner(("a", "b")).add_class("c")


def test_it_asks_for_labels_but_not_all_the_time() -> None:
    learner = Learner(("calm", "tense"))
    asked = [t for t in range(200) if learner.propose(decision(float(t), np.zeros(3)), 0.1, float(t))]
    assert 4 <= len(asked) <= 9


def test_the_guided_calibration_labels_every_state() -> None:
    guide = Calibration(("calm", "tense"), rounds=2)
    labels, rests, done = [], 0, False
    for second in range(400):
        step = guide.step(float(second))
        if step is None:
            continue
        rests += step.begin_rest + step.end_rest
        labels += [step.label] if step.label else []
        if step.done:
            done = True
            break
    assert done
    assert rests == 2
    assert [name for name, _, _ in labels] == ["calm", "tense", "tense", "calm"]
    assert all(stop - start >= 10 for _, start, stop in labels)


def test_a_slow_client_loses_frames_and_newcomers_get_the_latest() -> None:
    async def play() -> tuple[int, list[str]]:
        hub = Hub()
        hub.attach(asyncio.get_running_loop())
        slow = hub.join(("page",))
        for k in range(QUEUE + 10):
            hub.publish("page", str(k), keep="status")
            hub.publish("signals", "not wanted")
        await asyncio.sleep(0)
        late = hub.join(("page",))
        return slow.dropped, [str(late.queue.get_nowait())]

    dropped, kept = asyncio.run(play())
    assert dropped == 10
    assert kept == [str(QUEUE + 9)]
