"""Waveforms of the simulator: EEG, skin conductance, pulse, heart rate and temperature from known causes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import fft
from scipy import signal as sps

from insula.types import DoubleArray, FloatArray

CHANNELS = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4")
"""EPOC X montage."""
_AT = np.array(
    [
        (-0.3, 0.8), (-0.8, 0.6), (-0.45, 0.55), (-0.7, 0.3), (-1.0, 0.0), (-0.8, -0.6), (-0.3, -0.95),
        (0.3, -0.95), (0.8, -0.6), (1.0, 0.0), (0.7, 0.3), (0.45, 0.55), (0.8, 0.6), (0.3, 0.8),
    ]
)  # fmt: skip
SOURCES = ("frontal_left", "frontal_right", "temporal_left", "temporal_right", "occipital")
_SOURCE_AT = np.array([(-0.5, 0.6), (0.5, 0.6), (-0.9, -0.2), (0.9, -0.2), (0.0, -0.9)])
BANDS = ("delta", "theta", "alpha", "beta", "gamma")
BAND_CENTRE_HZ = np.array([2.5, 6.0, 10.5, 20.0, 37.0])
BAND_WIDTH_HZ = np.array([0.7, 1.0, 1.0, 3.5, 4.0])
BAND_UV = np.array([7.0, 5.0, 7.0, 3.5, 1.8])
"""Centre, width (one standard deviation) and usual amplitude of the oscillators."""
EEG_HZ, BVP_HZ, SLOW_HZ, HR_HZ = 256.0, 64.0, 4.0, 1.0
ENVELOPE_HZ = 16.0
BURST_TAU_S = 0.3
BACKGROUND_UV, LINE_UV, BLINK_UV = 9.0, 2.0, 120.0
BATEMAN_S = (0.75, 2.0)
"""Rise and decay of a skin-conductance response (Benedek & Kaernbach 2010)."""
SCR_PER_MIN, SCR_US = 4.0, 0.15


def _falloff(a: DoubleArray, b: DoubleArray, width: float) -> DoubleArray:
    distance2 = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    return np.asarray(np.exp(-distance2 / (2 * width**2)))


MIXING = _falloff(_AT, _SOURCE_AT, 0.55)  # (14 channels, 5 sources)
_BACKGROUND = _falloff(_AT, _AT, 0.35)
_BACKGROUND /= np.sqrt((_BACKGROUND**2).sum(axis=1, keepdims=True))  # (14, 14), unit variance each channel
_BLINK = np.maximum(0.0, (_AT[:, 1] - 0.2) / 0.6) ** 2  # (14,) strongest at the forehead


class Fingerprint(NamedTuple):
    """What makes one trial recognisable without any emotion."""

    gain: DoubleArray  # (14,) of each channel
    offset_uv: DoubleArray  # (14,)
    tilt: float  # added to the exponent of the background's spectrum
    state: DoubleArray  # (bands, sources) log amplitude of the oscillators
    blinks_per_min: float
    heart_rate: float  # 1/min
    conductance_us: float


def smooth_noise(rng: np.random.Generator, rows: int, samples: int, tau_samples: float) -> DoubleArray:
    """Ornstein-Uhlenbeck noise of unit variance, (rows, samples)."""
    keep = np.exp(-1.0 / tau_samples)
    drive = rng.standard_normal((rows, samples)) * np.sqrt(1 - keep**2)
    drive[:, 0] = rng.standard_normal(rows)
    return np.asarray(sps.lfilter([1.0], [1.0, -keep], drive, axis=1))


def eeg(
    rng: np.random.Generator,
    shift: DoubleArray,
    engagement: DoubleArray,
    alpha_hz: float,
    amplitude: DoubleArray,
    mark: Fingerprint,
) -> FloatArray:
    """Make one trial of EEG in microvolts, (14, T) at 256 Hz.

    Every band has an oscillator in every source. It bursts: its amplitude follows a squashed Ornstein-Uhlenbeck
    process, and the emotion moves the threshold, so that it changes how often bursts come rather than a level.

    Parameters
    ----------
    shift : (bands, sources) what the emotion adds to the burst process at full engagement.
    engagement : (n,) in 0..1 at 4 Hz; T = 64 n.
    alpha_hz : the person's alpha frequency.
    amplitude : (bands, sources) the person's own oscillator amplitudes, as factors.
    """
    samples = engagement.size * int(EEG_HZ / SLOW_HZ)
    bands, sources = shift.shape
    hz = np.fft.rfftfreq(samples, 1 / EEG_HZ)

    centre = np.where(BAND_CENTRE_HZ == 10.5, alpha_hz, BAND_CENTRE_HZ)
    shape = np.exp(-(((hz - centre[:, None]) / BAND_WIDTH_HZ[:, None]) ** 2) / 4)  # (bands, bins)
    shape /= np.sqrt((shape**2).sum(axis=1, keepdims=True)) / samples
    carrier = fft.irfft(_random_phases(rng, (bands, sources), hz.size) * shape[:, None].astype(np.float32), samples)

    steps = int(EEG_HZ / ENVELOPE_HZ)
    held = np.repeat(engagement, int(ENVELOPE_HZ / SLOW_HZ))  # (n_env,)
    process = smooth_noise(rng, bands * sources, held.size + 1, BURST_TAU_S * ENVELOPE_HZ)
    drive = process.reshape(bands, sources, -1) + shift[:, :, None] * np.append(held, held[-1])
    level = 0.4 + 1.2 / (1 + np.exp(-3 * (drive - 0.5)))  # (bands, sources, n_env + 1)
    part = (np.arange(steps) / steps).astype(np.float32)
    low, high = level[:, :, :-1, None].astype(np.float32), level[:, :, 1:, None].astype(np.float32)
    envelope = (low + (high - low) * part).reshape(bands, sources, samples)
    scale = (BAND_UV[:, None] * amplitude * np.exp(mark.state)).astype(np.float32)
    source = (carrier * envelope * scale[:, :, None]).sum(axis=0)  # (sources, T)

    slope = np.maximum(hz, 0.5) ** (-(1.0 + mark.tilt) / 2)
    slope *= samples / np.sqrt((slope[(hz >= 1) & (hz <= 45)] ** 2).sum()) * (hz > 0)
    noise = fft.irfft(_random_phases(rng, (len(CHANNELS),), hz.size) * slope.astype(np.float32), samples)
    out = MIXING.astype(np.float32) @ source + BACKGROUND_UV * (_BACKGROUND.astype(np.float32) @ noise)
    out += _BLINK[:, None].astype(np.float32) * _blinks(rng, mark.blinks_per_min, samples)
    out *= mark.gain[:, None].astype(np.float32)
    out += (LINE_UV * np.sin(2 * np.pi * (50 * np.arange(samples) / EEG_HZ + rng.random()))).astype(np.float32)
    return np.asarray(out + mark.offset_uv[:, None], np.float32)


def _random_phases(rng: np.random.Generator, rows: tuple[int, ...], bins: int) -> np.ndarray:
    """Complex normal spectrum (*rows, bins) of unit variance noise."""
    pairs = rng.standard_normal((*rows, bins, 2), np.float32)
    return pairs.view(np.complex64)[..., 0] * np.float32(0.5)


def _blinks(rng: np.random.Generator, per_min: float, samples: int) -> FloatArray:
    """Blinks as bumps of a third of a second in microvolts, (T,)."""
    pulses = np.zeros(samples, np.float32)
    count = rng.poisson(per_min * samples / EEG_HZ / 60)
    pulses[rng.integers(0, samples, count)] = BLINK_UV * rng.uniform(0.6, 1.4, count)
    bump = np.hanning(int(0.35 * EEG_HZ)).astype(np.float32)
    return np.asarray(np.convolve(pulses, bump)[:samples], np.float32)


def skin_conductance(
    rng: np.random.Generator, arousal: DoubleArray, level_us: DoubleArray
) -> tuple[FloatArray, DoubleArray]:
    """Make skin conductance in microsiemens (n,) at 4 Hz, and the onsets of its responses in seconds.

    ``arousal`` (n,) is the log of the factor on the rate of responses; ``level_us`` (n,) the tonic level.
    """
    rate = SCR_PER_MIN / 60 / SLOW_HZ * np.exp(arousal)  # responses a sample
    onset = np.flatnonzero(rng.random(arousal.size) < rate)
    height = SCR_US * np.exp(0.5 * rng.standard_normal(onset.size)) * np.exp(0.4 * arousal[onset])
    impulses = np.zeros(arousal.size)
    impulses[onset] = height
    time_s = np.arange(0, 20, 1 / SLOW_HZ)
    bateman = np.exp(-time_s / BATEMAN_S[1]) - np.exp(-time_s / BATEMAN_S[0])
    fast = sps.fftconvolve(impulses, bateman / bateman.max())[: arousal.size]
    out = level_us + fast + 0.003 * rng.standard_normal(arousal.size)
    return np.maximum(out, 0.05).astype(np.float32), onset / SLOW_HZ


def pulse(
    rng: np.random.Generator, rate_per_min: DoubleArray, strength: DoubleArray
) -> tuple[FloatArray, FloatArray, DoubleArray]:
    """Make the blood volume pulse (16 n,) at 64 Hz, heart rate (n / 4,) at 1 Hz, and beat times in seconds.

    ``rate_per_min`` (n,) and ``strength`` (n,), the pulse's amplitude, come at 4 Hz. Breathing and a .1 Hz wave
    modulate the rate. Heart rate is the mean of the last ten seconds, as wristbands report it.
    """
    seconds = np.arange(rate_per_min.size) / SLOW_HZ
    breathing = 2.5 * np.sin(2 * np.pi * np.cumsum(0.25 + 0.03 * smooth_noise(rng, 1, seconds.size, 40)[0]) / SLOW_HZ)
    mayer = 1.5 * smooth_noise(rng, 1, seconds.size, 3 * SLOW_HZ)[0]
    rate = np.clip(rate_per_min + breathing + mayer, 40, 180)
    at_s = np.arange(rate.size * int(BVP_HZ / SLOW_HZ)) / BVP_HZ
    cycles = np.cumsum(np.interp(at_s, seconds, rate)) / 60 / BVP_HZ  # heart beats since the start
    phase = cycles % 1.0
    wave = np.exp(-(((phase - 0.25) / 0.1) ** 2)) + 0.35 * np.exp(-(((phase - 0.6) / 0.12) ** 2))
    bvp = 80 * np.interp(at_s, seconds, strength) * (wave - 0.27)
    bvp += 15 * smooth_noise(rng, 1, at_s.size, 2 * BVP_HZ)[0] + 3 * rng.standard_normal(at_s.size)
    beats_s = np.interp(np.arange(1, int(cycles[-1] - 0.25) + 1) + 0.25, cycles, at_s)  # the wave's top
    window = int(10 * SLOW_HZ)
    mean = sps.lfilter(np.ones(window) / window, [1.0], rate - rate[0]) + rate[0]
    return bvp.astype(np.float32), mean[:: int(SLOW_HZ / HR_HZ)].astype(np.float32), beats_s


def temperature(rng: np.random.Generator, arousal: DoubleArray, level_degc: float) -> FloatArray:
    """Make skin temperature in degrees Celsius (n,) at 4 Hz: a slow walk that sinks with arousal, 30 s behind it."""
    keep = np.exp(-1 / (30 * SLOW_HZ))
    answer = sps.lfilter([1 - keep], [1, -keep], arousal)
    walk = 0.4 * smooth_noise(rng, 1, arousal.size, 300 * SLOW_HZ)[0]
    return np.asarray(level_degc + walk - 0.3 * answer + 0.01 * rng.standard_normal(arousal.size), np.float32)
