"""Networks, classical rows and your own modules behind one interface that scikit-learn takes as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from small_cohort import scored, windows
from torch import nn

import insula
from insula.errors import DataError, InputError
from insula.learning.classical_rows import CLASSICAL
from insula.learning.learner import Learner

QUICK: dict[str, Any] = {"epochs": 1}


class Flat(nn.Module):
    """A module with braindecode's signature."""

    def __init__(self, n_chans: int, n_times: int, n_outputs: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(n_chans * n_times, n_outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.net(x)
        return out


def arrays(people: int = 4, each: int = 12) -> insula.Windows:
    rng = np.random.default_rng(0)
    y = np.tile(["calm", "glad"], people * each // 2)
    x: NDArray[Any] = rng.normal(size=(people * each, 3, 128)).astype(np.float32)
    x[y == "glad", 0] *= 6
    groups = np.repeat([f"p{i}" for i in range(people)], each)
    return insula.Windows.from_arrays(x, y, groups, rate_hz=64.0, channels=["A", "B", "C"])


@pytest.mark.parametrize("name", ["liquid", "tcn", "logistic_regression", "random_forest"])
def test_params_clone_and_classes(name: str) -> None:
    made = insula.make(name, **(QUICK if name in insula.MODELS else {}), seed=3)
    assert isinstance(made, Learner)
    again = clone(made)
    assert type(again) is type(made)
    assert again.get_params() == made.get_params()
    assert again.set_params(seed=4).get_params()["seed"] == 4
    assert made.get_params()["seed"] == 3
    assert is_classifier(made)
    assert name in repr(made)
    fitted = made.fit(scored())
    assert fitted.classes_.tolist() == list(range(len(scored().schema.classes)))
    assert 0 <= fitted.score(scored()) <= 1
    assert not hasattr(clone(fitted), "schema")


def test_unknown_parameters_are_named_wherever_they_belong() -> None:
    made = insula.make("liquid", core="gru", learning_rate=1e-3, size="small")
    assert made.get_params()["core"] == "gru"
    for wrong in ({"cor": "gru"}, {"learnin_rate": 1.0}):
        with pytest.raises(InputError, match="Did you mean"):
            insula.make("liquid", **wrong)
    with pytest.raises(InputError, match="option"):
        insula.make("random_forest", C=1.0)
    with pytest.raises(InputError, match="liquid"):
        insula.make("liqid")


@pytest.mark.parametrize("name", ["logistic_regression", "eegnet"])
def test_cross_validation_and_grid_search_with_groups(name: str) -> None:
    data = arrays()
    made = insula.make(name, **(QUICK if name in insula.MODELS else {}))
    scores = cross_val_score(made, data, data.y, groups=data.groups, cv=GroupKFold(2))
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()
    grid = {"seed": [0, 1]} if name == "eegnet" else {"C": [1e-4, 0.1]}
    found = GridSearchCV(made, grid, cv=GroupKFold(2), scoring="balanced_accuracy").fit(
        data, data.y, groups=data.groups
    )
    assert set(found.best_params_) == set(grid)
    assert found.predict(data).shape == (len(data),)
    if name == "logistic_regression":
        assert scores.mean() > 0.9
        assert found.best_score_ > 0.9


def test_a_fold_decides_group_and_normaliser_though_nobody_says_so() -> None:
    for protocol in ("within_subject", "leave_one_subject_out"):
        fold = insula.split(protocol, windows())[0]
        network = insula.make("tcn", **QUICK).fit(fold.train)
        row = insula.make("logistic_regression").fit(fold.train)
        assert isinstance(network, insula.Estimator)
        assert isinstance(row, insula.ClassicalEstimator)
        assert (network.terms.group, network.terms.normaliser) == (fold.group, fold.normaliser)
        assert row.kind == network.normaliser.kind == fold.normaliser


def test_inner_validation_keeps_people_whole_without_a_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    from insula.learning import estimator

    asked = []
    monkeypatch.setattr(estimator, "inner_split", lambda _t, r, group, *_: (asked.append(group), (r, r[:0]))[1])
    data = arrays()
    insula.make("eegnet", **QUICK, validation_groups=2).fit(data)
    assert asked == [("subject",)]


@pytest.mark.parametrize("name", [n for n in CLASSICAL if CLASSICAL[n].discrete])
def test_every_classical_row_is_kept(name: str, tmp_path: Path) -> None:
    data = arrays(people=3)
    made = insula.make(name, **({"trees": 10} if name in ("clock", "elapsed", "random_forest") else {})).fit(data)
    again = insula.load_model(made.save(tmp_path / "m"))
    np.testing.assert_array_equal(again.predict_proba(data), made.predict_proba(data))
    assert again.get_params() == made.get_params()
    assert again.schema == made.schema


@pytest.mark.parametrize("name", [n for n in CLASSICAL if CLASSICAL[n].continuous and CLASSICAL[n].inputs != "clock"])
def test_rows_on_numbers_are_kept(name: str, tmp_path: Path) -> None:
    data = scored(windows("valence"))
    made = insula.make(name).fit(data)
    np.testing.assert_array_equal(insula.load_model(made.save(tmp_path / "m")).predict(data), made.predict(data))


def test_what_was_changed_or_is_no_row_is_refused(tmp_path: Path) -> None:
    import hashlib
    import json

    import skops.io

    from insula.learning.saving import digest

    data = arrays(people=3)
    folder = insula.make("random_forest", trees=5).fit(data).save(tmp_path / "m")

    def put(content: bytes) -> None:
        (folder / "model.skops").write_bytes(content)
        story = json.loads((folder / "estimator.json").read_text())
        story.pop("sha256")
        story["model_sha256"] = hashlib.sha256(content).hexdigest()
        (folder / "estimator.json").write_text(json.dumps({**story, "sha256": digest(story)}))

    good = (folder / "model.skops").read_bytes()
    (folder / "model.skops").write_bytes(good[:-1] + b"x")
    with pytest.raises(DataError, match="not the one that was saved"):
        insula.load_model(folder)
    put(skops.io.dumps(print))
    with pytest.raises(DataError, match="expected scikit-learn's own types"):
        insula.load_model(folder)
    wild = insula.load_model(insula.make("random_forest", trees=1).fit(data).save(tmp_path / "n"))
    assert isinstance(wild, insula.ClassicalEstimator)
    tree = wild.model.estimators_[0].tree_
    state = tree.__getstate__()
    state["nodes"]["left_child"][0] = 10**6
    tree.__setstate__(state)
    put(skops.io.dumps(wild.model))
    with pytest.raises(DataError, match="leads out of itself"):
        insula.load_model(folder)
    with pytest.raises(InputError, match="load_model"):
        insula.Estimator.load(folder)


def test_a_network_of_your_own_is_kept_and_needs_its_class_again(tmp_path: Path) -> None:
    data = arrays()
    factory = insula.from_torch(Flat)
    made = insula.make("mine", factory=factory, **QUICK).fit(data)
    assert made.predict_proba(data).shape == (len(data), 2)
    folder = made.save(tmp_path / "m")
    with pytest.raises(InputError, match=r"Flat; expected that factory"):
        insula.load_model(folder)
    again = insula.load_model(folder, factory=factory)
    np.testing.assert_array_equal(again.predict_proba(data), made.predict_proba(data))
    named = insula.make("insula.models.eegnet:EEGNet", epochs=1)
    assert isinstance(named, insula.Estimator)
    with pytest.raises(InputError, match="module:Class"):
        insula.make("nowhere:Net")
    with pytest.raises(InputError, match="Name it"):
        insula.make("mine", factory=insula.from_torch(Flat, "eda"), **QUICK).fit(data)


def test_notes_of_the_normaliser_reach_the_result_person_by_person() -> None:
    from insula.evaluation.experiment import experiment_from

    plan = experiment_from(
        {
            "data": {"name": "simulate"}, "model": {"name": "logistic_regression", "normaliser": "opening"},
            "protocol": {"name": "leave_one_subject_out"}, "compare": {"rows": ["majority"]},
        }
    )  # fmt: skip
    data = arrays(people=3)
    result = insula.evaluate(data, plan).result
    told = [note for note in result.systems[0].fallbacks if "training population stands in" in note]
    assert {note.split("/")[0] for note in told} == {"p0", "p1", "p2"}
