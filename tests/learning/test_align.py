"""Alignment makes people's EEG alike by rows that are allowed, and by no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mixed_cohort import PEOPLE, RECIPE, people_told, recording, windows
from small_cohort import fresh as without_eeg
from small_cohort import scored as no_eeg

import insula
from insula.errors import InputError
from insula.learning.align import covariances
from insula.learning.riemann import TangentReader
from insula.learning.scale import SignalScaler
from insula.live.predictor import Predictor
from insula.windows.cutting import cut


def scaled(scaler: SignalScaler, person: str) -> np.ndarray:
    of = windows().scored
    own = of.take((of.table["subject"] == person).to_numpy())
    keys = list(dict.fromkeys(zip(own.table["subject"], own.table["session"], own.table["trial"], strict=True)))
    return np.concatenate([trial["eeg"] for trial in scaler.apply(own, keys).values()], 1)


@pytest.mark.parametrize("how", ["euclidean", "riemannian"])
def test_a_persons_mean_covariance_becomes_the_identity(how: str) -> None:
    plain = SignalScaler("whole_session").fit(windows())
    turned = SignalScaler("person_trials", how).fit(windows().scored)
    for person in PEOPLE:
        before, after = np.cov(scaled(plain, person)), np.cov(scaled(turned, person))
        off = ~np.eye(4, dtype=bool)
        assert np.abs(after[off]).max() < 0.15 < np.abs(before[off]).max()
        assert np.diag(after).mean() == pytest.approx(1, abs=0.3)


def test_opening_reads_no_trial_and_whole_session_does() -> None:
    louder = cut([recording(name, gain=3.0) for name in PEOPLE], RECIPE, "state")
    key = ("ann", "s1", "t0")
    for kind, same in (("opening", True), ("whole_session", False)):
        scaler = SignalScaler(kind, "euclidean").fit(windows())
        a, b = (scaler.apply(of, [key])[key]["eeg"] for of in (windows(), louder))
        assert np.allclose(a, b, atol=1e-4) == same


def test_recentred_matrices_tell_less_of_the_person_and_more_of_the_state() -> None:
    of = windows().scored
    people = of.table["subject"].tolist()
    plain = TangentReader().fit(of)(of)
    turned = TangentReader(align="riemannian", kind="opening").fit(of)(of)
    assert people_told(plain, people) > 0.9
    assert people_told(turned, people) < 0.6
    means = [np.abs(turned[of.table["subject"] == person].mean(0)).max() for person in PEOPLE]
    assert max(means) < 0.5 < np.abs(plain[of.table["subject"] == PEOPLE[0]].mean(0)).max()


@pytest.mark.slow
def test_rows_with_alignment_answer_other_people_better(tmp_path: Path) -> None:
    scores = {}
    for name in ("tangent_space", "recentred_tangent_space"):
        right = []
        for fold in insula.split("leave_one_subject_out", windows()):
            model = insula.make(name, normaliser="population" if name == "tangent_space" else "opening").fit(fold.train)
            right.append(float((model.predict(fold.test) == fold.test.y).mean()))
        scores[name] = np.mean(right)
    assert scores["recentred_tangent_space"] > scores["tangent_space"]
    model.save(tmp_path / "row")
    again = insula.load_model(tmp_path / "row")
    np.testing.assert_allclose(again.predict_proba(fold.test), model.predict_proba(fold.test), atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["opening", "person_trials"])
def test_a_network_is_aligned_and_saved(kind: str, tmp_path: Path) -> None:
    of = windows().scored
    model = insula.make("eegnet", align="riemannian", normaliser=kind, epochs=1).fit(of)
    plain = insula.make("eegnet", normaliser=kind, epochs=1).fit(of)
    assert not np.allclose(model.predict_proba(of), plain.predict_proba(of), atol=1e-3)
    model.save(tmp_path / "net")
    again = insula.load_model(tmp_path / "net")
    np.testing.assert_allclose(again.predict_proba(of), model.predict_proba(of), atol=1e-6)
    if kind == "opening":
        with pytest.raises(InputError, match="for a live model"):
            Predictor(model)  # type: ignore[arg-type]


def test_what_cannot_be_aligned_is_refused() -> None:
    with pytest.raises(InputError, match="align 'sideways'"):
        insula.make("eegnet", align="sideways")
    with pytest.raises(InputError, match="reads windows of each person"):
        insula.make("eegnet", align="euclidean", normaliser="population").fit(windows().scored)
    row = insula.make("recentred_tangent_space", normaliser="population").fit(windows().scored)
    assert row.notes == ("no windows of each person to re-centre by under population: all turned alike",)
    without_eeg()
    with pytest.raises(InputError, match="without EEG"):
        insula.make("tcn", align="euclidean", normaliser="opening", epochs=1).fit(no_eeg())


def test_covariances_are_read_in_parts() -> None:
    found = covariances(windows())
    assert found.shape == (len(windows()), 4, 4)
    assert np.isfinite(found).all()
