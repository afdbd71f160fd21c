"""How the ledger begins: the sentence and the slopes are those of its rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from compare_grids import invent, tiny

from insula.grid.ledger import Ledger, build
from insula.grid.opening import opening
from insula.grid.page import markdown, render

SKILL = {"random_windows": 0.97, "within_subject": 0.62}


def made(folder: Path, data: str = "phymer") -> Ledger:
    grid = tiny(
        models=["liquid"],
        compare={"rows": ["clock", "majority"], "context": False},
        data=[{"name": data, "root": str(folder), "targets": ["emotion"], "label": data}],
    )
    invent(grid, folder, lambda system, protocol: SKILL[protocol] if system == "liquid" else 0.5)
    return build([(grid, folder)], "One")


def test_the_sentence_has_the_leak_and_stands_first(tmp_path: Path) -> None:
    ledger = made(tmp_path)
    row = next(r for r in ledger.sections[0].rows if r.system == "liquid")
    leaky, clean = row.entries["random_windows"].mean, row.entries["within_subject"].mean
    text, drawn = opening(ledger)
    assert text.startswith(f"Leaks are worth {100 * (leaky - clean):.0f} points: 1 model on real recordings")
    assert f"{100 * clean:.0f} % where whole trials" in text
    assert drawn is not None
    assert "ours, leaky" in drawn.wide
    page = render(ledger)
    assert page.index(text) < page.index('id="fig-slopes"') < page.index("<nav")
    assert markdown(ledger).splitlines()[2] == text


def test_published_figures_begin_the_line(tmp_path: Path) -> None:
    ledger = made(tmp_path)
    (section,) = ledger.sections

    def claimed(row: Any) -> Any:
        claim = type("C", (), {"value": 99.0, "metric": "accuracy"})()
        return replace(row, claims=(type("P", (), {"claim": claim})(),)) if row.system == "liquid" else row

    with_claims = replace(section, rows=tuple(map(claimed, section.rows)))
    text, _ = opening(replace(ledger, sections=(with_claims,)))
    assert text.endswith("Published figures of these systems lie at 99 %.")


def test_simulated_people_speak_only_where_nobody_else_does(tmp_path: Path) -> None:
    real, simulated = made(tmp_path / "a"), made(tmp_path / "b", "simulate")
    both = replace(real, sections=(*simulated.sections, *real.sections))
    assert "1 model on real recordings" in opening(both)[0]
    assert "simulated people" in opening(simulated)[0]
    nothing = replace(real, sections=())
    assert opening(nothing) == ("No system has both a leaky and a clean figure yet.", None)
