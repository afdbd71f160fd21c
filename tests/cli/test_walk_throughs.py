"""Two ways through insula, each from the first command to the last, as the README tells them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import Terminal
from fixtures_data import START, lines, write_e4

PEOPLE = ("anna", "bert", "cleo")
SMALL = ("--epochs", 1, "--quick", "--jobs", 1, "--window", 10, "--hop", 5, "--guard", 0)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


def wristbands(root: Path, people: tuple[str, ...], seed: int = 0) -> None:
    """Sessions of an E4 with a press of the button before each of eight minutes, and what was felt in a table."""
    answers = ["participant,trial,mood"]
    for k, person in enumerate(people):
        folder = write_e4(root / person, seconds=8 * 60, seed=seed + k, start=START)
        lines(folder / "tags.csv", [f"{START + 60 * i:.2f}" for i in range(8)])
        moods = np.random.default_rng(seed + k).permutation(["calm", "tense"] * 4)
        answers += [f"{person},{i + 1},{mood}" for i, mood in enumerate(moods)]
    lines(root / "answers.csv", answers)


@pytest.mark.slow
def test_making_with_a_wristband(tmp_path: Path, terminal: Terminal) -> None:
    study, new, run = tmp_path / "study", tmp_path / "new", tmp_path / "runs" / "mine"
    wristbands(study, PEOPLE)
    drafted = terminal("init", study)
    assert drafted.code == 0, drafted
    assert "people      3: anna, bert, cleo" in drafted.out
    assert "mood" in drafted.out
    checked = terminal("data", "check", "manifest", "--root", study)
    assert checked.code == 0, checked
    assert "within_subject         allowed" in checked.out
    manifest = pd.read_csv(study / "manifest.csv")
    assert len(manifest) == 3 * 8 * 3 + 3 * 7, "a row a trial and sensor; the heart rate of an E4 begins 10 s late"
    assert manifest[["start", "stop"]].notna().all(axis=None), "seconds inside files that each begin at another time"
    evaluated = terminal(
        "evaluate",
        "--data",
        "manifest",
        "--root",
        study,
        "--target",
        "mood",
        "--modalities",
        "eda,temp",
        "--out",
        run,
        *SMALL,
    )
    assert evaluated.code == 0, evaluated
    assert (run / "report.html").stat().st_size > 10_000
    wristbands(new, ("anna", "bert"), seed=40)
    (new / "answers.csv").unlink()  # nobody knows what they felt
    assert terminal("init", new).code == 0
    out = tmp_path / "answers.csv"
    predicted = terminal("predict", "--model", run, "--data", "manifest", "--root", new, "--out", out)
    assert predicted.code == 0, predicted
    table = pd.read_csv(out)
    assert sorted(set(table["subject"])) == ["anna", "bert"]
    assert table["trust"].str.contains("balanced accuracy").all(), "every answer says how far it can be trusted"
    assert "on held-out trials, chance 0.50" in predicted.out
    wristbands(new, ("dora",), seed=50)
    (new / "answers.csv").unlink()
    assert terminal("init", new, "--overwrite").code == 0
    command = ("predict", "--model", run, "--data", "manifest", "--root", new, "--subjects", "dora")
    terminal.refused(*command, says="no model of dora; expected people with a model of their own (anna, bert, cleo)")
    lent = terminal(*command, "--as", "anna")
    assert lent.code == 0, lent
    assert "the model of anna, not of dora" in " ".join(lent.out.split())
    terminal.refused(*command, "--as", "emil", says="person with a model 'emil'; expected one of anna, bert, cleo")


@pytest.mark.slow
def test_research_with_deap(tmp_path: Path, terminal: Terminal) -> None:
    from fixtures_lab_eeg import write_deap

    root, run = tmp_path / "deap", tmp_path / "runs" / "deap"
    write_deap(root, trials=8, seconds=34)
    checked = terminal("data", "check", "deap", "--root", root)
    assert checked.code in (0, 1), checked
    assert "valence" in checked.out
    target = ("--data", "deap", "--root", root, "--target", "valence>=5", "--modalities", "eda")
    protocol = ("--protocol", "within_subject", "--folds", 2)
    evaluated = terminal("evaluate", *target, *protocol, "--model", "tcn", "--out", run, *SMALL)
    assert evaluated.code == 0, evaluated
    assert (run / "report.html").is_file()
    latex = terminal("table", run, "--latex")
    assert r"\toprule" in latex.out, latex
    names = [line.split()[0] for line in terminal("figure", run).out.splitlines() if line.strip()]
    picture = tmp_path / "figure.svg"
    drawn = terminal("figure", run, names[0], "--svg", "--out", picture)
    assert drawn.code == 0, drawn
    assert "<svg" in picture.read_text(encoding="utf-8")
    said = terminal("methods", run).out
    assert "within_subject" in said
    assert "doi:10.1109/T-AFFC.2011.15" in said, "the data set's source"
    assert "## What the figures cannot show" in terminal("card", run).out
    numbers = pd.read_csv(io.StringIO(terminal("table", run, "--csv").out))
    assert numbers["balanced_accuracy"].between(0, 1).all()
    trials = pd.read_csv(io.StringIO(terminal("table", run, "--per", "trial", "--csv").out))
    assert len(trials) == len(numbers) * trials[["subject", "trial"]].drop_duplicates().shape[0]
    leaky, both = tmp_path / "runs" / "leaky", tmp_path / "both.html"
    shuffled = ("--protocol", "random_windows", "--model", "tcn", "--set", "compare.rows=['majority']")
    again = terminal("evaluate", *target, *shuffled, "--out", leaky, *SMALL)
    assert again.code == 0, again
    assert "leaky" in again.out
    assert terminal("report", run, leaky, "--out", both).code == 0
    assert "random_windows" in both.read_text(encoding="utf-8")


def test_what_to_begin_with(terminal: Terminal) -> None:
    first = terminal()
    assert first.code == 0
    assert sum(line.startswith("  insula ") for line in first.out.splitlines()) == 5
    assert max(map(len, first.out.splitlines())) <= 80
    assert terminal("--version").out == "insula 0.1.0\n"
    assert "--install-completion" in terminal("--help").out
