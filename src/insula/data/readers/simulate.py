"""A simulated cohort with known truth, shaped like PhyMER: EEG, skin conductance, pulse, temperature, Big Five.

The generative model, in the order in which it works:

1. A person has Big Five traits (1 to 5), an alpha frequency, oscillator amplitudes, tonic levels, and a map of their
   own from affect to the body: h = tanh(A a + c) - tanh(c), where a is (valence, arousal, approach) and A, c are the
   person's; the body's shifts are W h with W partly shared by all people and mostly the person's.
2. A stimulus has an emotion, an intensity and its own small offset in affect. Everybody sees every stimulus, in an
   order drawn for each person and session. Neutral stimuli have affect near zero.
3. In a trial the response has a size: intensity x the person's reactivity (neuroticism enlarges responses to unpleasant
   stimuli, extraversion to pleasant ones) x chance; and an engagement over time, which rises within seconds and comes
   and goes in episodes.
4. The response moves the burst thresholds of the EEG oscillators, the rate of skin-conductance responses, heart rate,
   pulse amplitude and, slowly, temperature (see ``synthesis.py``). The slow signals run through the session
   without a break, so that a trial inherits some of the one before.
5. A trial has a fingerprint that has nothing to do with its label: channel gains and offsets, spectral tilt,
   oscillator state, blink rate, heart rate and conductance level.

``effect`` scales 4 (0: the body knows nothing of the emotion), ``fingerprint`` scales 5.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from insula.data.info import DataInfo, Problem
from insula.data.readers import simulated_eyes
from insula.data.readers import synthesis as syn
from insula.data.self_report import self_report as answers_signal
from insula.errors import InputError, unknown_name
from insula.signals.recipe import Recipe
from insula.types import DoubleArray, IntArray, Label, Recording, Signal, Trial

AFFECT: Mapping[str, tuple[float, float, float]] = {
    "anger": (-0.7, 0.8, 0.8),
    "disgust": (-0.8, 0.2, -0.5),
    "fear": (-0.6, 0.8, -0.8),
    "happy": (0.9, 0.5, 0.6),
    "neutral": (0.0, 0.0, 0.0),
    "sad": (-0.6, -0.7, -0.3),
    "surprise": (0.3, 0.9, 0.0),
}
"""Valence, arousal and approach of each emotion, -1 to 1."""
EMOTIONS = tuple(AFFECT)
TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
HIDDEN = 8
SHARED, OWN = 0.4, 0.9
"""Weights of the common and the personal part of the map from affect to the body."""
EEG_EFFECT = 3.3
"""Size of the shift of the burst process at effect 1, in its standard deviations."""

INFO = DataInfo(
    name="simulate",
    title="Simulated cohort with known truth (EEG, EDA, BVP, TEMP, HR, Big Five)",
    licence="none needed: made by insula",
    where="generated; no folder needed",
    targets={
        "emotion": "one of " + ", ".join(EMOTIONS),
        "valence": "rating 1 to 9",
        "arousal": "rating 1 to 9",
    },
    recipe=Recipe(window_s=4.0, hop_s=2.0, guard_s=2.0).only(("eeg", "eda", "bvp", "temp", "hr")),
    simulated=True,
)


@dataclass(frozen=True)
class Settings:
    """Size and strength of a simulated cohort; times in seconds."""

    people: int = 6
    trials_per_emotion: int = 4
    trial_s: float = 20.0
    effect: float = 1.0
    fingerprint: float = 1.0
    seed: int = 0
    sessions: int = 1
    baseline_s: float = 30.0
    gap_s: float = 6.0

    def __post_init__(self) -> None:
        for name in ("people", "trials_per_emotion", "sessions"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}; expected 1 or more.")
        for name in ("effect", "fingerprint", "gap_s"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} {getattr(self, name):g}; expected 0 or more.")
        for name in ("trial_s", "baseline_s"):
            if getattr(self, name) < 2:
                raise InputError(f"{name} {getattr(self, name):g}; expected 2 s or more.")


@dataclass(frozen=True)
class TrialTruth:
    """What caused one trial.

    affect (3,), size of the response, engagement (n,) at 4 Hz, band_shift (bands, sources) at full engagement, the
    trial's fingerprint, and the times of skin-conductance responses and heart beats on the session's clock.
    """

    affect: DoubleArray
    size: float
    engagement: DoubleArray
    band_shift: DoubleArray
    fingerprint: syn.Fingerprint
    scr_s: DoubleArray
    beats_s: DoubleArray


@dataclass(frozen=True)
class Truth:
    """What caused a cohort: band_shift[subject] (7 emotions, bands, sources) at size 1, trials by identity."""

    settings: Settings
    band_shift: Mapping[str, DoubleArray]
    trials: Mapping[tuple[str, str, str], TrialTruth]


@dataclass(frozen=True)
class Cohort:
    """Simulated recordings and their truth."""

    recordings: tuple[Recording, ...]
    truth: Truth


@dataclass(frozen=True)
class _Person:
    """A person's constants; ``body`` (5 outputs, HIDDEN): heart rate, pulse strength, responses, level, temperature."""

    traits: Mapping[str, float]
    inner: DoubleArray  # (HIDDEN, 3)
    bias: DoubleArray  # (HIDDEN,)
    outer: DoubleArray  # (bands * sources, HIDDEN)
    heart: DoubleArray  # (HIDDEN,)
    alpha_hz: float
    amplitude: DoubleArray  # (bands, sources)
    heart_rate: float
    conductance_us: float
    temperature_degc: float

    def hidden(self, affect: DoubleArray) -> DoubleArray:
        """Map affect (..., 3) to the body's hidden answer (..., HIDDEN), 0 at zero affect."""
        return np.asarray(np.tanh(affect @ self.inner.T + self.bias) - np.tanh(self.bias))

    def reactivity(self, valence: float) -> float:
        """Size of the person's responses to stimuli of a valence."""
        trait = "neuroticism" if valence < 0 else "extraversion"
        return math.exp(0.25 * (self.traits[trait] - 3))


