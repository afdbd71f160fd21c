"""Many people at once get what each would get alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from packets import spoiled

from insula.learning.estimator import Estimator
from insula.live.crowd import Crowd
from insula.live.predictor import Predictor
from insula.types import Recording


@pytest.mark.slow
def test_a_crowd_equals_each_alone(model: Estimator, people: tuple[Recording, ...]) -> None:
    streams = [spoiled(people[i % 2], np.random.default_rng(i), 0.1, 0.2)[0] for i in range(5)]
    with ThreadPoolExecutor(2) as pool:
        together = Crowd(Predictor(model), len(streams), pool, 2, patience_s=1.0).step(streams)
    for stream, found in zip(streams, together, strict=True):
        alone = Predictor(model)
        expected = alone.step(alone.seat(1.0), stream)
        assert [d.stop_s for d in found] == [d.stop_s for d in expected]
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a.chances, b.chances, atol=1e-5)
