"""Tables in a terminal of 80 columns: whole where they fit, blocks where they do not, no name cut."""

from __future__ import annotations

import io
from dataclasses import replace

import fake_result
import pytest
from rich.table import Table

from insula.cli import show
from insula.cli.tables import result_table, verdict_lines


def printed(table: Table, width: int) -> str:
    out = io.StringIO()
    show._Plain(file=out, width=width).print(table)
    return out.getvalue()


def broad(cells: int) -> Table:
    table = Table("name", *(f"column {i}" for i in range(cells)))
    for name in ("one", "other[/b]"):
        table.add_row(name, *(f"{name}-is-a-long-word-{i}" for i in range(cells)))
    return table


@pytest.mark.parametrize(("cells", "blocks"), [(2, False), (8, True)])
def test_a_table_that_does_not_fit_is_a_block_a_row_with_every_word(cells: int, blocks: bool) -> None:
    text = printed(broad(cells), 80)
    assert max(map(len, text.splitlines())) <= 80
    assert ("column 1  one-is-a-long-word-1" in text) == blocks
    for word in (f"{name}-is-a-long-word-{i}" for name in ("one", "other[/b]") for i in range(cells)):
        assert word in text
    assert "…" not in text


def test_a_wide_terminal_has_the_whole_table() -> None:
    assert printed(broad(4), 200).count("column 1") == 1


@pytest.mark.parametrize("width", [60, 80, 119])
def test_results_fit_and_end_where_scores_end(width: int) -> None:
    result = fake_result.stress(people=3)
    predictions = result.predictions[result.predictions["subject"].isin(sorted(set(result.predictions["subject"]))[:2])]
    text = printed(result_table(replace(result, predictions=predictions), width), width)
    assert max(map(len, text.splitlines())) <= width
    assert "[-" not in text
    assert ", 1.000]" in text
    assert all(word in text for s in result.systems for word in s.title.split())


def test_sentences_on_the_terminal_have_no_backticks() -> None:
    said = verdict_lines(fake_result.stress(people=3))
    assert "(insula power says how many)" in said[0]