def read(
    root: Path | None = None,  # noqa: ARG001 (readers share one signature)
    subjects: Collection[str] | None = None,
    problems: list[Problem] | None = None,  # noqa: ARG001
    *,
    people: int = 6,
    trials_per_emotion: int = 4,
    trial_s: float = 20.0,
    effect: float = 1.0,
    fingerprint: float = 1.0,
    seed: int = 0,
    sessions: int = 1,
    baseline_s: float = 30.0,
    gap_s: float = 6.0,
    self_report: bool = False,
    mixed: bool = False,
    eyes: bool = False,
) -> list[Recording]:
    """Simulate recordings; ``subjects`` picks people out of the same cohort. See `Settings` for the options.

    ``self_report`` adds the ratings and the session's clock as a signal (see `insula.data.self_report`);
    ``mixed`` adds a rating of every emotion, 0 to 9, named after it: the nearer to the trial's own affect, the higher;
    ``eyes`` adds raw gaze, pupil and the screen's luminance (see `insula.data.readers.simulated_eyes`).
    """
    settings = Settings(people, trials_per_emotion, trial_s, effect, fingerprint, seed, sessions, baseline_s, gap_s)
    cohort = simulate(settings, subjects)
    made = list(cohort.recordings)
    if mixed:
        made = [replace(r, trials=tuple(_with_ratings(t, cohort.truth) for t in r.trials)) for r in made]
    if eyes:
        made = [replace(r, trials=tuple(_with_eyes(t, cohort.truth) for t in r.trials)) for r in made]
    return [replace(r, trials=tuple(map(_with_answers, r.trials))) for r in made] if self_report else made


