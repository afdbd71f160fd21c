"""A person's own model times other people's prior is one thing: trained, saved, read, answered by and forgotten."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from command_line import Terminal
from small_cohort import RECIPE, recording, write_manifest

import insula
from insula.errors import DataError, InputError
from insula.evaluation.experiment import experiment_from
from insula.evaluation.finished import Finished
from insula.evaluation.fits import run_fold
from insula.evaluation.rows import RowPlan
from insula.explain.single import explain_window
from insula.learning.estimator import Estimator
from insula.learning.pretraining import begin_from
from insula.learning.prior import WithPrior, own_of
from insula.learning.saving import digest
from insula.pipeline.reopened import open_result
from insula.pipeline.running import run_experiment, train_model
from insula.privacy.forget import forget
from insula.privacy.retraining import retraining_note
from insula.privacy.survey import model_people
from insula.protocols.own_median import split_windows
from insula.protocols.protocol import TRIAL
from insula.windows.cutting import cut
from insula.windows.table import Windows

NAMES = ("ann", "bob", "cyd")
ROWS: dict[str, dict[str, Any]] = {
    "logistic_regression": {},
    "gradient_boosting": {},
    "tcn": {"epochs": 1},
}


@cache
def people(number: bool = False) -> Windows:
    return cut(tuple(recording(n) for n in NAMES), RECIPE, "valence" if number else "state").scored


def fitted(name: str, **more: Any) -> WithPrior:
    row = insula.make(name, normaliser="person_trials", **ROWS[name], **more)
    return WithPrior(row, "bob", 0.5, group=TRIAL, seed=3).fit(people())


def mine() -> Windows:
    return people().take(people().table["subject"].to_numpy() == "bob")


@pytest.mark.parametrize("name", ROWS)
def test_what_was_saved_answers_as_before(name: str, tmp_path: Path) -> None:
    both = fitted(name)
    both.save(tmp_path / "model", {"subjects": ["bob"]})
    again = insula.load_model(tmp_path / "model")
    assert isinstance(again, WithPrior)
    np.testing.assert_allclose(again.predict_proba(mine()), both.predict_proba(mine()), atol=1e-6)
    assert not np.allclose(again.predict_proba(mine()), again.own.predict_proba(mine()), atol=1e-3)
    assert (again.given, again.weight, again.schema) == (both.given, 0.5, both.schema)
    assert not list((tmp_path / "model").rglob("*.pkl"))


def test_numbers_too(tmp_path: Path) -> None:
    both = WithPrior(insula.make("ridge", normaliser="population"), "bob", 0.3, group=TRIAL).fit(people(number=True))
    both.save(tmp_path / "model")
    own = people(number=True)
    np.testing.assert_allclose(insula.load_model(tmp_path / "model").predict(own), both.predict(own), atol=1e-6)


def test_a_forged_or_halved_one_is_refused(tmp_path: Path) -> None:
    folder = fitted("logistic_regression").save(tmp_path / "model")
    path = folder / "estimator.json"
    said = json.loads(path.read_text())
    del said["sha256"]
    for weight in (7.0, "x", True):
        forged = {**said, "pool": {**said["pool"], "used": weight}}
        path.write_text(json.dumps({**forged, "sha256": digest(forged)}))
        with pytest.raises(DataError):
            insula.load_model(folder)
    path.write_text(json.dumps({**said, "sha256": digest(said)}))
    (folder / "prior" / "model.skops").unlink()
    with pytest.raises(DataError, match=r"prior/model\.skops is missing"):
        insula.load_model(folder)
    with pytest.raises(InputError, match=r"other people's prior; expected one network.*own"):
        Estimator.load(folder)
    with pytest.raises(InputError, match="expected fit before"):
        WithPrior(insula.make("ridge"), "bob").save(tmp_path / "other")


def test_a_network_begins_from_the_own_model_of_a_pair(tmp_path: Path) -> None:
    both = fitted("tcn")
    both.save(tmp_path / "model")
    other = insula.make("tcn", normaliser="person_trials", epochs=1).initialise(mine())  # type: ignore[attr-defined]
    network = other.networks[0]
    begin_from(network, tmp_path / "model", "tcn")
    for theirs, own in zip(both.own.networks[0].parameters(), network.parameters(), strict=True):
        np.testing.assert_array_equal(theirs.detach(), own.detach())
    with pytest.raises(InputError, match="expected a network to begin from"):
        begin_from(network, fitted("logistic_regression").save(tmp_path / "row"), "tcn")


def test_a_fit_that_was_kept_is_the_fit(tmp_path: Path) -> None:
    plan = RowPlan(
        "own", "Own", "classical", "window", "person_trials", classical="logistic_regression", prior=0.5, keep=True
    )
    part = split_windows(people(), "within_subject", folds=2)[0]
    fit = run_fold(people(), part, 0, plan, 0)
    kept = Finished(tmp_path)
    kept.write("fits", 0, fit)
    again = kept.read("fits", 0, plan)
    assert again is not None
    assert isinstance(again.kept, WithPrior)
    np.testing.assert_allclose(again.kept.predict_proba(people().take(part.test)), fit.predictions, atol=1e-6)


def test_an_explanation_says_what_it_leaves_out() -> None:
    both = fitted("logistic_regression")
    found = explain_window(both, mine(), 0, "own", "Own", "classical")
    whole = both.predict_proba(mine())[0]
    assert f"{people().schema.classes[whole.argmax()]} with a chance of {whole.max():.2f}" in found.note
    assert own_of(both) is both.own


# -- from the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_manifest(tmp_path / "data", [recording(n) for n in NAMES])


def tables(study: Path, model: str = "logistic_regression") -> dict[str, Any]:
    return {
        "data": {"name": "manifest", "root": str(study), "target": "state"},
        "model": {"name": model, "prior": 0.5},
        "protocol": {"name": "within_subject", "folds": 2},
        "compare": {"rows": ["majority"], "variants": [], "session": False, "context": False, "declare": False},
        "recipe": {"window_s": 4.0, "hop_s": 2.0, "guard_s": 2.0},
        "train": {"epochs": 1} if model == "tcn" else {},
    }


def asked(study: Path) -> tuple[str, ...]:
    return ("--data", "manifest", "--root", str(study))


QUICK = ("--target", "state", "--window", "4", "--hop", "2", "--set", "recipe.guard_s=2")


def test_train_and_predict(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal(monkeypatch, capsys)
    out, model = tmp_path / "bob.csv", tmp_path / "bob"
    train = ("train", *asked(study), *QUICK, "--model", "logistic_regression")
    done = terminal(*train, "--prior", "0.5", "--person", "bob", "--out", model)
    assert "what others taught counts 0.5 beside bob's own model" in " ".join(done.out.split())
    told = json.loads((model / "training.json").read_text())
    assert (told["person"], told["subjects"]) == ("bob", ["bob"])
    assert told["seen"] == [{"data": "manifest", "subjects": list(NAMES)}]
    terminal("predict", "--model", model, *asked(study), "--subjects", "bob", "--out", out)
    both = insula.load_model(model)
    assert isinstance(both, WithPrior)
    chances = both.predict_proba(mine())[:, 1]
    np.testing.assert_allclose(pd.read_csv(out)["p_tense"].to_numpy()[-len(chances) :], chances, atol=2e-6)
    terminal.refused("predict", "--model", model, *asked(study), "--subjects", "ann", says="knows one person")
    terminal.refused("predict", "--model", model, *asked(study), "--threshold", ".2", says="expected a cascade")
    named = terminal("explain", model, "--trial", "bob/s1/t1").out
    assert "Logistic regression" in named
    assert "<" not in named
    terminal.refused("personalise", "--model", model, *asked(study), "--person", "ann", says="expected a model of many")
    for alone in (("--prior", "0.5"), ("--person", "bob")):
        terminal.refused(*train, *alone, "--out", tmp_path / "no", says="Name --person and --prior, or neither")
    nobody = ("--prior", "0.5", "--person", "bo")
    terminal.refused(*train, *nobody, "--out", tmp_path / "no", says="person 'bo'; expected one of ann, bob, cyd")


@pytest.mark.slow
def test_kept_folds_are_those_that_answered(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    study = write_manifest(tmp_path / "data", [recording(n, trials=4, trial_s=8) for n in NAMES[:2]])
    run_experiment(experiment_from(tables(study)), tmp_path / "run", analyses=False, keep_folds=True)
    there = open_result(tmp_path / "run")
    first = there.result.systems[0]
    row = there.rows[0]
    assert (row.name, row.title) == (first.name, first.title)
    for part, model in zip(row.splits, row.models, strict=True):
        assert isinstance(model, WithPrior)
        own = there.result.of(first.name)
        chances = own.loc[own["fold"] == part.fold, [f"p_{c}" for c in there.result.classes]].to_numpy()
        np.testing.assert_allclose(model.predict_proba(there.windows.take(part.test)), chances, atol=1e-6)
    kept = tmp_path / "run" / "folds" / first.name / "0"
    assert model_people(kept) == {"ann", "bob"}
    found = forget("ann", [tmp_path / "run"])
    assert [p for p, _ in found.leftovers] == []
    assert not kept.exists(), "ann's own model, whoever lent it"
    others = sorted(p for p, _ in found.retrain)
    assert [p.name for p in others] == ["2", "3"], "what ann lent stays in the models of the others"


@pytest.mark.slow
def test_evaluate_saves_people_s_models_with_the_prior(study: Path, tmp_path: Path) -> None:
    run_experiment(experiment_from(tables(study, "tcn")), tmp_path / "run", analyses=False)
    model = insula.load_model(tmp_path / "run" / "model" / "bob")
    assert isinstance(model, WithPrior)
    assert (model.person, model.weight) == ("bob", 0.5)


# -- forgotten ---------------------------------------------------------------------------------------------------------


def test_whom_a_prior_learned_from_is_forgotten(study: Path, tmp_path: Path) -> None:
    experiment, folder = experiment_from(tables(study)), tmp_path / "models"
    for person in ("ann", "bob"):
        train_model(experiment, folder / person, person=person)
    found = forget("ann", [folder], retrain=True)
    assert not (folder / "ann").exists()
    assert (found.retrain, found.leftovers) == ((), ())
    assert model_people(folder / "bob") == {"bob", "cyd"}
    assert isinstance(insula.load_model(folder / "bob"), WithPrior)
    marked = forget("cyd", [folder])
    assert [(p.name, "others whom it learned from" in why) for p, why in marked.retrain] == [("bob", True)]
    assert "others whom it learned from" in retraining_note(folder / "bob")
    insula.load_model(folder / "bob")
