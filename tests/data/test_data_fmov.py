"""Reader fmov on files written in its two column layouts, and on the real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures_fmov import PEOPLE, order_of, write_fmov

from insula.data import Problem, info, load
from insula.errors import DataError, InputError
from insula.learning.classical import ClassicalEstimator
from insula.protocols.fold import default_normaliser
from insula.windows.cutting import cut

LETTERS = {"A": "angry", "H": "happy", "N": "neutral"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fmov(tmp_path_factory.mktemp("fmov"))


def test_both_layouts_give_the_same_signals_and_both_orders_their_classes(root: Path) -> None:
    people = load("fmov", root)
    assert [r.subject for r in people] == list(PEOPLE)
    for r in people:
        clips = [t for t in r.trials if t.role == "trial"]
        rests = [t for t in r.trials if t.role == "baseline"]
        assert [t.labels["emotion"] for t in clips] == [LETTERS[letter] for letter in order_of(r.subject)]
        assert [t.labels.get("valence") for t in clips] == [
            None if letter == "N" else LETTERS[letter] for letter in order_of(r.subject)
        ]
        assert [(t.start_s, t.stop_s) for t in clips] == [(4.0 + 12 * k, 12.0 + 12 * k) for k in range(12)]
        assert [(t.start_s, t.stop_s) for t in rests] == [(2.0 + 12 * k, 4.0 + 12 * k) for k in range(12)]
        assert {m: (s.unit, s.rate_hz) for m, s in clips[0].signals.items() if m != "ecg"} == {
            "eda": ("uS", 100.0), "emg_envelope": ("mV", 100.0), "emg": ("mV", 100.0),
        }  # fmt: skip
        assert ("ecg" in clips[0].signals) == (PEOPLE[r.subject] == 10)
        rows = np.genfromtxt(root / "FMOV" / f"{r.subject}_FMOV_preprocessed.txt", delimiter="\t")
        at = {8: {"eda": [0], "emg": [1, 2], "emg_envelope": [3, 4]},
              10: {"eda": [1], "emg": [2, 4], "emg_envelope": [5, 6], "ecg": [3]}}[PEOPLE[r.subject]]  # fmt: skip
        for m, columns in at.items():
            np.testing.assert_allclose(clips[1].signals[m].values, rows[1600:2400, columns].T, rtol=1e-6)


def test_traits_treatment_and_whom_the_authors_kept(root: Path) -> None:
    nine, ten, _ = load("fmov", root)
    assert nine.traits["iri_empathic_concern"] == 0.9
    assert nine.traits["oxazepam"] == 1.0
    assert ten.traits["oxazepam"] == 0.0
    assert "iri_fantasy" not in nine.traits  # its cell is empty
    assert "oxazepam" not in load("fmov", root, treatment=False)[0].traits
    problems: list[Problem] = []
    assert [r.subject for r in load("fmov", root, included=True, problems=problems)] == ["09", "48"]
    assert "10 is not among the people whom the authors kept; left out" in [p.what for p in problems]


def test_longer_trials_end_where_the_next_baseline_begins(root: Path) -> None:
    problems: list[Problem] = []
    (nine,) = load("fmov", root, subjects=["09"], problems=problems, trial_s=11.0)
    clips = [t for t in nine.trials if t.role == "trial"]
    assert {round(t.stop_s - t.start_s, 6) for t in clips[:-1]} == {10.0}
    assert clips[-1].stop_s - clips[-1].start_s == 11.0
    assert sum("expected 11" in p.what for p in problems) == 11
    with pytest.raises(InputError, match="trial_s 0"):
        load("fmov", root, trial_s=0.0)


def test_a_wrong_table_is_named(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "FMOV"
    folder.mkdir()
    rows = (root / "FMOV" / "09_FMOV_preprocessed.txt").read_text().splitlines()
    path = folder / "09_FMOV_preprocessed.txt"
    for text, told in (
        ("\n".join(row.rsplit("\t", 2)[0] + "\t" for row in rows), "7 columns; expected 8 or 10"),
        ("\n".join(row.replace("\t", ",") for row in rows), "a comma in it"),
        ("\n".join(rows[:300]), "no clip"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=told):
            load("fmov", tmp_path)
    path.write_text("\n".join(rows[:6000]))
    problems: list[Problem] = []
    (short,) = load("fmov", tmp_path, problems=problems)
    assert short.traits == {}
    assert len([t for t in short.trials if t.role == "trial"]) == 5
    assert any("clips: 1 angry, 1 happy, 3 neutral; expected 4 of each" in p.what for p in problems)


def test_muscles_are_read_against_the_seconds_before(tmp_path: Path) -> None:
    """Every clip has a level of its own, so that only the seconds before it show who smiles."""
    people = {f"{n:02d}": 8 for n in range(1, 7)}
    made = cut(load("fmov", write_fmov(tmp_path, people)), info("fmov").recipe, "valence")
    scored = made.take((made.table["role"] == "scored").to_numpy())
    assert default_normaliser(made, personal=False) == "pre_trial"
    first = (scored.table["subject"] < "04").to_numpy()
    right = {}
    for kind in ("pre_trial", "population"):
        row = ClassicalEstimator("logistic_regression", normaliser=kind).fit(scored.take(first))
        right[kind] = float((row.predict(scored.take(~first)) == scored.take(~first).y).mean())
    assert right["pre_trial"] > right["population"] + 0.1
    assert right["pre_trial"] > 0.8


@pytest.mark.slow
def test_real_people(recordings: Path) -> None:
    problems: list[Problem] = []
    people = load("fmov", recordings / "fmov", problems=problems)
    assert len(people) == 25
    assert problems == []
    orders = ["".join(str(t.labels["emotion"])[0].upper() for t in r.trials if t.role == "trial") for r in people]
    assert set(orders) == {"NHAHAHANHNAN", "NANHNAHAHAHN"}
    assert all(len(r.trials) == 24 for r in people)
    assert {r.traits["oxazepam"] for r in people} == {0.0, 1.0}
    assert len(load("fmov", recordings / "fmov", included=True, problems=[])) == 24
