"""A model that learned from another one is trained again only from one that does not know the person any more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_cohort import recording, write_manifest

from insula.evaluation.experiment import Experiment, experiment_from
from insula.pipeline.running import train_model
from insula.privacy.forget import forget
from insula.privacy.retraining import retraining_note
from insula.privacy.survey import model_people


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    people = [recording(n, trials=2, trial_s=6) for n in ("ann", "bob", "cyd", "dan")]
    return write_manifest(tmp_path_factory.mktemp("study"), people)


def experiment(study: Path, *people: str, **model: Any) -> Experiment:
    return experiment_from(
        {
            "data": {"name": "manifest", "root": str(study), "target": "state", "subjects": people},
            "model": {"name": "tcn", "normaliser": "population", **model},
            "recipe": {"window_s": 4.0, "hop_s": 2.0, "guard_s": 0.0},
            "train": {"epochs": 1},
        }
    )


def test_the_elder_forgets_first(study: Path, tmp_path: Path) -> None:
    elder, child = tmp_path / "a" / "elder", tmp_path / "b" / "child"
    train_model(experiment(study, "ann", "bob"), elder)
    train_model(experiment(study, "cyd", "dan", start=str(elder)), child)
    assert model_people(child) == {"ann", "bob", "cyd", "dan"}

    alone = forget("ann", [child], retrain=True)
    ((where, why),) = alone.retrain
    assert where == child
    assert why.startswith("a model it learned from was trained on the person's recordings; not done: ")
    assert f"{elder}, which it learned from, knows the person" in why
    assert "a model it learned from" in retraining_note(child)

    both = forget("ann", [tmp_path], retrain=True)
    assert [p for p, _ in both.retrain] == [], "marked before, so found again"
    assert json.loads((elder / "training.json").read_text())["experiment"]["data"]["subjects"] == ["bob"]
    told = json.loads((child / "training.json").read_text())
    assert told["experiment"]["data"]["subjects"] == ["cyd", "dan"], "its elder's people are none of its own"
    assert model_people(child) == {"bob", "cyd", "dan"}
    assert retraining_note(child) == retraining_note(elder) == ""

    forget("bob", [elder])
    gone = forget("bob", [child], retrain=True)
    assert not elder.exists(), "bob was its only one"
    ((_, why),) = gone.retrain
    assert "is not there; train it without" in why


@pytest.mark.parametrize(
    ("story", "said"),
    [
        ({}, "does not say how it was made"),
        ({"experiment": {}, "personal": "bayes"}, "made by insula personalise"),
        ({"experiment": {}, "told": 0.1}, "made by insula pretrain"),
    ],
)
def test_what_train_did_not_make_is_not_trained(study: Path, tmp_path: Path, story: dict[str, Any], said: str) -> None:
    folder = tmp_path / "model"
    train_model(experiment(study, "ann", "bob"), folder)
    (folder / "training.json").write_text(json.dumps({"subjects": ["ann", "bob"], **story}))
    before = (folder / "weights-0.safetensors").read_bytes()
    ((_, why),) = forget("ann", [folder], retrain=True).retrain
    assert said in why
    assert (folder / "weights-0.safetensors").read_bytes() == before
