"""How every picture looks: inks that follow light and dark pages, one canvas, clean SVG text."""

from __future__ import annotations

import html
import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from insula.types import DoubleArray

Format = Literal["pdf", "svg", "png"]

WIDE_PX = 640
NARROW_PX = 358
_NARROW_BELOW_PX = 480

INKS: Mapping[str, tuple[str, str]] = {
    "paper": ("#fdfdfc", "#15181d"),
    "ink": ("#1a1e23", "#e9ebee"),
    "soft": ("#5a636e", "#a5aeb9"),
    "rule": ("#d9dde2", "#343b45"),
    "fill": ("#f1f3f5", "#1f242b"),
    "model": ("#0067a5", "#5ab6f2"),
    "ablation": ("#7b4fb3", "#bd9ff5"),
    "classical": ("#47755f", "#83c2a6"),
    "baseline": ("#757d87", "#98a1ac"),
    "clock": ("#a85a00", "#f0a848"),
    "good": ("#1c7c54", "#5ecf9d"),
    "bad": ("#b3261e", "#ff8a80"),
    "c1": ("#0072b2", "#4fa9e2"),
    "c2": ("#d45500", "#ff8f52"),
    "c3": ("#00866a", "#3fc9a2"),
    "c4": ("#c05a94", "#ea9fca"),
    "c5": ("#3a96c9", "#93d2f7"),
    "c6": ("#c08a00", "#f2c040"),
    "c7": ("#6a55a0", "#b5a4ea"),
    "c8": ("#74742a", "#c8c86c"),
    "c9": ("#6f7780", "#a3abb5"),
}
"""Every colour by name as (light, dark); the pictures are drawn light and refer to CSS variables ``--<name>``."""

_CLASS_INKS = ("c1", "c2", "c3", "c6", "c4", "c7", "c5", "c8", "c9")
_KNOWN_CLASSES: Mapping[str, str] = {
    "anger": "c2", "angry": "c2", "sad": "c1", "sadness": "c1", "happy": "c6", "happiness": "c6", "joy": "c6",
    "disgust": "c3", "fear": "c7", "surprise": "c4", "neutral": "c9", "rest": "c1", "baseline": "c1",
    "stress": "c2", "load": "c2", "low": "c1", "high": "c2",
}  # fmt: skip

_RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "insula",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 13,
    "text.color": INKS["ink"][0],
    "axes.edgecolor": INKS["soft"][0],
    "axes.labelcolor": INKS["soft"][0],
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INKS["ink"][0],
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": INKS["soft"][0],
    "ytick.color": INKS["soft"][0],
    "xtick.labelsize": 12.5,
    "ytick.labelsize": 12.5,
    "legend.frameon": False,
    "legend.fontsize": 12.5,
    "lines.linewidth": 1.8,
}


def ink(name: str) -> str:
    """Return the drawing colour of a named ink."""
    return INKS[name][0]


def class_inks(classes: Sequence[str]) -> dict[str, str]:
    """Give every class one ink name, the same in all pictures: known emotions their own, others the free ones."""
    out: dict[str, str] = {}
    for name in classes:
        wanted = _KNOWN_CLASSES.get(name.lower())
        if wanted and wanted not in out.values():
            out[name] = wanted
    free = [c for c in _CLASS_INKS if c not in out.values()]
    rest = [name for name in classes if name not in out]
    pool = free or list(_CLASS_INKS)
    out.update({name: pool[i % len(pool)] for i, name in enumerate(rest)})
    return {name: out[name] for name in classes}


def css_variables() -> str:
    """Return the CSS that defines every ink, light by default and dark where the reader's system is dark."""
    light = "".join(f"--{name}:{pair[0]};" for name, pair in INKS.items())
    dark = "".join(f"--{name}:{pair[1]};" for name, pair in INKS.items())
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def is_narrow(width_px: int) -> bool:
    """Tell whether a picture of this width is meant for a phone."""
    return width_px < _NARROW_BELOW_PX


@dataclass
class Kept:
    """Wide pictures drawn while it is open, by name, as files of one format (pdf, svg or png)."""

    format: Format
    files: dict[str, bytes] = field(default_factory=dict)


_KEPT: ContextVar[Kept | None] = ContextVar("kept", default=None)


@contextmanager
def keeping(format: Format) -> Iterator[Kept]:
    """Also keep every wide picture that is drawn in this block as a file for print: light, with fonts of its own."""
    kept = Kept(format)
    before = _KEPT.set(kept)
    try:
        yield kept
    finally:
        _KEPT.reset(before)


def _keep(figure: Figure, name: str) -> None:
    kept = _KEPT.get()
    if kept is None or not name.endswith("-w"):
        return
    buffer = io.BytesIO()
    blank = {"Date": None, "Creator": None} if kept.format == "svg" else {}
    blank = {"CreationDate": None, "Creator": None, "Producer": None} if kept.format == "pdf" else blank
    figure.savefig(buffer, format=kept.format, dpi=300, metadata=blank)
    kept.files[name.removesuffix("-w")] = buffer.getvalue()