def _with_eyes(trial: Trial, truth: Truth) -> Trial:
    found = truth.trials.get(trial.key)
    samples = round((trial.stop_s - trial.start_s) * syn.SLOW_HZ)
    drive = np.zeros(samples) if found is None else found.size * found.engagement * found.affect[1]
    rng = np.random.default_rng([truth.settings.seed, *trial.subject.encode(), round(trial.start_s * syn.SLOW_HZ)])
    made = simulated_eyes.eyes(rng, truth.settings.effect * drive, syn.SLOW_HZ, trial.start_s)
    return replace(trial, signals={**trial.signals, **made})


def _with_ratings(trial: Trial, truth: Truth) -> Trial:
    if trial.key not in truth.trials:
        return trial
    apart = np.array([np.square(truth.trials[trial.key].affect - np.array(to)).sum() for to in AFFECT.values()])
    ratings = np.round(9 * np.exp(-apart / 0.5), 1)  # (7,)
    return replace(trial, labels={**trial.labels, **dict(zip(EMOTIONS, ratings.tolist(), strict=True))})


def _with_answers(trial: Trial) -> Trial:
    answers = answers_signal(trial.labels, ("valence", "arousal"), trial.start_s, trial.stop_s)
    return replace(trial, signals={**trial.signals, **answers})


def people(root: Path | None = None, *, people: int = 6) -> list[str]:  # noqa: ARG001
    """Return the names of the people of a cohort of ``people``."""
    return _names(Settings(people))


def _names(settings: Settings) -> list[str]:
    return [f"p{i + 1:02d}" for i in range(settings.people)]


def simulate(settings: Settings | None = None, subjects: Collection[str] | None = None) -> Cohort:
    """Simulate a cohort and keep its truth; equal settings give equal values, whoever is picked."""
    settings = settings or Settings()
    names = _names(settings)
    for name in subjects or ():
        if name not in names:
            raise unknown_name("subject", name, names)
    stimuli = _Stimuli(np.random.default_rng([settings.seed, 0]), settings)
    recordings: list[Recording] = []
    shifts: dict[str, DoubleArray] = {}
    trials: dict[tuple[str, str, str], TrialTruth] = {}
    for number, name in enumerate(names):
        if subjects is not None and name not in subjects:
            continue
        rng = np.random.default_rng([settings.seed, 1 + number])
        person = _person(rng, stimuli.shared)
        shifts[name] = _band_shift(person, np.array([AFFECT[e] for e in EMOTIONS]), settings.effect)
        for session in range(settings.sessions):
            recording, truth = _session(rng, person, name, session, stimuli, settings)
            recordings.append(recording)
            trials.update(truth)
    return Cohort(tuple(recordings), Truth(settings, shifts, trials))


class _Stimuli:
    """Everything that all people share: the stimuli of each session and the common part of the map."""

    def __init__(self, rng: np.random.Generator, settings: Settings) -> None:
        self.shared: DoubleArray = rng.standard_normal((len(syn.BANDS) * len(syn.SOURCES), HIDDEN))
        count = len(EMOTIONS) * settings.trials_per_emotion
        self.emotion: IntArray = np.repeat(np.arange(len(EMOTIONS)), settings.trials_per_emotion)
        self.intensity: DoubleArray = rng.uniform(0.7, 1.3, (settings.sessions, count))
        self.offset: DoubleArray = 0.08 * rng.standard_normal((settings.sessions, count, 3))
        self.per_emotion = settings.trials_per_emotion

    def name(self, session: int, index: int) -> str:
        """Name a stimulus; sessions show different ones."""
        number = session * self.per_emotion + index % self.per_emotion + 1
        return f"{EMOTIONS[self.emotion[index]]}-{number:02d}"


