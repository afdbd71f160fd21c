"""The energy sheet: what one decision and one day of wearing cost, each figure with its basis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from insula.errors import InputError
from insula.explain.cost.counting import count
from insula.explain.cost.estimators import count_estimator, estimator_parameters
from insula.explain.cost.measuring import POWERCAP, Latency, latency, measured_joules
from insula.explain.cost.operations import Costs, OperationCount, joules_text
from insula.models.card import card_of
from insula.types import Batch, InputSpec

if TYPE_CHECKING:
    import pandas as pd

DAY_S = 86_400.0


@dataclass(frozen=True)
class EnergySheet:
    """Cost of one decision of one system; ``reads`` says what goes into it, ``weights`` whose weights were counted.

    ``joules_decision`` and ``joules_day`` follow from counted operations (``formula``); ``measured_joules_decision``
    from the processor's counters, None where they cannot be read. ``layers`` lists (name, multiply-accumulates,
    additions, others). ``basis`` says in words where each figure comes from.
    """

    title: str
    hop_s: float
    parameters: int
    weight_bytes: int
    working_bytes: int
    macs: int
    adds: int
    others: int
    joules_decision: float
    joules_day: float
    formula: str
    latency: Latency
    measured_joules_decision: float | None = None
    basis: tuple[str, ...] = ()
    layers: tuple[tuple[str, int, int, int], ...] = ()
    system: str = ""
    kind: str = ""
    reads: str = ""
    weights: str = ""

    def text(self) -> str:
        """Write the sheet in plain lines."""
        lines = [
            f"{self.title}: one decision every {self.hop_s:g} s",
            f"  parameters {self.parameters:,} ({self.weight_bytes:,} bytes)",
            f"  working memory {self.working_bytes:,} bytes",
            f"  {self.formula}",
            f"  a decision {joules_text(self.joules_decision)}, a day of wearing {joules_text(self.joules_day)}",
            f"  measured {joules_text(self.measured_joules_decision)} a decision",
            f"  latency p50 {self.latency.p50_ms:.3g} ms, p99 {self.latency.p99_ms:.3g} ms",
        ]
        return "\n".join(lines + [f"  basis: {line}" for line in self.basis])


def sheet(
    title: str,
    model: nn.Module,
    batch: Batch,
    spec: InputSpec,
    *,
    preprocessing: OperationCount | None = None,
    costs: Costs | None = None,
    runs: int = 200,
    warm_up: int = 20,
    powercap: Path = POWERCAP,
) -> EnergySheet:
    """Make the sheet of a network.

    The first window of ``batch`` stands for all. A step model reads a whole window once and is then
    counted and timed on one hop with its carried state, as it runs live; any other model reads a whole window again
    at every hop.

    Parameters
    ----------
    title : of the row.
    batch : windows as the model is trained on; features (B, F).
    spec : its window_s and hop_s; one decision every hop_s seconds.
    preprocessing : arithmetic before the model (cleaning, hand-made features), to be added where it is known.
    costs : price of an operation, 45 nm by default.
    runs, warm_up : of the latency measurement, on one thread.
    """
    one = _first_row(batch)
    training = model.training
    model.eval()
    state: Any = None
    reads = f"a whole window of {spec.window_s:g} s at every decision"
    if card_of(model).step:
        with torch.no_grad():
            state = model(one).state
        one = _last_hop(one, spec)
        reads = f"one hop of {spec.hop_s:g} s at every decision, with carried state"
    try:
        counted = count(model, one, state)
        timed = latency(lambda: model(one, state), runs=runs, warm_up=warm_up)
        joules = measured_joules(lambda: model(one, state), runs=runs, root=powercap)
    finally:
        model.train(training)
    held = [*model.parameters(), *model.buffers()]
    made = _assemble(
        title,
        spec.hop_s,
        counted,
        preprocessing,
        costs or Costs(),
        timed,
        joules,
        (sum(p.numel() for p in model.parameters()), sum(t.nbytes for t in held)),
    )
    return replace(made, basis=(f"the model reads {reads}", *made.basis))


def classical_sheet(
    title: str,
    estimator: Any,
    rows: NDArray[np.float64],
    hop_s: float,
    *,
    preprocessing: OperationCount | None = None,
    costs: Costs | None = None,
    runs: int = 200,
    warm_up: int = 20,
    powercap: Path = POWERCAP,
) -> EnergySheet:
    """Make the sheet of a fitted scikit-learn estimator or Pipeline; ``rows`` (n, F) are feature rows.

    Other parameters as in `sheet`. Latency is that of scikit-learn's own call on one row.
    """
    if not hop_s > 0:
        raise InputError(f"hop_s {hop_s}; expected above 0 seconds.")
    counted = count_estimator(estimator, rows)
    decide = estimator.predict_proba if hasattr(estimator, "predict_proba") else estimator.predict
    timed = latency(lambda: decide(rows[:1]), runs=runs, warm_up=warm_up)
    joules = measured_joules(lambda: decide(rows[:1]), runs=runs, root=powercap)
    numbers = estimator_parameters(estimator)
    return _assemble(title, hop_s, counted, preprocessing, costs or Costs(), timed, joules, (numbers, 8 * numbers))


def compare(sheets: Sequence[EnergySheet]) -> pd.DataFrame:
    """Put sheets side by side, one row a system."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "system": s.title,
                "parameters": s.parameters,
                "weight_bytes": s.weight_bytes,
                "macs": s.macs,
                "adds": s.adds,
                "others": s.others,
                "joules_decision": s.joules_decision,
                "joules_day": s.joules_day,
                "measured_joules_decision": s.measured_joules_decision,
                "p50_ms": s.latency.p50_ms,
                "p99_ms": s.latency.p99_ms,
            }
            for s in sheets
        ]
    )


