"""Wirings: layers, fan-outs and mistakes."""

from __future__ import annotations

import numpy as np
import pytest

from insula.errors import InputError
from insula.models.cells.wiring import Wiring


def test_policy_has_its_layers_and_fan_outs() -> None:
    wiring = Wiring.policy(5, 8, 6, 3, sensory_fanout=4, inter_fanout=3, recurrent_command=5, motor_fanin=2, seed=4)
    motor, command, inter = slice(0, 3), slice(3, 9), slice(9, 17)
    assert (wiring.inputs, wiring.units, wiring.motors) == (5, 17, 3)
    assert not wiring.sensory[:, :9].any()
    assert (np.abs(wiring.sensory[:, inter]).sum(1) >= 4).all()
    assert (np.abs(wiring.sensory).sum(0)[inter] >= 1).all()
    assert (np.abs(wiring.recurrent[inter, command]).sum(1) >= 3).all()
    assert (np.abs(wiring.recurrent[command, motor]).sum(0) >= 2).all()
    assert 1 <= np.abs(wiring.recurrent[command, command]).sum() <= 5
    for source, target in ((motor, slice(None)), (inter, inter), (inter, motor), (command, inter)):
        assert not wiring.recurrent[source, target].any()
    assert set(np.unique(wiring.recurrent)) == {-1, 0, 1}


def test_seed_decides_and_dense_is_dense() -> None:
    first, again, other = (Wiring.dense(4, 6, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.recurrent, again.recurrent)
    assert not np.array_equal(first.recurrent, other.recurrent)
    assert first.recurrent.all()
    assert first.sensory_mask().sum() == 24


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="sensory_fanout 9"):
        Wiring.policy(5, 8, 6, 3, sensory_fanout=9, inter_fanout=3, recurrent_command=5, motor_fanin=2)
    with pytest.raises(InputError, match="motors 7"):
        Wiring(np.ones((2, 3), np.int8), np.ones((3, 3), np.int8), 7)
    with pytest.raises(InputError, match="shapes"):
        Wiring(np.ones((2, 4), np.int8), np.ones((3, 3), np.int8), 1)
    with pytest.raises(InputError, match="expected 3 and 6"):
        Wiring.dense(4, 6).require(3, 6)
