"""Draw the README's picture from the first table of docs/ledger.md: leaky against clean, a line a system.

python benchmarks/first_picture.py          # writes docs/first-picture.svg
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt

DOCS = Path(__file__).resolve().parents[1] / "docs"
COLOURS = {"Clock": "#b3401f", "Elapsed time": "#d98a5b"}
GREY, BLUE = "#8a8f98", "#1f4e8c"


def first_table(text: str) -> tuple[str, list[tuple[str, float, float]]]:
    """Return the title and (system, leaky, clean) in percent of the first table with both protocols."""
    title, rows = "", []
    for line in text.splitlines():
        if line.startswith("### "):
            title = line[4:]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        numbers = [re.match(r"(\d+\.\d)\s%", cell) for cell in cells]
        if len(cells) > 4 and numbers[1] and numbers[3]:
            rows.append((re.sub(r" \(.*", "", cells[0]), float(numbers[1][1]), float(numbers[3][1])))
        elif rows and not line.strip():
            break
    return title, [row for row in rows if row[0] not in ("Majority", "Prior")]


def draw(title: str, rows: list[tuple[str, float, float]], path: Path) -> None:
    """Write slopes from the leaky to the clean protocol."""
    plt.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "insula", "font.family": "sans-serif", "font.size": 10}
    )
    figure, axes = plt.subplots(figsize=(7.2, 3.6))
    ends = spread([clean for _, _, clean in rows])
    for (name, leaky, clean), end in zip(rows, ends, strict=True):
        colour = COLOURS.get(name, BLUE if name.startswith("Liquid") else GREY)
        axes.plot([0, 1], [leaky, clean], color=colour, marker="o", markersize=5, linewidth=2)
        axes.annotate(
            f"{name}  {clean:.0f} %", (1, clean), (1.04, end), color=colour, va="center", annotation_clip=False
        )
    axes.axhline(50, color="black", linewidth=0.8, linestyle=":")
    axes.annotate("chance", (0.5, 50.8), ha="center", va="bottom", color=GREY)
    axes.set(xlim=(-0.02, 1), ylim=(45, 103), ylabel="balanced accuracy, %")
    axes.set_xticks([0, 1], ["windows shuffled\n(as often published)", "whole people\nheld out"])
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left", fontsize=11)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


def spread(levels: list[float], apart: float = 4.2) -> list[float]:
    """Move labels apart, keeping their order."""
    order = sorted(range(len(levels)), key=levels.__getitem__)
    placed = list(levels)
    for before, after in pairwise(order):
        placed[after] = max(placed[after], placed[before] + apart)
    return placed


if __name__ == "__main__":
    found, systems = first_table((DOCS / "ledger.md").read_text(encoding="utf-8"))
    draw(found, systems, DOCS / "first-picture.svg")
    print(f"wrote {DOCS / 'first-picture.svg'}: {found}, {len(systems)} systems")
