"""Other people's prior: a person's own model times what the same row learned from other people, log-linear.

(?) Ours. The chance of a class is proportional to own * prior^weight (Genest and Zidek 1986, doi:10.1214/ss/1177013825,
on logarithmic pools); a number is the mean of both, the prior counting ``weight``. The prior knows the person's own
level from the same windows that the own model learned from, and nothing else of the person.
"""

from __future__ import annotations

import copy
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from insula.errors import InputError, ProtocolError
from insula.learning.learner import Learner
from insula.learning.readout import loss
from insula.learning.teaching import untaught
from insula.protocols.fold import terms_of
from insula.protocols.own_median import decided
from insula.protocols.protocols import inner_split
from insula.types import DoubleArray, IntArray
from insula.windows.table import Terms

if TYPE_CHECKING:
    from insula.windows.table import Windows

WEIGHTS = (0.0, 0.3, 0.5)
"""Weights that are tried on inner people."""
USUAL = 0.5
"""Stays unless another weight has a lower loss in every part of the inner people; used where they are too few."""
FEWEST = 4
"""Other people below which no weight is chosen."""
PARTS = 3
_HELD_OUT = 0.3
_FLOOR = 1e-3
"""Least chance of a class in a pool: a forest that never saw it is not certain."""

Weight = float | Literal["inner"]


class WithPrior(Learner):
    """One person's own row times the same row of other people.

    Parameters
    ----------
    row : not fitted; `insula.make` makes one. The prior is the same row, a network's without its deep path where it
        starts from a convex readout, and of one member.
    person : whose model it is; everybody else in the windows lends the prior.
    weight : of the prior, 0 to 1, or ``inner`` to have it chosen among `WEIGHTS` on the other people.
    group : columns of the unit that inner splits keep whole; None takes them from the windows' fold.
    """

    def __init__(
        self, row: Learner, person: str, weight: Weight = "inner", *, group: Sequence[str] | None = None, seed: int = 0
    ) -> None:
        if weight != "inner" and not 0 <= weight <= 1:
            raise InputError(f"weight {weight} of other people's prior; expected 0 to 1, or 'inner'. Use 'inner'.")
        self.row, self.person, self.asked, self.seed = row, person, weight, seed
        self.group = None if group is None else tuple(group)

    def fit(self, windows: Windows, y: Any = None, *, progress: Callable[[int, int], None] | None = None) -> WithPrior:
        """Learn the own model from the person's windows and the prior from everybody else's."""
        windows = decided(windows if y is None else windows.with_y(np.asarray(y))).scored
        mine = windows.table["subject"].astype(str).to_numpy() == self.person
        if mine.all() or not mine.any():
            raise InputError(
                f"{int(mine.sum())} windows of {self.person} and {int((~mine).sum())} of other people; expected some "
                "of each. Give the windows of everybody."
            )
        own, others = windows.take(mine), windows.take(~mine)
        terms = terms_of(own)
        group = terms.group if self.group is None else self.group
        others = others.on(Terms(("subject",), terms.normaliser, terms.fold))
        fitted = self.row.clone().fit(own, progress=progress)
        taught = _taught(self.row, others, self.asked, group, self.seed)
        return self._with(fitted, at_level_of(taught.model, own), taught.weight)

    @classmethod
    def of(cls, own: Learner, prior: Learner, used: float, person: str, **asked: Any) -> WithPrior:
        """Join two fitted rows, a person's own one and that of other people at the person's level, by a known weight.

        ``asked`` are parameters of `WithPrior` as they were asked for; SchemaError where the two read different things.
        """
        own.schema.require(prior.schema, "the person's own model", "other people's prior")
        return cls(own.clone(), person, **{"weight": used, **asked})._with(own, prior, used)

    def _with(self, own: Any, prior: Any, weight: float) -> WithPrior:
        self.own, self.prior, self.weight = own, prior, weight
        self.schema, self.recipe = own.schema, own.recipe
        return self

    def predict_proba(self, windows: Windows) -> DoubleArray:
        """Probability of each class, (windows, K)."""
        return pool(self.own.predict_proba(windows), self.prior.predict_proba(windows), self.weight)

    def predict(self, windows: Windows) -> Any:
        """Most probable class code of each window, or the value of a continuous target."""
        if self.schema.continuous:
            return pool_numbers(self.own.predict(windows), self.prior.predict(windows), self.weight)
        return self.predict_proba(windows).argmax(axis=1)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """The row, whose model it is, the weight and the unit kept whole."""
        return {"row": self.row, "person": self.person, "weight": self.asked, "group": self.group, "seed": self.seed}

    def set_params(self, **params: Any) -> WithPrior:
        """Change what makes it; it must be fitted again."""
        self.__dict__.update(vars(WithPrior(**{**self.get_params(), **params})))
        return self

    def clone(self) -> WithPrior:
        """Return the same row, not fitted."""
        return WithPrior(**{**self.get_params(), "row": self.row.clone()})

    def save(self, folder: str | Path, provenance: Mapping[str, Any] | None = None) -> Path:
        """Write both models and the weight into a folder that `insula.load_model` reads."""
        from insula.learning.saving import save_pool

        return save_pool(self, folder, provenance)

    @property
    def given(self) -> dict[str, Any]:
        """What makes it but for the row, as plain values."""
        return {k: v for k, v in self.get_params().items() if k != "row"}

    @property
    def notes(self) -> tuple[str, ...]:
        """Where something stood in for what was missing, person by person."""
        return tuple(self.own.notes)

    def _told(self) -> dict[str, Any]:
        return {"name": "with other people's prior", "row": self.row, "person": self.person, "weight": self.asked}


