"""Writer of a tiny WESAD in its native layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from fixtures_data import lines
from fixtures_python2 import python2_pickle

PARTS = ((0, 2), (1, 8), (0, 1), (2, 6), (5, 1), (4, 3), (3, 5), (7, 1), (4, 3), (0, 1))
"""(label, seconds) in order."""


def write_wesad(root: Path, people: tuple[int, ...] = (2, 3)) -> dict[int, dict[str, object]]:
    written = {}
    seconds = sum(s for _, s in PARTS)
    for person in people:
        rng = np.random.default_rng(person)
        chest = {
            name: rng.normal(size=(seconds * 700, columns)) + level
            for name, columns, level in (
                ("ACC", 3, 0), ("ECG", 1, 0), ("EMG", 1, 0), ("EDA", 1, 5), ("Temp", 1, 33), ("Resp", 1, 0),
            )
        }  # fmt: skip
        wrist = {
            name: rng.normal(size=(seconds * rate, columns)) * scale + level
            for name, rate, columns, scale, level in (
                ("ACC", 32, 3, 20, 0), ("BVP", 64, 1, 30, 0), ("EDA", 4, 1, 0.1, 2), ("TEMP", 4, 1, 0.1, 34),
            )
        }  # fmt: skip
        label = np.repeat([c for c, _ in PARTS], [s * 700 for _, s in PARTS]).astype(np.int32)
        content = {"signal": {"chest": chest, "wrist": wrist}, "label": label, "subject": f"S{person}"}
        folder = root / f"S{person}"
        folder.mkdir(parents=True)
        (folder / f"S{person}.pkl").write_bytes(python2_pickle(content))
        lines(
            folder / f"S{person}_quest.csv",
            [
                f"# Subj;S{person};;;;;;;",
                "# ORDER;Base;TSST;Medi 1;Fun;Medi 2;sRead;fRead;",
                "# START;7.08;39.55;70.19;81.25;93.38;54.42;89.51;",
                ";;;;;;;;",
                *["# PANAS;" + ";".join("123451234512345123451234")] * 5,
                *["# STAI;1;2;3;4;1;2;;", "# STAI;4;4;4;1;4;1;;", *["# STAI;1;1;1;1;1;1;;"] * 3],
                *[f"# DIM;{v};{a};;;" for v, a in ((7, 2), (3, 8), (6, 1), (8, 4), (5, 3))],
                "# SSSQ;1;1;1;1;1;1;",
            ],
        )
        written[person] = content
    return written
