"""FMOV in its native layout: tab-separated columns with a tab at the end, two column layouts, demographics.csv."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from fixtures_data import lines

ORDERS = ("NHAHAHANHNAN", "NANHNAHAHAHN")
RATE_HZ = 100
PEOPLE = {"09": 8, "10": 8, "48": 10}
HEADER = (
    "Subject,Treatment,Included_FMOV,IRI_EC,IRI_PT,IRI_PD,IRI_F,TAS.20,Difficulty.identifying.feelings,"
    "Difficulty.describing.feelings,Externally.oriented.thinking,STAI.T,PPI_1_C_R,PPI_1_SCI_R,PPI_1_FD_R,PPI_1_IR"
)


def order_of(person: str) -> str:
    return ORDERS[int(person) % 2]


def write_fmov(
    root: Path, people: Mapping[str, int] = PEOPLE, *, clip_s: float = 12.0, first_s: float = 4.0, effect: float = 3.0
) -> Path:
    """Write people with so many columns each; a muscle is ``effect`` times louder inside its clips.

    Muscles have a level of their own in every clip, as real ones drift, so that only the seconds before tell.
    """
    folder = root / "FMOV"
    folder.mkdir(parents=True)
    for person, columns in people.items():
        np.savetxt(folder / f"{person}_FMOV_preprocessed.txt", _person(person, columns, clip_s, first_s, effect),
                   fmt="%.6g", delimiter="\t", newline="\t\n")  # fmt: skip
    kept = dict(zip(people, ["True", "False", *["True"] * len(people)], strict=False))
    rows = [
        f"{int(p)},{'Oxazepam' if int(p) % 2 else 'Placebo'},{kept[p]},{int(p) / 10},3,1.5,,28,8,8,12,32,43,140,139,26"
        for p in people
    ]
    lines(root / "demographics.csv", [HEADER, *rows, "99,Placebo,True,2,3,1.5,2,28,8,8,12,32,43,140,139,26"])
    return root


def _person(person: str, columns: int, clip_s: float, first_s: float, effect: float) -> np.ndarray:
    """All columns (samples, 8 or 10): a level of its own from a quarter of a clip before each clip on."""
    rng = np.random.default_rng(int(person))
    n = round((first_s + 12 * clip_s) * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    clip = np.clip(np.floor((t - first_s) / clip_s + 0.25).astype(int) + 1, 0, 12)
    level = np.exp(rng.normal(size=(2, 13)))[:, clip]  # (muscles, samples)
    waves = np.zeros((3, n))
    for k, letter in enumerate(order_of(person)):
        at = round((first_s + k * clip_s) * RATE_HZ)
        waves["AHN".index(letter), at - min(50, at) : at] = 5.0
        if letter != "N":
            level[0 if letter == "H" else 1, at + round(4 * clip_s) : at + round(70 * clip_s)] *= effect
    raw = 0.001 * level * rng.normal(size=(2, n))
    smooth = np.stack([np.convolve(np.abs(r), np.ones(20) / 20, "same") for r in raw])
    eda = 5 + 0.1 * np.sin(t / 7) + 0.01 * rng.normal(size=n)
    if columns == 8:
        return np.stack([eda, *raw, *smooth, *waves], axis=1)
    ecg = np.sin(2 * np.pi * 1.1 * t)
    return np.stack([t / 60, eda, raw[0], ecg, raw[1], *smooth, *waves], axis=1)
