"""Writer of a tiny eSports Sensors data set in its native layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from fixtures_data import lines

COLUMNS = {
    "gsr.csv": ("gsr", 50_000.0),
    "heart_rate.csv": ("heart_rate", 90.0),
    "spo2.csv": ("spo2", 97.0),
    "facial_skin_temperature.csv": ("facial_skin_temperature", 34.0),
    "emg.csv": ("emg_right_hand,emg_left_hand", 20.0),
    "eye_tracker.csv": ("gaze_movement,pupil_diameter", 5.0),
}


def write_esports(root: Path, seconds: int = 40) -> dict[str, np.ndarray]:
    """Three matches of two players on two days, the later match of day 1 in the folder with the lower number."""
    rng = np.random.default_rng(0)
    written = {}
    for match, (day, place, human) in {0: (1, 1, 0), 1: (1, 0, 1), 2: (2, 0, 1)}.items():
        folder = root / f"matches/match_{match}"
        meta = {"match_duration": seconds + match, "real_opponents": human, "team": "amateurs"}
        folder.mkdir(parents=True)
        (folder / "meta_info.json").write_text(json.dumps(meta | {"day_num": day, "day_match_num": place}))
        lines(folder / "environment.csv", ["time,env_temperature", "0.0,26.5"])
        for player in (0, 3):
            report = {"role": "top", "performance_evaluation": 4, "mental_load": 1 + match + player // 3}
            (folder / f"player_{player}").mkdir()
            (folder / f"player_{player}/player_report.json").write_text(json.dumps(report))
            for file, (names, level) in COLUMNS.items():
                if player == 3 and file == "eye_tracker.csv":
                    continue
                values = level * (1 + 0.1 * rng.random((seconds, names.count(",") + 1)))
                if file == "heart_rate.csv":
                    values[5:8] = 0.0
                rows = [f"{t + 2}.0," + ",".join(repr(v) for v in row) for t, row in enumerate(values.tolist())]
                lines(folder / f"player_{player}" / file, [f"time,{names}", *rows])
                written[f"{match}/{player}/{file}"] = values
    return written
