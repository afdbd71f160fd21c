"""What `describe` says of recordings whose properties are known by construction."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from insula.data import Problem
from insula.data.check import window_table
from insula.data.faults import Fault, runs, trial_faults
from insula.errors import InputError
from insula.protocols.describing import describe
from insula.protocols.protocols import PROTOCOLS
from insula.protocols.schedule import schedule
from insula.signals.recipe import Recipe
from insula.types import Recording, Signal, Trial

RECIPE = Recipe(window_s=10.0, hop_s=5.0, guard_s=0.0, opening_s=0.0).only(("eda", "bvp"))


def session(
    subject: str, labels: list[str], seconds: list[float], name: str = "only", gap_s: float = 0.0, role: str = "trial"
) -> Recording:
    rng = np.random.default_rng(sum(map(ord, subject)))
    trials, at = [], 0.0
    for i, (label, length) in enumerate(zip(labels, seconds, strict=True)):
        values = rng.normal(2, 0.1, size=(1, int(length * 4))).astype(np.float32)
        eda = Signal(values, 4.0, ("EDA",), "uS", at)
        trials.append(
            Trial(subject, name, f"t{i}", at, at + length, {"eda": eda}, {"state": label}, label, role)  # type: ignore[arg-type]
        )
        at += length + gap_s
    return Recording(subject, name, tuple(trials), {"o": 1.0}, {"files": f"{subject}.csv"})


def test_counts_minutes_windows_gaps_and_json() -> None:
    people = [session(s, ["rest", "load", "rest"], [60, 30, 20], gap_s=2.5) for s in ("a", "b", "c")]
    told = describe(people, RECIPE, problems=[Problem("x.csv", "odd", False)])
    assert (told.people, told.recordings, told.trials, told.traits) == (("a", "b", "c"), 3, 9, ("o",))
    assert told.trial_seconds == (20, 30, 60)
    rested = replace(people[0], trials=(replace(people[0].trials[0], role="baseline"), *people[0].trials[1:]))
    apart = describe([rested], RECIPE)
    assert (apart.trials, apart.rests, apart.trial_seconds) == (2, 1, (20, 25, 30))
    (eda,) = told.modalities
    assert (eda.modality, eda.rates_hz, eda.channels, eda.units, eda.trials) == ("eda", (4.0,), (("EDA",),), ("uS",), 9)
    assert (eda.minutes, eda.missing) == (5.5, 0)
    (state,) = told.targets
    assert state.trials == {"load": 3, "rest": 6}
    assert state.minutes == pytest.approx({"load": 1.5, "rest": 4.0})
    assert state.windows == {"load": 15, "rest": 3 * (11 + 3)}
    assert [(g.subject, g.after, g.before, g.seconds) for g in told.gaps[:2]] == [
        ("a", "t0", "t1", 2.5), ("a", "t1", "t2", 2.5),
    ]  # fmt: skip
    plain = json.loads(json.dumps(told.to_dict(), allow_nan=False))
    assert plain["targets"][0]["schedule"]["agreement"] == 1.0
    assert plain["problems"] == [{"file": "x.csv", "what": "odd", "fatal": False, "columns": [], "trial": None}]


def test_time_marked_by_each_flag_is_told_for_what_the_recipe_knows() -> None:
    one = session("a", ["rest", "load"], [30, 30])
    spoiled = one.trials[1].signals["eda"].values.copy()
    spoiled[0, 20:80] = 2.0  # 15 of 60 s stand still
    spoiled[0, 100:112] = np.nan  # 3 of 60 s are missing
    eda = Signal(spoiled, 4.0, ("EDA",), "uS", one.trials[1].start_s)
    odd = Signal(spoiled, 4.0, ("X",), "V", one.trials[1].start_s)
    trial = replace(one.trials[1], signals={"eda": eda, "eog": odd})
    told = describe([replace(one, trials=(one.trials[0], trial))], RECIPE)
    assert {m.modality: m.flags for m in told.modalities} == {"eda": {"flat": 0.25, "gap": 0.05}, "eog": {}}
    assert told.to_dict()["modalities"][0]["flags"] == {"flat": 0.25, "gap": 0.05}


def test_windows_are_those_that_will_be_cut() -> None:
    from insula.windows.cutting import cut

    people = [session(s, ["rest", "load", "rest"], [61, 33, 24], gap_s=2.5) for s in ("a", "b")]
    recipe = Recipe(window_s=10.0, hop_s=5.0, guard_s=3.0, opening_s=25.0).only(("eda",))
    table = window_table(people, "state", recipe)
    real = cut(people, recipe, "state").everything().table
    columns = ["subject", "trial", "trial_index", "start_s", "stop_s", "elapsed_s", "role", "y"]
    pd.testing.assert_frame_equal(
        table[columns].reset_index(drop=True), real[columns].reset_index(drop=True), check_dtype=False
    )
    assert set(table["role"]) == {"scored", "reference"}


def test_people_without_labels_and_baselines_are_not_counted() -> None:
    people = [session("a", ["x", "y"], [30, 30]), session("b", ["x", "y"], [30, 30])]
    bare = Trial("c", "only", "t", 0, 30, people[0].trials[0].signals)
    people.append(Recording("c", "only", (bare,)))
    people.append(session("d", ["x"], [30], role="baseline"))
    (state,) = describe(people, RECIPE).targets
    assert (state.people, state.people_without) == (2, ("c", "d"))
    assert state.trials == {"x": 2, "y": 2}


def test_ratings_have_a_range_and_no_schedule() -> None:
    people = [session(s, ["x", "y"], [30, 30]) for s in ("a", "b")]
    rated = [
        Recording(
            r.subject,
            r.session,
            tuple(
                Trial(t.subject, t.session, t.trial, t.start_s, t.stop_s, t.signals, {"valence": 2.0 + i})
                for i, t in enumerate(r.trials)
            ),
        )
        for r in people
    ]
    (valence,) = describe(rated, RECIPE).targets
    assert (valence.continuous, valence.value_range, valence.schedule) == (True, (2.0, 2.5, 3.0), None)


def test_shared_schedule_is_told_from_shuffled_orders() -> None:
    rng = np.random.default_rng(0)
    fixed = [session(f"p{i}", ["a", "b", "c", "a"], [40 + i, 30, 30, 40]) for i in range(8)]
    shuffled = [session(f"p{i}", list(rng.permutation(list("abcabc"))), [30] * 6) for i in range(20)]
    paced = [session(f"p{i}", list("abcabcabc"), list(rng.uniform(10, 90, 9))) for i in range(12)]
    one, other, third = (schedule(window_table(r, "state", RECIPE)) for r in (fixed, shuffled, paced))
    assert one is not None
    assert one.shared
    assert one.agreement > 0.9
    assert other is not None
    assert not other.shared
    assert other.kappa < 0.15
    assert third is not None  # equal order at each person's own pace: the trial's number tells the label
    assert third.order_agreement == 1.0
    assert third.kappa < 0.3
    assert schedule(window_table(fixed[:1], "state", RECIPE)) is None


def test_sessions_are_compared_with_sessions_of_the_same_name() -> None:
    people = [
        session(s, labels, [30, 30], name) for s in "abc" for name, labels in (("1", ["x", "y"]), ("2", ["y", "x"]))
    ]
    found = schedule(window_table(people, "state", RECIPE))
    assert found is not None
    assert (found.agreement, found.order_agreement) == (1.0, 1.0)


def test_data_check_and_evaluate_find_the_same_schedule() -> None:
    from insula.evaluation.results import Result
    from insula.evaluation.system import System

    for paces in (None, np.random.default_rng(0)):
        people = [
            session(f"p{i}", list("abcabcabc"), [30] * 9 if paces is None else list(paces.uniform(20, 90, 9)))
            for i in range(8)
        ]
        (told,) = describe(people, RECIPE).targets
        table = window_table(people, "state", RECIPE)
        names = np.array(["a", "b", "c"])[table["y"]]
        predictions = table.assign(system="m", fold="0", y_true=names, y_pred="a", p_a=1.0, p_b=0.0, p_c=0.0)
        system = System("m", "M", "model", "trial", "population", False, False, None, 0.0)
        found = Result("state", ("a", "b", "c"), {"name": "within_subject"}, (system,), predictions)
        assert told.schedule is not None
        assert told.schedule.shared == found.shared_schedule


def test_opening_label_is_told() -> None:
    same = [session(s, ["rest", "load"], [60, 60]) for s in ("a", "b")]
    mixed = [same[0], session("b", ["load", "rest"], [60, 60])]
    recipe = Recipe(window_s=10.0, hop_s=5.0, guard_s=0.0, opening_s=30.0).only(("eda",))
    told = describe(same, recipe).targets[0].opening
    assert told is not None
    assert "all 2 sessions open with 'rest': normalising by their first 30 s" in told
    assert describe(mixed, recipe).targets[0].opening is None
    without = describe(same, RECIPE).targets[0].opening
    assert without is not None
    assert "normalising" not in without


def test_protocols_with_reasons_that_call_classes_by_label() -> None:
    people = [session(s, ["rest", "load"], [60, 60]) for s in ("a", "b", "c")]
    (state,) = describe(people, RECIPE).targets
    assert set(state.protocols) == set(PROTOCOLS)
    assert state.protocols["leave_one_subject_out"] is None
    why = state.protocols["within_subject"]
    assert why is not None
    assert "1 trial of class 'load'" in why
    assert state.protocols["cross_session"] is not None


def faults_of(modality: str, values: np.ndarray, rate_hz: float) -> list[tuple[str, str, float]]:
    names = tuple(f"c{i}" for i in range(len(values)))
    signal = Signal(values.astype(np.float32), rate_hz, names, "uV")
    trial = Trial("a", "only", "t", 0, values.shape[1] / rate_hz, {modality: signal})
    return [(f.channel, f.what, f.fraction) for f in trial_faults(trial)]


def test_constant_flat_clipped_and_missing_channels_are_found() -> None:
    rng = np.random.default_rng(0)
    eeg = rng.normal(size=(6, 1000)) * 20
    eeg[1] = 7.0
    eeg[2, 200:400] = eeg[2, 200]  # 2 s of 10
    eeg[3] = np.clip(np.repeat(eeg[3, ::5], 5)[:1000] * 3, -30, 30)
    eeg[4, 100:200] = np.nan
    eeg[5] = np.nan
    found = {(channel, what): fraction for channel, what, fraction in faults_of("eeg", eeg, 100.0)}
    clipped = found.pop(("c3", "clipped"))
    assert 0.4 < clipped < 0.8  # two thirds of a normal variable lie outside half a deviation
    assert found == {("c1", "flat"): 1.0, ("c2", "flat"): 0.2, ("c4", "missing"): 0.1, ("c5", "missing"): 1.0}


def test_slow_sensors_may_repeat_values() -> None:
    temperature = np.repeat([33.0, 33.02, 33.04], 200)[None]
    assert faults_of("temp", temperature, 4.0) == []
    assert faults_of("temp", np.full((1, 600), 33.0), 4.0) == [("c0", "flat", 1.0)]


def test_runs_cover_the_samples() -> None:
    first, length = runs(np.array([1, 1, 2, np.nan, np.nan, 2, 2, 2], np.float32))
    assert first.tolist() == [0, 2, 3, 4, 5]
    assert length.tolist() == [2, 1, 1, 1, 3]


def test_short_trials_and_differing_channels_are_problems() -> None:
    people = [session("a", ["x", "y"], [30, 5]), session("b", ["x", "y"], [30, 30])]
    other = Signal(np.ones((2, 120), np.float32), 4.0, ("EDA", "EDA2"), "uS")
    people.append(Recording("c", "only", (Trial("c", "only", "t", 0, 30, {"eda": other}, {"state": "x"}),)))
    told = describe(people, RECIPE)
    assert [p.what for p in told.problems] == [
        "trial 't1' of a lasts 5.0 s; a window needs 0 s guard and 10 s",
        "channels of eda differ between trials: EDA in 4 and EDA,EDA2 in 1",
    ]
    assert told.faults == (
        Fault("c", "only", "t", "eda", "EDA", "flat", 1.0),
        Fault("c", "only", "t", "eda", "EDA2", "flat", 1.0),
    )


def test_nothing_to_describe_is_an_error_with_the_reason() -> None:
    with pytest.raises(InputError, match=r"0 recordings; expected at least one to describe\. a\.csv: gone"):
        describe([], problems=[Problem("a.csv", "gone", True)])
