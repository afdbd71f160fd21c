"""A person's own model from a population model and a few labels, by any of several strategies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from insula.errors import DataError, InputError, unknown_name
from insula.files import read_json, replacing, require_folder, understood
from insula.learning.estimator import Estimator, ModelFactory
from insula.learning.learner import Learner
from insula.learning.personal.bayes import BayesianHead
from insula.learning.personal.likeness import likeness
from insula.learning.personal.recalibration import Recalibration
from insula.learning.personal.tuning_weights import retrained, retrained_each
from insula.learning.prior import USUAL, WithPrior, at_level_of
from insula.learning.saving import load_model
from insula.protocols.grouping import codes
from insula.protocols.protocol import TRIAL
from insula.signals.recipe import Recipe
from insula.types import DoubleArray, IntArray, Schema
from insula.windows.table import Windows

PERSONAL = "personal.json"
"""Beside the folder of a model that was made a person's own."""
DEFAULT = "bayes"
OWN_EPOCHS = 60
"""Least epochs of an own model from scratch: a few trials make few steps an epoch."""


_WHAT = "what insula personalise wrote"
_READOUTS: Mapping[str, Callable[[Mapping[str, Any]], BayesianHead | Recalibration]] = {
    "BayesianHead": BayesianHead.from_dict, "Recalibration": Recalibration.from_dict,
}  # fmt: skip


class _Told(msgspec.Struct, forbid_unknown_fields=True):
    """``personal.json``: what reads a model's answers anew, and which class it is."""

    strategy: str
    kind: str
    readout: dict[str, Any] | None


@dataclass(frozen=True)
class Personal:
    """A personal model: a network or classical row, and what reads its answers anew (None: nothing does)."""

    strategy: str
    base: Learner
    readout: BayesianHead | Recalibration | None = None

    @property
    def schema(self) -> Schema:
        """What the model reads and says."""
        return self.base.schema

    @property
    def recipe(self) -> Recipe:
        """How what it reads was cleaned and cut."""
        return self.base.recipe

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
        require_folder(target, PERSONAL, "personal model")
        with replacing(target) as work:
            self.base.save(work / "model", provenance)
            readout = None if self.readout is None else self.readout.to_dict()
            text = json.dumps({"strategy": self.strategy, "kind": type(self.readout).__name__, "readout": readout})
            (work / PERSONAL).write_text(text, encoding="utf-8")
        return target

    @classmethod
    def load(cls, folder: str | Path, factory: ModelFactory | None = None, device: str = "cpu") -> Personal:
        """Read what `save` wrote; nothing in it is executed. ``factory`` is needed where one built the network."""
        path = Path(folder) / PERSONAL
        if not path.is_file():
            raise DataError(
                f"no personal model in {folder}; expected {PERSONAL} and model/. Make one with insula personalise."
            )
        base = load_model(path.parent / "model", device, factory)
        told = read_json(path, _Told, _WHAT)
        readout = None
        if told.readout is not None:
            with understood(path, _WHAT):
                try:
                    readout = _READOUTS[told.kind](told.readout)
                except DataError as error:
                    raise DataError(f"{path}: {error}") from None
                if not readout.answers(base.schema.classes):
                    raise ValueError("a readout of other classes than the model's")
        return cls(told.strategy, base, readout)


@dataclass(frozen=True)
class Case:
    """What a strategy is given: the population model, one person's windows, and the training people's labelled ones."""

    model: Learner
    windows: Windows
    seed: int = 0
    others: Windows | None = None

    @property
    def network(self) -> Estimator:
        """The model, which is a network here."""
        assert isinstance(self.model, Estimator)
        return self.model

    @property
    def trials(self) -> IntArray:
        """Number of each window's trial."""
        return codes(self.windows.table, np.arange(len(self.windows)), TRIAL)


@dataclass(frozen=True)
class Strategy:
    """One way to adapt: what it is called, what it does, whether it needs labels, a network, or the training people.

    ``part`` names the weights of a network that it trains further, of many people at once.
    """

    name: str
    title: str
    adapt: Callable[[Case], Personal]
    labels: bool = True
    network: bool = False
    others: bool = False
    part: str = ""


def personalise(
    model: Learner, windows: Windows, strategy: str = DEFAULT, seed: int = 0, others: Windows | None = None
) -> Personal:
    """Make a personal model from one person's windows.

    Parameters
    ----------
    model : network or classical row, trained on other people.
    windows : of one person, labelled for every strategy that needs labels.
    strategy : a name of `STRATEGIES`.
    others : labelled windows of the people that the model was trained on, for a strategy that looks for similar ones.
    """
    return personalise_each(model, [windows], strategy, seed, others)[0]


def personalise_each(
    model: Learner,
    cohort: Sequence[Windows],
    strategy: str = DEFAULT,
    seed: int = 0,
    others: Windows | None = None,
) -> list[Personal]:
    """What `personalise` makes of each of several people (or amounts of labels), networks trained as one program."""
    if strategy not in STRATEGIES:
        raise unknown_name("strategy", strategy, STRATEGIES)
    chosen = STRATEGIES[strategy]
    given = [_given(model, windows, chosen, others) for windows in cohort]
    if chosen.part and isinstance(model, Estimator):
        return [Personal(strategy, own) for own in retrained_each(model, given, chosen.part, seed)]
    return [chosen.adapt(Case(model, windows, seed, others)) for windows in given]


