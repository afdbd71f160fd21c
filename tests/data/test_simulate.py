"""The simulator: same seed same values, a truth that its signals show, hard enough, and a leak without any emotion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from insula.data.readers.simulate import EMOTIONS, INFO, TRAITS, Cohort, Settings, read, simulate
from insula.data.readers.synthesis import BANDS, CHANNELS, MIXING, skin_conductance, smooth_noise
from insula.errors import InputError
from insula.signals.cleaner import clean_trial
from insula.signals.features import columns, trial_features
from insula.signals.features.pulse import find_pulses
from insula.signals.recipe import Recipe
from insula.types import Trial

SMALL = Settings(people=2, trials_per_emotion=2, trial_s=12.0)
TABLE = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return simulate(SMALL)


def scored(cohort: Cohort, subject: str = "p01") -> list[Trial]:
    return [t for r in cohort.recordings for t in r.trials if t.subject == subject and t.role == "trial"]


def test_shape_of_a_recording(cohort: Cohort) -> None:
    first = cohort.recordings[0]
    assert (first.subject, first.session, len(first.trials)) == ("p01", "s1", 15)
    assert first.trials[0].role == "baseline"
    assert first.trials[0].labels == {}
    assert set(first.traits) == set(TRAITS)
    assert all(1 <= v <= 5 for r in cohort.recordings for v in r.traits.values())
    trial = first.trials[3]
    assert trial.stop_s - trial.start_s == 12.0
    assert trial.start_s - first.trials[2].stop_s == SMALL.gap_s
    shapes = {m: (s.values.shape, s.rate_hz, s.unit, s.start_s) for m, s in trial.signals.items()}
    assert shapes == {
        "eeg": ((14, 3072), 256.0, "uV", trial.start_s),
        "eda": ((1, 48), 4.0, "uS", trial.start_s),
        "bvp": ((1, 768), 64.0, "a.u.", trial.start_s),
        "temp": ((1, 48), 4.0, "degC", trial.start_s),
        "hr": ((1, 12), 1.0, "1/min", trial.start_s),
    }
    assert trial.signals["eeg"].channels == CHANNELS
    for signal in trial.signals.values():
        assert np.isfinite(signal.values).all()


def test_labels_and_stimuli(cohort: Cohort) -> None:
    one, two = scored(cohort, "p01"), scored(cohort, "p02")
    for trials in (one, two):
        assert sorted(t.labels["emotion"] for t in trials) == sorted(EMOTIONS * 2)
        assert all(1 <= t.labels[k] <= 9 for t in trials for k in ("valence", "arousal"))
        assert all(t.stimulus.rsplit("-", 1)[0] == t.labels["emotion"] for t in trials)
    assert {t.stimulus for t in one} == {t.stimulus for t in two}
    assert [t.stimulus for t in one] != [t.stimulus for t in two]
    happy = [t.labels["valence"] for t in one + two if t.labels["emotion"] == "happy"]
    sad = [t.labels["valence"] for t in one + two if t.labels["emotion"] == "sad"]
    assert min(happy) > max(sad)


def test_same_seed_same_values_whoever_is_picked(cohort: Cohort) -> None:
    (alone,) = read(subjects=["p02"], people=2, trials_per_emotion=2, trial_s=12.0)
    same = cohort.recordings[1]
    assert alone.traits == same.traits
    for a, b in zip(alone.trials, same.trials, strict=True):
        assert a.labels == b.labels
        for name in a.signals:
            np.testing.assert_array_equal(a.signals[name].values, b.signals[name].values)
    other = simulate(replace(SMALL, seed=1)).recordings[1]
    assert not np.array_equal(other.trials[1].signals["eeg"].values, same.trials[1].signals["eeg"].values)


def test_sessions_show_other_stimuli_to_the_same_person() -> None:
    two = simulate(replace(SMALL, people=1, sessions=2, trials_per_emotion=1))
    a, b = two.recordings
    assert (a.session, b.session) == ("s1", "s2")
    assert a.traits == b.traits
    assert not {t.stimulus for t in a.trials if t.stimulus} & {t.stimulus for t in b.trials if t.stimulus}


def test_truth_without_effect_moves_nothing_and_keeps_the_fingerprint(cohort: Cohort) -> None:
    none = simulate(replace(SMALL, effect=0.0))
    assert all((t.band_shift == 0).all() for t in none.truth.trials.values())
    assert all((s == 0).all() for s in none.truth.band_shift.values())
    for key, truth in none.truth.trials.items():
        np.testing.assert_array_equal(truth.fingerprint.gain, cohort.truth.trials[key].fingerprint.gain)
        np.testing.assert_array_equal(truth.engagement, cohort.truth.trials[key].engagement)
    assert [t.labels for t in scored(none)] == [t.labels for t in scored(cohort)]
    plain = simulate(replace(SMALL, fingerprint=0.0))
    assert all((t.fingerprint.gain == 1).all() for t in plain.truth.trials.values())


def test_truth_maps_differ_between_people_and_are_zero_for_neutral(cohort: Cohort) -> None:
    a, b = cohort.truth.band_shift["p01"], cohort.truth.band_shift["p02"]
    assert a.shape == (7, 5, 5)
    np.testing.assert_allclose(a[EMOTIONS.index("neutral")], 0, atol=1e-12)
    rows = [k for k in range(7) if k != EMOTIONS.index("neutral")]
    assert np.corrcoef(a[rows].ravel(), b[rows].ravel())[0, 1] < 0.6


def test_eeg_power_follows_the_truth() -> None:
    """Over trials, a band's power at a channel goes with what the burst process does to the sources it sees."""
    cohort = simulate(Settings(people=1, trials_per_emotion=6, fingerprint=0.0))
    recipe = Recipe().only(["eeg"])
    noise = np.random.default_rng(0).normal(size=400)
    spread = MIXING[CHANNELS.index("O1")] ** 2
    power, cause = [], []
    for trial in scored(cohort):
        clean = clean_trial(trial, recipe)
        spec = clean.specs["eeg"]
        names = [c.name for c in columns("eeg", spec, 18.0)]
        row = trial_features("eeg", clean.signals["eeg"], clean.observed["eeg"], spec, np.array([256]), 128 * 18)[0]
        power.append([np.exp(2 * row[names.index(f"de_{band}_O1")]) for band in BANDS])
        truth = cohort.truth.trials[trial.key]
        drive = truth.band_shift[:, :, None, None] * truth.engagement[:, None] + noise  # (bands, sources, n, 400)
        level2 = ((0.4 + 1.2 / (1 + np.exp(-3 * (drive - 0.5)))) ** 2).mean(axis=(2, 3))
        cause.append(level2 @ spread)
    found = {b: np.corrcoef(np.array(power)[:, k], np.array(cause)[:, k])[0, 1] for k, b in enumerate(BANDS)}
    assert np.mean([found[b] for b in ("theta", "alpha", "beta")]) > 0.6  # blinks and background hide the others


