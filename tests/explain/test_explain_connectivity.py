"""Graphs of the recordings: links that are there, the permutation test, data without EEG, and the page's pictures."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import insula
from insula.explain.connectivity import CONNECTIVITY, Graphs, connectivity_graphs
from insula.signals.recipe import Recipe, SignalRecipe
from insula.types import Recording, Signal, Trial

CHANNELS = ("Fp1", "Fp2", "C3", "C4", "O1", "O2")
RECIPE = Recipe(
    signals={"eeg": SignalRecipe(128.0, reference="none", notch_hz=None)}, window_s=4.0, hop_s=4.0, guard_s=0.0
)


def recordings(locked: bool) -> tuple[Recording, ...]:
    """Two people, ten trials: in the trials of class b, C3 follows O1 by a quarter of an alpha cycle (if locked)."""
    rng = np.random.default_rng(3)
    time = np.arange(128 * 12) / 128
    people = []
    for who in ("p", "q"):
        trials = []
        for k in range(10):
            values = rng.standard_normal((6, len(time)))
            if locked and k % 2:
                phase = np.cumsum(2 * np.pi * (10 + rng.standard_normal(len(time)) * 2) / 128)
                values[4] += 2 * np.cos(phase)
                values[2] += 2 * np.sin(phase)
            eeg = Signal(values.astype(np.float32), 128.0, CHANNELS, "uV", 20.0 * k)
            trials.append(Trial(who, "1", str(k), 20.0 * k, 20.0 * k + 12, {"eeg": eeg}, {"state": "ab"[k % 2]}))
        people.append(Recording(who, "1", tuple(trials)))
    return tuple(people)


def graphs(locked: bool) -> Graphs:
    found = connectivity_graphs(insula.cut(recordings(locked), RECIPE, "state"))
    assert found is not None
    return found


def test_the_link_that_is_there_is_found_and_belongs_to_its_class() -> None:
    found = graphs(locked=True)
    alpha = next(one for one in found.bands if one.band == "alpha")
    assert (alpha.links[0][:2], alpha.apart[0][:2]) == ((2, 4), (2, 4))
    assert alpha.classes == ("a", "b")
    assert alpha.apart[0][2] < -0.2, "stronger in b"
    assert alpha.p == pytest.approx(0.01)
    assert found.trials == 20


def test_nothing_is_found_where_nothing_is() -> None:
    found = graphs(locked=False)
    assert min(one.p for one in found.bands) > 0.05 / len(found.bands)


def test_data_without_eeg_have_no_graph() -> None:
    people = [replace(r, trials=tuple(_skin(t) for t in r.trials)) for r in recordings(False)]
    windows = insula.cut(
        people, Recipe(signals={"eda": SignalRecipe(4.0)}, window_s=4.0, hop_s=4.0, guard_s=0.0), "state"
    )
    assert connectivity_graphs(windows) is None


def _skin(trial: Trial) -> Trial:
    values = np.random.default_rng(0).standard_normal((1, 48)).astype(np.float32)
    return replace(trial, signals={"eda": Signal(values, 4.0, ("EDA",), "uS", trial.start_s)})


def test_the_page_shows_two_pictures_and_says_the_test() -> None:
    found = graphs(locked=True)
    facts: Any = SimpleNamespace()
    shown = CONNECTIVITY.show(found, facts)
    assert [p.name for p in shown.pictures] == ["connectivity", "connectivity-classes"]
    assert "differs between classes" in shown.pictures[1].caption
    assert all("<svg" in text for p in shown.pictures for text in (p.wide, p.narrow))
    quiet = CONNECTIVITY.show(graphs(locked=False), facts)
    assert "is not shown to differ" in quiet.pictures[1].caption
    assert "alpha p" in dict(CONNECTIVITY.lines(found))["connectivity between classes"].replace("\u00a0", " ")
