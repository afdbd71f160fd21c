"""Mixed emotions: how far the predicted shares are from the rated ones, emotion by emotion and trial by trial."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from insula import plots
from insula.evaluation.results import Result
from insula.evaluation.scores import over_people, paired, per_person, shares, to_trials
from insula.explain import picture
from insula.explain.analysis import Analysis, Cell, Evaluated, Shown, Table, TableRow
from insula.explain.facts import Facts
from insula.explain.pairs import Difference, difference, interval_text
from insula.explain.wording import minus
from insula.learning.metrics import divergence, pearson
from insula.types import DoubleArray
from insula.windows.mixing import is_mixed

PRIOR = "prior"
"""The row that says the training people's mean shares of everything."""
_TRIALS = 12


@dataclass(frozen=True)
class Emotion:
    """One emotion over all trials: mean rated and said share, and their correlation, mean over people."""

    name: str
    rated: float = math.nan
    said: float = math.nan
    r: float = math.nan


@dataclass(frozen=True)
class TrialShares:
    """Rated and said shares of one trial."""

    trial: str
    rated: tuple[float, ...] = ()
    said: tuple[float, ...] = ()


@dataclass(frozen=True)
class Mixtures:
    """Shares of the first system: divergence against the prior's, by emotion, and the trials of one person.

    ``sure`` and ``unsure`` are the mean divergence of the half of each person's trials whose answer is most and least
    concentrated: whether an answer's own confidence says how far off it is.
    """

    emotions: tuple[Emotion, ...] = ()
    against_prior: Difference | None = None
    sure: float = math.nan
    unsure: float = math.nan
    person: str = ""
    trials: tuple[TrialShares, ...] = ()


def mixtures(result: Result) -> Mixtures | None:
    """Compare shares trial by trial; None for a target that is no mixture."""
    if not is_mixed(result.target):
        return None
    main = result.systems[0].name
    rows = result.of(main, "trial")
    true, said = shares(rows, "t"), shares(rows, "p")
    person = rows["subject"].astype(str).to_numpy(object)
    everybody = list(dict.fromkeys(person.tolist()))
    emotions = tuple(
        Emotion(
            name, float(true[:, k].mean()), float(said[:, k].mean()),
            over_people([pearson(true[person == p, k], said[person == p, k]) for p in everybody]).mean,
        )
        for k, name in enumerate(result.classes)
    )  # fmt: skip
    halves = [_halves(true[person == p], said[person == p]) for p in everybody]
    errors = per_person(rows, "kl").sort_values(kind="stable")
    middle = str(errors.index[len(errors) // 2])
    own = np.flatnonzero(person == middle)
    own = own[np.unique(np.linspace(0, len(own) - 1, min(_TRIALS, len(own))).astype(int))]
    shown = tuple(
        TrialShares(str(rows["trial"].iloc[i]), tuple(true[i].tolist()), tuple(said[i].tolist())) for i in own
    )
    prior = None
    if main != PRIOR and PRIOR in {s.name for s in result.systems}:
        prior = difference(PRIOR, paired(rows, to_trials(result.of(PRIOR)), "kl"))
    sure, unsure = (over_people([h[i] for h in halves]).mean for i in (0, 1))
    return Mixtures(emotions, prior, sure, unsure, middle, shown)


def _halves(true: DoubleArray, said: DoubleArray) -> tuple[float, float]:
    """Divergence of a person's trials with the most and the least concentrated answers."""
    if len(true) < 4:
        return math.nan, math.nan
    spread = -(said * np.log(np.clip(said, 1e-9, None))).sum(1)
    order = np.argsort(spread, kind="stable")
    half = len(order) // 2
    return divergence(true[order[:half]], said[order[:half]]), divergence(true[order[half:]], said[order[half:]])


def _run(evaluated: Evaluated) -> Mixtures | None:
    return mixtures(evaluated.result)


def _sentences(found: Mixtures) -> tuple[str, ...]:
    out = []
    if found.against_prior is not None:
        one = found.against_prior
        word = "closer than" if one.hi < 0 else "farther than" if one.lo > 0 else "not shown to be closer than"
        out.append(
            f"Predicted shares are {word} the training people's mean shares: KL divergence a trial "
            f"{minus(interval_text(one))} against the prior row (below 0 is better)."
        )
    if math.isfinite(found.sure):
        out.append(
            f"Where its answer is concentrated the divergence is {found.sure:.2f}, where spread {found.unsure:.2f} "
            "(halves of each person's trials)."
        )
    return tuple(out)


def _show(found: Mixtures, _: Facts) -> Shown:
    if not found.trials:
        return Shown()
    names = [one.name for one in found.emotions]
    told = f"Trials of {found.person}, the person with the middle divergence: rated shares above predicted ones."
    rows = tuple(
        TableRow(
            one.name,
            (Cell(f"{100 * one.rated:.0f} %", one.rated), Cell(f"{100 * one.said:.0f} %", one.said),
             Cell(minus(f"{one.r:.2f}") if math.isfinite(one.r) else "–", one.r)),
        )
        for one in found.emotions
    )  # fmt: skip
    table = Table(
        "mixtures", "Shares by emotion", ("emotion", "rated", "predicted", "correlation over trials"), rows,
        ("Mean shares over all trials; the correlation is taken within each person and averaged over people.",),
    )  # fmt: skip
    trials = [plots.MixedTrial(t.trial, t.rated, t.said) for t in found.trials]
    caption = f"""{told} An answer that is the same in every trial is what the training people feel on average, and
        knows nothing of this one."""
    made = picture.make("mixtures", "Rated and predicted mixtures", caption, told, plots.mixtures, trials, names)
    return Shown(sentences=_sentences(found), tables=(table,), pictures=(made,))


def _lines(found: Mixtures) -> Iterator[tuple[str, str]]:
    if found.against_prior is not None:
        yield "KL divergence minus the prior's", interval_text(found.against_prior)


MIXTURES = Analysis(
    "mixtures",
    Mixtures,
    _run,
    _show,
    _lines,
    methods="Predicted shares of the emotions were compared with the rated ones trial by trial.",
    part="data",
    needs_models=False,
    renew=lambda _old, _before, after: mixtures(after) or Mixtures(),
)
