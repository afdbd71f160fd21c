"""How nouns show themselves: counted in words, and in a notebook as a title with facts or a picture."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_FITTING = (
    "<style>.insula-picture{margin:0;max-width:40rem}.insula-picture svg{max-width:100%;height:auto}"
    ".insula-picture .narrow{display:none}@media(max-width:500px){.insula-picture .wide{display:none}"
    ".insula-picture .narrow{display:block}}</style>"
)


def counted(n: int, one: str, many: str = "") -> str:
    """Count something in words: 1 person, 12 people, 1,024 windows; ``many`` where it is not ``one`` with an s."""
    many = many or ("people" if one == "person" else f"{one}s")
    return f"{n:,} {one if n == 1 else many}"


def facts_html(title: str, facts: Iterable[tuple[str, str]]) -> str:
    """A small table of facts, every text escaped."""
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(k)}</th><td style="text-align:left">{escape(v)}</td></tr>'
        for k, v in facts
    )
    return f"<b>{escape(title)}</b><table>{rows}</table>"


def picture_html(title: str, caption: str, wide: str, narrow: str) -> str:
    """A picture with its words: ``wide`` SVG, or ``narrow`` on a phone."""
    words = f"<figcaption><b>{escape(title)}.</b> {escape(caption)}</figcaption>"
    sides = f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>'
    return f'{_FITTING}<figure class="insula-picture">{sides}{words}</figure>'
