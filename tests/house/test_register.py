"""A network, reader, row, protocol and analysis from outside the package, in one evaluation."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import insula
from insula.data import READERS
from insula.errors import InputError, KindError
from insula.explain.analyses import ANALYSES, explain
from insula.learning.classical_rows import CLASSICAL
from insula.models import MODELS
from insula.protocols.protocols import PROTOCOLS

OUTSIDE = '''
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from insula.data.info import DataInfo
from insula.explain.analysis import Analysis
from insula.learning.classical_rows import ClassicalInfo
from insula.models.card import ModelCard, Variant
from insula.protocols.dealing import held_out
from insula.protocols.protocol import Protocol
from insula.signals.recipe import Recipe, SignalRecipe
from insula.types import ModelOutput, Recording, Signal, Trial


class Quick(nn.Module):
    """Means of the skin's conductance."""

    card = ModelCard(
        title="Quick means", summary="linear in means", source="ours", reads=("eda",),
        variants={"plain": Variant("Quick means without a bias", {"bias": False}, "ablation", usual=True)},
    )

    def __init__(self, spec, size="small", *, bias=True):
        super().__init__()
        self.head = nn.Linear(spec.signals["eda"][0], spec.outputs, bias=bias)

    def forward(self, batch, state=None):
        mean = torch.nan_to_num(batch.signals["eda"]).mean(-1)
        return ModelOutput(self.head(mean), mean)


class Lab:
    INFO = DataInfo(
        name="lab", title="Two people and a ramp", licence="none", where="here", targets={"state": "calm or tense"},
        recipe=Recipe(signals={"eda": SignalRecipe(rate_hz=4.0)}, window_s=4.0, hop_s=2.0, guard_s=0.0),
    )

    @staticmethod
    def read(root=None, *, subjects=None, problems=None):
        rng = np.random.default_rng(0)
        people = []
        for who in ("a", "b"):
            trials = []
            for i in range(6):
                values = rng.standard_normal((1, 80)).astype(np.float32) + 4 * (i % 2)
                signal = Signal(values, 4.0, ("EDA",), "uS", 20.0 * i)
                label = {"state": ("calm", "tense")[i % 2]}
                trials.append(Trial(who, "1", f"t{i}", 20.0 * i, 20.0 * i + 20, {"eda": signal}, label))
            people.append(Recording(who, "1", tuple(trials)))
        return people


def nearest(options, continuous, seed, rows):
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(int(options["neighbours"]))


NEAREST = ClassicalInfo(
    "nearest", "Nearest windows", "classical", "features", True, False, "k nearest", {"neighbours": 3}, make=nearest
)


def halves(d):
    late = d.table["trial"].isin(["t4", "t5"]).to_numpy()[d.rows]
    return held_out(d, [("late", late)], ("subject", "session", "trial"))


LATE = Protocol(
    "late_trials", where="in each person's last two trials", how="the last two trials were held out",
    limits="Time has passed.", needs="six trials", instead="Use within_subject.", deal=halves,
)


@dataclass(frozen=True)
class Counted:
    rows: int = 0


COUNT = Analysis("counted", Counted, lambda e: Counted(len(e.result.predictions)), needs_models=False,
                 lines=lambda found: [("rows", str(found.rows))])
'''


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of somebody else's; whatever it adds is gone afterwards."""
    (tmp_path / "somebody_else.py").write_text(textwrap.dedent(OUTSIDE), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    held = [(d, dict(d)) for d in (MODELS, READERS, CLASSICAL, PROTOCOLS, ANALYSES)]
    import somebody_else

    yield somebody_else
    sys.modules.pop("somebody_else")
    for registry, before in held:
        registry.clear()
        registry.update(before)


def test_things_from_outside_are_evaluated_like_our_own(outside: Any) -> None:
    insula.register("model", "quick", outside.Quick)
    insula.register("reader", "lab", "somebody_else:Lab")
    insula.register("row", "nearest", outside.NEAREST)
    insula.register("protocol", "late_trials", outside.LATE)
    insula.register("analysis", "counted", "somebody_else:COUNT")
    plan = insula.experiment_from(
        {
            "data": {"name": "lab"},
            "model": {"name": "quick", "normaliser": "population"},
            "protocol": {"name": "late_trials"},
            "compare": {"rows": ["majority", "nearest"]},
            "train": {"epochs": 30, "learning_rate": 0.05},
        }
    )
    windows = insula.cut(insula.load("lab"), insula.data.info("lab").recipe, "state")
    result = explain(insula.evaluate(windows, plan).result, windows, ())
    assert outside.COUNT.read(result).rows == len(result.predictions)
    assert set(result.predictions["trial"]) == {"t4", "t5"}
    titles = {s.name: s.title for s in result.systems}
    assert titles == {
        "quick": "Quick means", "quick_plain": "Quick means without a bias",
        "majority": "Majority", "nearest": "Nearest windows",
    }  # fmt: skip
    scores = result.people()
    assert scores["quick"].mean() > 0.8
    assert scores["nearest"].mean() > 0.8


def test_what_does_not_fit_is_refused(outside: Any) -> None:
    with pytest.raises(InputError, match="kind 'network'"):
        insula.register("network", "quick", outside.Quick)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="there already"):
        insula.register("model", "liquid", outside.Quick)
    with pytest.raises(InputError, match="cannot be imported"):
        insula.register("model", "quick", "somebody_else:Quik")
    with pytest.raises(KindError, match="without INFO"):
        insula.register("reader", "other", outside.Quick)
    with pytest.raises(KindError, match="ClassicalInfo"):
        insula.register("row", "other", outside.nearest)
    with pytest.raises(InputError, match="letters"):
        insula.register("row", "a-b", outside.NEAREST)
    assert "quick" not in MODELS
    insula.register("model", "liquid", outside.Quick, replace=True)
    assert MODELS["liquid"] is outside.Quick
