"""A small model and a person for the live tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from insula.data.readers.simulate import Settings, simulate
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.train_config import TrainConfig
from insula.signals.recipe import Recipe
from insula.types import Recording
from insula.windows.cutting import cut
from insula.windows.table import Windows

SETTINGS = Settings(people=2, trials_per_emotion=1, trial_s=12.0, baseline_s=12.0)


@pytest.fixture(scope="session")
def people() -> tuple[Recording, ...]:
    return simulate(SETTINGS).recordings


@pytest.fixture(scope="session")
def training(people: tuple[Recording, ...]) -> Windows:
    return cut(people, Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0), "emotion").scored


@pytest.fixture(scope="session")
def model(training: Windows) -> Estimator:
    config = EstimatorConfig(train=TrainConfig(epochs=1, validation_fraction=0.0), members=1)
    return Estimator(config).fit(training)


@pytest.fixture(scope="session")
def model_folder(model: Estimator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model.save(tmp_path_factory.mktemp("live") / "model")
