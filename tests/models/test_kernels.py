"""Compiled kernels against their plain references, and the choice between the two."""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import insula.models.kernels
from insula.errors import InputError
from insula.models.cells.cfc import CfC
from insula.models.cells.conductance import ConductanceLTC
from insula.models.cells.liquid import NeuralLTC
from insula.models.cells.wiring import Wiring
from insula.models.kernels import reference_only, use_compiled

Build = Callable[[int, int, int], nn.Module]

CELLS: dict[str, Build] = {
    "neural fused": lambda i, h, k: NeuralLTC(i, h, (0.05, 5.0), k),
    "neural exponential": lambda i, h, k: NeuralLTC(i, h, (0.05, 5.0), k, "exponential"),
    "neural wired": lambda i, h, k: NeuralLTC(i, h, (0.05, 5.0), k, wiring=Wiring.dense(i, h)),
    "conductance": lambda i, h, k: ConductanceLTC(i, h, k),
    "closed form": lambda i, h, k: CfC(i, h, "default", 5 * k),
    "closed form, no gate": lambda i, h, k: CfC(i, h, "no_gate", 5 * k),
    "closed form, pure": lambda i, h, k: CfC(i, h, "pure", 5 * k),
}


def outcome(
    cell: nn.Module, u: Tensor, elapsed: Tensor, observed: Tensor | None, state: Tensor, *, timed: bool
) -> dict[str, Tensor]:
    """Outputs, and the gradients of everything under one loss that weights each output differently."""
    given_ = {"inputs": u.detach().clone(), "elapsed": elapsed.detach().clone(), "state": state.detach().clone()}
    for name, tensor in given_.items():
        tensor.requires_grad_(timed or name != "elapsed")
    cell.zero_grad()
    # A transposed copy: the same numbers in memory that is not contiguous.
    scattered = given_["inputs"].transpose(0, 1).contiguous().transpose(0, 1)
    out, last = cell(scattered, given_["elapsed"], observed, given_["state"])
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape_as(out)
    ((out * weights).sum() + last.square().sum()).backward()
    found = {"outputs": out.detach(), "last": last.detach()}
    found |= {f"d {name}": t.grad for name, t in given_.items() if t.grad is not None}
    found |= {f"d {name}": p.grad.clone() for name, p in cell.named_parameters() if p.grad is not None}
    return found


def close(name: str, got: Tensor, expected: Tensor) -> None:
    """Values to 1e-5, gradients to 1e-4 of their largest entry."""
    scale = max(1.0, float(expected.abs().max())) if name in ("outputs", "last") else float(expected.abs().max())
    tolerance = (1e-5 if name in ("outputs", "last") else 1e-4) * scale + 1e-6
    worst = float((got.double() - expected).abs().max())
    assert worst <= tolerance, f"{name}: {worst:.2e} above {tolerance:.2e}"


@pytest.mark.parametrize("kind", sorted(CELLS))
@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    batch=st.sampled_from([1, 2, 4, 5, 9, 67]),
    steps=st.integers(1, 7),
    inputs=st.integers(1, 9),
    units=st.sampled_from([1, 5, 9, 16, 17, 33, 48]),
    sub_steps=st.integers(1, 4),
    masked=st.booleans(),
    regular=st.booleans(),
    longest=st.floats(0.01, 5.0),
)
def test_kernel_equals_reference(
    kind: str, seed: int, batch: int, steps: int, inputs: int, units: int, sub_steps: int, masked: bool, regular: bool,
    longest: float,
) -> None:  # fmt: skip
    torch.manual_seed(seed)
    cell = CELLS[kind](inputs, units, sub_steps)
    u = torch.randn(batch, steps, inputs)
    elapsed = torch.full((batch, steps, 1), longest) if regular else torch.rand(batch, steps, 1) * longest
    observed = torch.rand(batch, steps) < 0.7 if masked else None
    state = torch.rand(batch, units + isinstance(cell, CfC)) * 0.5
    timed = not regular
    got = outcome(cell, u, elapsed, observed, state, timed=timed)
    cell.double()
    expected = outcome(cell, u.double(), elapsed.double(), observed, state.double(), timed=timed)
    assert set(got) == set(expected)
    for name in expected:
        close(name, got[name], expected[name])


