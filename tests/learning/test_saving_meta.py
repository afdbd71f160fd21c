"""A forged size of a network is refused before it is made, and no registered network is refused by that."""

from __future__ import annotations

import pytest
import torch
from model_inputs import make_spec

from insula.learning.saving import _require_size
from insula.models import MODELS, build, card


@pytest.mark.parametrize("name", MODELS)
def test_every_network_is_drawn_up_or_left_alone(name: str) -> None:
    spec = make_spec(*(card(name).reads or ("eda", "bvp")))
    _require_size(build(name, spec).state_dict(), lambda: build(name, spec))


def test_a_forged_size_takes_no_memory() -> None:
    weights = torch.nn.Linear(3, 2).state_dict()
    with pytest.raises(RuntimeError, match="size mismatch"):
        _require_size(weights, lambda: torch.nn.Linear(1 << 30, 1 << 14))  # 64 TB
