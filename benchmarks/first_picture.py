"""Draw the README's picture from the table of random labels in docs/ledger.md: leaky against clean, a line a system.

python benchmarks/first_picture.py          # writes docs/first-picture.svg
"""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from insula.plots.style import spread

DOCS = Path(__file__).resolve().parents[1] / "docs"
CLOCKS = ("Design oracle", "Elapsed time", "Elapsed time and time in trial")
ORANGE = "#b3401f"
GREY, BLUE = "#8a8f98", "#1f4e8c"
CLASSICAL = ("Logistic regression", "Random forest", "Support vector", "Gradient boosting", "Tangent space")
Row = tuple[str, float, float]


def table_of(text: str, wanted: str) -> tuple[str, str, list[Row]]:
    """Return the title, the clean protocol and (system, leaky, clean) in percent of the first table so titled."""
    title, clean, place, rows = "", "", 0, []
    for line in text.splitlines():
        if line.startswith("### "):
            title = line[4:]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "system" and len(cells) > 4 and wanted in title:
            place = next((i for i, name in enumerate(cells) if name.endswith("(leaky)")), 0)
            clean = cells[place + 2] if place else ""
        numbers = [re.match(r"(\d+\.\d)\s%", cell) for cell in cells[place : place + 3]] if clean else []
        if len(numbers) == 3 and numbers[0] and numbers[2]:
            name = re.sub(r"( \(|:).*", "", cells[0]).replace("with the trial's running mean", "+ running mean")
            rows.append((name, float(numbers[0][1]), float(numbers[2][1])))
        elif rows and not line.strip():
            break
    return title, clean, [row for row in rows if row[0] not in ("Majority", "Prior", "Which stimulus was on")]


def draw(title: str, clean: str, rows: list[Row], path: Path) -> None:
    """Write slopes from the leaky to the clean protocol: networks blue, classical rows grey, clocks orange."""
    plt.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "insula", "font.family": "sans-serif", "font.size": 10}
    )
    figure, axes = plt.subplots(figsize=(7.2, max(3.6, 0.36 * len(rows))))
    low = min(45.0, min(right for *_, right in rows) - 3)
    rows = sorted(rows, key=lambda row: row[2])
    pitch = 4.2 * (103 - low) / 58 * 10 / max(10, len(rows))
    ends = spread(np.array([right for *_, right in rows]), pitch, low - len(rows) * pitch, 101.0)
    low = min(low, float(ends.min()) - 2)
    for (name, left, right), end in zip(rows, ends, strict=True):
        colour = ORANGE if name in CLOCKS else GREY if name.startswith(CLASSICAL) else BLUE
        axes.plot([0, 1], [left, right], color=colour, marker="o", markersize=5, linewidth=2)
        axes.plot([1, 1.035], [right, end], color=colour, linewidth=0.6, clip_on=False)
        axes.annotate(
            f"{name}  {right:.0f} %", (1, right), (1.045, end), color=colour, va="center", annotation_clip=False
        )
    axes.axhline(50, color="black", linewidth=0.8, linestyle=":")
    axes.annotate("chance", (0.02, 50.8), ha="left", va="bottom", color=GREY)
    axes.set(xlim=(-0.02, 1), ylim=(low, 103), ylabel="balanced accuracy, %")
    held = {"within subject": "whole trials\nheld out", "leave subjects out": "whole people\nheld out"}
    axes.set_xticks([0, 1], ["windows shuffled\n(as often published)", held.get(clean, clean)])
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title.rsplit(":", 1)[0], loc="left", fontsize=11)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    found, protocol, systems = table_of((DOCS / "ledger.md").read_text(encoding="utf-8"), "random labels")
    draw(found, protocol, systems, DOCS / "first-picture.svg")
    print(f"wrote {DOCS / 'first-picture.svg'}: {found}, {len(systems)} systems")