def test_beats_of_the_truth_are_in_the_pulse(cohort: Cohort) -> None:
    recipe = Recipe().only(["bvp"])
    for trial in scored(cohort)[:5]:
        clean = clean_trial(trial, recipe)
        found = find_pulses(clean.signals["bvp"].astype(float), 64.0).time_s + trial.start_s
        beats_s = cohort.truth.trials[trial.key].beats_s
        inside = beats_s[(beats_s > found[0] - 0.2) & (beats_s < found[-1] + 0.2)]
        assert abs(len(found) - len(inside)) <= 1
        nearest = np.abs(found[:, None] - inside[None]).min(axis=1)
        assert np.median(nearest) < 0.12
        assert trial.signals["hr"].values.mean() == pytest.approx(60 / np.diff(beats_s).mean(), abs=8)


def test_conductance_responses_rise_after_their_onsets() -> None:
    rng = np.random.default_rng(0)
    x, onset_s = skin_conductance(rng, np.zeros(4 * 600), np.full(4 * 600, 5.0))
    assert 20 < len(onset_s) < 65  # 4 a minute
    first = np.array([round(4 * s) for s in onset_s if s < 595])
    assert np.mean(x[first + 5] - x[first]) > 0.05
    more = skin_conductance(np.random.default_rng(0), np.full(4 * 600, 1.0), np.full(4 * 600, 5.0))[1]
    assert len(more) > 1.8 * len(onset_s)


