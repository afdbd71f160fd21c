"""Encoders of others from the command line: listed, evaluated, trained, and what is said where that cannot be."""

from __future__ import annotations

from pathlib import Path

import encoder_weights
import numpy as np
import pytest
from command_line import Terminal
from small_cohort import cohort, write_manifest
from small_cohort import windows as small

import insula
from insula.cli.options import network
from insula.evaluation.experiment import experiment_from
from insula.models import ENCODERS


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


@pytest.fixture
def base(tmp_path: Path) -> list[object]:
    root = write_manifest(tmp_path, cohort())
    cut = ["--window", "4", "--hop", "2", "--set", "recipe.guard_s=2.0", "--modalities", "bvp"]
    return ["--data", "manifest", "--root", root, "--target", "state", *cut]


def test_encoders_are_listed_with_their_source_and_licence(say: Terminal) -> None:
    listed = " ".join(say("models").out.split())
    for name in ENCODERS:
        assert f"--encoder {name}:" in listed
    for told in (
        "https://zenodo.org/records/13983110",
        "BSD 3-Clause Clear",
        "brain-bzh/reve-base",
        "braindecode:NET:",
    ):
        assert told in listed


def test_options_are_keys_of_an_experiment() -> None:
    chosen, beside = network(("tcn", "eegnet"), "papagei:a:b", None)
    assert chosen == {"name": "papagei", "options": {"weights": "a:b", "finetune": False}}
    assert beside == ("tcn", "eegnet")
    assert network((), "braindecode:Labram:dir", True)[0]["options"] == {
        "net": "Labram", "weights": "dir", "finetune": True,
    }  # fmt: skip
    assert network(("tcn", "eegnet"), None, None) == ({"name": "tcn"}, ("eegnet",))


def test_a_frozen_encoder_is_a_row_like_any_other(tmp_path: Path) -> None:
    weights = encoder_weights.papagei(tmp_path)
    plan = experiment_from(
        {
            "data": {"name": "manifest"},
            "model": {"name": "papagei", "options": {"weights": str(weights)}},
            "protocol": {"name": "leave_one_subject_out"},
            "compare": {"rows": ["majority"], "declare": False},
            "train": {"epochs": 1},
        }
    )
    result = insula.evaluate(small(), plan).result
    row = result.system("papagei")
    assert row.title == "PaPaGei"
    assert row.readout_alone == row.fits > 1
    assert row.steps == 0
    assert any("VitalDB" in note and "is not known" in note for note in row.notes)


def test_it_is_trained_and_predicts_as_from_python(say: Terminal, base: list[object], tmp_path: Path) -> None:
    weights = encoder_weights.papagei(tmp_path / "weights")
    done = say("train", *base, "--encoder", f"papagei:{weights}", "--out", tmp_path / "model")
    assert done.code == 0, done.err
    model = insula.load_model(tmp_path / "model")
    answers = tmp_path / "answers.csv"
    done = say("predict", "--model", tmp_path / "model", *base[:4], "--out", answers)
    assert done.code == 0, done.err
    assert np.isin(["calm", "tense"], model.schema.classes).all()
    (weights / "papagei_s.pt").unlink()
    again = ("predict", "--model", tmp_path / "model", *base[:4], "--out", answers)
    told = say.refused(*again, says="expected one of PaPaGei")
    assert "https://zenodo.org" in told


def test_what_cannot_be_is_refused_before_anything_takes_time(
    say: Terminal, base: list[object], tmp_path: Path
) -> None:
    say.refused("evaluate", *base, "--encoder", "papagei:nowhere", says="no folder nowhere for PaPaGei")
    say.refused("evaluate", *base, "--encoder", "papagai:x", says="Did you mean 'papagei'")
    say.refused("evaluate", *base, "--finetune", says="without --encoder")
    say.refused("train", *base, "--out", tmp_path / "m", "--model", "tcn", "--encoder", "papagei:x", says="one of them")
    ours = encoder_weights.papagei(tmp_path / "papagei")
    asked = ("evaluate", *base, "--encoder", f"papagei:{ours}")
    say.refused(*asked, "--from", "elder", says="Add --finetune, or leave --from out")
    say.refused(*asked, "--set", "train.unlabelled_epochs=2", says="Add --finetune, or leave the key out")
    say.refused(*asked, "--size", "medium", says="its weights say it")
    say.refused("evaluate", *base, "--model", "tcn,papagei", says="Use --encoder papagei:DIR")
    say.refused(
        "pretrain", *base[:4], "--model", "papagei", "--out", tmp_path / "m", says="no folder named for PaPaGei"
    )
    eeg = encoder_weights.reve(tmp_path / "reve")
    say.refused("evaluate", *base, "--encoder", f"reve:{eeg}", says="REVE on bvp; expected eeg")
