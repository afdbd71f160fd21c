"""Counting whole models, prices, measurements and the sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_inputs import make_batch, make_spec, rows_of
from torch import Tensor, nn

from insula.errors import InputError
from insula.explain.cost import (
    Costs,
    EnergySheet,
    OperationCount,
    Work,
    classical_sheet,
    compare,
    count,
    count_estimator,
    count_layer,
    joules_text,
    latency,
    measured_joules,
    sheet,
)
from insula.models import MODELS, build, card
from insula.models.rbtransformer import RBTransformer
from insula.types import Batch, InputSpec, ModelOutput


def spec_for(name: str) -> InputSpec:
    return make_spec(*dict.fromkeys([*card(name).reads, "eeg", "eda", "bvp"]))


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_registered_model_is_counted(name: str) -> None:
    spec = spec_for(name)
    model = build(name, spec)
    model.train()
    first = count(model, make_batch(spec, 1))
    assert model.training
    assert first.macs + first.adds > 1000
    for value in ("macs", "adds", "others"):
        assert getattr(first, value) == sum(getattr(w, value) for w in first.by_layer.values())


@pytest.mark.parametrize("name", ["liquid", "rbtransformer", "eegnet", "tcn"])
def test_two_windows_cost_twice_one(name: str) -> None:
    spec = spec_for(name)
    model, batch = build(name, spec), make_batch(spec, 2)
    one, two = count(model, rows_of(batch, slice(0, 1))), count(model, batch)
    assert (two.macs, two.adds, two.others) == (2 * one.macs, 2 * one.adds, 2 * one.others)


def test_rbtransformer_by_hand() -> None:
    # 14 electrodes, 2 classes, 512 samples. Without the entropies, in multiply-accumulates:
    # project 14 x 4 x 128 = 7,168
    # a block: q, k, v 14 x 128 x 576 = 1,032,192; Q K^T 6 x 196 x 32 = 37,632; scale 1,176; A V 37,632;
    #   output 14 x 192 x 128 = 344,064; feed-forward 2 x 14 x 128 x 128 = 458,752; 2 norms x 14 x 128 x 3 = 10,752
    #   = 1,922,200; 4 blocks 7,688,800
    # norm 384; classifier 128 x 256 + 256 x 256 + 256 x 128 + 128 x 2 = 131,328
    # entropies: 28,672 values x 5 x 5 + 7,168 x 2 + 28,672 = 759,808
    spec = make_spec("eeg", outputs=2, traits=0, shapes={"eeg": (14, 128.0)})
    found = count(RBTransformer(spec), make_batch(spec, 1))
    assert found.macs == 7_168 + 7_688_800 + 384 + 131_328 + 759_808
    assert found.by_layer["blocks.2.attention.query_key_value"] == Work(1_032_192)
    assert found.by_layer["entropy"].macs == 759_808


class Hidden(nn.Module):
    """Computes outside torch, as a compiled kernel does."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(3))

    def forward(self, values: Tensor) -> Tensor:
        return torch.from_numpy(values.numpy() @ self.weight.numpy())


def test_hidden_work_is_an_error_not_zero() -> None:
    with pytest.raises(InputError, match="outside torch"):
        count_layer(Hidden(), torch.randn(2, 3))


def test_declared_work_is_taken_and_checked() -> None:
    class Declared(Hidden):
        answer: Any = (18, 0, 0)

        def operations(self, values: Tensor) -> Any:
            assert values.shape == (2, 3)
            return self.answer

    layer = Declared()
    assert count_layer(layer, torch.randn(2, 3)).macs == 18
    layer.answer = 18.5
    with pytest.raises(InputError, match="Declared"):
        count_layer(layer, torch.randn(2, 3))


