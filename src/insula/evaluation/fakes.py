"""Simulated people with known truth: how clocks, segmentation, stimuli and budgets fake recognition.

Most of these cohorts hold nothing about a feeling: whatever is claimed of them is false. Rows are cheap (scikit-learn
on three features), so that hundreds of cohorts take minutes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from insula.errors import unknown_name
from insula.evaluation.results import Result
from insula.evaluation.system import System
from insula.learning.classical import one_thread
from insula.protocols.grouping import stratified_folds
from insula.types import DoubleArray, IntArray

Order = Literal["random", "fixed", "mirrored", "blocks", "calm first"]
Reader = Literal["linear", "forest"]
CLASSES = ("calm", "tense")
_HOP_S = 10.0


@dataclass(frozen=True)
class Cohort:
    """What a simulated cohort is made of, in units of the window's own noise unless said otherwise.

    ``effect`` of being tense; ``drift`` over the session and ``reset`` at a trial's start (fading in 20 s), the same in
    all people; ``fingerprint`` of each trial; ``longer`` windows that a tense trial lasts beyond the others; ``bright``
    effect of a stimulus' own looks, nothing to do with its label. ``wander`` is a random walk of each person.
    """

    order: Order = "random"
    effect: float = 0.0
    drift: float = 0.0
    reset: float = 0.0
    fingerprint: float = 0.5
    longer: int = 0
    bright: float = 0.0
    wander: float = 0.0
    trials: int = 12
    windows: int = 4


NULLS: dict[str, Cohort] = {
    "noise": Cohort(),
    "drift, random orders": Cohort(drift=3.0),
    "drift, one order": Cohort("fixed", drift=3.0),
    "drift, two mirrored orders": Cohort("mirrored", drift=3.0),
    "drift at a trial's start": Cohort(reset=2.0, longer=4),
    "drift at a trial's start, one order": Cohort("fixed", drift=1.0, reset=2.0, longer=4),
    "drift at a trial's start, mirrored orders": Cohort("mirrored", drift=1.0, reset=2.0, longer=4),
    "time in trial alone": Cohort(reset=3.0, longer=6, fingerprint=0.0),
    "blocks of labels, wandering signals": Cohort("blocks", wander=1.0),
    "drift, blocks of labels": Cohort("blocks", drift=3.0),
}
"""Cohorts without anything to recognise."""


def table_of(cohort: Cohort, people: int, rng: np.random.Generator) -> tuple[pd.DataFrame, DoubleArray]:
    """Make a Windows table of a cohort and its features, (windows, 3)."""
    common = rng.permutation(np.arange(cohort.trials) % 2)
    looks = rng.normal(size=(2, cohort.trials - cohort.trials // 2, 3))
    looks -= looks.mean(axis=1, keepdims=True)  # neither class is the brighter one
    rows, values = [], []
    for person in range(people):
        labels = _labels(cohort.order, common, person, rng)
        clock, walk = float(rng.uniform(0, 5)), rng.normal(size=3)
        seen = [0, 0]
        for trial, label in enumerate(labels.tolist()):
            own = cohort.fingerprint * rng.normal(size=3)
            stimulus = seen[label]
            seen[label] += 1
            for w in range(cohort.windows + cohort.longer * label):
                walk = walk + cohort.wander * rng.normal(size=3) / 4
                inside = w * _HOP_S
                shared = cohort.drift * clock / 1000 + cohort.reset * np.exp(-inside / 20)
                shared += cohort.effect * label
                seen_by_all = shared * np.array([1, 0.5, 0]) + cohort.bright * looks[label, stimulus]
                values.append(rng.normal(size=3) + own + walk * (cohort.wander > 0) + seen_by_all)
                name = f"{CLASSES[label]}{stimulus}"
                rows.append((f"P{person:02d}", "1", f"t{trial:02d}", name, trial, clock, "scored", label))
                clock += _HOP_S
            clock += float(rng.uniform(8, 12))
    columns = ["subject", "session", "trial", "stimulus", "trial_index", "start_s", "role", "y"]
    table = pd.DataFrame(rows, columns=columns)
    table["stop_s"] = table["start_s"] + _HOP_S
    table["elapsed_s"] = table["stop_s"]
    features = np.array(values)
    unit = table["subject"].factorize()[0]
    for one in np.unique(unit):  # every person's own level and spread, as a calibration would give them
        own_rows = unit == one
        features[own_rows] = (features[own_rows] - features[own_rows].mean(0)) / features[own_rows].std(0)
    return table, features


def _labels(order: Order, common: IntArray, person: int, rng: np.random.Generator) -> IntArray:
    if order == "random":
        return rng.permutation(common)
    if order == "blocks":
        return np.asarray(np.repeat(rng.permutation(2), common.size // 2))
    if order == "calm first":
        return np.sort(common)
    flipped = order == "mirrored" and person % 2 == 1
    return np.asarray(common[::-1] if flipped else common)


def result_of(
    table: pd.DataFrame, features: DoubleArray, reader: Reader, *, held: str = "people", seed: int = 0
) -> Result:
    """Cross-validate a reader of the features beside a clock; ``held`` people, trials, stimuli or windows out."""
    folds = _folds(table, held, seed)
    begin = table.groupby(["subject", "trial"])["start_s"].transform("min")
    clock = table[["stop_s"]].assign(inside=table["stop_s"] - begin).to_numpy(np.float64)
    columns = {"model": features, "elapsed_trial": clock}
    rows = [
        System("model", f"A {reader} reader of three features", "model", "trial", "opening"),
        System("elapsed_trial", "Elapsed time and time in trial", "baseline", "session"),
    ]
    tables = [
        _predict(table, columns[s.name], folds, reader if s.name == "model" else "forest", seed).assign(system=s.name)
        for s in rows
    ]
    if held == "people" and table["subject"].nunique() > 1:
        rows.append(System("stimulus_prior", "Which stimulus was on", "baseline"))
        tables.append(_known_stimuli(table, folds).assign(system="stimulus_prior"))
    leaky = held == "windows"
    return Result(
        "state", CLASSES, {"name": f"{held} held out", "leaky": leaky, "folds": int(folds.max()) + 1, "notes": []},
        tuple(replace(s, leaky=leaky) for s in rows), pd.concat(tables, ignore_index=True), shared_schedule=False,
    )  # fmt: skip


def _folds(table: pd.DataFrame, held: str, seed: int) -> IntArray:
    """Fold of each window, (windows,)."""
    rng = np.random.default_rng(seed)
    keys = {"people": ["subject"], "trials": ["subject", "trial"], "stimuli": ["stimulus"]}
    if held == "people" and table["subject"].nunique() == 1:
        held = "trials"
    unit = np.arange(len(table)) if held == "windows" else table.groupby(keys[held], sort=False).ngroup().to_numpy()
    first = np.unique(unit, return_index=True)[1]
    labels = table["y"].to_numpy()[first] if held != "people" else np.zeros(first.size, np.int64)
    return stratified_folds(labels, min(5, first.size), rng)[unit]


def _predict(table: pd.DataFrame, columns: DoubleArray, folds: IntArray, reader: Reader, seed: int) -> pd.DataFrame:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    y = table["y"].to_numpy()
    chances = np.zeros((len(table), 2))
    for fold in np.unique(folds):
        made: Any = LogisticRegression(class_weight="balanced")
        if reader == "forest":
            made = RandomForestClassifier(20, min_samples_leaf=5, class_weight="balanced", random_state=seed)
        train, test = folds != fold, folds == fold
        with one_thread():
            chances[test] = made.fit(columns[train], y[train]).predict_proba(columns[test])
    return predicted(table, folds, chances)


def _known_stimuli(table: pd.DataFrame, folds: IntArray) -> pd.DataFrame:
    """Answer with the mean label that other people's windows of the same stimulus have."""
    chances = np.full((len(table), 2), 0.5)
    for fold in np.unique(folds):
        known = table[folds != fold].groupby("stimulus")["y"].mean()
        chances[folds == fold, 1] = table.loc[folds == fold, "stimulus"].map(known).fillna(0.5)
    chances[:, 0] = 1 - chances[:, 1]
    return predicted(table, folds, chances)


