"""Tables, rows, figures and the card for a paper: the numbers of the result, in forms that are safe to open."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import fake_result
import pandas as pd
import pytest

from insula import report
from insula.errors import InputError
from insula.evaluation.scores import to_trials
from insula.report import paper
from insula.report.card import model_card

STRESS = fake_result.stress(people=3)


def test_the_table_has_the_scores_of_the_result_in_three_forms() -> None:
    table = paper.systems([STRESS])
    mean = STRESS.table().set_index("name").loc["liquid", "balanced_accuracy"]
    liquid = next(r for r in table.rows if r.name == "Liquid fusion network")
    assert liquid.cells[0].value == pytest.approx(mean)
    read = pd.read_csv(io.StringIO(paper.systems_csv([STRESS])))
    assert list(read["system"]) == [s.title for s in STRESS.systems]
    assert read["balanced_accuracy"].tolist() == pytest.approx(STRESS.table()["balanced_accuracy"].tolist())
    assert read["contrast_lo"].dtype == float, "numbers, no texts"
    markdown = paper.as_markdown(table).splitlines()
    assert markdown[1].startswith("| --- | ---: |")
    assert {line.count("|") for line in markdown} == {len(table.columns) + 1}
    latex = paper.as_latex(table)
    assert r"leave\_one\_subject\_out" in latex
    assert latex.count(r"\\") == 1 + len(STRESS.systems)
    assert "−" not in latex


def test_a_paper_says_how_long_was_trained_and_every_score_has_its_interval() -> None:
    first = replace(STRESS.systems[0], steps=40, loss=0.7, converged=False)
    result = replace(STRESS, systems=(first, *STRESS.systems[1:]))
    table = paper.systems([result])
    at = table.columns.index("training") - 1
    assert [r.cells[at].text for r in table.rows][:2] == ["not converged after 40 steps, loss 0.700", "–"]
    marks = table.columns.index("marks") - 1
    free = {s.title for s in result.systems if s.kind == "baseline"}
    assert {r.cells[marks].text for r in table.rows if r.name in free} == {""}, "a clock reads the clock"
    card = model_card(result)
    assert "Training: not converged after 40 steps, loss 0.700 (fewest steps of all fits, mean loss)." in card
    assert re.search(r"The best comparison row, .*, reached [\d.]+\s%\s\([\d.]+ to [\d.]+\s%\)", card)


def test_what_a_spreadsheet_would_run_is_disarmed_and_numbers_are_not() -> None:
    evil = [["=A1", "n"], ["@SUM(A1)", "-1+cmd"]]
    assert list(csv.reader(io.StringIO(paper.csv_text(evil)))) == [["'=A1", "n"], ["'@SUM(A1)", "'-1+cmd"]]
    assert paper.disarmed(-0.5) == -0.5
    assert paper.disarmed(float("nan")) == ""
    frame = STRESS.predictions.assign(stimulus="+HYPERLINK(0)")
    text = paper.rows_csv(replace(STRESS, predictions=frame), "window")
    assert "'+HYPERLINK(0)" in text
    assert ",+HYPERLINK" not in text


@pytest.mark.parametrize("per", ["window", "trial"])
def test_rows_are_all_predictions(per: str) -> None:
    read = pd.read_csv(io.StringIO(paper.rows_csv(STRESS, per)), dtype={"session": str})
    expected = STRESS.predictions if per == "window" else to_trials(STRESS.predictions)
    assert len(read) == len(expected)
    assert read["p_stress"].to_numpy() == pytest.approx(expected["p_stress"].to_numpy())
    assert set(read["title"]) == {s.title for s in STRESS.systems}


@pytest.mark.slow
@pytest.mark.parametrize(("form", "start"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_every_figure_is_a_file(form: str, start: bytes) -> None:
    made = report.figures(STRESS, form)
    assert {"systems", "confusion", "people"} <= set(made)
    assert all(content.startswith(start) for _, content in made.values())
    assert made["systems"][0] == "All systems on the same windows"


def test_the_card_says_data_protocol_scores_limits_and_licence() -> None:
    config = {"experiment": {"data": {"name": "deap", "root": "/home/ann/deap"}}}
    text = model_card(replace(STRESS, config=config))
    for part in ("## Data", "DEAP", "## Protocol", "leave_one_subject_out", "## Scores", "| Majority |", "BSD-3-Clause",
                 "## Not to be used for", "doi:10.1109/T-AFFC.2011.15"):  # fmt: skip
        assert part in text, part
    assert "/home/ann" not in text


def test_runs_on_one_page_say_what_differs(tmp_path: Path) -> None:
    other = replace(fake_result.leaky(people=3), provenance={**STRESS.provenance, "seed": 8})
    page = report.write_comparison([STRESS, other], ["a", "b"], tmp_path / "new" / "c.html")
    text = page.read_text(encoding="utf-8")
    assert "a: leave_one_subject_out; b: random_windows" in text
    assert "seed" in text
    assert 'role="alert"' in text
    assert text.count("Liquid fusion network (a)") >= 1
    same = report.write_comparison([STRESS, STRESS], ["a", "a"], tmp_path / "same.html").read_text(encoding="utf-8")
    assert "Nothing but the systems" in same
    assert "Liquid fusion network (a (2))" in same
    with pytest.raises(InputError, match="two or more"):
        report.write_comparison([STRESS], ["a"], tmp_path / "one.html")
    with pytest.raises(InputError, match="one kind"):
        report.write_comparison([STRESS, fake_result.valence(people=3)], ["a", "b"], tmp_path / "no.html")
