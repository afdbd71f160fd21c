"""A fold of windows: what trains, what is tested, and everything that keeps the two honest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from insula.protocols.own_median import for_fold, split_windows
from insula.protocols.protocol import TRIAL, Amounts
from insula.protocols.protocols import PROTOCOLS, Split
from insula.windows.before import rows_before
from insula.windows.table import Terms, Windows


@dataclass(frozen=True)
class Fold:
    """One fold of `split`.

    ``train`` and ``test`` are Windows with decided classes. They carry the fold's ``group`` (columns of the unit that
    inner splits keep whole) and ``normaliser``, by which whatever is fitted on them goes. ``notes`` say who or what
    was left out.
    """

    windows: Windows
    part: Split
    normaliser: str

    @property
    def name(self) -> str:
        """Protocol and fold."""
        return f"{self.part.name} {self.part.fold}"

    @property
    def group(self) -> tuple[str, ...]:
        return self.part.group

    @property
    def subject(self) -> str | None:
        """The person of a personal protocol."""
        return self.part.subject

    @property
    def leaky(self) -> bool:
        return self.part.leaky

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.part.notes, *self._decided.notes)))

    @cached_property
    def _decided(self) -> Windows:
        return for_fold(self.windows, self.part).on(Terms(self.part.group, self.normaliser, self.name))

    @property
    def train(self) -> Windows:
        return self._decided.take(self.part.train)

    @property
    def given(self) -> Windows:
        """Labelled windows of the tested person that adapt a model, none where the protocol gives none."""
        return self._decided.take(self.part.then if self.part.then is not None else self.part.train[:0])

    @property
    def test(self) -> Windows:
        return self._decided.take(self.part.test)

    def __repr__(self) -> str:
        train, test = len(self.part.train), len(self.part.test)
        unit = "/".join(self.group) or "window"
        leaky = ", LEAKY" if self.leaky else ""
        return f"Fold({self.name}: {train} windows train, {test} test, whole {unit}, {self.normaliser}{leaky})"

    def _repr_html_(self) -> str:
        from insula.notebook import facts_html

        return facts_html(f"Fold {self.name}", self._facts())

    def _facts(self) -> list[tuple[str, str]]:
        people = self._decided.table["subject"].to_numpy()
        rows = [
            (side, f"{len(at)} windows of {len(set(people[at]))} people")
            for side, at in (("train", self.part.train), ("test", self.part.test))
        ]
        rows += [("kept whole", "/".join(self.group) or "nothing (leaky)"), ("normaliser", self.normaliser)]
        return rows + [("note", note) for note in self.notes[:5]]


def split(
    name: str,
    windows: Windows,
    *,
    folds: int | None = None,
    seed: int = 0,
    trials: Sequence[int] = (),
    minutes: Sequence[float] = (),
) -> list[Fold]:
    """Split windows by a named protocol; classes about people's own medians are decided fold by fold.

    ``trials`` (or ``minutes``) of each class are labelled by the tested person first, where the protocol has that.
    Raises ProtocolError where the data do not allow the protocol.
    """
    parts = split_windows(windows, name, folds=folds, seed=seed, amounts=Amounts.asked(trials, minutes))
    normaliser = default_normaliser(windows, PROTOCOLS[name].personal)
    return [Fold(windows, part, normaliser) for part in parts]


def terms_of(windows: Windows) -> Terms:
    """The terms that the windows carry from their fold; for others whole people (trials where there are one or two)."""
    if windows.terms is not None:
        return windows.terms
    people = windows.table["subject"].nunique()
    return Terms(("subject",) if people > 2 else TRIAL, default_normaliser(windows, personal=people == 1))


def default_normaliser(windows: Windows, personal: bool) -> str:
    """The seconds before each trial where all have them, else opening minutes where there are some.

    A personal protocol uses the training trials; without any rows of these kinds the population stands in.
    """
    if personal:
        return "person_trials"
    scored = windows.scored
    near, _ = rows_before(scored)
    if near and len(near) == len(scored.table.groupby(["subject", "session", "trial"])):
        return "pre_trial"
    return "opening" if (windows.everything().table["role"] == "reference").any() else "population"