def own_of(model: Learner) -> Learner:
    """The person's own model of a row with other people's prior; any other row as it is."""
    own: Learner = model.own if isinstance(model, WithPrior) else model
    return own


def pool(own: DoubleArray, prior: DoubleArray, weight: float) -> DoubleArray:
    """Chances (n, K) proportional to own * prior^weight."""
    if weight == 0:
        return own
    logs = np.log(np.maximum(own, _FLOOR)) + weight * np.log(np.maximum(prior, _FLOOR))
    shifted = np.exp(logs - logs.max(1, keepdims=True))
    return np.asarray(shifted / shifted.sum(1, keepdims=True))


def pool_numbers(own: DoubleArray, prior: DoubleArray, weight: float) -> DoubleArray:
    """Mean of two numbers a window, the prior's counting ``weight``."""
    return np.asarray((own + weight * prior) / (1 + weight))


def at_level_of(model: Learner, windows: Windows) -> Learner:
    """Return a fitted row that, where it goes by people's levels, knows those of these windows' people alone."""
    out = copy.copy(model)
    people = set(windows.table["subject"].astype(str))
    for name in ("normaliser", "scaler"):
        scale = getattr(model, name, None)
        if scale is not None and scale.kind == "person_trials":
            own = scale.of_person(windows)
            own.people = {person: level for person, level in own.people.items() if person in people}
            setattr(out, name, own)
    return out


# -- the prior and its weight ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Taught:
    """What other people taught: a fitted row, and how much it counts."""

    model: Learner
    weight: float


_KEPT: OrderedDict[bytes, Any] = OrderedDict()
_MOST = 64
"""Answers and priors that are kept in a process: the folds of one person share theirs."""


def _once(key: tuple[Any, ...], windows: Windows, make: Callable[[], Any]) -> Any:
    told = hashlib.sha256(repr(key).encode())
    told.update(windows.token.encode())
    told.update(repr(windows.schema).encode())
    if windows.mix is not None:
        told.update(np.ascontiguousarray(windows.mix).data)
    told.update(np.ascontiguousarray(windows.rows).data)
    told.update(np.ascontiguousarray(windows.y).data)
    name = told.digest()
    if name not in _KEPT:
        _KEPT[name] = make()
    _KEPT.move_to_end(name)
    while len(_KEPT) > _MOST:
        _KEPT.popitem(last=False)
    return _KEPT[name]


