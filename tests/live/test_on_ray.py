"""Crowds as Ray actors give what one process gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packets import spoiled

from insula.errors import InputError
from insula.learning.estimator import Estimator
from insula.live.on_ray import Workers
from insula.live.predictor import Predictor
from insula.types import Recording


@pytest.mark.slow
def test_two_actors_equal_one_process(
    ray: Any, model: Estimator, model_folder: Path, people: tuple[Recording, ...]
) -> None:
    streams = [spoiled(people[i % 2], np.random.default_rng(i), 0.1, 0.2)[0] for i in range(3)]
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    try:
        workers = Workers(model_folder, 3, 2)
        found = workers.step(streams)
        workers.close()
    finally:
        ray.shutdown()
    for stream, got in zip(streams, found, strict=True):
        alone = Predictor(model)
        expected = alone.step(alone.seat(), stream)
        assert [d.stop_s for d in got] == [d.stop_s for d in expected]
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a.chances, b.chances, atol=1e-5)


def test_workers_are_counted(model_folder: Path) -> None:
    pytest.importorskip("ray", reason="ray is not installed (extra scale)")
    with pytest.raises(InputError, match="workers"):
        Workers(model_folder, 2, 3)