def shared_basis(bases: Mapping[str, Sequence[str]]) -> list[str]:
    """Say each basis of several sheets (title -> lines) once, naming the sheets where it is not that of all."""
    whose: dict[str, list[str]] = {}
    for title, lines in bases.items():
        for line in lines:
            whose.setdefault(line, []).append(title)
    return [line if len(who) == len(bases) else f"{', '.join(who)}: {line}" for line, who in whose.items()]


def _assemble(
    title: str,
    hop_s: float,
    counted: OperationCount,
    preprocessing: OperationCount | None,
    costs: Costs,
    timed: Latency,
    joules: float | None,
    size: tuple[int, int],
) -> EnergySheet:
    total = counted if preprocessing is None else counted + preprocessing
    decision = costs.joules(total)
    parameters, weight_bytes = size
    before = "cleaning and hand-made features before the system are not included"
    if preprocessing is not None:
        named = ", ".join(preprocessing.by_layer)
        before = f"before the system, {named} are included; cleaning and hand-made features not named here are not"
    basis = (
        "operations are counted layer by layer on one decision, dense unless spikes drive a layer; "
        f"prices: {costs.source}; memory access and idle power are not priced, so a real device spends more",
        before,
        f"a day is {DAY_S:,.0f} s / {hop_s:g} s = {DAY_S / hop_s:,.0f} decisions",
        f"latency: one decision on this CPU, {timed.threads} thread, {timed.runs} runs, {timed.warm_up} to warm up",
        "memory: weights and buffers as stored here; working memory is the largest operation's tensors"
        if total.working_bytes
        else "memory: numbers the estimator keeps, 8 bytes each; working memory is not counted",
        "measured joules: not measured (this machine shows no readable powercap counters)"
        if joules is None
        else f"measured joules: mean of {timed.runs} decisions by the packages' powercap counters, idle power included",
    )
    return EnergySheet(
        title=title,
        hop_s=hop_s,
        parameters=parameters,
        weight_bytes=weight_bytes,
        working_bytes=total.working_bytes,
        macs=total.macs,
        adds=total.adds,
        others=total.others,
        layers=tuple((layer, w.macs, w.adds, w.others) for layer, w in total.by_layer.items()),
        joules_decision=decision,
        joules_day=decision * DAY_S / hop_s,
        formula=costs.formula(total),
        latency=timed,
        measured_joules_decision=joules,
        basis=basis,
    )


def _first_row(batch: Batch) -> Batch:
    """Keep the first window."""

    def first(part: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: values[:1] for name, values in part.items()}

    return Batch(
        signals=first(batch.signals),
        observed=first(batch.observed),
        elapsed_s=first(batch.elapsed_s),
        features=first(batch.features),
        traits=batch.traits[:1],
        present=batch.present[:1],
    )


def _last_hop(batch: Batch, spec: InputSpec) -> Batch:
    """Keep the samples of the last hop of every modality."""

    def samples(name: str) -> int:
        return max(1, round(spec.signals[name][1] * spec.hop_s))

    return replace(
        batch,
        signals={m: v[..., -samples(m) :] for m, v in batch.signals.items()},
        observed={m: v[:, -samples(m) :] for m, v in batch.observed.items()},
        elapsed_s={m: v[:, -samples(m) :] for m, v in batch.elapsed_s.items()},
    )
