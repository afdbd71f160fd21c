"""Writer of a tiny EEG-BIDS data set."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
from fixtures_data import lines, write_eeg

NAMES = ("Fp1", "Cz", "Oz", "VEOG")


def write_bids(root: Path) -> dict[str, np.ndarray]:
    """sub-01 has two sessions, the first with two runs; sub-02 one run without sessions, events or channels.tsv."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text(json.dumps({"Name": "tiny", "BIDSVersion": "1.8.0"}))
    people = ["participant_id\tage\tsex\topenness", "sub-01\t31\tf\t3.5", "sub-02\tn/a\tm\t2"]
    lines(root / "participants.tsv", people)
    side = {"SamplingFrequency": 32.0, "StartTime": -1.5, "Columns": ["cardiac", "EDA", "trigger"]}
    (root / "task-film_physio.json").write_text(json.dumps(side | {"EDA": {"Units": "uS"}}))
    written = {}
    for k, (session, run, suffix) in enumerate((("mon", 1, ".edf"), ("mon", 2, ".vhdr"), ("tue", 1, ".set"))):
        folder = root / f"sub-01/ses-{session}/eeg"
        stem = f"sub-01_ses-{session}_task-film_run-{run}"
        written[stem] = write_eeg(folder / f"{stem}_eeg{suffix}", 30, 128.0, NAMES, seed=k)
        types = ["name\ttype\tunits\tstatus", *(f"{n}\tEEG\tuV\tgood" for n in NAMES[:3]), "VEOG\tVEOG\tuV\tgood"]
        lines(folder / f"{stem}_channels.tsv", types)
        events = ["onset\tduration\ttrial_type\tvalence\tstim_file", "0\t5\tbaseline\tn/a\tn/a"]
        events += ["5.5\t10\thappy\t7.5\tclips/a.mp4", "16\t0\tmarker\tn/a\tn/a", "17\t12\tsad\t2\tclips/b.mp4"]
        lines(folder / f"{stem}_events.tsv", events)
        rng = np.random.default_rng(k)
        physio = np.round(rng.normal(size=(32 * 30, 3)), 4)
        rows = ["\t".join(f"{v:.4f}" for v in row) for row in physio]
        rows[3] = "n/a\t" + rows[3].split("\t", 1)[1]
        physio[3, 0] = np.nan
        with gzip.open(folder / f"{stem}_physio.tsv.gz", "wt") as file:
            file.write("\n".join(rows) + "\n")
        written[f"{stem}_physio"] = physio
    written["sub-02_task-rest"] = write_eeg(root / "sub-02/eeg/sub-02_task-rest_eeg.fif", 10, 128.0, NAMES, seed=9)
    return written