def test_smooth_noise_has_unit_variance_and_its_time_constant() -> None:
    x = smooth_noise(np.random.default_rng(0), 50, 4000, 20)
    assert x.std() == pytest.approx(1.0, abs=0.05)
    assert (x[:, 20:] * x[:, :-20]).mean() == pytest.approx(np.exp(-1), abs=0.06)


def test_eeg_background_falls_with_frequency(cohort: Cohort) -> None:
    x = np.concatenate([t.signals["eeg"].values for t in scored(cohort)], axis=1)
    spectrum = np.abs(np.fft.rfft(x - x.mean(axis=1, keepdims=True), axis=1)) ** 2
    hz = np.fft.rfftfreq(x.shape[1], 1 / 256)

    def at(low: float, high: float) -> float:
        return float(spectrum[:, (hz >= low) & (hz < high)].mean())

    assert at(2, 4) > at(14, 16) > at(60, 80)
    assert at(49.9, 50.1) > 20 * at(52, 60)  # the mains


@pytest.mark.parametrize(
    ("option", "value"), [("people", 0), ("trials_per_emotion", 0), ("sessions", 0), ("effect", -1.0), ("trial_s", 1.0)]
)
def test_wrong_settings_are_refused(option: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{option} .*expected"):
        Settings(**{option: value})


def test_unknown_person_is_refused() -> None:
    with pytest.raises(InputError, match="p09"):
        read(subjects=["p09"], people=2)


def tables(cohort: Cohort) -> list[TABLE]:
    """Features (N, F), emotions (N,) and trial numbers (N,) of each person, default windows."""
    recipe = INFO.recipe
    out = []
    for recording in cohort.recordings:
        rows, labels, groups = [], [], []
        for number, trial in enumerate(t for t in recording.trials if t.role == "trial"):
            clean = clean_trial(trial, recipe)
            starts_s = np.arange(recipe.guard_s, trial.stop_s - trial.start_s - recipe.window_s + 1e-6, recipe.hop_s)
            parts = []
            for name, values in clean.signals.items():
                spec = clean.specs[name]
                starts, length = (starts_s * spec.rate_hz).astype(int), int(recipe.window_s * spec.rate_hz)
                parts.append(trial_features(name, values, clean.observed[name], spec, starts, length))
            rows.append(np.hstack(parts))
            labels += [trial.labels["emotion"]] * len(starts_s)
            groups += [number] * len(starts_s)
        out.append((np.nan_to_num(np.vstack(rows)), np.array(labels), np.array(groups)))
    return out


def accuracy(people: list[TABLE], *, shuffled: bool = False) -> float:
    """Balanced accuracy of logistic regression a person, mean over people; folds hold out trials or windows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = []
    for x, y, trial in people:
        folds = StratifiedKFold(4, shuffle=True, random_state=0)
        if shuffled:
            splits = list(folds.split(x, y))
        else:
            first = np.unique(trial, return_index=True)[1]
            splits = [(np.isin(trial, a), np.isin(trial, b)) for a, b in folds.split(first, y[first])]
        said = np.empty_like(y)
        for train, test in splits:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x[train], y[train])
            said[test] = model.predict(x[test])
        scores.append(balanced_accuracy_score(y, said))
    return float(np.mean(scores))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_logistic_regression_finds_it_neither_easy_nor_impossible(seed: int) -> None:
    assert 0.45 <= accuracy(tables(simulate(Settings(seed=seed)))) <= 0.65


@pytest.mark.slow
def test_without_effect_whole_trials_score_chance_and_shuffled_windows_score_high() -> None:
    people = tables(simulate(Settings(people=12, effect=0.0)))
    assert accuracy(people) == pytest.approx(1 / 7, abs=0.04)
    assert accuracy(people[:6], shuffled=True) > 0.7
