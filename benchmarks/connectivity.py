"""Connectivity of EEG windows against mne-connectivity: same segments, numbers and seconds of both.

    python benchmarks/connectivity.py [--json FILE] [--windows N]

Both get 4 s windows of 14 channels and give coherence, imaginary coherence, phase-locking value and weighted phase-lag
index in the alpha band; ours gives Pearson and mutual information as well.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from mne_connectivity import spectral_connectivity_epochs

from insula.signals.features.connectivity import MEASURES, connectivity, segment_samples

RATE_HZ, CHANNELS = 128.0, 14
THEIRS = {"coherence": "coh", "imaginary": "imcoh", "plv": "plv", "wpli": "wpli"}
REACH = 10.0
GAP = 0.1
"""Their Hann window is symmetric and one sample shorter; tests hold ours to scipy's cross-spectra to 1e-4."""


def cut(window: Any, size: int) -> Any:
    """Segments of a window without their means, as ours: (S, C, size)."""
    starts = range(0, window.shape[1] - size + 1, size // 2)
    segments = np.stack([window[:, s : s + size] for s in starts])
    return segments - segments.mean(2, keepdims=True)


def theirs(windows: Any) -> Any:
    """The same four measures by mne-connectivity, (N, 4, C, C)."""
    warnings.simplefilter("ignore", RuntimeWarning)  # four cycles a segment, as ours
    size = segment_samples("alpha", RATE_HZ)
    out = np.zeros((len(windows), len(THEIRS), CHANNELS, CHANNELS))
    for n, window in enumerate(windows):
        found = spectral_connectivity_epochs(
            cut(window, size), method=list(THEIRS.values()), mode="fourier",
            sfreq=RATE_HZ, fmin=8.0, fmax=12.99, faverage=True, verbose=False,
        )  # fmt: skip
        for m, one in enumerate(found):
            matrix = np.abs(one.get_data("dense")[:, :, 0])
            out[n, m] = matrix + matrix.T
    return out


def main() -> int:
    """Print the table; 1 where numbers differ or ours is not ten times as fast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--windows", type=int, default=32)
    arguments = parser.parse_args()
    windows = np.random.default_rng(0).standard_normal((arguments.windows, CHANNELS, 512)).astype(np.float32)
    seen = np.ones((len(windows), 512), bool)
    connectivity(windows[:1], seen[:1], RATE_HZ, ("alpha",))  # compiles
    began = time.process_time()
    ours = connectivity(windows, seen, RATE_HZ, ("alpha",))[:, :, 0]
    middle = time.process_time()
    other = theirs(windows.astype(np.float64))
    ended = time.process_time()
    same = [list(MEASURES).index(name) for name in THEIRS]
    gap = float(np.abs(ours[:, same] - other).max())
    ratio = (ended - middle) / (middle - began)
    rows = [
        {"name": "connectivity against mne-connectivity: largest difference", "value": gap, "unit": "1",
         "reach": GAP, "holds": gap <= GAP},
        {"name": "connectivity against mne-connectivity: times faster", "value": ratio, "unit": "x",
         "reach": REACH, "holds": ratio >= REACH},
        {"name": "connectivity, six measures, a window", "value": 1e3 * (middle - began) / len(windows), "unit": "ms",
         "reach": None, "holds": True},
    ]  # fmt: skip
    for row in rows:
        print(f"{row['name']:62} {row['value']:12.4g} {row['unit']:3} {'' if row['holds'] else 'MISSED'}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    return 0 if all(row["holds"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
