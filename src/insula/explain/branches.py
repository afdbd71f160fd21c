"""How much each branch of a network counted, class by class, tested over trials."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from insula import plots
from insula.explain import picture
from insula.explain.analysis import Analysis, Evaluated, Fitted, Shown
from insula.explain.attention import attends
from insula.explain.by_class import ByClass, compared, per_trial
from insula.explain.facts import Facts
from insula.learning.estimator import Estimator
from insula.types import DoubleArray
from insula.windows.table import Windows


@dataclass(frozen=True)
class Branches:
    """Attention of each class over the branches, which sum to 1; ``by_class`` values stand in their order."""

    branches: tuple[str, ...] = ()
    by_class: ByClass = field(default_factory=ByClass)
    note: str = ""


def branch_attention(fitted: Fitted, seed: int = 0) -> Branches | None:
    """Class means of the attention over branches; None where the model has none or the target is continuous."""
    first, held_out = fitted[0]
    names = getattr(first.networks[0], "branches", None)
    if first.schema.continuous or not names or not attends(first, held_out, "branches"):
        return None
    found = compared(per_trial(fitted, _weights), first.schema.classes, seed)
    return Branches(tuple(map(str, names)), found, found.how)


def _weights(model: Estimator, held_out: Windows) -> DoubleArray:
    return model.outputs(held_out, ("attention:branches",))["attention:branches"].astype(np.float64)


def _run(evaluated: Evaluated) -> Branches | None:
    return branch_attention(evaluated.fitted)


def _show(found: Branches, _: Facts) -> Shown:
    means = found.by_class.classes
    if not means or len(found.branches) < 2:
        return Shown()
    rows = [
        plots.ClassShares(
            label,
            np.asarray(mean, np.float64),
            *(np.asarray(v, np.float64) for v in found.by_class.interval.get(label, ((math.nan,) * len(mean),) * 2)),
        )
        for label, mean in means.items()
    ]
    overall = np.mean(list(means.values()), axis=0)
    first = int(np.argmax(overall))
    told = ", ".join(found.by_class.differing) or "none"
    most = f"{found.branches[first]} counts most ({100 * overall[first]:.0f} %)"
    caption = f"""How the network weighs its branches when it answers: the shares of a label sum to 100 %, the dashed
        line is an even share, bars are 95 % intervals over trials. {most}. Told from the others at p < .05: {told}.
        A share tells what this network weighs, not what the body does.{picture.sentence(found.note)}"""
    each = zip(found.branches, overall, strict=True)
    alt = "Mean share of each branch: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in each)
    made = picture.make("branches", "Which branches it weighs", caption, alt, plots.class_shares, found.branches, rows)
    return Shown(pictures=(made,))


def _lines(found: Branches) -> Iterator[tuple[str, str]]:
    overall = np.mean(list(found.by_class.classes.values()), axis=0)
    each = zip(found.branches, overall, strict=True)
    yield "attention over branches", ", ".join(f"{name} {share:.0%}" for name, share in each)


BRANCHES = Analysis(
    "branches",
    Branches,
    _run,
    _show,
    _lines,
    methods=(
        "Attention over branches was averaged over held-out trials and tested by permuting labels between whole trials "
        "of a person."
    ),
)
