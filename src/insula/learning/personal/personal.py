"""A person's own model from a population model and a few labels, by any of several strategies."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from insula.errors import DataError, InputError, unknown_name
from insula.files import replacing, require_folder
from insula.learning.estimator import Estimator
from insula.learning.personal.bayes import BayesianHead
from insula.learning.personal.recalibration import Recalibration
from insula.learning.personal.tuning_weights import retrained, retrained_each
from insula.protocols.grouping import codes
from insula.protocols.protocol import TRIAL
from insula.types import DoubleArray, IntArray
from insula.windows.table import Windows

_FILE = "personal.json"
DEFAULT = "bayes"
OWN_EPOCHS = 60
"""Least epochs of an own model from scratch: a few trials make few steps an epoch."""


@dataclass(frozen=True)
class Personal:
    """A personal model: an Estimator, and what reads its answers anew (None: nothing does)."""

    strategy: str
    base: Estimator
    readout: BayesianHead | Recalibration | None = None

    def predict_proba(self, windows: Windows) -> DoubleArray:
        """Probability of each class, (windows, K)."""
        if self.readout is None:
            return self.base.predict_proba(windows)
        if isinstance(self.readout, Recalibration):
            return self.readout.predict_proba(_logits(self.base, windows))
        return self.readout.predict_proba(head_inputs(self.base, windows))

    def predict(self, windows: Windows) -> IntArray:
        """Most probable class code of each window."""
        return np.asarray(self.predict_proba(windows).argmax(axis=1), np.int64)

    def save(self, folder: str | Path, provenance: Mapping[str, Any] | None = None) -> Path:
        """Write the model and its readout into a folder that `Personal.load` reads.

        ``provenance`` goes into ``model/training.json``; its ``subjects`` tell whom the model has learned from.
        """
        target = Path(folder)
        require_folder(target, _FILE, "personal model")
        with replacing(target) as work:
            self.base.save(work / "model", provenance)
            readout = None if self.readout is None else self.readout.to_dict()
            text = json.dumps({"strategy": self.strategy, "kind": type(self.readout).__name__, "readout": readout})
            (work / _FILE).write_text(text, encoding="utf-8")
        return target

    @classmethod
    def load(cls, folder: str | Path) -> Personal:
        """Read what `save` wrote; nothing in it is executed."""
        path = Path(folder) / _FILE
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            kinds: dict[str, Callable[[Mapping[str, Any]], BayesianHead | Recalibration]] = {
                "BayesianHead": BayesianHead.from_dict, "Recalibration": Recalibration.from_dict,
            }  # fmt: skip
            readout = None if data["readout"] is None else kinds[data["kind"]](data["readout"])
            strategy = str(data["strategy"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise DataError(f"no personal model in {folder} ({error}); expected {_FILE} and model/.") from None
        return cls(strategy, Estimator.load(path.parent / "model"), readout)


@dataclass(frozen=True)
class Strategy:
    """One way to adapt: what it is called, what it does, and whether it needs labels.

    ``part`` names the weights that it trains further, of many people at once.
    """

    name: str
    title: str
    adapt: Callable[[Estimator, Windows, int], Personal]
    labels: bool = True
    part: str = ""


def personalise(model: Estimator, windows: Windows, strategy: str = DEFAULT, seed: int = 0) -> Personal:
    """Make a personal model from one person's windows.

    Parameters
    ----------
    model : trained on other people.
    windows : of one person, labelled for every strategy that needs labels.
    strategy : a name of `STRATEGIES`.
    """
    return personalise_each(model, [windows], strategy, seed)[0]


def personalise_each(
    model: Estimator, cohort: Sequence[Windows], strategy: str = DEFAULT, seed: int = 0
) -> list[Personal]:
    """What `personalise` makes of each of several people (or amounts of labels), networks trained as one program."""
    if strategy not in STRATEGIES:
        raise unknown_name("strategy", strategy, STRATEGIES)
    chosen = STRATEGIES[strategy]
    given = [_given(model, windows, chosen) for windows in cohort]
    if chosen.part:
        return [Personal(strategy, own) for own in retrained_each(model, given, chosen.part, seed)]
    return [chosen.adapt(model, windows, seed) for windows in given]


def _given(model: Estimator, windows: Windows, chosen: Strategy) -> Windows:
    """Windows that a strategy learns from; InputError where it cannot."""
    people = windows.table["subject"].nunique()
    if people != 1:
        raise InputError(f"windows of {people} people; expected one person's. Take the rows of one.")
    if model.schema.continuous:
        raise InputError("personalise for a continuous target; expected classes.")
    model.schema.require(windows.schema, "the model", "the data")
    training = windows.scored if chosen.labels else windows
    if chosen.labels and np.unique(training.y).size < 2:
        raise InputError(
            f"{chosen.name} with labels of one class; expected two or more. Label a trial of another class."
        )
    return training


# -- strategies --------------------------------------------------------------------------------------------------------


def _population(model: Estimator, _windows: Windows, _seed: int) -> Personal:
    return Personal("population", model)


def _normalised(model: Estimator, windows: Windows, _seed: int) -> Personal:
    out = copy.copy(model)
    out.normaliser, out.scaler = model.normaliser.of_person(windows), model.scaler.of_person(windows)
    return Personal("normalised", out)


def _recalibrated(model: Estimator, windows: Windows, _seed: int) -> Personal:
    trial = codes(windows.table, np.arange(len(windows)), TRIAL)
    return Personal(
        "recalibrated", model, Recalibration.fit(_logits(model, windows), windows.y.astype(np.int64), trial)
    )


def _bayes(model: Estimator, windows: Windows, _seed: int) -> Personal:
    x = head_inputs(model, windows)
    trial = codes(windows.table, np.arange(len(windows)), TRIAL)
    return Personal(
        "bayes", model, head_of(model, x, len(windows) / (trial.max() + 1)).fit(x, windows.y.astype(np.int64))
    )


def _weights(part: str) -> Callable[[Estimator, Windows, int], Personal]:
    return lambda model, windows, seed: Personal(part, retrained(model, windows, part, seed=seed))


def _scratch(model: Estimator, windows: Windows, seed: int) -> Personal:
    long = replace(model.config.train, epochs=max(model.config.train.epochs, OWN_EPOCHS), validation_fraction=0.0)
    config = replace(model.config, seed=seed, group=TRIAL, normaliser=model.terms.normaliser, train=long)
    return Personal("scratch", Estimator(config, model.factory).fit(windows))


STRATEGIES: Mapping[str, Strategy] = {
    s.name: s
    for s in (
        Strategy("population", "population model", _population, labels=False),
        Strategy("normalised", "own level of unlabelled signals only", _normalised, labels=False),
        Strategy("recalibrated", "temperature and bias", _recalibrated),
        Strategy("bayes", "Bayesian head on the embedding", _bayes),
        Strategy("head", "the head trained further", _weights("head"), part="head"),
        Strategy("adapters", "low-rank adapters", _weights("adapters"), part="adapters"),
        Strategy("last", "the last blocks trained further", _weights("last"), part="last"),
        Strategy("all", "all weights trained further", _weights("all"), part="all"),
        Strategy("scratch", "an own model from scratch", _scratch),
    )
}
"""Strategies by name, the cheapest first."""


def head_inputs(model: Estimator, windows: Windows) -> DoubleArray:
    """What a Bayesian head reads: the embedding and, last, the model's own probabilities, (windows, H + K)."""
    found = model.outputs(windows, ("embedding",))
    return np.hstack([found["embedding"].astype(np.float64), _softmax(found["logits"].astype(np.float64))])


def head_of(model: Estimator, x: DoubleArray, repeats: float = 1.0) -> BayesianHead:
    """A head that knows nothing of the person yet: it decides as the model does.

    ``x`` (rows, H + K) are `head_inputs` of some windows, labelled or not, which scale the embedding; ``repeats`` is
    the number of windows that share a label, which are not so many labels.
    """
    k = len(model.schema.classes)
    width = x.shape[1]
    weights = np.zeros((width + 1, k))
    weights[width - k : width] = np.eye(k)
    centre, spread = np.zeros(width), np.ones(width)
    centre[: width - k] = x[:, : width - k].mean(axis=0)
    deviation = x[:, : width - k].std(axis=0)
    spread[: width - k] = np.where(deviation > 1e-6, deviation, 1.0)
    noise = 0.25 * max(1.0, repeats)
    return BayesianHead(
        model.schema.classes, width, alpha=float(width), noise=noise, weights=weights, centre=centre, spread=spread
    )


def _logits(model: Estimator, windows: Windows) -> DoubleArray:
    return np.log(np.maximum(model.predict_proba(windows), 1e-9))


def _softmax(logits: DoubleArray) -> DoubleArray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))