def test_unknown_operation_is_an_error_that_names_it() -> None:
    class Inverse(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return torch.linalg.inv(values)

    with pytest.raises(InputError, match="linalg_inv"):
        count_layer(Inverse(), torch.eye(3))


def test_hooks_are_removed_even_after_an_error() -> None:
    layer = Hidden()
    with pytest.raises(InputError):
        count_layer(layer, torch.randn(2, 3))
    assert not layer._forward_hooks
    assert not layer._forward_pre_hooks


def test_a_changed_subclass_is_not_counted_by_its_parents_rule() -> None:
    class Twice(nn.GRUCell):
        def forward(self, values: Tensor, hidden: Tensor | None = None) -> Tensor:
            return super().forward(values, super().forward(values, hidden))

    once, twice = count_layer(nn.GRUCell(3, 4), torch.randn(2, 3)), count_layer(Twice(3, 4), torch.randn(2, 3))
    assert twice.macs > 1.8 * once.macs


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5))
def test_a_product_is_its_three_sizes(rows: int, inputs: int, outputs: int, steps: int) -> None:
    found = count_layer(nn.Linear(inputs, outputs), torch.randn(rows, steps, inputs))
    assert found.macs == rows * steps * inputs * outputs
    assert found.adds == found.others == 0


def test_prices_and_formula() -> None:
    counted = OperationCount.of({"a": Work(1_000_000, 2_000, 30), "b": Work(0, 500, 0)})
    # 1,000,000 x 4.6 pJ + 2,500 x 0.9 pJ = 4,600,000 + 2,250 pJ = 4.60225 uJ
    assert Costs().joules(counted) == pytest.approx(4.60225e-6, rel=1e-12)
    formula = Costs().formula(counted)
    for part in ("4.6 pJ x 1,000,000", "0.9 pJ x 2,500", "4.6 uJ", "Horowitz 2014", "30 other functions", "not priced"):
        assert part in formula
    # 30 x 10 pJ more
    assert Costs(other_pj=10.0).joules(counted) == pytest.approx(4.60255e-6, rel=1e-12)
    assert "not priced" not in Costs(other_pj=10.0).formula(counted)
    with pytest.raises(InputError, match="mac_pj"):
        Costs(mac_pj=-1.0)


@pytest.mark.parametrize(
    ("joules", "text"),
    [(None, "not measured"), (2.5, "2.5 J"), (3e-3, "3 mJ"), (4.6e-6, "4.6 uJ"), (7e-9, "7 nJ"), (5e-12, "5 pJ")],
)
def test_joules_as_text(joules: float | None, text: str) -> None:
    assert joules_text(joules) == text


def test_latency_counts_its_runs_and_restores_threads() -> None:
    calls = []
    threads = torch.get_num_threads()
    found = latency(lambda: calls.append(torch.get_num_threads()), runs=30, warm_up=5)
    assert len(calls) == 35
    assert set(calls) == {1}
    assert torch.get_num_threads() == threads
    assert 0 <= found.p50_ms <= found.p99_ms
    with pytest.raises(InputError, match="runs"):
        latency(lambda: None, runs=0)


