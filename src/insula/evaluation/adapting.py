"""A fold of a protocol that calibrates: its population model made the tested person's own, in every way asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from insula.errors import InputError, ProtocolError, unknown_name
from insula.learning.estimator import Estimator
from insula.learning.learner import Learner
from insula.learning.metrics import balanced_accuracy
from insula.learning.personal.personal import DEFAULT, STRATEGIES, personalise, personalise_each
from insula.learning.personal.suggest import suggest
from insula.learning.teaching import untaught
from insula.protocols.grouping import balanced_folds, codes, trial_labels
from insula.protocols.protocol import TRIAL, Amounts, Design, Part
from insula.protocols.protocols import PROTOCOLS, Split
from insula.types import DoubleArray, IntArray
from insula.windows.table import Windows

POPULATION = "population"
CHOSEN = "chosen"
"""The strategy that was the best on inner people of the fold."""
OWN = "own_full"
"""The person's own model of everything of theirs that is not tested."""
WRONG, SHUFFLED = "wrong_person", "shuffled_labels"
SUGGESTED = "suggested"
"""Trials labelled in the order of `insula personalise --suggest` instead of the first ones, as many windows."""
USUAL = ("normalised", "recalibrated", "bayes", "head", "adapters")
INNER_PEOPLE = 4
"""Training people on whom a fold's strategy is chosen, at most."""
OWN_FOLDS = 4


def point(strategy: str, amount: float) -> str:
    """Name of one answer: how, and with how many labels of each class."""
    return f"{strategy}@{amount:g}"


@dataclass(frozen=True)
class Adapted:
    """Probabilities of the test windows by `point`, and the strategy that inner people chose."""

    answers: Mapping[str, DoubleArray]
    chosen: str

    def answer(self, amount: float) -> DoubleArray:
        """What the chosen strategy answers with an amount."""
        return self.answers[point(CHOSEN, amount)]


def require_strategies(names: Sequence[str], calibrates: bool) -> None:
    """Raise InputError for strategies that are not there, or that nothing is asked of."""
    for name in names:
        if name not in STRATEGIES:
            raise unknown_name("strategy", name, STRATEGIES)
    if names and not calibrates:
        able = ", ".join(p.name for p in PROTOCOLS.values() if p.calibrates)
        raise InputError(f"strategies {', '.join(names)} without calibration; expected protocol {able}. Name it.")


def require_network(names: Sequence[str], row: str) -> None:
    """Raise InputError for strategies that train a network further, of a row that is none."""
    unfit = [name for name in names if STRATEGIES[name].network]
    if unfit:
        raise InputError(f"strategies {', '.join(unfit)} with {row}; expected a network for them. Use {DEFAULT}.")


def usual(network: bool) -> tuple[str, ...]:
    """The strategies of a row for which none is named."""
    return tuple(name for name in USUAL if network or not STRATEGIES[name].network)


def adapt(
    population: Learner, windows: Windows, part: Split, strategies: Sequence[str], seed: int, curve: bool = True
) -> Adapted:
    """Adapt a fold's population model with what the tested person labelled.

    Without ``strategies`` by the usual one alone. With a ``curve`` every strategy and every amount is answered, beside
    the controls: another person's labels, the own ones shuffled between trials, and the person's own full model. Where
    ``population`` is the only one nothing is adapted. Raises InputError for strategies that the row cannot use.
    """
    assert part.calibration is not None
    given, test = part.calibration.given, windows.take(part.test)
    if not isinstance(population, Estimator):
        require_network(strategies, repr(population))
    largest, wanted = max(given), tuple(s for s in STRATEGIES if s in strategies and s != POPULATION)
    inner = inner_people(windows, part)
    chosen = choose(population, windows, part, inner, (POPULATION, *wanted), seed) if wanted else DEFAULT
    if strategies and not wanted:
        chosen = POPULATION
    amounts = [a for a in given if a > 0] if curve and strategies else [largest]
    bare = population.predict_proba(test)
    training = windows.take(part.train)
    asked: dict[str, tuple[str, Windows]] = {}
    for amount in amounts:
        own = windows.take(given[amount])
        asked |= {point(strategy, amount): (strategy, own) for strategy in wanted if curve}
        if point(chosen, amount) not in asked:
            asked[point(CHOSEN, amount)] = chosen, own
    if curve and wanted:
        control = chosen if STRATEGIES[chosen].labels else DEFAULT
        others = _another(windows, part, inner)
        ranked = _ranked(population, windows, part.calibration.before)
        for amount in amounts:
            where = _first(windows, ranked, len(given[amount]))
            asked[point(SUGGESTED, amount)] = control, windows.take(where)
            own = windows.take(given[amount])
            asked[point(SHUFFLED, amount)] = control, own.with_y(_shuffled(own, seed))
            if others is not None:
                asked[point(WRONG, amount)] = control, windows.take(others[amount])
    found: dict[str, DoubleArray] = {}
    for strategy in dict.fromkeys(how for how, _ in asked.values()):
        names = [name for name, (how, _) in asked.items() if how == strategy]
        trio = [(bare, asked[name][1], test) for name in names]
        found |= dict(zip(names, _answers(population, trio, strategy, seed, training), strict=True))
    for amount in amounts:
        found.setdefault(point(CHOSEN, amount), found.get(point(chosen, amount), bare))
    if curve and strategies:
        found[point(POPULATION, 0.0)] = bare
    if curve and wanted:
        found[point(OWN, largest)] = _own(population, windows, part, seed)
    return Adapted(found, chosen)


