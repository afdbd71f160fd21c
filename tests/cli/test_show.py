"""What files say reaches the terminal as text, and spreadsheets as text."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from insula.cli import show
from insula.files import quoted


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\rb\x07", "a\\rb\\x07"),
        ("\u202eabc", "\\u202eabc"),
        ("\ud83d alone", "\\ud83d alone"),
        ("Zoë 山田 … µV", "Zoë 山田 … µV"),
    ],
)
def test_what_a_terminal_would_act_on_is_written_out(text: str, seen: str, capsys: pytest.CaptureFixture[str]) -> None:
    show.say(f"note: {text}")
    show.console().print(show.facts([("label", text)]))
    show.console().print(text)
    captured = capsys.readouterr()
    assert captured.err == f"note: {seen}\n"
    assert captured.out.count(seen) == 2


@pytest.mark.parametrize("text", ["[/b]", "[red]x[/red]", "[link=http://x]y[/link]", ":smile:", "[bold"])
def test_markup_is_text(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    show.console().print(text)
    show.console().print(show.facts([(text, text)]))
    assert capsys.readouterr().out.count(text) == 3


def test_an_error_is_one_line_of_bearable_length(capsys: pytest.CaptureFixture[str]) -> None:
    show.say("a\nb" + "x" * 10_000)
    told = capsys.readouterr().err
    assert told.startswith("a bx")
    assert told.count("\n") == 1
    assert len(told) < 2100


def test_no_cell_of_an_export_is_a_formula() -> None:
    table = pd.DataFrame(
        {"=subject": ["=cmd|' /C calc'!A0", "@SUM(A1)", "+1", "-2.5", "-x", "ann"], "n": [-1.0, 2, 3, 4, 5, 6]}
    )
    out = io.StringIO()
    quoted(table).to_csv(out, index=False)
    found = pd.read_csv(io.StringIO(out.getvalue()), dtype=str)
    assert list(found.columns) == ["'=subject", "n"]
    assert found["'=subject"].tolist() == ["'=cmd|' /C calc'!A0", "'@SUM(A1)", "+1", "-2.5", "'-x", "ann"]
    assert found["n"].tolist() == ["-1.0", "2.0", "3.0", "4.0", "5.0", "6.0"]


def test_many_messages_of_a_kind_are_one_line() -> None:
    gaps = [(f"s01 after v{i:02d}", f"{30 + i}.0 s before v{i + 1:02d}") for i in range(40)]
    assert show.grouped(gaps, "gaps") == ["40 gaps, such as s01 after v00: 30.0 s before v01"]
    assert show.grouped(gaps[:1]) == ["s01 after v00: 30.0 s before v01"]


def test_spaces_that_do_not_break_are_spaces() -> None:
    assert show.visible("p\u00a0=\u00a00.5") == "p\u00a0=\u00a00.5"
    assert "\x1b" not in show.visible("\x1b[31m")
