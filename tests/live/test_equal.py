"""Live predictions equal offline ones, whatever happens to the packets."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from packets import spoiled

import insula
from insula.errors import InputError
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.learner import Learner
from insula.learning.prior import WithPrior
from insula.learning.saving import load_model
from insula.live.chunks import Appeared, Chunk, Event, Vanished
from insula.live.predictor import Decision, Predictor
from insula.types import Recording
from insula.windows.cutting import cut
from insula.windows.table import Windows


def offline(model: Learner, recording: Recording) -> dict[tuple[str, float], np.ndarray]:
    windows = cut([recording], model.recipe, None, schema=model.schema)
    chances = model.predict_proba(windows)
    scored = (windows.table["role"] == "scored").to_numpy()
    keys = zip(windows.table["trial"], windows.table["stop_s"].round(6), strict=True)
    return {key: p for key, p, use in zip(keys, chances, scored, strict=True) if use}


def online(model: Learner, events: list[Event], sizes: np.random.Generator) -> list[Decision]:
    predictor = Predictor(model)
    seat, out, at = predictor.seat(patience_s=1.0), [], 0
    while at < len(events):
        size = int(sizes.integers(1, 40))
        out += predictor.step(seat, events[at : at + size])
        at += size
    return out + predictor.step(seat)


def require_equal(found: list[Decision], expected: dict[tuple[str, float], np.ndarray], atol: float = 1e-5) -> None:
    said = {(d.key[2], round(d.stop_s, 6)): d for d in found if d.kind == "scored"}
    assert said.keys() == expected.keys()
    for key, chances in expected.items():
        np.testing.assert_allclose(said[key].chances, chances, atol=atol, err_msg=str(key))


@pytest.mark.parametrize(("seed", "loss", "delay_s"), [(0, 0.0, 0.0), (1, 0.0, 0.6), (2, 0.15, 0.6), (3, 0.6, 0.3)])
def test_chunks_loss_and_disorder(
    model: Estimator, people: tuple[Recording, ...], seed: int, loss: float, delay_s: float
) -> None:
    rng = np.random.default_rng(seed)
    events, kept = spoiled(people[0], rng, loss, delay_s)
    require_equal(online(model, events, rng), offline(model, kept))


def test_with_other_people_s_prior(
    model: Estimator, training: Windows, people: tuple[Recording, ...], tmp_path: Path
) -> None:
    """Two models of their own normaliser and state, one of two members, saved and read before."""
    config = EstimatorConfig(normaliser="population", members=2, seed=5)
    prior = Estimator(config).initialise(training.take(training.table["subject"].to_numpy() != people[0].subject))
    both = load_model(WithPrior.of(model, prior, 0.5, people[0].subject).save(tmp_path / "model"))
    rng = np.random.default_rng(8)
    events, kept = spoiled(people[0], rng, 0.1, 0.3)
    expected = offline(both, kept)
    require_equal(online(both, events, rng), expected)
    alone = offline(model, kept)
    assert max(np.abs(expected[key] - alone[key]).max() for key in alone) > 0.01
    with pytest.raises(InputError, match="expected a network"):
        Predictor(insula.make("logistic_regression").fit(training))


def test_a_sensor_that_vanishes_and_returns(model: Estimator, people: tuple[Recording, ...]) -> None:
    rng = np.random.default_rng(5)
    person = people[1]
    events, _ = spoiled(person, rng, 0.0, 0.0, 0.0)
    trials, gone = [], {}
    for trial in person.trials:
        begin, stop = trial.start_s + 3.0, trial.start_s + 8.5
        signal = trial.signals["eeg"]
        times = signal.start_s + np.arange(signal.n_samples) / signal.rate_hz
        values = np.where((times >= begin) & (times < stop), np.nan, signal.values).astype(np.float32)
        trials.append(replace(trial, signals={**trial.signals, "eeg": replace(signal, values=values)}))
        gone[trial.trial] = (begin, stop)
    out: list[Event] = []
    for event in events:
        if isinstance(event, Chunk) and event.modality == "eeg":
            lost = np.any([(event.times_s >= a) & (event.times_s < b) for a, b in gone.values()], axis=0)
            if lost.any() and not lost[0]:
                out.append(Vanished("eeg", "out of reach"))
            if lost.all():
                continue
            for part in np.split(np.arange(len(lost)), np.flatnonzero(np.diff(lost)) + 1):
                if not lost[part[0]]:
                    out.append(Chunk("eeg", event.values[:, part], event.times_s[part]))
            continue
        out.append(event)
    found = online(model, out, rng)
    require_equal(found, offline(model, replace(person, trials=tuple(trials))))
    assert {d.present["eeg"] for d in found if d.kind == "scored"} == {True, False}


def test_a_sensor_that_is_never_there(model: Estimator, people: tuple[Recording, ...]) -> None:
    rng = np.random.default_rng(6)
    trials = []
    for trial in people[0].trials:
        signals = {m: s for m, s in trial.signals.items() if m != "bvp" or trial.role == "baseline"}
        trials.append(replace(trial, signals=signals))
    person = replace(people[0], trials=tuple(trials))
    events, kept = spoiled(people[0], rng, 0.0, 0.0)
    events, seen = [], False
    full, _ = spoiled(person, rng, 0.0, 0.0)
    for event in full:
        seen = seen or (isinstance(event, Appeared) and event.stream.modality == "bvp")
        events.append(event)
    assert seen
    require_equal(online(model, events, rng), offline(model, person))
    assert kept.subject == person.subject


@pytest.mark.slow
def test_equal_to_the_files_of_a_separate_process(
    model_folder: Path, people: tuple[Recording, ...], tmp_path: Path
) -> None:
    rng = np.random.default_rng(7)
    events, kept = spoiled(people[0], rng, 0.1, 0.5)
    study = write_study(kept, tmp_path / "study")
    out = tmp_path / "offline.csv"
    command = [sys.executable, "-m", "insula", "predict", "--data", "manifest", "--root", str(study)]
    subprocess.run([*command, "--model", str(model_folder), "--out", str(out)], check=True, timeout=300)
    table = pd.read_csv(out)
    names = [c for c in table if c.startswith("p_")]
    rows = zip(table["trial"], table["stop_s"].round(6), table[names].to_numpy(), strict=True)
    expected = {(trial, stop): p for trial, stop, p in rows if trial != "baseline"}
    # the file has six decimals
    require_equal(online(Estimator.load(model_folder), events, rng), expected, atol=1e-5 + 5e-7)


def write_study(recording: Recording, folder: Path) -> Path:
    """Write a recording as CSV files and a manifest."""
    folder.mkdir()
    rows = []
    for trial in recording.trials:
        for modality, signal in trial.signals.items():
            name = f"{trial.trial}-{modality}.csv"
            frame = pd.DataFrame(signal.values.T.astype(np.float64), columns=list(signal.channels))
            frame.to_csv(folder / name, index=False, float_format="%.9g")
            rows.append(
                {
                    "file": name, "modality": modality, "subject": trial.subject, "session": trial.session,
                    "trial": trial.trial, "role": trial.role, "onset": trial.start_s, "rate": signal.rate_hz,
                    "unit": signal.unit, "channels": ";".join(signal.channels), "emotion": "x",
                }
            )  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    people = {"subject": [recording.subject], **{k: [v] for k, v in recording.traits.items()}}
    pd.DataFrame(people).to_csv(folder / "people.csv", index=False)
    return folder