def _answers(
    population: Learner,
    asked: Sequence[tuple[DoubleArray, Windows, Windows]],
    strategy: str,
    seed: int,
    others: Windows,
) -> list[DoubleArray]:
    """Probabilities after adapting, one for each (population's answer, labelled windows, test windows).

    Those of the population where the labels are of fewer than two classes.
    """
    found = [bare for bare, _, _ in asked]
    labels = STRATEGIES[strategy].labels
    able = [i for i, (_, own, _) in enumerate(asked) if not labels or np.unique(own.y).size > 1]
    if strategy != POPULATION and able:
        models = personalise_each(population, [asked[i][1] for i in able], strategy, seed, others)
        for i, model in zip(able, models, strict=True):
            found[i] = model.predict_proba(asked[i][2])
    return found


def inner_people(windows: Windows, part: Split) -> list[Part]:
    """Deal the training people of a fold as the fold itself is dealt; none where that is impossible."""
    assert part.calibration is not None
    amounts = Amounts(tuple(part.calibration.given), part.calibration.unit)
    rng = np.random.default_rng(0)
    try:
        return PROTOCOLS[part.name].deal(Design(windows.table, part.train, None, rng, False, amounts))[0]
    except ProtocolError:
        return []


def choose(
    population: Learner, windows: Windows, part: Split, inner: Sequence[Part], strategies: Sequence[str], seed: int
) -> str:
    """Name the strategy that is the best on a few training people, adapted from a model of the other ones.

    Where there are too few people for that the usual one, or the cheapest that adapts if it is not among them; of equal
    ones the first, which is the cheapest. The model of the other ones has no teacher, who may know those few.
    """
    fallback = DEFAULT if DEFAULT in strategies else strategies[1]
    subject = windows.table["subject"].astype(str).to_numpy(object)
    people = len(set(subject[part.train]))
    few = min(INNER_PEOPLE, len(inner), people - 2)
    if few < 1:
        return fallback
    picked = [inner[i] for i in sorted(np.random.default_rng(seed + 11).permutation(len(inner))[:few])]
    rows = part.train[~np.isin(subject[part.train], [p.fold for p in picked])]
    try:
        training = windows.take(rows)
        other = untaught(population).fit(training)
    except InputError:  # one class among those who are left
        return fallback
    trio = []
    for one in picked:
        assert one.then is not None
        test = windows.take(one.test)
        trio.append((other.predict_proba(test), windows.take(one.then), test))
    score = np.zeros(len(strategies))
    for k, name in enumerate(strategies):
        for (_, _, test), guess in zip(trio, _answers(other, trio, name, seed, training), strict=True):
            score[k] += balanced_accuracy(test.y.astype(np.int64), guess.argmax(axis=1))
    return strategies[int(np.argmax(score.round(9)))]


def _another(windows: Windows, part: Split, inner: Sequence[Part]) -> Mapping[float, IntArray] | None:
    """What a training person labelled, by amount: the next one in order of names."""
    mine = str(windows.table["subject"].iloc[part.test[0]])
    able = sorted((p for p in inner if p.calibration is not None), key=lambda p: p.fold)
    later = [p for p in able if p.fold > mine] or able
    return later[0].calibration.given if later and later[0].calibration is not None else None


def _ranked(population: Learner, windows: Windows, before: IntArray) -> list[IntArray]:
    """Rows of each trial before the test, those that a label tells most about first; no label is looked at."""
    unlabelled = windows.take(before)
    unlabelled = unlabelled.with_y(np.full(len(unlabelled), -1))
    trial = codes(windows.table, before, TRIAL)
    asked = suggest(population, unlabelled, count=int(trial.max()) + 1)
    keys = [tuple(k) for k in windows.table.iloc[before][["session", "trial"]].astype(str).to_numpy().tolist()]
    place = dict(zip(keys, trial.tolist(), strict=True))
    order = [place[str(s), str(t)] for s, t in zip(asked["session"], asked["trial"], strict=True)]
    return [before[trial == number] for number in order]


def _first(windows: Windows, ranked: Sequence[IntArray], count: int) -> IntArray:
    """Rows of whole trials in this order, the last one cut to ``count`` windows in all."""
    start = windows.table["start_s"].to_numpy()
    rows = np.concatenate([trial[np.argsort(start[trial], kind="stable")] for trial in ranked])
    return np.sort(rows[:count])


def _shuffled(given: Windows, seed: int) -> IntArray:
    """Labels moved between whole trials, never left as they are where that can be."""
    if not len(given):
        return given.y.astype(np.int64)
    trial = codes(given.table, np.arange(len(given)), TRIAL)
    first = np.unique(trial, return_index=True)[1]
    labels = given.y[first].astype(np.int64)
    rng = np.random.default_rng(seed)
    moved = labels
    for _ in range(20):
        moved = rng.permutation(labels)
        if (moved == labels).mean() <= 1 / np.unique(labels).size:
            break
    return np.asarray(moved[trial], np.int64)


def _own(population: Learner, windows: Windows, part: Split, seed: int) -> DoubleArray:
    """Cross-validate the person's own model over the tested trials: trained on all others, folds balanced over classes
    and time; where a class has one tested trial only, trained on what stands before the test."""
    assert part.calibration is not None
    before, test = part.calibration.before, part.test
    trial = codes(windows.table, test, TRIAL)
    labels = trial_labels(windows.table, test)["label"].to_numpy(np.int64)
    count = int(min(OWN_FOLDS, np.unique(labels, return_counts=True)[1].min()))
    fold = balanced_folds(labels, count)[trial] if count > 1 else np.zeros(len(test), np.int64)
    out: Any = np.zeros((len(test), len(windows.schema.classes)))
    for k in np.unique(fold):
        rows = np.sort(np.concatenate([before, test[fold != k]])) if count > 1 else before
        own = personalise(population, windows.take(rows), "scratch", seed)
        out[fold == k] = own.predict_proba(windows.take(test[fold == k]))
    return np.asarray(out, np.float64)
