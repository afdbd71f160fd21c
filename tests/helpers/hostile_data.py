"""A tiny data set for every reader and file format, so that damage of any kind can be tried on each file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fixtures_bids import write_bids
from fixtures_data import lines, write_cogwear, write_e4, write_eeg, write_kerc2021, write_phymer, write_stress_predict
from fixtures_devices import write_embraceplus, write_muse, write_polar, write_shimmer
from fixtures_esports import write_esports
from fixtures_fmov import write_fmov
from fixtures_lab_eeg import (
    write_deap,
    write_dreamer,
    write_eav,
    write_eegemotions27,
    write_seed,
    write_seed_iv,
    write_seed_v,
)
from fixtures_wesad import write_wesad
from fixtures_xdf import drifting, write_xdf


@dataclass(frozen=True)
class Case:
    """How to write a data set, and how to read it (``file``: not the folder but a file in it; ``heavy``: slow)."""

    reader: str
    write: Callable[[Path], object]
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: str | None = None
    file: str = ""
    heavy: bool = False


def _manifest(suffix: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        names = ("Fp1", "Oz", "Cz")
        write_eeg(root / f"a{suffix}", 4, 100.0, names)
        lines(root / "people.csv", ["subject,openness", "ann,3"])
        lines(root / "manifest.csv", ["file,modality,subject,trial,start,stop,label", f"a{suffix},eeg,ann,t,0,3,x"])

    return write


def _csv(root: Path) -> None:
    lines(root / "a.csv", ["t,eda,temp", *(f"{i / 4},{2 + i % 3},{33 + i % 2}" for i in range(80))])
    write_e4(root / "e4", seconds=15)
    rows = ["a.csv,eda,ann,t,t,,0,10,x,eda", "a.csv,temp,ann,t,t,,0,10,x,temp", "e4/BVP.csv,bvp,ann,t,,e4,0,10,x,"]
    lines(root / "manifest.csv", ["file,modality,subject,trial,time,rate,start,stop,label,channels", *rows])


def _devices(root: Path) -> None:
    write_polar(root, seconds=3)
    write_shimmer(root / "s.csv", seconds=3)
    write_muse(root, seconds=2)
    files = {"ecg.txt": ("ecg", "polar"), "flow.csv": ("hr", "polar"), "rr.txt": ("ibi", "polar")}
    files |= {"s.csv": ("eda", "shimmer"), "monitor.csv": ("eeg", "muse")}
    rows = [f"{file},{modality},ann,{modality},{kind},x" for file, (modality, kind) in files.items()]
    lines(root / "manifest.csv", ["file,modality,subject,trial,format,label", *rows])


def _xdf(root: Path) -> None:
    stream = drifting("EEG", 10.0, 6.0, 50.0, 1e-4, 3.0)
    write_xdf(root / "a.xdf", [stream, drifting("GSR", 11.0, 5.0, 4.0, 0.0, 9.0, labels=("EDA",), unit="uS")])
    rows = ["a.xdf,eeg,ann,t,x", "a.xdf,eda,ann,t,x"]
    lines(root / "manifest.csv", ["file,modality,subject,trial,label", *rows])


def _avro(root: Path) -> None:
    write_embraceplus(root / "a.avro", seconds=4)
    rows = [f"a.avro,{m},ann,t,x" for m in ("eda", "acc", "ibi")]
    lines(root / "manifest.csv", ["file,modality,subject,trial,label", *rows])


CASES: Mapping[str, Case] = {
    "bids": Case("bids", write_bids, heavy=True),
    "cogwear_e4": Case("cogwear_e4", write_cogwear, {"ppg": True, "subjects": ["p00"]}, heavy=True),
    "deap": Case("deap", lambda root: write_deap(root, people=(1,), trials=2, seconds=4)),
    "dreamer": Case("dreamer", lambda root: write_dreamer(root, people=1, clips=2, seconds=1)),
    "e4": Case("e4", lambda root: write_e4(root, seconds=15, acc=True)),
    "eav": Case("eav", lambda root: write_eav(root, people=(1,), segments=2, samples=500), {"audio": True}),
    "eegemotions27": Case("eegemotions27", lambda root: write_eegemotions27(root, seconds=1)),
    "esports_sensors": Case(
        "esports_sensors", lambda root: write_esports(root, seconds=10), {"subjects": ["amateurs-0"]}, heavy=True
    ),
    "fmov": Case("fmov", lambda root: write_fmov(root, {"09": 8}, clip_s=1.0), {"trial_s": 0.6, "before_s": 0.2}),
    "kerc2021": Case("kerc2021", lambda root: write_kerc2021(root, samples=2, seconds=2)),
    "manifest-csv": Case("manifest", _csv),
    "manifest-devices": Case("manifest", _devices),
    "manifest-edf": Case("manifest", _manifest(".edf")),
    "manifest-fif": Case("manifest", _manifest("_raw.fif")),
    "manifest-set": Case("manifest", _manifest(".set")),
    "manifest-vhdr": Case("manifest", _manifest(".vhdr")),
    "manifest-xdf": Case("manifest", _xdf, needs="pyxdf"),
    "manifest-avro": Case("manifest", _avro, needs="fastavro"),
    "phymer": Case("phymer", lambda root: write_phymer(root, seconds=2), {"subjects": ["S1"]}),
    "pseudo_trials": Case("pseudo_trials", _manifest(".set"), {"trials": 4}, file="a.set"),
    "seed": Case("seed", lambda root: write_seed(root, people=(1,), seconds=1)),
    "seed_iv": Case("seed_iv", lambda root: write_seed_iv(root, people=(1,), seconds=1)),
    "seed_v": Case("seed_v", lambda root: write_seed_v(root, seconds=1, rate_hz=50), heavy=True),
    "stress_predict": Case(
        "stress_predict", lambda root: write_stress_predict(root, (1, 2), block_s=8), {"subjects": ["S02"]}, heavy=True
    ),
    "wesad": Case("wesad", lambda root: write_wesad(root, people=(2,))),
}


def files_of(root: Path) -> list[Path]:
    return sorted(f for f in root.rglob("*") if f.is_file())


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip bytes, half of the time near the beginning where headers are; now and then cut, double or blank a part."""
    out = bytearray(content)
    kind = rng.integers(10)
    if kind == 0:
        return bytes(out[: rng.integers(len(out) + 1)])
    if kind == 1:
        first, second = sorted(rng.integers(len(out) + 1, size=2))
        return bytes(out[:first] + out[first:second] * 2 + out[second:])
    if kind == 2:
        first = int(rng.integers(len(out) + 1))
        stop = min(len(out), first + int(rng.integers(1, 64)))
        return bytes(out[:first] + bytes(stop - first) + out[stop:])
    end = min(len(out), 400) if rng.integers(2) else len(out)
    for at in rng.integers(end, size=rng.integers(1, 9)) if end else []:
        out[at] = rng.integers(256)
    return bytes(out)
