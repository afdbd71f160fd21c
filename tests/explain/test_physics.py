"""The equation of conductance: parameters are recovered from data made by it, and what no data can tell is not told."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from model_inputs import make_batch, make_spec

import insula
from insula.data.self_report import self_report
from insula.errors import InputError
from insula.explain.decay import decay_of, sensitivity_of, stretches
from insula.explain.physics import PHYSICS, physics
from insula.models import build
from insula.models.pinn_eda import PINNEDA, Tangent
from insula.signals.recipe import Recipe, SignalRecipe
from insula.types import Label, Recording, Signal, Trial
from insula.windows.table import Windows

RECIPE = Recipe(
    signals={"eda": SignalRecipe(4.0), "self_report": SignalRecipe(1.0)}, window_s=20.0, hop_s=10.0, guard_s=0.0
)
ALPHA, GAMMA, BETA, REST = 1.6, 0.5, 0.9, 2.0


def simulated(people: int = 4, noise: float = 0.02, trials: int = 6) -> list[Recording]:
    """Made by dE/dt = gamma (-alpha0 E + beta q), time in minutes: decay .8 a minute, .9 / 1.6 uS a point of q."""
    out = []
    for number in range(people):
        rng = np.random.default_rng(number)
        level, made = REST, []
        for k, q in enumerate(rng.permutation(trials)):
            labels: dict[str, Label] = {"arousal": float(q), "state": "high" if 2 * q >= trials else "low"}
            tends_to = (REST * ALPHA + BETA * q) / ALPHA
            curve = tends_to + (level - tends_to) * np.exp(-GAMMA * ALPHA * np.arange(720) / 240)
            level = float(curve[-1])
            values = (curve + noise * rng.standard_normal(720)).astype(np.float32)
            signals = {"eda": Signal(values[None], 4.0, ("EDA",), "uS", 180.0 * k)}
            signals |= self_report(labels, ("arousal",), 180.0 * k, 180.0 * (k + 1))
            made.append(Trial(f"p{number}", "1", f"t{k}", 180.0 * k, 180.0 * (k + 1), signals, labels))
        out.append(Recording(f"p{number}", "1", tuple(made)))
    return out


def windows(**options: int) -> Windows:
    return insula.cut(simulated(**options), RECIPE, "state")


def test_decay_and_sensitivity_are_recovered_from_each_persons_recording() -> None:
    people = stretches(windows())
    for person, trials in people.items():
        found = decay_of(person, trials)
        assert found.per_min == pytest.approx(GAMMA * ALPHA, rel=0.05)
        assert sensitivity_of(trials, found.tends_to)[0] == pytest.approx(BETA / ALPHA, rel=0.05)


def test_a_level_that_never_moves_tells_no_decay() -> None:
    (still,) = stretches(windows(people=1, trials=2)).values()
    noise = np.random.default_rng(0)
    flat = [type(one)(one.minutes, 3 + 1e-3 * noise.standard_normal(len(one.minutes)), one.answers) for one in still]
    lone = [type(one)(one.minutes, one.minutes * 2, one.answers) for one in still]
    assert math.isnan(decay_of("p", lone).per_min), "a straight line fits best at the slowest decay looked at"
    assert math.isnan(sensitivity_of(flat, [1.0, 2.0])[0]), "two trials"
    assert math.isnan(decay_of("p", []).per_min)


@pytest.mark.slow
def test_the_network_recovers_the_decay_and_shows_it() -> None:
    data = windows(people=1, trials=3)
    model = insula.make(
        "pinn_eda", normaliser="population", epochs=400, learning_rate=1e-2, patience=400, modality_dropout=0.0,
        average=0.0, weight_decay=0.0, dropout=0.0,
    ).fit(data)  # fmt: skip
    network = model.networks[0]
    assert isinstance(network, PINNEDA)
    assert network.equation().decay_per_min == pytest.approx(GAMMA * ALPHA, rel=0.2)
    found = physics([(model, data)], data)
    assert found is not None
    (told,) = found.told
    assert told.r > 0.95
    assert told.rmse < 0.3 * told.rmse_mean
    assert found.parameters[0].mean == pytest.approx(GAMMA * ALPHA, rel=0.05)
    for one, truth in zip(found.parameters, (GAMMA * ALPHA, BETA / ALPHA), strict=True):
        assert one.folds[0] == pytest.approx(truth, rel=0.2)
    shown = PHYSICS.show(found, None)  # type: ignore[arg-type]
    assert [p.name for p in shown.pictures] == ["physics"]
    assert "recognises nothing from the body" in shown.sentences[0]


def test_only_products_with_gamma_leave_a_trace() -> None:
    spec = make_spec("self_report", "eda", traits=0)
    torch.manual_seed(0)
    model, batch = build("pinn_eda", spec), make_batch(spec, 3)
    assert isinstance(model, PINNEDA)
    model.eval()
    before, equation = model(batch).extras["penalty"], model.equation()
    with torch.no_grad():
        model.log_gamma += math.log(2)
        model.log_alpha -= math.log(2)
        model.beta /= 2
        model.rest /= 2
    torch.testing.assert_close(model(batch).extras["penalty"], before)
    after = model.equation()
    assert (after.decay_per_min, *after.sensitivity) == pytest.approx((equation.decay_per_min, *equation.sensitivity))
    assert after.scale_per_min == pytest.approx(2 * equation.scale_per_min)


def test_the_derivative_is_that_of_autograd() -> None:
    torch.manual_seed(1)
    layers, x = Tangent(3, 8).double(), torch.randn(5, 3, dtype=torch.float64)
    along = torch.tensor([0.0, 0.0, 0.7], dtype=torch.float64).expand(5, 3)
    _, moving = layers(x, along)
    expected = torch.autograd.functional.jvp(lambda v: layers(v, along)[0], x, along)[1]
    torch.testing.assert_close(moving, expected)


def test_conductance_is_what_it_learns_and_never_reads() -> None:
    with pytest.raises(InputError, match="expected eda too"):
        build("pinn_eda", make_spec("self_report", traits=0))
    spec = make_spec("self_report", "eda", traits=0)
    model, batch = build("pinn_eda", spec).eval(), make_batch(spec, 2)
    before = model(batch)
    batch.signals["eda"].mul_(3)
    after = model(batch)
    torch.testing.assert_close(after.logits, before.logits)
    assert not torch.allclose(after.extras["penalty"], before.extras["penalty"])