def _person(rng: np.random.Generator, shared: DoubleArray) -> _Person:
    traits = {t: float(np.clip(round(rng.normal(3.2, 0.8), 2), 1, 5)) for t in TRAITS}
    outer = SHARED * shared + OWN * rng.standard_normal(shared.shape)
    return _Person(
        traits=traits,
        inner=1.2 * rng.standard_normal((HIDDEN, 3)),
        bias=0.4 * rng.standard_normal(HIDDEN),
        outer=outer / math.sqrt(HIDDEN),
        heart=rng.standard_normal(HIDDEN) / math.sqrt(HIDDEN),
        alpha_hz=float(rng.uniform(9.0, 11.5)),
        amplitude=np.exp(0.25 * rng.standard_normal((len(syn.BANDS), len(syn.SOURCES)))),
        heart_rate=float(rng.normal(72, 7)),
        conductance_us=float(np.exp(rng.normal(1.2, 0.4))),
        temperature_degc=float(rng.normal(33, 0.8)),
    )


def _band_shift(person: _Person, affect: DoubleArray, effect: float) -> DoubleArray:
    """Shift of the burst process for affects (..., 3) -> (..., bands, sources)."""
    flat = effect * EEG_EFFECT * person.hidden(affect) @ person.outer.T
    return np.asarray(flat.reshape(*affect.shape[:-1], len(syn.BANDS), len(syn.SOURCES)))


def _fingerprint(rng: np.random.Generator, scale: float) -> syn.Fingerprint:
    n = len(syn.CHANNELS)
    return syn.Fingerprint(
        gain=np.exp(0.15 * scale * rng.standard_normal(n)),
        offset_uv=40 * scale * rng.standard_normal(n),
        tilt=0.15 * scale * rng.standard_normal(),
        state=0.1 * scale * rng.standard_normal((len(syn.BANDS), len(syn.SOURCES))),
        blinks_per_min=float(8 * np.exp(0.5 * scale * rng.standard_normal())),
        heart_rate=2.5 * scale * rng.standard_normal(),
        conductance_us=0.25 * scale * rng.standard_normal(),
    )


def _rating(rng: np.random.Generator, affect: float) -> float:
    """Rate an affect of -1 to 1 on 1 to 9, with the noise of self-report."""
    return float(np.clip(round(5 + 3.2 * affect + 0.6 * rng.standard_normal(), 1), 1, 9))


def _engagement(rng: np.random.Generator, samples: int) -> DoubleArray:
    """Engagement (n,) in 0..1 at 4 Hz: a rise within seconds, then episodes that come and go."""
    episodes = 1 / (1 + np.exp(-6 * (syn.smooth_noise(rng, 1, samples, 2.5 * syn.SLOW_HZ)[0] + 0.2)))
    rise = 1 - np.exp(-np.arange(samples) / (1.5 * syn.SLOW_HZ))
    return np.asarray(rise * (0.3 + 0.7 * episodes))


