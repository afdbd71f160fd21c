"""`insula energy`: the table, the JSON, trained models, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from insula.cli import app
from insula.errors import InputError, InsulaError
from insula.evaluation.experiment import experiment_from
from insula.learning.estimator import Estimator, EstimatorConfig
from insula.learning.train_config import TrainConfig
from insula.pipeline.reading import cut_windows, read_recordings

OPTIONS = {"people": 2, "trials_per_emotion": 1, "trial_s": 12.0, "baseline_s": 4.0}
FLAGS = ["--data", "simulate", "--target", "emotion", "--runs", "1"]
FLAGS += [part for key, value in OPTIONS.items() for part in ("--set", f"data.options.{key}={value}")]
QUICK = [*FLAGS, "--modalities", "eda,temp"]


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["energy", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def sheets(*arguments: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    document = json.loads(call(*arguments, "--json"))
    return {row["system"]: row for row in document["systems"]}, document


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    plan = experiment_from(
        {"data": {"name": "simulate", "target": "emotion", "modalities": ["eda", "temp"], "options": OPTIONS}}
    )
    config = EstimatorConfig(model="eavs_tf", normaliser="population", train=TrainConfig(epochs=1))
    return Estimator(config).fit(cut_windows(plan, read_recordings(plan))).save(tmp_path_factory.mktemp("m") / "model")


def test_table_names_every_figure_and_its_basis() -> None:
    said = call(*QUICK, "--model", "tcn")
    for part in (
        "tcn (small)",
        "liquid (small)",
        "Logistic regression",
        "J a day",
        "nJ a decision",
        "p99",
        "memory:",
        "liquid (small): the model reads",
    ):
        assert part in said, part
    assert "4.6 pJ x" in said
    assert "Horowitz 2014" in said
    assert "windows of simulate: p01; target emotion" in said
    assert "rbtransformer" not in said


def test_json_with_eeg_has_the_four_systems_and_adds_up() -> None:
    found, document = sheets(*FLAGS)
    assert list(found) == ["liquid", "rbtransformer", "eegnet", "logistic_regression"]
    for row in found.values():
        assert row["joules_decision"] == pytest.approx(4.6e-12 * row["macs"] + 0.9e-12 * row["adds"])
        assert row["joules_day"] == pytest.approx(row["joules_decision"] * 86_400 / document["hop_s"])
        assert sum(layer[1] for layer in row["layers"]) == row["macs"]
        assert row["measured_joules_decision"] is None or row["measured_joules_decision"] > 0
    assert found["rbtransformer"]["parameters"] == pytest.approx(663_175)
    assert found["logistic_regression"]["macs"] < found["liquid"]["macs"] < found["rbtransformer"]["macs"]


def test_hop_makes_the_day() -> None:
    found, document = sheets(*QUICK, "--model", "logistic_regression", "--hop", "1")
    row = found["logistic_regression"]
    assert document["hop_s"] == 1.0
    assert row["joules_day"] == pytest.approx(row["joules_decision"] * 86_400)


def test_fresh_spiking_model_is_warned_about_and_a_trained_one_is_not(model: Path) -> None:
    assert "give a trained model" in call(*QUICK, "--model", "eavs_tf")
    found, document = sheets(*QUICK, "--trained", str(model))
    assert found["eavs_tf"]["weights"] == "trained"
    assert not any("give a trained model" in note for note in document["notes"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--model", "liquid"], "--model liquid"), (["--size", "medium"], "--size medium")],
)
def test_flags_against_the_trained_model_are_refused(model: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        call(*QUICK, "--trained", str(model), *arguments)


def test_unknown_model_and_missing_data_are_refused() -> None:
    with pytest.raises(InsulaError, match="liqid"):
        call(*QUICK, "--model", "liqid")
    with pytest.raises(InputError, match="--data"):
        call("--model", "liquid")
