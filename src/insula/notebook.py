"""How nouns show themselves in a notebook: a title and facts."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def facts_html(title: str, facts: Iterable[tuple[str, str]]) -> str:
    """A small table of facts, every text escaped."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(k)}</th><td style="text-align:left">{escape(v)}</td></tr>'
        for k, v in facts
    )
    return f"<b>{escape(title)}</b><table>{rows}</table>"