@pytest.mark.parametrize("kind", sorted(CELLS))
def test_kernel_equals_reference_where_batch_equals_units(kind: str) -> None:
    torch.manual_seed(5)
    cell = CELLS[kind](3, 12, 2)
    u, elapsed, observed = torch.randn(12, 4, 3), torch.rand(12, 4, 1), torch.rand(12, 4) < 0.6
    state = torch.zeros(12, 12 + isinstance(cell, CfC))
    got = outcome(cell, u, elapsed, observed, state, timed=True)
    with reference_only():
        expected = outcome(cell, u, elapsed, observed, state, timed=True)
    for name in expected:
        close(name, got[name], expected[name].double())
    for row in (0, 11):
        one = slice(row, row + 1)
        alone = cell(u[one], elapsed[one], observed[one], state[one])[0]
        torch.testing.assert_close(alone, got["outputs"][one], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", sorted(CELLS))
def test_nan_stays_nan_in_its_own_row(kind: str) -> None:
    cell = CELLS[kind](2, 5, 2)
    u = torch.randn(5, 3, 2)
    u[3, 1, 0] = float("nan")
    out = cell(u, torch.ones(5, 3, 1))[0]
    assert out[[0, 1, 2, 4]].isfinite().all()
    assert out[3, 0].isfinite().all()
    assert out[3, 1:].isnan().any(-1).all()


@pytest.mark.parametrize("kind", sorted(CELLS))
def test_empty_sequences_and_batches(kind: str) -> None:
    cell = CELLS[kind](2, 5, 2)
    extra = isinstance(cell, CfC)
    state = torch.rand(3, 5 + extra)
    out, last = cell(torch.zeros(3, 0, 2), torch.zeros(3, 0, 1), None, state)
    assert out.shape == (3, 0, 5)
    torch.testing.assert_close(last, state)
    assert cell(torch.zeros(0, 4, 2), torch.zeros(0, 4, 1))[0].shape == (0, 4, 5)


def test_vector_functions_are_accurate() -> None:
    from numba import njit

    from insula.models.kernels.vector import LANES, exp, load, sigmoid, sign, store, tanh

    @njit
    def all_of(x, s, t, e, z):  # type: ignore[no-untyped-def]
        for i in range(0, x.size, LANES):
            store(s, i, sigmoid(load(x, i)))
            store(t, i, tanh(load(x, i)))
            store(e, i, exp(load(x, i)))
            store(z, i, sign(load(x, i)))

    x = np.concatenate([np.linspace(-30, 30, 2**14), [-1e30, 1e30, -80, 80, 0, -0.0, 1e-30, -1e-20] * 2])
    x = x.astype(np.float32)
    s, t, e, z = (np.empty_like(x) for _ in range(4))
    all_of(x, s, t, e, z)
    wide = np.clip(x.astype(np.float64), -700, 700)
    assert np.abs(s - 1 / (1 + np.exp(-wide))).max() < 2e-7
    assert np.abs(t - np.tanh(wide)).max() < 4e-7
    near = np.abs(wide) < 30
    assert (np.abs(e - np.exp(wide))[near] / np.exp(wide)[near]).max() < 3e-6
    assert np.array_equal(z[near], np.sign(x)[near])


def test_gradients_twice_are_refused_by_kernels_and_served_by_the_reference() -> None:
    cell = NeuralLTC(2, 3, (0.1, 1.0), 2)
    u, elapsed = torch.randn(2, 3, 2, requires_grad=True), torch.ones(2, 3, 1)
    with pytest.raises(InputError, match="reference_only"):
        torch.autograd.grad(cell(u, elapsed)[0].sum(), u, create_graph=True)
    with reference_only():
        (slope,) = torch.autograd.grad(cell(u, elapsed)[0].sum(), u, create_graph=True)
        slope.square().sum().backward()
    assert u.grad is not None


def test_choice() -> None:
    single = torch.ones(2)
    assert use_compiled(single, nn.Parameter(single))
    assert not use_compiled(single, single.double())
    assert not use_compiled(single.to("meta"))
    with reference_only():
        assert not use_compiled(single)
    seen = []
    torch.func.vmap(lambda t: (seen.append(use_compiled(t)), t)[1])(single)
    assert seen == [False]


def test_without_numba_the_reference_serves_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numba" else found(name))
    insula.models.kernels._numba_installed.cache_clear()
    try:
        cell = NeuralLTC(2, 3, (0.1, 1.0))
        with caplog.at_level(logging.WARNING, logger="insula.models.kernels"):
            for _ in range(3):
                cell(torch.zeros(1, 2, 2), torch.ones(1, 2, 1))
        assert [r.message for r in caplog.records if "numba is not installed" in r.message] == [caplog.messages[0]]
    finally:
        insula.models.kernels._numba_installed.cache_clear()


@pytest.mark.slow
def test_models_are_imported_without_numba() -> None:
    modules = "insula, insula.models.cells.liquid, insula.models.cells.cfc, insula.models.cells.conductance"
    code = f"import sys, {modules}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