def _session(
    rng: np.random.Generator, person: _Person, subject: str, session: int, stimuli: _Stimuli, settings: Settings
) -> tuple[Recording, dict[tuple[str, str, str], TrialTruth]]:
    """Simulate one session: a resting baseline, then every stimulus of the session in a random order."""
    order = rng.permutation(stimuli.emotion.size)
    lengths = [round(s * syn.SLOW_HZ) for s in (settings.baseline_s, settings.trial_s, settings.gap_s)]
    baseline_n, trial_n, gap_n = lengths
    total = -(-(baseline_n + order.size * (gap_n + trial_n)) // 4) * 4  # whole seconds
    start = [baseline_n + gap_n + k * (trial_n + gap_n) for k in range(order.size)]  # samples at 4 Hz
    hidden = np.zeros((total, HIDDEN))
    arousal, rate, level = np.zeros(total), np.zeros(total), np.zeros(total)
    causes: list[tuple[DoubleArray, float, DoubleArray, syn.Fingerprint]] = []
    ratings: list[dict[str, float]] = []
    resting = _fingerprint(rng, settings.fingerprint)
    for at, index in zip(start, order, strict=True):
        affect = np.array(AFFECT[EMOTIONS[stimuli.emotion[index]]]) + stimuli.offset[session, index]
        affect = affect + 0.08 * rng.standard_normal(3)
        size = stimuli.intensity[session, index] * person.reactivity(affect[0]) * math.exp(0.15 * rng.standard_normal())
        engagement, mark = _engagement(rng, trial_n), _fingerprint(rng, settings.fingerprint)
        ratings.append({t: _rating(rng, affect[k]) for k, t in enumerate(("valence", "arousal"))})
        here = slice(at, at + trial_n)
        drive = settings.effect * size * engagement
        hidden[here] = drive[:, None] * person.hidden(affect)
        arousal[here] = drive * affect[1]
        rate[here], level[here] = mark.heart_rate, mark.conductance_us
        causes.append((affect, size, engagement, mark))

    drift = syn.smooth_noise(rng, 2, total, 120 * syn.SLOW_HZ)
    tonic = np.maximum(0.3, person.conductance_us + 0.3 * drift[0] + _slowly(0.4 * arousal, 8) + _slowly(level, 4))
    eda, scr_s = syn.skin_conductance(rng, 1.3 * arousal, tonic)
    heart = person.heart_rate + 2 * drift[1] + _slowly(rate + 5 * hidden @ person.heart + 2 * arousal, 3)
    bvp, hr, beats_s = syn.pulse(rng, heart, np.exp(-0.35 * _slowly(arousal, 3)))
    slow = {
        "eda": Signal(eda[None], syn.SLOW_HZ, ("eda",), "uS"),
        "bvp": Signal(bvp[None], syn.BVP_HZ, ("bvp",), "a.u."),
        "temp": Signal(syn.temperature(rng, arousal, person.temperature_degc)[None], syn.SLOW_HZ, ("temp",), "degC"),
        "hr": Signal(hr[None], syn.HR_HZ, ("hr",), "1/min"),
    }

    def signals(
        first: int, count: int, shift: DoubleArray, engagement: DoubleArray, mark: syn.Fingerprint
    ) -> dict[str, Signal]:
        start_s, stop_s = first / syn.SLOW_HZ, (first + count) / syn.SLOW_HZ
        values = syn.eeg(rng, shift, engagement, person.alpha_hz, person.amplitude, mark)
        return {
            "eeg": Signal(values, syn.EEG_HZ, syn.CHANNELS, "uV", start_s),
            **{m: s.crop(start_s, stop_s) for m, s in slow.items()},
        }

    name = f"s{session + 1}"
    rest = np.zeros((len(syn.BANDS), len(syn.SOURCES)))
    baseline = signals(0, baseline_n, rest, np.zeros(baseline_n), resting)
    trials = [Trial(subject, name, "baseline", 0.0, baseline_n / syn.SLOW_HZ, baseline, {}, None, "baseline")]
    truth: dict[tuple[str, str, str], TrialTruth] = {}
    for number, (at, index, cause) in enumerate(zip(start, order, causes, strict=True)):
        affect, size, engagement, mark = cause
        shift = size * _band_shift(person, affect, settings.effect)
        start_s, stop_s = at / syn.SLOW_HZ, (at + trial_n) / syn.SLOW_HZ
        labels: dict[str, Label] = {"emotion": EMOTIONS[stimuli.emotion[index]], **ratings[number]}
        trial = Trial(
            subject, name, f"t{number + 1:02d}", start_s, stop_s,
            signals(at, trial_n, shift, engagement, mark), labels, stimuli.name(session, index),
        )  # fmt: skip
        trials.append(trial)
        inside = [t[(t >= start_s) & (t < stop_s)] for t in (scr_s, beats_s)]
        truth[trial.key] = TrialTruth(affect, size, engagement, shift, mark, *inside)
    provenance = {"data": "simulate", "licence": INFO.licence, "settings": repr(settings)}
    return Recording(subject, name, tuple(trials), person.traits, provenance), truth


def _slowly(x: DoubleArray, tau_s: float) -> DoubleArray:
    """Follow x (n,) at 4 Hz with a lag of ``tau_s``."""
    keep = math.exp(-1 / (tau_s * syn.SLOW_HZ))
    return np.asarray(lfilter([1 - keep], [1, -keep], x))
