"""A model learns from another one only where that has not seen what is tested."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fake_result import stress
from small_cohort import cohort, scored, write_manifest

import insula
from insula.errors import DataError, InputError, ProtocolError, SchemaError
from insula.evaluation.elders import elders_of, open_elder, require_unseen, seen_by
from insula.evaluation.experiment import Experiment, experiment_from
from insula.evaluation.rows import make_plans, require_names
from insula.evaluation.run import evaluate
from insula.evaluation.story import records
from insula.learning import fitting
from insula.learning.losses import Said
from insula.learning.teaching import Taught
from insula.pipeline.reopened import stress_result
from insula.pipeline.running import run_experiment
from insula.privacy.survey import model_people
from insula.protocols.own_median import split_windows
from insula.protocols.protocol import Amounts


def tables(**more: Any) -> dict[str, Any]:
    return {
        "data": {"name": "manifest", "target": "state"},
        "model": {"name": "tcn", **more},
        "protocol": {"name": "leave_one_subject_out"},
        "compare": {"rows": ["majority"], "variants": [], "session": False},
        "train": {"epochs": 1},
    }


def saved(folder: Path, people: list[str], data: str = "manifest", **more: Any) -> Path:
    mine = scored().table["subject"].isin(people).to_numpy()
    own = scored().take(mine) if mine.any() else scored()
    row = insula.make("logistic_regression", normaliser="population").fit(own)
    return row.save(folder, {"experiment": {"data": {"name": data}}, "subjects": people, **more})


def checked(experiment: Experiment) -> None:
    splits = split_windows(scored(), "leave_one_subject_out")
    require_unseen(elders_of(experiment), experiment, scored(), splits, "")


def test_a_teacher_who_has_seen_tested_people_is_refused_by_name(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", ["ann", "bob"])
    with pytest.raises(ProtocolError, match="has seen ann, bob, who are tested"):
        checked(experiment_from(tables(teacher=str(folder))))
    with pytest.raises(ProtocolError, match="has seen ann, bob"):
        checked(experiment_from(tables(start=str(folder))))
    other = saved(tmp_path / "other", ["ann", "bob"], "elsewhere")
    checked(experiment_from(tables(teacher=str(other))))
    assert "has seen 2 people of elsewhere" in open_elder(other, "teacher").note


def test_a_model_that_does_not_say_whom_it_has_seen_is_refused(tmp_path: Path) -> None:
    row = insula.make("logistic_regression", normaliser="population").fit(scored())
    with pytest.raises(InputError, match="does not name its people"):
        open_elder(row.save(tmp_path / "model"), "teacher")
    with pytest.raises(InputError, match="expected a saved model"):
        open_elder(tmp_path, "start")
    shuffled = tables(teacher=str(saved(tmp_path / "fine", ["ann"])))
    shuffled["protocol"]["null"] = 2
    with pytest.raises(ProtocolError, match="null test with a teacher"):
        elders_of(experiment_from(shuffled))


def test_whom_an_elders_elder_has_seen_is_not_forgotten_on_other_data(tmp_path: Path) -> None:
    first = saved(tmp_path / "first", ["ann"])
    second = experiment_from({**tables(start=str(first)), "data": {"name": "elsewhere"}})
    seen = seen_by(second, ["dan"])
    assert seen == {"elsewhere": ("dan",), "manifest": ("ann",)}
    folder = saved(tmp_path / "second", ["dan"], "elsewhere", seen=records(seen))
    assert model_people(folder) == {"dan", "ann"}, "insula forget finds both"
    with pytest.raises(ProtocolError, match="has seen ann, who are tested"):
        checked(experiment_from(tables(start=str(folder))))
    third = experiment_from({**tables(teacher=str(folder)), "data": {"name": "third"}})
    assert set(seen_by(third, ["eve"])) == {"third", "elsewhere", "manifest"}
    assert "1 person of elsewhere and 1 person of manifest" in elders_of(third)[0].note


def test_other_networks_have_the_teacher_and_weights_of_their_own(tmp_path: Path) -> None:
    folder = str(saved(tmp_path / "model", ["ann"], "elsewhere"))
    asked = tables(start=folder, teacher=folder)
    asked["compare"]["models"] = ["liquid"]
    part = split_windows(scored(), "leave_one_subject_out")[0]
    plans = {plan.name: plan for plan in make_plans(scored(), experiment_from(asked), part)}
    assert [e.what for e in plans["tcn"].elders] == ["teacher", "start"]
    other = plans["liquid"]
    assert other.network is not None
    assert (other.network.start, other.network.teacher) == (None, folder)
    assert [e.what for e in other.elders] == ["teacher"]
    assert other.title.endswith("taught by model")


def test_variants_say_whom_they_learned_from_and_the_row_alone_is_adapted_as_the_first(tmp_path: Path) -> None:
    folder = str(saved(tmp_path / "model", ["zoe"], "elsewhere"))
    asked = tables(start=folder, teacher=folder)
    asked["model"]["name"] = "liquid"
    asked["compare"]["variants"] = ["gru"]
    asked["protocol"] = {"name": "calibrated", "trials": [0, 1], "strategies": ["head"]}
    part = split_windows(scored(), "calibrated", amounts=Amounts((0, 1), "trials"))[0]
    plans = {plan.name: plan for plan in make_plans(scored(), experiment_from(asked), part)}
    assert plans["liquid_gru"].title.endswith(", taught by model, begun from model")
    first, alone = plans["liquid"], plans["liquid_alone"]
    assert "model" not in alone.title
    assert (first.strategies, alone.strategies, plans["liquid_gru"].strategies) == (("head",), ("head",), ())
    assert (first.curve, alone.curve) == (True, False)


@pytest.mark.parametrize("more", [{"teacher": "a"}, {"start": "a"}, {"align": "euclidean"}])
def test_a_classical_row_says_that_it_cannot_learn_from_others(more: dict[str, Any]) -> None:
    asked = {**tables(), "model": {"name": "logistic_regression", **more}}
    with pytest.raises(InputError, match=f"logistic_regression with {next(iter(more))}; expected a network"):
        require_names(experiment_from(asked))


def test_a_deep_path_is_judged_without_the_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of, said, trained = scored(), [], []
    teacher, train = fitting._said_by, fitting._trained
    monkeypatch.setattr(fitting, "_said_by", lambda folder, part: said.append(len(part)) or teacher(folder, part))
    monkeypatch.setattr(fitting, "_trained", lambda *a, **k: trained.append(len(a[3])) or train(*a, **k))
    folder = saved(tmp_path / "model", ["ann", "bob", "cyd"])
    how = {"epochs": 1, "validation_fraction": 0.0, "normaliser": "population", "use_raw": False}
    insula.make("liquid", teacher=str(folder), **how).fit(of)
    assert min(trained) < len(of), "inner parts were judged"
    assert not [count for count in said if count < len(of)]


def test_the_loss_falls_to_nothing_where_student_and_teacher_agree() -> None:
    chances = np.array([[0.7, 0.3], [0.1, 0.9]])
    term = Taught(chances, 0.6, 2.0)
    logits = torch.from_numpy(np.log(chances)).float()
    said = Said(logits, logits, torch.arange(2), 0.0)
    assert float(term(said)) == pytest.approx(0.0, abs=1e-6)
    away = replace(said, logits=torch.zeros(2, 2))
    soft = torch.softmax(logits / 2, 1)
    expected = 0.6 * 4 * float(F.kl_div(torch.full((2, 2), 0.5).log(), soft, reduction="batchmean"))
    assert float(term(away)) == pytest.approx(expected, rel=1e-4)
    assert term.replaces == 0.6


@pytest.mark.parametrize("forged", ['{"experiment": {"data": []}, "subjects": ["a"]}', '{"seen": [{"data": 1}]}', "[]"])
def test_a_forged_story_is_one_error(tmp_path: Path, forged: str) -> None:
    folder = saved(tmp_path / "model", ["ann"])
    (folder / "training.json").write_text(forged)
    with pytest.raises(DataError, match="the story of a model"):
        open_elder(folder, "teacher")


@pytest.mark.parametrize("change", [{"config": {}}, {"systems": []}, {"name": "../../x"}])
def test_a_forged_result_is_one_error(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = stress().save(tmp_path / "run")
    (folder / "folds").mkdir()
    told = json.loads((folder / "result.json").read_text())
    if "name" in change:
        told["systems"][0]["name"] = change["name"]
    told |= {k: v for k, v in change.items() if k != "name"}
    (folder / "result.json").write_text(json.dumps(told))
    with pytest.raises(SchemaError, match="expected what"):
        open_elder(folder, "teacher")
    with pytest.raises(SchemaError, match="expected what"):
        stress_result(folder)


@pytest.mark.slow
def test_a_network_says_what_its_teacher_says(tmp_path: Path) -> None:
    of = scored()
    teacher = insula.make("logistic_regression", normaliser="population").fit(of, 1 - of.y)  # knows all the wrong way
    folder = teacher.save(tmp_path / "model")
    how = {"epochs": 30, "validation_fraction": 0.0, "normaliser": "population"}
    student = insula.make("tcn", teacher=str(folder), teacher_share=1.0, **how).fit(of)
    assert (student.predict(of) == teacher.predict(of)).mean() > 0.9
    assert (student.predict(of) == of.y).mean() < 0.3


@pytest.mark.slow
def test_the_fold_model_of_a_result_teaches_its_own_fold(tmp_path: Path) -> None:
    root = write_manifest(tmp_path, cohort())
    base = tables()
    base["data"]["root"] = str(root)
    base["recipe"] = {"window_s": 4.0, "hop_s": 2.0, "guard_s": 2.0}
    first = {**base, "model": {"name": "logistic_regression"}}
    run_experiment(experiment_from(first), tmp_path / "teacher", analyses=False, keep_folds=True)
    plan = experiment_from({**base, "model": {"name": "tcn", "teacher": str(tmp_path / "teacher")}})
    done = run_experiment(plan, tmp_path / "student", analyses=False)
    taught, alone = done.result.systems[:2]
    assert taught.title.endswith("taught by Logistic regression")
    assert any("same fold's model, which has not seen" in note for note in taught.notes)
    assert alone.name == "tcn_alone"
    assert not any("taught" in note for note in alone.notes)
    assert not (tmp_path / "student" / "model" / "estimator.json").read_text().count("folds/")
    other = experiment_from({**base, "seed": 1, "model": {"name": "tcn", "teacher": str(tmp_path / "teacher")}})
    with pytest.raises(ProtocolError, match="differs in seed"):
        run_experiment(other, tmp_path / "third", analyses=False)
    bare = experiment_from({**base, "model": {"name": "tcn", "teacher": str(tmp_path / "student")}})
    with pytest.raises(InputError, match="--keep-folds"):
        run_experiment(bare, tmp_path / "fourth", analyses=False)


def test_without_elders_nothing_is_added() -> None:
    done = evaluate(scored(), experiment_from(tables()))
    assert [s.name for s in done.result.systems][:2] != ["tcn", "tcn_alone"]
