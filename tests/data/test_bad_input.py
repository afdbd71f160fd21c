"""Every mistake of a user: one clear line, exit code 2, and nothing half-written."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Terminal
from small_cohort import cohort, recording, trial, write_manifest

CUT = ("--set", "recipe.window_s=4.0", "--set", "recipe.hop_s=2.0", "--set", "recipe.guard_s=2.0")
Edit = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("data"), cohort())


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "data"))


@pytest.fixture
def insula(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    return Terminal(monkeypatch, capsys)


def command(name: str, root: Path, out: Path, *more: str) -> tuple[object, ...]:
    quick = ("--quick", "--jobs", "1") if name == "evaluate" else ()
    return (name, "--data", "manifest", "--root", root, "--target", "state", "--epochs", "1", "--out", out, *quick,
            *CUT, *more)  # fmt: skip


def refuse(insula: Terminal, root: Path, *more: str, says: str, names: tuple[str, ...] = ("evaluate",)) -> None:
    out = root.parent / "out"
    for name in names:
        insula.refused(*command(name, root, out, *more), says=says)
        assert not out.exists()
        assert not [p for p in root.parent.iterdir() if p.name not in ("data", "model")]


def edit(root: Path, change: Edit) -> None:
    table = pd.read_csv(root / "manifest.csv", keep_default_na=False)
    change(table).to_csv(root / "manifest.csv", index=False)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--data", "manifst"), "Did you mean 'manifest'"),
        (("--model", "liqid"), "Did you mean 'liquid'"),
        (("--target", "stat"), "Did you mean 'state'"),
        (("--target", "state>high"), "expected NAME"),
        (("--modalities", "eda,eeg"), "modality 'eeg' in no recording; expected some of bvp, eda, hr"),
        (("--size", "smal"), "Did you mean 'small'"),
        (("--normaliser", "opning"), "Did you mean 'opening'"),
        (("--subjects", "ann,dan"), "dan"),
        (("--seed", "-1"), "seed -1"),
        (("--epochs", "0"), "epochs 0"),
        (("--device", "gpu"), "device 'gpu'"),
        (("--window", "5"), "whole number of hops"),
        (("--window", "400", "--hop", "200"), "Shorten window_s or guard_s"),
        (("--set", "train.epochs=many"), "expected a whole number"),
        (("--set", "train.epoch=1"), "Did you mean 'epochs'"),
        (("--set", "model.options.dropuot=0.1"), "Did you mean 'dropout'"),
        (("--set", "recipe.window_s=long"), "expected a number"),
        (("--set", "recipe.signals.eda.lowpass_hz=9.0"), "half of rate_hz"),
        (("--set", "recipe"), "KEY=VALUE"),
        (("--set", "data.options.peple='x'"), "Did you mean 'people'"),
        (("--experiment", "nowhere.toml"), "no file nowhere.toml"),
    ],
)
def test_wrong_names_and_values(root: Path, insula: Terminal, flags: tuple[str, ...], says: str) -> None:
    for name in ("evaluate", "train"):
        arguments = [*command(name, root, root.parent / "out")]
        if flags[0] == "--window":  # --set goes last and would replace the flags
            arguments = [*arguments[: -len(CUT)], *(() if "--hop" in flags else ("--hop", "2"))]
        insula.refused(*arguments, *flags, says=says)
        assert [p.name for p in root.parent.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--protocol", "within_subjects"), "Did you mean 'within_subject'"),
        (("--scope", "day"), "scope 'day'"),
        (("--scope", "session", "--protocol", "within_subject"), "session scope under within_subject"),
        (("--folds", "1"), "folds 1"),
        (("--folds", "3", "--protocol", "leave_one_subject_out"), "Leave folds out"),
        (("--null", "-5"), "null -5"),
        (("--set", 'compare.rows=["clok"]'), "Did you mean 'clock'"),
        (("--protocol", "cross_session"), "2 labelled sessions"),
    ],
)
def test_what_the_protocol_does_not_allow(root: Path, insula: Terminal, flags: tuple[str, ...], says: str) -> None:
    refuse(insula, root, *flags, says=says)


def test_missing_folder_and_root(root: Path, insula: Terminal) -> None:
    out = root.parent / "out"
    insula.refused(*command("evaluate", root / "nowhere", out), says="nowhere")
    insula.refused("evaluate", "--data", "manifest", "--target", "state", "--out", out, says="--root DIR")
    insula.refused("evaluate", "--out", out, says="no data named")
    insula.refused("data", "check", "manifest", "--root", root / "nowhere", says="nowhere")
    insula.refused("data", "check", "manifest", says="--root DIR")
    insula.refused(
        "evaluate", "--data", "manifest", "--root", root, "--out", out, says="expected one of state, valence"
    )
    assert not out.exists()


@pytest.mark.parametrize("content", ["", "\n", "file,modality,subject,trial\n", "file;modality\n1;2\n", "\x00\x01\x02"])
def test_empty_or_foreign_manifest(root: Path, insula: Terminal, content: str) -> None:
    (root / "manifest.csv").write_text(content)
    refuse(insula, root, says="manifest.csv", names=("evaluate", "train"))


def test_empty_signal_files(root: Path, insula: Terminal) -> None:
    for file in root.glob("*-*.csv"):
        file.write_text("")
    refuse(insula, root, says="-")


def test_a_truncated_file_is_told_and_the_rest_used(root: Path, insula: Terminal) -> None:
    file = root / "bob-hr.csv"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = insula(*command("train", root, root.parent / "out"))
    assert done.code == 0
    assert "note: " in done.err
    assert "bob-hr.csv" in done.err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.assign(rate="fast"), "rate 'fast'"),
        (lambda t: t.assign(rate=0), "rate"),
        (lambda t: t.assign(state=np.where(t["state"] == "", "", "calm")), "one class only, 'calm'"),
        (lambda t: t.assign(state=""), "state"),
        (lambda t: pd.concat([t, t.tail(1)]), "twice"),
        (lambda t: t.assign(modality="edaa"), "Did you mean 'eda'"),
        (lambda t: t.assign(file="../" + t["file"]), "outside"),
        (lambda t: t.assign(file="x" + t["file"]), "xann-"),
        (lambda t: t.assign(stop=t["start"]), "expected 0 <= start < stop"),
        (lambda t: t.assign(channels="Cz"), "Cz"),
        (lambda t: t.drop(columns="trial"), "trial"),
    ],
)
def test_wrong_manifests(root: Path, insula: Terminal, change: Edit, says: str) -> None:
    edit(root, change)
    refuse(insula, root, says=says)


def test_a_person_without_labels_is_left_out_and_the_others_evaluated(root: Path, insula: Terminal) -> None:
    edit(root, lambda t: t.assign(state=np.where(t["subject"] == "bob", "", t["state"])))
    done = insula(*command("train", root, root.parent / "out"))
    assert done.code == 0
    assert "of 2 people" in done.out


def test_one_trial_a_class_says_why(root: Path, insula: Terminal) -> None:
    shutil.rmtree(root)
    root.mkdir()
    write_manifest(root, [recording("ann", trials=2), recording("bob", trials=2)])
    refuse(insula, root, "--protocol", "within_subject", says="1 trial of class")


def test_constant_channel_and_nan_still_give_an_answer_or_a_reason(root: Path, insula: Terminal) -> None:
    for file in root.glob("*-bvp.csv"):
        table = pd.read_csv(file)
        table.assign(BVP=1.0).to_csv(file, index=False)
    done = insula(*command("train", root, root.parent / "out"))
    assert done.code == 0, done.err
    for file in root.glob("*-*.csv"):
        table = pd.read_csv(file)
        table.assign(**{table.columns[0]: np.nan}).to_csv(file, index=False)
    shutil.rmtree(root.parent / "out")
    refuse(insula, root, says="-")


def test_out_that_is_a_file_or_holds_other_files_is_refused_and_untouched(root: Path, insula: Terminal) -> None:
    mine = root.parent / "documents"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    for name in ("evaluate", "train"):
        insula.refused(*command(name, root, mine), says="holds other files")
        insula.refused(*command(name, root, mine / "thesis.txt"), says="is a file")
        insula.refused(*command(name, root, mine / "thesis.txt" / "x"), says="is a file")
    insula.refused("demo", "--out", mine, says="holds other files")
    assert [p.name for p in mine.iterdir()] == ["thesis.txt"]
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_models_that_do_not_fit(root: Path, insula: Terminal) -> None:
    out = root.parent / "model"
    assert insula(*command("train", root, out)).code == 0
    predict = ("predict", "--data", "manifest", "--root", root, "--model")
    insula.refused(*predict, root.parent / "none", says="no model in")
    insula.refused(*predict, root, says="no model in")
    edit(root, lambda t: t[t["modality"] != "bvp"])
    insula.refused(*predict, out, says="the model reads eda, bvp, hr; the data have eda, hr")
    (out / "weights-0.safetensors").write_bytes(b"")
    insula.refused(*predict, out, says="weights-0.safetensors")
    (out / "estimator.json").write_text("{")
    insula.refused(*predict, out, says="estimator.json")


def test_results_that_are_none(root: Path, insula: Terminal) -> None:
    for name in ("explain", "report"):
        insula.refused(name, root, says="no result in")
        insula.refused(name, root / "nowhere", says="no result in")
    (root / "result.json").write_text("{}")
    insula.refused("report", root, says="result.json")
    insula.refused("audit", root / "nowhere.csv", says="nowhere.csv")
    (root / "empty.csv").write_text("")
    insula.refused("audit", root / "empty.csv", says="empty.csv")


def test_trials_too_short_for_a_window(root: Path, insula: Terminal) -> None:
    shutil.rmtree(root)
    root.mkdir()
    rng = np.random.default_rng(0)
    short = tuple(
        trial(rng, "ann", f"t{i}", 6.0 * i, 5.0, float(i % 2), labels={"state": ["calm", "tense"][i % 2]})
        for i in range(4)
    )
    write_manifest(root, [replace(recording("ann"), trials=short)])
    refuse(insula, root, says="Shorten window_s or guard_s", names=("evaluate", "train"))
