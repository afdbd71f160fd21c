"""Buttons against problems: what readers really say of spoiled studies, and what is left after the button."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from studio_server import write_study

from insula.data import info, load
from insula.data.check import describe, nothing
from insula.data.draft.drafting import draft
from insula.data.info import Problem
from insula.studio.found import digest
from insula.studio.messages import Cutting, parse
from insula.studio.study import Study


@pytest.fixture
def study(tmp_path: Path) -> Any:
    root = tmp_path / "study"
    write_study(root, people=2, trials=4)
    made = draft(root)
    (root / "manifest.csv").write_text(made.manifest(), encoding="utf-8")
    opened = Study.open(root)
    yield opened
    opened.close()


def told(study: Study) -> list[dict[str, Any]]:
    """Problems and faults of a study as the page has them."""
    problems: list[Problem] = []
    recordings = load("manifest", study.root, problems=problems)
    recipe = info("manifest").recipe
    found = describe(recordings, recipe, problems=problems) if recordings else nothing(problems)
    text = json.dumps(found.to_dict() | {"faults": [asdict(f) for f in found.faults]})
    page = digest(text, str(study.root), study.table(), Cutting())
    return [one for one in (*page["problems"], *page["faults"]) if one["remedies"]]


def press(study: Study, remedy: dict[str, Any], answer: str | None = None) -> None:
    """Send a button's message to a desk that does nothing else."""
    from insula.studio.desk import Desk

    message = dict(remedy["message"])
    if "ask" in remedy:
        message[remedy["ask"]["field"]] = answer
    desk = Desk(lambda _: None, None, False, study.root)
    desk._edit(study, parse(json.dumps(message).encode()))


def edit(study: Study, row: int, column: str, value: str) -> None:
    from insula.studio.messages import Change

    study.change(column, lambda t: t.edited([Change(row, column, value)]))


def button(problems: list[dict[str, Any]], label: str) -> dict[str, Any]:
    return next(one for problem in problems for one in problem["remedies"] if one["label"].startswith(label))


def test_a_sound_study_needs_nothing(study: Study) -> None:
    assert told(study) == []


def test_a_file_without_times_gets_a_rate(study: Study) -> None:
    path = study.root / "P02" / "trial2.csv"
    path.write_text("\n".join(line.split(",", 1)[1] for line in path.read_text().splitlines()), encoding="utf-8")
    problems = told(study)
    assert [p["where"] for p in problems] == ["P02/trial2.csv"]
    press(study, button(problems, "Set the rate"), "4")
    assert "rate" in study.table().columns
    assert told(study) == []
    study.go(-1)
    assert "rate" not in study.table().columns, "a remedy can be taken back"


def test_a_short_trial_is_dropped_or_cut_shorter(study: Study) -> None:
    path = study.root / "P01" / "trial1.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:33]), encoding="utf-8")  # 8 s of 30
    problems = told(study)
    assert button(problems, "Cut shorter windows")["message"] == {
        "type": "cutting", "window_s": 4.0, "hop_s": 2.0, "guard_s": 0.0,
    }  # fmt: skip
    press(study, button(problems, "Drop this trial"))
    assert len(study.table().rows) == 14
    assert told(study) == []


def test_a_dead_sensor_offers_to_drop_its_trials(study: Study) -> None:
    path = study.root / "P01" / "trial3.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("\n".join([",".join(rows[0]), *(f"{a},2.5,{c}" for a, _, c in rows[1:])]), encoding="utf-8")
    problems = told(study)
    assert problems[0]["text"].startswith("EDA is missing in one trial")
    press(study, button(problems, "Drop this trial"))
    assert told(study) == []


@pytest.mark.parametrize(("column", "bad", "good"), [("modality", "edaa", "eda"), ("mood", "bored", "calm")])
def test_a_wrong_cell_is_set(study: Study, column: str, bad: str, good: str) -> None:
    rows = study.table().rows
    row = next(i for i, r in enumerate(rows) if r[study.table().column(column)] == good and (i % 2 or column != "mood"))
    edit(study, row, column, bad)
    problems = told(study)
    assert len(problems) == 1, problems
    press(study, button(problems, f"Set {column}"), good)
    assert told(study) == []


def test_a_column_that_is_called_otherwise_is_named(study: Study) -> None:
    study.change("renamed", lambda t: t.renamed("subject", "VP"))
    problems = told(study)
    assert "VP" in button(problems, "This is subject")["ask"]["choices"]
    press(study, button(problems, "This is subject"), "VP")
    assert told(study) == []


def test_a_broken_file_is_left_out(study: Study) -> None:
    (study.root / "P02" / "trial4.csv").write_bytes(b"\0\1\2")
    problems = told(study)
    press(study, button(problems, "Drop this file"))
    assert told(study) == []
    assert len(study.table().rows) == 14
