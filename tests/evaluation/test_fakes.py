"""Simulated people with known truth: false claims are rare, and each play shows what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import Terminal

from insula.evaluation.fakes import NULLS, PEOPLE, PLAYS, Cohort, claims, play

PAGE = Path(__file__).parents[2] / "docs" / "fakes.md"


@pytest.mark.slow
def test_a_real_effect_is_claimed_and_nothing_is_not() -> None:
    assert sum(claimed for *_, claimed in claims([Cohort(effect=2.0)], [12], 3)) == 3
    assert sum(claimed for *_, claimed in claims([Cohort()], [12], 3)) == 0


@pytest.mark.slow
def test_false_claims_of_null_cohorts() -> None:
    """80 of the 500 cohorts of benchmarks/verdicts.py; more than 8 would come by chance once in 40 at 5 %."""
    found = claims(list(NULLS.values()), PEOPLE, 80)
    assert {people for _, people, _ in found} == set(PEOPLE)
    assert sum(claimed for *_, claimed in found) <= 8


@pytest.mark.parametrize("name", list(PLAYS))
def test_plays_show_what_they_say(name: str) -> None:
    _, scenes = play(name)
    scores = [s.score for s in scenes]
    section = PAGE.read_text(encoding="utf-8").split(f"insula fakes {name}")[1].split("\n## ")[0]
    told = {float(f) for f in re.findall(r"(?<![\d])(?:1)?\.\d\d(?!\d)", section)}
    known = {round(s, 2) for s in scores} | {round(float(f), 2) for s in scenes for f in re.findall(r"\d\.\d+", s.said)}
    assert told
    assert told <= known, "the page says what the command prints"
    if name == "clocks":
        assert scores[0] > 0.7
        assert scores[2] < 0.6
    elif name == "segmentation":
        assert scores[0] > scores[2] + 0.05
        assert not any("follows the person" in s.said for s in scenes)
    elif name == "stimuli":
        assert scores[0] > scores[1] + 0.1
        assert "leave_stimulus_out" in scenes[0].said
    else:
        leak_short, clean_short, leak, clean = scores
        assert leak - clean > leak_short - clean_short
        assert leak > 0.7


@pytest.fixture(name="insula")
def insula_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


def test_command(insula: Terminal) -> None:
    done = insula("fakes", "segmentation", "--people", "8")
    assert done.code == 0, done.err
    assert "Trials are cut by their labels" in done.out
    assert insula("fakes", "clock").code == 2