def predicted(table: pd.DataFrame, folds: IntArray, chances: DoubleArray) -> pd.DataFrame:
    """A prediction table from probabilities (windows, 2)."""
    out = table[["subject", "session", "trial", "stimulus", "start_s", "stop_s", "elapsed_s"]].copy()
    names = np.array(CLASSES, dtype=object)
    out["fold"] = folds.astype(str)
    out["y_true"], out["y_pred"] = names[table["y"].to_numpy()], names[chances.argmax(1)]
    out[["p_calm", "p_tense"]] = chances
    return out


PEOPLE = (1, 3, 6, 8, 12, 20, 30)
"""Sizes of simulated cohorts; one person has `ONE` trials."""
ONE = 24


def judged(cohort: Cohort, people: int, seed: int) -> Result:
    """One simulated study: a cohort, read by logistic regression or a forest in turn."""
    made = replace(cohort, trials=ONE) if people == 1 else cohort
    reader: Reader = "forest" if seed % 2 else "linear"
    return result_of(*table_of(made, people, np.random.default_rng(seed)), reader, seed=seed)


def claims(cohorts: Sequence[Cohort], people: Sequence[int], studies: int) -> list[tuple[Cohort, int, bool]]:
    """Judge studies of every cohort and size in turn: (cohort, people, whether anything is claimed of the person)."""
    found = []
    for seed in range(studies):
        cohort, size = cohorts[seed % len(cohorts)], people[seed // len(cohorts) % len(people)]
        found.append((cohort, size, judged(cohort, size, seed).verdict("model").claims))
    return found


@dataclass(frozen=True)
class Scene:
    """One line of a play: what was done, the score it got, and what may be said of it."""

    title: str
    score: float
    said: str


def play(name: str, people: int = 12, seed: int = 0) -> tuple[str, list[Scene]]:
    """Play how something fakes recognition; return the moral and the scenes."""
    if name not in PLAYS:
        raise unknown_name("play", name, PLAYS)
    moral, scenes = PLAYS[name]
    return moral, scenes(people, np.random.default_rng(seed))


def _scene(title: str, result: Result, name: str = "model") -> Scene:
    score = float(result.people()[name].mean())
    return Scene(title, score, result.verdict(name).sentence)


def _clocks(people: int, rng: np.random.Generator) -> list[Scene]:
    out = []
    orders: tuple[Order, ...] = ("calm first", "random")
    for order in orders:
        result = result_of(*table_of(Cohort(order, drift=8.0, fingerprint=0.2), people, rng), "forest")
        out += [_scene(f"drifting signals without any feeling, order: {order}", result)]
        out += [_scene("  the clock on the same windows", result, "elapsed_trial")]
    return out


def _segmentation(people: int, rng: np.random.Generator) -> list[Scene]:
    out = []
    for longer, words in ((6, "tense trials last longer"), (0, "all trials last alike")):
        result = result_of(*table_of(Cohort(reset=3.0, longer=longer, fingerprint=0.1), people, rng), "forest")
        out += [_scene(f"a filter settles at each trial's start, {words}", result)]
        out += [_scene("  the clock that knows the time in the trial", result, "elapsed_trial")]
    return out


def _stimuli(people: int, rng: np.random.Generator) -> list[Scene]:
    table, features = table_of(Cohort(bright=2.0, trials=16, fingerprint=0.1), people, rng)
    return [
        _scene(f"signals follow the brightness of a film, {held} held out",
               result_of(table, features, "forest", held=held))
        for held in ("people", "stimuli")
    ]  # fmt: skip


def _budgets(people: int, rng: np.random.Generator) -> list[Scene]:
    table, features = table_of(Cohort(fingerprint=3.0, trials=16), min(people, 4), rng)
    out = []
    for passes in (2, 200):
        for held in ("windows", "trials"):
            folds = _folds(table, held, 0)
            rows = predicted(table, folds, _network(table, features, folds, passes)).assign(system="model")
            leaky = held == "windows"
            result = Result(
                "state", CLASSES, {"name": f"{held} held out", "leaky": leaky, "folds": 5, "notes": []},
                (System("model", "A network", "model", "trial", leaky=leaky),), rows, shared_schedule=False,
            )  # fmt: skip
            out.append(_scene(f"a network a person after {passes} passes, {held} held out", result))
    return out


def _network(table: pd.DataFrame, features: DoubleArray, folds: IntArray, passes: int) -> DoubleArray:
    """Probabilities of a small network a person and fold, (windows, 2)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    y, person = table["y"].to_numpy(), table["subject"].to_numpy()
    chances = np.zeros((len(table), 2))
    for one in np.unique(person):
        for fold in np.unique(folds):
            train, test = (person == one) & (folds != fold), (person == one) & (folds == fold)
            net = MLPClassifier(
                (32,), learning_rate_init=0.02, max_iter=passes, n_iter_no_change=passes, random_state=0
            )
            with one_thread(), warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # cut short on purpose
                net.fit(features[train], y[train])
            if test.any():
                chances[test] = net.predict_proba(features[test])
    return chances


PLAYS: dict[str, tuple[str, Callable[[int, np.random.Generator], list[Scene]]]] = {
    "clocks": (
        "Everybody meets the labels at the same minutes, and something drifts. The model reads the time. Nothing about "
        "the body was recognised; with random orders the same signals score chance.",
        _clocks,
    ),
    "segmentation": (
        "Trials are cut by their labels, and whatever resets at a cut tells how long ago it was. Where one label's "
        "trials last longer, that is the label.",
        _segmentation,
    ),
    "stimuli": (
        "Signals answer a film's looks or sound. New people see the same films, so that the film is recognised and its "
        "label looked up; with new films nothing is left.",
        _stimuli,
    ),
    "budgets": (
        "A network that was hardly trained has not yet learned to recognise trials, so that its leak looks small. "
        "Trained to the end, the leaky score rises and the clean one does not.",
        _budgets,
    ),
}
"""Plays by name: the moral, and what makes the scenes."""
