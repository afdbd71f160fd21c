"""Signals larger than memory: read when a batch needs them, shuffled in a bounded buffer, the same numbers."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from own_model import MyNet
from small_cohort import RECIPE, cohort, scored

import insula.learning.feed as feeds
import insula.learning.scale as scale
from insula.learning.batches import Prepared
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.feed import Feed
from insula.learning.prefetch import prefetched
from insula.learning.train_config import TrainConfig
from insula.windows.cutting import cut
from insula.windows.store import Store
from insula.windows.table import Windows

FAST = TrainConfig(epochs=2, batch_trials=4, residual="always")


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No signal stays in memory; the buffer holds about three trials."""
    monkeypatch.setattr(scale, "KEEP_BYTES", 0)
    monkeypatch.setattr(feeds, "BUFFER_BYTES", 12_000)


@pytest.fixture
def stored(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Windows:
    """The cohort's scored windows, from a store on disk."""
    import insula.windows.store.sets as sets

    people = {r.subject: r for r in cohort()}
    monkeypatch.setattr(sets, "people", lambda *_, **__: sorted(people))
    monkeypatch.setattr(sets, "load", lambda *_, subjects, **__: tuple(people[s] for s in subjects))
    held = Store(tmp_path / "s").hold("simulate", None, RECIPE)
    return scored(cut(held.recordings, RECIPE, "state", clean=held.clean))


def prepared(windows: Windows, **changes) -> Prepared:
    return Estimator(EstimatorConfig(train=FAST, **changes)).initialise(windows).prepare(windows)


@pytest.mark.parametrize("scope", ["trial", "session"])
def test_streamed_training_is_the_same_to_the_bit(stored: Windows, scope: str, monkeypatch) -> None:
    config = EstimatorConfig(train=FAST, scope=scope)
    kept = Estimator(config).fit(scored())
    monkeypatch.setattr(scale, "KEEP_BYTES", 0)
    other = Estimator(config).fit(stored)
    assert not other.prepare(stored).signals.kept
    a, b = (e.networks[0].state_dict() for e in (kept, other))
    assert all(torch.equal(a[k], b[k]) for k in a)
    np.testing.assert_array_equal(kept.predict_proba(scored()), other.predict_proba(stored))


@pytest.mark.usefixtures("streamed")
def test_single_windows_come_once_each_in_an_order_of_their_own(stored: Windows) -> None:
    feed = Feed(prepared(stored), "window")
    rng = np.random.default_rng(0)
    first, second = ([int(r) for part in feed.each(1, rng) for r in part.row[:, 0]] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(len(stored)))
    assert first != second
    assert first != sorted(first)


@pytest.mark.usefixtures("streamed")
def test_the_buffer_never_holds_more_than_it_may(stored: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    found = prepared(stored)
    held: list[int] = []
    real = scale.ScaledSignals.hold

    def watched(self, keys):
        keys = list(keys)
        real(self, keys)
        held.append(sum(v.nbytes for key in keys for v in self[key].values()))

    monkeypatch.setattr(scale.ScaledSignals, "hold", watched)
    for _ in Feed(found, "window").each(2, np.random.default_rng(0)):
        pass
    largest = max(found.signals.size_bytes(key) for key in found.signals)
    assert len(held) > 3
    assert 0 < max(held) <= max(feeds.BUFFER_BYTES, largest)
    assert held[-1] == 0


@pytest.mark.usefixtures("streamed")
def test_streamed_windows_hold_what_kept_ones_hold(stored: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    away = {}
    for part in Feed(prepared(stored), "window").each(1, np.random.default_rng(1)):
        away |= {int(row): part.batch.signals["bvp"][i] for i, row in enumerate(part.row[:, 0])}
    monkeypatch.setattr(scale, "KEEP_BYTES", 1 << 30)
    for part in Feed(prepared(scored()), "window").each(1):
        for i, row in enumerate(part.row[:, 0]):
            assert torch.equal(part.batch.signals["bvp"][i], away[int(row)])


@pytest.mark.usefixtures("streamed")
def test_your_own_model_trains_streamed_and_twice_the_same(stored: Windows) -> None:
    config = EstimatorConfig(train=FAST)
    a, b = (Estimator(config, factory=MyNet).fit(stored).networks[0].state_dict() for _ in range(2))
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.usefixtures("streamed")
def test_answers_take_as_many_stretches_as_the_buffer_holds(stored: Windows) -> None:
    feed = Feed(prepared(stored), "trial")
    longest = max(feed.prepared.signals.size_bytes(key) for key in feed.prepared.signals)
    assert feed.fitting(32) == max(1, feeds.BUFFER_BYTES // longest) < 32
    assert feed.fitting(1) == 1


def test_prefetch_keeps_order_and_stays_within_its_bound() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(20):
            made.append(i)
            yield i

    seen = []
    for item in prefetched(items(), ahead=2):
        seen.append(item)
        assert len(made) <= len(seen) + 4  # two wait, one is offered, one may just be made
    assert seen == list(range(20))


def test_prefetch_raises_what_went_wrong_in_its_turn() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("damaged")

    found = prefetched(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(found)


def test_prefetch_ends_its_thread_when_nobody_listens() -> None:
    def forever() -> Iterator[int]:
        i = 0
        while True:
            yield (i := i + 1)

    found = prefetched(forever())
    assert next(found) == 1
    found.close()
    assert not [t for t in threading.enumerate() if t.name == "insula-prefetch"]