def powercap(root: Path, packages: dict[str, tuple[int, int]]) -> Path:
    for name, (energy_uj, range_uj) in packages.items():
        zone = root / name
        zone.mkdir(parents=True)
        (zone / "energy_uj").write_text(f"{energy_uj}\n")
        (zone / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return root


def test_joules_from_counters_with_one_that_wraps(tmp_path: Path) -> None:
    root = powercap(
        tmp_path, {"intel-rapl:0": (1000, 100_000), "intel-rapl:1": (99_000, 100_000), "intel-rapl:0:0": (0, 100_000)}
    )
    spent_uj = {"intel-rapl:0": 50, "intel-rapl:1": 300, "intel-rapl:0:0": 40}

    def call() -> None:
        for name, more in spent_uj.items():
            file = root / name / "energy_uj"
            file.write_text(str((int(file.read_text()) + more) % 100_000))

    # 10 calls: 500 uJ and, through the wrap, 3,000 uJ; the part 0:0 is already in package 0. 350 uJ a call
    assert measured_joules(call, runs=10, root=root) == pytest.approx(350e-6)


def test_joules_are_not_measured_without_counters(tmp_path: Path) -> None:
    assert measured_joules(lambda: None, runs=1, root=tmp_path / "none") is None
    (tmp_path / "intel-rapl:0").mkdir()
    assert measured_joules(lambda: None, runs=1, root=tmp_path) is None


def test_sheet_of_a_window_model(tmp_path: Path) -> None:
    spec = make_spec("eeg", window_s=4.0, hop_s=2.0, traits=0)
    model, batch = build("eegnet", spec), make_batch(spec, 3)
    model.train()
    made = sheet("EEGNet", model, batch, spec, runs=3, warm_up=1, powercap=tmp_path)
    assert model.training
    assert made.macs == count(model, rows_of(batch, slice(0, 1))).macs
    assert made.parameters == sum(p.numel() for p in model.parameters())
    assert made.joules_decision == pytest.approx(1e-12 * (4.6 * made.macs + 0.9 * made.adds))
    assert made.joules_day == pytest.approx(made.joules_decision * 43_200)  # 86,400 s / 2 s
    assert made.measured_joules_decision is None
    assert made.working_bytes >= 6 * 512 * 4  # at least the window itself
    text = made.text()
    assert "not measured" in text
    assert "4.6 pJ x" in text
    assert "whole window" in text
    assert msgspec.json.decode(msgspec.json.encode(made), type=EnergySheet) == made


def test_sheet_of_a_streaming_model_counts_one_hop_with_state(tmp_path: Path) -> None:
    spec = make_spec("eeg", "eda", window_s=4.0, hop_s=1.0)
    model, batch = build("liquid", spec).eval(), make_batch(spec, 1)
    made = sheet("liquid", model, batch, spec, runs=3, warm_up=1, powercap=tmp_path)
    whole = count(model, batch)
    assert made.macs < 0.5 * whole.macs  # a quarter of the samples
    assert any("one hop of 1 s" in line for line in made.basis)


def test_sheet_of_a_streaming_model_of_your_own(tmp_path: Path) -> None:
    class Mean(nn.Module):
        def forward(self, batch: Batch, state: Tensor | None = None) -> ModelOutput:
            values = batch.signals["eda"].sum(-1)
            total = values if state is None else values + state
            return ModelOutput(total, total, total)

        sequence = forward

    spec = make_spec("eda", window_s=4.0, hop_s=2.0)
    made = sheet("mean", Mean(), make_spec_batch(spec), spec, runs=2, warm_up=0, powercap=tmp_path)
    # a hop of 2 s at 4 Hz: 8 additions, and one more for the carried state
    assert (made.macs, made.adds, made.others) == (0, 9, 0)
    assert made.parameters == 0


def make_spec_batch(spec: InputSpec) -> Batch:
    return make_batch(spec, 2)


def test_classical_sheet_and_comparison(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    rows = np.random.default_rng(0).normal(size=(40, 6))
    fitted = LogisticRegression().fit(rows, np.arange(40) % 3)
    features = OperationCount.of({"features": Work(1000, 100, 10)})
    made = classical_sheet("logistic regression", fitted, rows, 10.0, runs=3, warm_up=1, powercap=tmp_path)
    more = classical_sheet(
        "with features", fitted, rows, 10.0, preprocessing=features, runs=3, warm_up=1, powercap=tmp_path
    )
    assert (made.macs, made.adds, made.others) == (18, 9, 6)  # 3 x 6; softmax of 3
    assert (more.macs, more.adds, more.others) == (1018, 109, 16)
    assert made.parameters == 21  # 18 weights, 3 intercepts
    assert made.joules_day == pytest.approx(made.joules_decision * 8640)
    assert any("not included" in line for line in made.basis)
    assert any("are included" in line for line in more.basis)
    table = compare([made, more])
    assert list(table["system"]) == ["logistic regression", "with features"]
    assert table["macs"].tolist() == [18, 1018]
    with pytest.raises(InputError, match="hop_s"):
        classical_sheet("x", fitted, rows, 0.0)


def test_unknown_estimators_and_rows_are_refused() -> None:
    from sklearn.naive_bayes import GaussianNB

    rows = np.random.default_rng(0).normal(size=(10, 2))
    with pytest.raises(InputError, match="GaussianNB"):
        count_estimator(GaussianNB().fit(rows, np.arange(10) % 2), rows)
    with pytest.raises(InputError, match="rows of shape"):
        count_estimator(GaussianNB(), np.empty((0, 3)))