def _given(model: Learner, windows: Windows, chosen: Strategy, others: Windows | None) -> Windows:
    """Windows that a strategy learns from; InputError where it cannot."""
    people = windows.table["subject"].nunique()
    if people != 1:
        raise InputError(f"windows of {people} people; expected one person's. Take the rows of one.")
    if model.schema.continuous:
        raise InputError("personalise for a continuous target; expected classes. Bin the target: NAME:bins=3.")
    model.schema.require(windows.schema, "the model", "the data")
    if not suits(chosen.name, model, others is not None):
        needed = "the training people's windows" if isinstance(model, Estimator) else "a network"
        raise InputError(f"{chosen.name} with {model!r}; expected {needed} for it. Use {DEFAULT}.")
    training = windows.scored if chosen.labels else windows
    if chosen.labels and np.unique(training.y).size < 2:
        raise InputError(
            f"{chosen.name} with labels of one class; expected two or more. Label a trial of another class."
        )
    return training


def suits(strategy: str, model: Learner, others: bool = False) -> bool:
    """Whether a model can be adapted so; ``others`` says whether the training people's windows are at hand."""
    asked = STRATEGIES[strategy]
    return (isinstance(model, Estimator) or not asked.network) and (others or not asked.others)


# -- strategies --------------------------------------------------------------------------------------------------------


def _population(case: Case) -> Personal:
    return Personal("population", case.model)


def _normalised(case: Case) -> Personal:
    return Personal("normalised", case.model.of_person(case.windows))


def _similar(case: Case) -> Personal:
    assert case.others is not None
    weight = likeness(case.others, case.windows)
    return Personal("similar", retrained(case.network, case.others, "all", seed=case.seed, weight=weight))


def _recalibrated(case: Case) -> Personal:
    y = case.windows.y.astype(np.int64)
    return Personal("recalibrated", case.model, Recalibration.fit(_logits(case.model, case.windows), y, case.trials))


def _bayes(case: Case) -> Personal:
    x = head_inputs(case.model, case.windows)
    head = head_of(case.model, x, len(case.windows) / (case.trials.max() + 1))
    return Personal("bayes", case.model, head.fit(x, case.windows.y.astype(np.int64)))


def _weights(part: str) -> Callable[[Case], Personal]:
    return lambda case: Personal(part, retrained(case.network, case.windows, part, seed=case.seed))


def _scratch(case: Case) -> Personal:
    model = case.model
    if not isinstance(model, Estimator):
        return Personal("scratch", model.clone().fit(case.windows))
    long = replace(model.config.train, epochs=max(model.config.train.epochs, OWN_EPOCHS), validation_fraction=0.0)
    config = replace(model.config, seed=case.seed, group=TRIAL, normaliser=model.terms.normaliser, train=long)
    return Personal("scratch", Estimator(config, model.factory).fit(case.windows))


def _pooled(case: Case) -> Personal:
    own, person = _scratch(case).base, str(case.windows.table["subject"].iloc[0])
    return Personal("pooled", WithPrior.of(own, at_level_of(case.model, case.windows), USUAL, person))


STRATEGIES: Mapping[str, Strategy] = {
    s.name: s
    for s in (
        Strategy("population", "population model", _population, labels=False),
        Strategy("normalised", "own level of unlabelled signals only", _normalised, labels=False),
        Strategy("similar", "people like this one weigh more", _similar, labels=False, network=True, others=True),
        Strategy("recalibrated", "temperature and bias", _recalibrated),
        Strategy("bayes", "Bayesian head on the embedding", _bayes),
        Strategy("head", "the head trained further", _weights("head"), network=True, part="head"),
        Strategy("adapters", "low-rank adapters", _weights("adapters"), network=True, part="adapters"),
        Strategy("last", "the last blocks trained further", _weights("last"), network=True, part="last"),
        Strategy("all", "all weights trained further", _weights("all"), network=True, part="all"),
        Strategy("scratch", "an own model from scratch", _scratch),
        Strategy("pooled", "an own model from scratch times the population model", _pooled),
    )
}
"""Strategies by name, the cheapest first."""


def head_inputs(model: Learner, windows: Windows) -> DoubleArray:
    """What a Bayesian head reads: the embedding and, last, the model's own probabilities, (windows, H + K)."""
    if not isinstance(model, Estimator):
        return np.hstack([model.embed(windows).astype(np.float64), model.predict_proba(windows)])
    found = model.outputs(windows, ("embedding",))
    return np.hstack([found["embedding"].astype(np.float64), _softmax(found["logits"].astype(np.float64))])


def head_of(model: Learner, x: DoubleArray, repeats: float = 1.0) -> BayesianHead:
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


def _logits(model: Learner, windows: Windows) -> DoubleArray:
    return np.log(np.maximum(model.predict_proba(windows), 1e-9))


def _softmax(logits: DoubleArray) -> DoubleArray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))
