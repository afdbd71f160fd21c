"""Energy, electrode and gate analyses: against hand-made counts and networks whose attention is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from fake_result import stress
from own_model import MyNet
from small_cohort import cohort, fresh, scored, windows
from torch import nn

import insula.explain.cost.systems as explain_energy
from insula import plots
from insula.errors import InputError
from insula.evaluation.experiment import experiment_from
from insula.evaluation.run import Evaluation, evaluate
from insula.evaluation.writing import jsonable
from insula.explain import Evaluated
from insula.explain.cost import EnergySheet, Latency, shared_basis, sheet
from insula.explain.cost.spikes import spike_sheet
from insula.explain.cost.systems import beside, energy_of_systems, features_work, network_energy, preparation
from insula.explain.electrodes import ELECTRODES as ANALYSIS
from insula.explain.electrodes import electrode_attention, positions
from insula.explain.energy import ENERGY, dominated, energy
from insula.explain.facts import gather
from insula.explain.gate import gate_curve
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.feed import Feed
from insula.learning.train import TrainConfig
from insula.report.page import render
from insula.signals.recipe import Recipe
from insula.types import Batch, InputSpec, ModelOutput, Recording, Signal
from insula.windows.cutting import cut
from insula.windows.table import Windows

ELECTRODES = ("F3", "F4", "O1", "X9")


@cache
def evaluation() -> Evaluation:
    plan = experiment_from(
        {
            "data": {"name": "simulate"},
            "protocol": {"name": "leave_one_subject_out"},
            "train": {"epochs": 1},
            "compare": {"rows": ["clock", "majority", "logistic_regression"], "variants": ["ema", "frozen"]},
        }
    )
    return evaluate(windows(), plan)


@cache
def analysis() -> dict[str, Any]:
    done = evaluation()
    found = energy(Evaluated(done.result, windows(), done.models), runs=1)
    assert found is not None
    plain: dict[str, Any] = jsonable(ENERGY.write(found))
    return plain


def test_preparation_by_hand() -> None:
    spec = InputSpec({"eda": (1, 4.0), "bvp": (2, 64.0)}, {"eda": 3, "bvp": 4}, 5, 2, False, 4.0, 2.0)
    before = preparation(spec)
    samples, columns = 4 * 2 + 2 * 64 * 2, 3 + 4 + 5
    assert (before.macs, before.adds, before.others) == (samples + columns, columns, 0)


def test_network_sheet_is_the_counters_with_preparation() -> None:
    model = fresh()
    found = network_energy("liquid", "Liquid", "model", model, scored(), "fresh", runs=1)
    batch = next(Feed(model.prepare(scored()), "window").each(1)).batch
    alone = sheet("x", model.networks[0], batch, model.spec, runs=1, warm_up=0)
    before = preparation(model.spec) + features_work(scored())
    assert found.macs == alone.macs + before.macs
    assert found.adds == alone.adds + before.adds
    assert found.parameters == model.parameters
    assert found.reads == "signals, features"
    assert any("carried state" in line for line in found.basis)


def test_who_reads_features_is_found_out() -> None:
    own = Estimator(EstimatorConfig(normaliser="population"), MyNet).initialise(scored())
    assert network_energy("own", "Own", "model", own, scored(), "fresh", runs=1).reads == "signals"


def test_two_members_cost_twice_the_network() -> None:
    one = network_energy("a", "A", "model", fresh("tcn"), scored(), "fresh", runs=1)
    both = Estimator(EstimatorConfig(model="tcn", normaliser="population", members=2)).initialise(scored())
    two = network_energy("a", "A", "model", both, scored(), "fresh", runs=1)
    before = (preparation(both.spec) + features_work(scored())).macs
    assert two.macs == pytest.approx(2 * (one.macs - before) + before, abs=8)  # and the mean of both
    assert two.parameters == 2 * one.parameters


def test_spiking_counts_are_the_mean_over_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain_energy, "WINDOWS", 3)
    model = fresh("eavs_tf")
    some = scored().take(np.linspace(0, len(scored()) - 1, 3).astype(int))
    found = network_energy("eavs_tf", "EAVS-TF", "model", model, scored(), "fresh", runs=1)
    batch = next(Feed(model.prepare(some), "window").each(1)).batch
    measured = spike_sheet("x", model.networks[0], batch, model.spec, windows=3)
    before = preparation(model.spec) + features_work(scored())
    counted = found.macs + found.adds - before.macs - before.adds
    assert counted == pytest.approx(measured.synaptic + measured.membrane + measured.analogue, abs=50)
    assert found.joules_decision == pytest.approx(4.6e-12 * found.macs + 0.9e-12 * found.adds)
    assert "mean of 3 windows" in found.basis[0]


@pytest.mark.slow
def test_systems_of_an_evaluation() -> None:
    rows = {row["system"]: row for row in analysis()["rows"]}
    assert list(rows) == [
        "liquid", "liquid_session", "liquid_ema", "clock", "logistic_regression", "logistic_regression_context",
    ]  # fmt: skip
    assert analysis()["without"] == ["Majority"]
    assert rows["liquid"]["weights"] == "trained, first fold"
    assert rows["liquid"]["joules_decision"] == rows["liquid_session"]["joules_decision"]
    assert rows["liquid_ema"]["joules_decision"] < rows["liquid"]["joules_decision"]
    assert rows["liquid"]["layers"] == []
    assert rows["clock"]["kind"] == "clock"


@pytest.mark.slow
def test_other_people_s_prior_costs_what_its_row_does() -> None:
    asked = {
        "data": {"name": "simulate"},
        "model": {"name": "tcn", "prior": 0.5, "members": 2},
        "protocol": {"name": "within_subject", "folds": 2},
        "train": {"epochs": 1},
        "compare": {"rows": ["logistic_regression"], "context": False, "variants": [], "declare": False},
    }
    of = windows().take(windows().table["subject"].isin(["ann", "bob"]).to_numpy())
    done = evaluate(of, experiment_from(asked))
    found = {one.system: one for one in energy_of_systems(done.result, of, done.models, runs=1)[0]}
    shared = features_work(of)
    for name, members in (("tcn", 2), ("logistic_regression", 1)):
        own, both = found[name], found[f"{name}_with_prior"]
        makes = shared.macs if "features" in own.reads else 0
        one = preparation(done.models[0].model.spec).macs if members == 2 else 0
        network = (own.macs - makes - one) / members
        assert both.macs == own.macs + network + one + 2
        assert both.parameters == own.parameters * (1 + 1 / members)
        assert both.joules_decision == pytest.approx(4.6e-12 * both.macs + 0.9e-12 * both.adds)
        assert "made once" in both.basis[0]


@pytest.mark.slow
def test_logistic_regression_by_hand() -> None:
    done = evaluation()
    part = done.models[0].split
    from insula.learning.classical import ClassicalEstimator

    row = ClassicalEstimator("logistic_regression", normaliser=done.models[0].model.config.normaliser)
    columns = row.fit(windows().take(part.train)).columns(windows().take(part.test)).shape[1]
    rows = {r["system"]: r for r in analysis()["rows"]}
    plain, context = rows["logistic_regression"], rows["logistic_regression_context"]
    # two classes: a product a column, and before it a scale and shift; a comparison a column to fill gaps; a sigmoid
    before = features_work(windows())
    assert (plain["macs"], plain["adds"], plain["others"]) == (
        2 * columns + before.macs, columns + before.adds, 1 + before.others,
    )  # fmt: skip
    # twice the columns, and for each mean an addition and a product; one division by the count
    gap = tuple(context[k] - plain[k] for k in ("macs", "adds", "others"))
    assert gap == (3 * columns, 2 * columns, 1)
    assert plain["joules_decision"] == pytest.approx(4.6e-12 * plain["macs"] + 0.9e-12 * plain["adds"])
    assert plain["joules_day"] == pytest.approx(plain["joules_decision"] * 86_400 / 2.0)


def test_features_cost_what_their_samples_do_for_whoever_reads_them() -> None:
    before = features_work(windows())
    assert set(before.by_layer) == {"features of eda", "features of bvp", "features of hr"}
    pulse = before.by_layer["features of bvp"]
    assert pulse.macs >= 4 * 64  # a window of 4 s at 64 Hz, each sample once at least
    layers = {r["system"]: r for r in analysis()["rows"]}
    assert layers["clock"]["macs"] < before.macs < layers["logistic_regression"]["macs"]


def test_result_without_its_experiment_has_no_sheets() -> None:
    done = evaluation()
    assert energy_of_systems(replace(done.result, config={}), windows(), done.models) == ([], [], "")


def test_beside_without_eeg_and_for_a_number() -> None:
    found, notes = beside("tcn", scored(), runs=1)
    assert [one.system for one in found] == ["tcn", "liquid", "logistic_regression"]
    assert not any("spikes" in note for note in notes)
    ratings = cut(cohort()[:1], Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0), "valence")
    assert [one.system for one in beside("liquid", ratings, runs=1)[0]] == ["liquid", "ridge"]
    with pytest.raises(InputError, match="random_forest"):
        beside("majority", scored(), runs=1)


def test_fresh_spiking_weights_are_called_that() -> None:
    _, notes = beside("udc_snn", scored(), runs=1)
    assert "give a trained model" in notes[0]


def test_busy_machine_is_noticed() -> None:
    calm = network_energy("a", "Calm", "model", fresh("tcn"), scored(), "fresh", runs=1)

    def with_latency(title: str, p50_ms: float, p99_ms: float) -> EnergySheet:
        return replace(calm, title=title, latency=Latency(p50_ms, p99_ms, 10, 1, 1))

    found = explain_energy._disturbed([with_latency("Calm", 1.0, 3.0), with_latency("Late", 1.0, 30.0)])
    assert len(found) == 1
    assert "(Late)" in found[0]


# -- electrodes ----------------------------------------------------------------------------------------------------


class Loudest(nn.Module):
    """Every electrode attends to each by its variance (``by`` signal) or by its number (``by`` place)."""

    def __init__(self, spec: InputSpec, by: str = "signal") -> None:
        super().__init__()
        self.by = by
        self.answer = nn.Linear(4, spec.outputs)

    def forward(self, batch: Batch, state: object = None) -> ModelOutput:
        power = batch.signals["eeg"].var(-1)  # (B, C)
        score = power if self.by == "signal" else torch.arange(4.0).expand_as(power)
        weights = score.softmax(-1)[:, None, None, None, :].expand(-1, 2, 3, 4, -1)
        return ModelOutput(self.answer(power), power, state, {"electrode": weights})


@cache
def with_eeg() -> Windows:
    """One person with four electrodes, the third five times as loud."""
    rng = np.random.default_rng(0)

    def added(person: Recording) -> Recording:
        trials = []
        for t in person.trials:
            values = rng.standard_normal((4, round((t.stop_s - t.start_s) * 128))).astype(np.float32)
            values[2] *= 5
            eeg = Signal(values, 128.0, ELECTRODES, "uV", t.start_s)
            trials.append(replace(t, signals={"eeg": eeg, "eda": t.signals["eda"]}))
        return replace(person, trials=tuple(trials))

    recipe = Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0)
    made = cut([added(cohort()[0])], recipe, "state")
    return made.take((made.table["role"] == "scored").to_numpy())


def attending(by: str) -> Estimator:
    model = Estimator(EstimatorConfig(normaliser="population"), lambda spec: Loudest(spec, by)).initialise(with_eeg())
    model.scaler.spread = {m: np.ones_like(v) for m, v in model.scaler.spread.items()}  # keep loudness
    model.scaler.within = {m: np.ones_like(v) for m, v in model.scaler.within.items()}
    return model


def test_attention_to_a_signal_is_gone_when_electrodes_are_shuffled() -> None:
    found = electrode_attention([(attending("signal"), with_eeg())], shuffles=9)
    assert found is not None
    matrix = np.asarray(found.matrix)
    assert matrix.shape == (4, 4)
    assert matrix.sum(1) == pytest.approx(np.ones(4), abs=1e-5)
    assert "O1" in found.outside
    assert found.received[2] == max(found.received) > 1.5
    assert np.asarray(found.shuffled).mean(0)[2] * 4 < 1.5


def test_attention_to_a_place_survives_the_shuffle() -> None:
    found = electrode_attention([(attending("place"), with_eeg())], shuffles=3)
    assert found is not None
    assert np.asarray(found.shuffled) == pytest.approx(np.asarray(found.matrix))
    assert found.correlation == pytest.approx(1.0)
    assert found.outside == ()


def test_a_learned_graph_stands_beside_one_trained_on_shuffled_electrodes() -> None:
    config = EstimatorConfig("dgcnn", normaliser="population", train=TrainConfig(epochs=2))
    model = Estimator(config).fit(with_eeg())
    found = electrode_attention([(model, with_eeg())], training=[with_eeg()])
    assert found is not None
    assert found.trained
    own, control = np.asarray(found.matrix), np.asarray(found.shuffled)
    np.testing.assert_allclose(own, model.outputs(with_eeg(), ("attention:electrode",))["attention:electrode"][0, 0, 0])
    start = Estimator(config).initialise(with_eeg())
    before = start.outputs(with_eeg(), ("attention:electrode",))["attention:electrode"][0, 0, 0]
    assert np.abs(own - control).max() > 1e-6
    assert np.abs(control - before).max() > 1e-6, "the control was trained"
    assert found.outside == ()
    drawn = ANALYSIS.show(found, gather(stress()))
    assert "shuffled" in drawn.pictures[0].caption
    seen = electrode_attention([(attending("signal"), with_eeg())], shuffles=1, training=[with_eeg()])
    assert seen is not None
    assert not seen.trained


def test_models_without_electrode_attention_have_no_map() -> None:
    assert electrode_attention([(fresh("liquid"), scored())]) is None
    assert electrode_attention([(fresh("eegnet", with_eeg()), with_eeg())]) is None


def test_places_on_the_head() -> None:
    found = positions(["Cz", "Fpz", "oz", "T7", "T8", "F3", "nowhere"])
    cz, fpz, oz, t7, t8, f3 = (p if p is not None else [np.nan] * 2 for p in found[:-1])
    assert found[-1] is None
    assert np.hypot(*cz) < 0.15
    assert fpz[1] == pytest.approx(1, abs=0.1)
    assert oz[1] == pytest.approx(-1, abs=0.15)
    assert t7[0] == pytest.approx(-t8[0], abs=0.05)
    assert t7[0] < -0.9
    assert f3[0] < 0 < f3[1]


# -- gate ----------------------------------------------------------------------------------------------------------


def test_gate_curve_joins_the_folds() -> None:
    model = fresh("udc_snn")
    half = len(scored()) // 2
    parts = [scored().take(np.arange(half)), scored().take(np.arange(half, len(scored())))]
    found = gate_curve([(model, part) for part in parts])
    assert found is not None
    assert found.windows == len(scored())
    woken = [p.woken for p in found.points]
    assert woken == sorted(woken)
    assert (woken[0], woken[-1]) == (0.0, 1.0)
    last = found.points[-1]
    assert last.joules == pytest.approx(found.joules_first + found.joules_second)
    assert gate_curve([(fresh("tcn"), scored())]) is None


# -- the page ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_page_shows_table_and_pictures() -> None:
    def row(system: str, title: str, kind: str, joules: float) -> dict[str, Any]:
        own = {"system": system, "title": title, "kind": kind, "joules_decision": joules, "joules_day": 4e4 * joules}
        return {**analysis()["rows"][0], **own}

    rows = [row("liquid", "Liquid", "model", 2.5e-6), row("logistic_regression", "LR", "classical", 5e-9)]
    points = [
        {"threshold": 1 - w, "woken": w, "joules": 1e-7 + w * 1e-6, "accuracy": 0.5, "balanced_accuracy": 0.5 + w / 5}
        for w in (0.0, 0.5, 1.0)
    ]
    even = np.full((4, 4), 0.25) + np.eye(4) * 0.1
    result = stress().with_analyses(
        energy={"rows": rows, "without": ["Tangent space"], "hop_s": 2.0, "note": "features are not counted"},
        cascade={"points": points, "second_alone": points[2], "note": ""},
        electrodes={
            "channels": list(ELECTRODES), "xy": positions(ELECTRODES), "matrix": even.tolist(),
            "shuffled": even.tolist(), "received": even.mean(0).tolist(), "outside": [], "correlation": 1.0, "note": "",
        },
    )  # fmt: skip
    page = render(result)
    for name in ("fig-energy", "fig-gate", "fig-electrodes", "fig-electrode-matrix", 'id="energy"'):
        assert name in page, name
    assert "4.6 pJ" in page
    assert "2.5 µJ" in page
    assert "Tangent space" in page
    (table,) = ENERGY.show(ENERGY.read(result), gather(result)).tables
    assert [r.name for r in table.rows] == ["LR", "Liquid"]
    plain = render(stress())
    assert 'id="energy"' not in plain
    assert "fig-electrodes" not in plain


def test_each_basis_is_said_once_and_whose_it_is() -> None:
    found = shared_basis({"A": ("same", "hop"), "B": ("same", "window"), "C": ("same", "window")})
    assert found == ["same", "A: hop", "B, C: window"]


def test_cheaper_and_better_is_named() -> None:
    mine = plots.CostPoint("Mine", 1e-6, 0.6, 0.5, 0.7, strong=True)
    worse, better = plots.CostPoint("Worse", 1e-9, 0.5, 0.4, 0.6), plots.CostPoint("Better", 1e-8, 0.61, 0.5, 0.7)
    assert dominated(mine, [mine, worse]) == "Nothing cheaper scores as well as Mine."
    assert dominated(mine, [mine, worse, better]) == "For less energy, Better scores at least as well as Mine."
