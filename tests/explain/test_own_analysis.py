"""An analysis from outside the package: it is run, kept, read back, shown and told like any other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from fake_result import stress
from small_cohort import windows

from insula.cli.analyse import analysis_rows
from insula.errors import DataError
from insula.explain import ANALYSES, Analysis, Cell, Evaluated, Shown, Table, TableRow, explain
from insula.explain.facts import Facts
from insula.report import render


@dataclass(frozen=True)
class Lengths:
    """Longest window of each person in seconds."""

    longest_s: dict[str, float]


def measure(evaluated: Evaluated) -> Lengths:
    frame = evaluated.result.of(evaluated.main)
    return Lengths({str(k): float(v) for k, v in (frame.stop_s - frame.start_s).groupby(frame.subject).max().items()})


def show(found: Lengths, facts: Facts) -> Shown:
    rows = tuple(TableRow(who, (Cell(f"{s:g} s", s),)) for who, s in found.longest_s.items())
    return Shown((f"Windows of {len(facts.people)} people.",), (Table("lengths", "Lengths", ("who", "longest"), rows),))


LENGTHS = Analysis(
    "lengths", Lengths, measure, show, lambda found: [("lengths", f"{len(found.longest_s)} people")],
    part="data", needs_models=False,
)  # fmt: skip


@pytest.mark.slow
def test_an_analysis_of_your_own_is_one_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANALYSES, LENGTHS.name, LENGTHS)
    result = explain(stress(people=3), windows(), ())
    assert LENGTHS.read(result) == measure(Evaluated(result, windows()))
    text = render(result)
    assert "Windows of 3 people." in text
    assert 'aria-label="Lengths"' in text
    assert ("lengths", "3 people") in analysis_rows(result)


def test_what_has_another_form_is_refused_by_name() -> None:
    result = replace(stress(people=3), analyses={"lengths": {"longest_s": "far"}})
    with pytest.raises(DataError, match="analysis lengths of a result cannot be read"):
        LENGTHS.read(result)
    assert LENGTHS.read(replace(result, analyses={})) is None