def draw(width_px: int, height_px: float, name: str, alt: str, paint: Callable[[Figure], None]) -> str:
    """Paint one figure and return it as inline SVG, one unit a CSS pixel.

    ``name`` prefixes all ids, so that many pictures live on one page; ``alt`` is the accessible name. Colours become
    ``var(--ink, light)`` and letters stay text in the page's own font.
    """
    with matplotlib.rc_context(_RC), warnings.catch_warnings():
        # Letters stay text, so that a glyph missing from matplotlib's own font costs nothing but its measure.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width_px / 72, height_px / 72), layout="constrained")
        figure.get_layout_engine().set(w_pad=2 / 72, h_pad=3 / 72)  # type: ignore[union-attr, call-arg]
        canvas = FigureCanvasSVG(figure)
        paint(figure)
        _keep(figure, name)
        buffer = io.StringIO()
        for patch in (figure.patch, *(ax.patch for ax in figure.axes)):
            patch.set(facecolor="none", edgecolor="none")
        blank = {"Date": None, "Creator": None}
        canvas.print_svg(buffer, metadata=blank)  # type: ignore[no-untyped-call]  # savefig draws twice
    return _clean(buffer.getvalue(), name, alt, width_px, round(height_px))


_BY_HEX = {pair[0]: name for name, pair in INKS.items()}


def _clean(svg: str, name: str, alt: str, width: int, height: int) -> str:
    body = svg[svg.index("<g id=") : svg.rindex("</svg>")]
    extra = "".join(re.findall(r"<defs>\s*<clipPath.*?</defs>", svg[: svg.index("<g id=")], flags=re.S))
    body = extra + body
    # The regions of text content are left alone: only attributes are rewritten.
    body = re.sub(r' (id)="([^"]*)"', rf' \1="{name}-\2"', body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r' style="([^"]*)"', lambda m: f' style="{_style(m[1])}"', body)
    body = re.sub(r' (d|x|y|transform)="([^"]*)"', lambda m: f' {m[1]}="{_short(m[2])}"', body)
    body = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", body)
    body = re.sub(r">\s+<", "><", body)
    return (
        f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{html.escape(alt, quote=True)}" '
        f'stroke-linejoin="round" font-family="sans-serif">{body}</svg>'
    )


def _style(style: str) -> str:
    style = re.sub(r"font-family:[^;]*;? ?", "", style)
    style = re.sub(
        r"font: (?:(?:italic|oblique) )?(?:(\w+) )?([\d.]+px)[^;]*", r"font-weight: \1; font-size: \2", style
    )

    def variable(match: re.Match[str]) -> str:
        known = _BY_HEX.get(match[2])
        return f"{match[1]}: var(--{known}, {match[2]})" if known else match[0]

    return re.sub(r"(fill|stroke): (#[0-9a-f]{6})", variable, style)


def _short(value: str) -> str:
    value = re.sub(r"-?\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), value)
    return re.sub(r"\s+", " ", value).strip()


def strip_axes(ax: Axes, keep: str = "bottom") -> None:
    """Remove all spines but the named one, and the ticks of the sides that lose theirs."""
    for side in ("left", "right", "top", "bottom"):
        ax.spines[side].set_visible(side == keep)
    if keep == "bottom":
        ax.tick_params(axis="y", length=0)


def shorten(text: str, letters: int) -> str:
    """Cut a name to at most so many letters with an ellipsis; line breaks become spaces."""
    text = " ".join(text.split())
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def fold(text: str, letters: int) -> tuple[str, ...]:
    """Break a name into at most two lines of so many letters, about equally long, the second one shortened.

    Each line is drawn as its own text: matplotlib places the lines of one text by the widths of its own font.
    """
    text = " ".join(text.split())
    if len(text) <= letters:
        return (text,)
    wide = next((w for w in range(-(-len(text) // 2), letters) if len(textwrap.wrap(text, w)) <= 2), letters)
    lines = textwrap.wrap(text, wide)
    return (*lines[:1], *((shorten(" ".join(lines[1:]), letters),) if lines[1:] else ()))


def spread(wanted: DoubleArray, pitch: float | DoubleArray, low: float, high: float) -> DoubleArray:
    """Move places (ascending) to lie a pitch apart between two bounds, close ones apart from their middle.

    ``pitch`` is one for all, or that of each place from the one before (as many, less one).
    """
    at = wanted.copy()
    steps = np.broadcast_to(pitch, max(0, len(at) - 1))
    for _ in range(100):
        for i, step in enumerate(steps):
            gap = max(0.0, step - (at[i + 1] - at[i]))
            at[i] -= gap / 2
            at[i + 1] += gap / 2
    for i in range(len(at)):
        at[i] = max(at[i], low if i == 0 else at[i - 1] + steps[i - 1])
    for i in reversed(range(len(at))):
        at[i] = min(at[i], high if i == len(at) - 1 else at[i + 1] - steps[i])
    return at
