"""Our band entropy from spectra says what the field's band-pass filters and variances say."""

from __future__ import annotations

import math

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from insula.signals.features import eeg
from insula.types import ChannelSpec

RATE_HZ = 128.0


def test_entropy_agrees_with_filtering_every_band_of_every_channel() -> None:
    """Noise whose bands differ by a factor of up to 7 in amplitude; filters of order 5, as in torcheeg."""
    rng = np.random.default_rng(0)
    channels, samples = 32, 60 * int(RATE_HZ)
    signal = np.zeros((channels, samples))
    for edges in eeg.BANDS_HZ.values():
        shape = butter(4, edges, "bandpass", fs=RATE_HZ, output="sos")
        gain = np.exp(rng.uniform(-1.0, 1.0, (channels, 1)))
        signal += gain * sosfilt(shape, rng.standard_normal((channels, samples)))
    spec = ChannelSpec(tuple(f"E{i}" for i in range(channels)), RATE_HZ, "uV")
    ours = eeg.compute(signal[None].astype(np.float32), np.ones((1, samples), bool), spec)[0]
    entropy = ours[: len(eeg.BANDS_HZ) * channels].reshape(len(eeg.BANDS_HZ), channels)  # band-major
    for (name, edges), found in zip(eeg.BANDS_HZ.items(), entropy, strict=True):
        b, a = butter(5, edges, "bandpass", fs=RATE_HZ)
        theirs = [0.5 * math.log(2 * math.pi * math.e * np.var(lfilter(b, a, row))) for row in signal]
        assert np.corrcoef(found, theirs)[0, 1] > 0.98, name
        np.testing.assert_allclose(found, theirs, atol=0.4, err_msg=name)