def _taught(row: Learner, others: Windows, weight: Weight, group: tuple[str, ...], seed: int) -> _Taught:
    row = untaught(row)  # a fold's teacher knows the person, and may know those on whom the weight is chosen
    key = (sorted(row.get_params().items(), key=str), weight, group, seed, others.terms)

    def make() -> _Taught:
        chosen = choose_weight(row, others, group, seed) if weight == "inner" else float(weight)
        return _Taught(_lender(row).fit(others), chosen)

    found: _Taught = _once(("taught", *key), others, make)
    return found


def _lender(row: Learner) -> Learner:
    """The row as other people teach it: a network's convex readout alone where it has one."""
    out, known = row.clone(), row.get_params()
    changes = {"members": 1, "residual": "never", "group": ("subject",)}
    return out.set_params(**changes) if "residual" in known else out


def choose_weight(row: Learner, others: Windows, group: tuple[str, ...], seed: int) -> float:
    """Choose the prior's weight on other people, as if each part of them were new: `USUAL` where they are too few.

    Each person's own model learns from part of the own trials and is judged on the rest, beside a prior from the people
    of the other parts. Where people share the unit that is kept whole (a stimulus), the units judged on are nobody's
    training. The usual weight stays unless another has a lower loss in every part.
    """
    people = others.table["subject"].astype(str).to_numpy()
    names = np.unique(people)
    if len(names) < FEWEST:
        return USUAL
    dealt = dict(zip(np.random.default_rng(seed).permutation(names), np.arange(len(names)) % PARTS, strict=True))
    part = np.array([dealt[p] for p in people])
    shared = None if "subject" in group else _split(others, group, seed)
    losses = []
    for k in range(PARTS):
        teaching = part != k
        if shared is not None:
            teaching &= np.isin(np.arange(len(others)), shared[0])
        prior = _lender(row).fit(others.take(teaching))
        found = [
            each
            for name in names[[dealt[n] == k for n in names]]
            if (each := _judged(row, prior, others, people == name, group, shared, seed)) is not None
        ]
        if found:
            losses.append(np.mean(found, axis=0))
    if not losses:
        return USUAL
    table = np.stack(losses)  # (parts, weights)
    usual = table[:, WEIGHTS.index(USUAL)]
    better = [i for i in range(len(WEIGHTS)) if (table[:, i] < usual).all()]
    return WEIGHTS[min(better, key=lambda i: float(table[:, i].mean()))] if better else USUAL


def _split(windows: Windows, group: tuple[str, ...], seed: int) -> tuple[IntArray, IntArray] | None:
    try:
        return inner_split(windows.table, np.arange(len(windows)), group, seed, _HELD_OUT)
    except ProtocolError:
        return None


def _judged(
    row: Learner,
    prior: Learner,
    others: Windows,
    mine: Any,
    group: tuple[str, ...],
    shared: tuple[IntArray, IntArray] | None,
    seed: int,
) -> list[float] | None:
    """Loss of one inner person's held-out windows by weight; None where the person cannot be split."""
    own = others.take(mine)
    if shared is None:
        sides = _split(own, group, seed)
    else:
        place = np.flatnonzero(mine)
        sides = (np.flatnonzero(np.isin(place, shared[0])), np.flatnonzero(np.isin(place, shared[1])))
    if sides is None or not len(sides[0]) or not len(sides[1]) or len(np.unique(own.y[sides[0]])) < 2:
        return None
    fit, judge = own.take(sides[0]), own.take(sides[1])
    continuous = own.schema.continuous
    key = ("own", sorted(row.get_params().items(), key=str), own.terms, judge.rows.tobytes(), judge.y.tobytes())
    answer = _once(key, fit, lambda: _answers(row.clone().fit(fit), judge))
    before = _answers(at_level_of(prior, fit), judge)
    if continuous:
        return [float(np.square(pool_numbers(answer, before, w) - judge.y).mean()) for w in WEIGHTS]
    pools = [np.log(np.maximum(pool(answer, before, w), _FLOOR)) for w in WEIGHTS]
    return [loss(one, judge.y, len(own.schema.classes)) for one in pools]


def _answers(model: Learner, windows: Windows) -> DoubleArray:
    return np.asarray(model.predict(windows) if windows.schema.continuous else model.predict_proba(windows))
