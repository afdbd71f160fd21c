"""Windows lie inside trials, on a grid of hops, and their signals are slices of what was cleaned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cohort import RECIPE, cohort, recording, trial, windows

from insula.errors import DataError, InputError, SchemaError
from insula.signals.cleaner import clean_trial
from insula.signals.recipe import Recipe
from insula.types import Recording, Signal, Trial
from insula.windows.cutting import cut
from insula.windows.table import label_text


def session(*trials: Trial, subject: str = "ann") -> Recording:
    return Recording(subject, "s1", trials)


def pair(first_s: float, second_s: float) -> Recording:
    rng = np.random.default_rng(0)
    return session(
        trial(rng, "ann", "a", 0.0, first_s, 0.0, labels={"state": "calm"}),
        trial(rng, "ann", "b", first_s, second_s, 1.0, labels={"state": "tense"}),
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(9, 40), st.integers(1, 4), st.integers(0, 3), st.integers(1, 2))
def test_every_window_lies_inside_its_trial_on_the_grid(seconds: int, hops: int, guard_s: int, hop_s: int) -> None:
    recipe = Recipe(window_s=float(hops * hop_s), hop_s=float(hop_s), guard_s=float(guard_s)).only(["eda", "hr"])
    made = pair(float(seconds), float(seconds + 3))
    if seconds < guard_s + hops * hop_s:
        return
    table = cut([made], recipe, "state").table
    for one in made.trials:
        rows = table[table["trial"] == one.trial]
        expected = np.arange(one.start_s + guard_s, one.stop_s - recipe.window_s + 1e-9, hop_s)
        np.testing.assert_allclose(rows["start_s"], expected)
        np.testing.assert_allclose(rows["stop_s"] - rows["start_s"], recipe.window_s)
        assert (rows["stop_s"] <= one.stop_s + 1e-9).all()
        np.testing.assert_allclose(rows["stop_s"], one.start_s + guard_s + (rows["hop"] + 1) * hop_s)


def test_table_says_where_each_window_is() -> None:
    table = windows().table
    made = {t.key: t for r in cohort() for t in r.trials}
    assert len(table) == 3 * (3 + 6 * 4)
    for row in table.itertuples():
        one = made[(row.subject, row.session, row.trial)]
        assert row.stimulus == one.stimulus
        assert row.role == ("reference" if one.role == "baseline" else "scored")
        assert row.elapsed_s == pytest.approx(row.stop_s)  # sessions begin at 0
        if one.role == "trial":
            assert label_text(windows().schema, row.y) == one.labels["state"]
            assert row.trial_index == int(row.trial[1:]) + 1  # the baseline is trial 0
        else:
            assert row.y == -1
    assert windows().y.dtype == np.int64
    assert windows("valence").y.dtype == np.float64
    assert windows("valence").schema.continuous


def test_elapsed_time_counts_from_the_first_trial() -> None:
    made = recording("ann")
    moved = Recording("ann", "s1", tuple(_moved(t, 1000.0) for t in made.trials), made.traits)
    early, late = (cut([r], RECIPE, "state") for r in (made, moved))
    np.testing.assert_allclose(early.table["elapsed_s"], late.table["elapsed_s"])
    np.testing.assert_allclose(early.table["start_s"] + 1000, late.table["start_s"])
    np.testing.assert_array_equal(early.signals()[0]["eda"], late.signals()[0]["eda"])


def _moved(one: Trial, by_s: float) -> Trial:
    signals = {m: replace(s, start_s=s.start_s + by_s) for m, s in one.signals.items()}
    return replace(one, start_s=one.start_s + by_s, stop_s=one.stop_s + by_s, signals=signals)


def test_opening_is_reference_and_windows_across_its_end_are_dropped() -> None:
    recipe = replace(RECIPE, opening_s=9.0)
    with_baseline = cut(cohort(), recipe, "state")
    assert len(with_baseline) == len(windows())  # the resting baseline serves instead
    bare = cut([recording("ann", baseline_s=0.0)], recipe, "state").table
    first = bare[bare["trial"] == "t0"]
    assert first["start_s"].tolist() == [2.0, 4.0]  # 6..10 straddles the end at 9 s; 8..12 too
    assert first["role"].tolist() == ["reference", "reference"]
    assert (bare[bare["trial"] != "t0"]["role"] == "scored").all()


def test_signals_are_slices_of_the_cleaned_trial() -> None:
    found = windows()
    rows = [0, 5, 17, 40]
    values, observed = found.signals(rows)
    made = {t.key: t for r in cohort() for t in r.trials}
    for i, row in enumerate(rows):
        record = found.table.iloc[row]
        clean = clean_trial(made[(record["subject"], record["session"], record["trial"])], found.recipe)
        for m, spec in found.schema.modalities.items():
            first = round((record["start_s"] - clean.start_s) * spec.rate_hz)
            last = round((record["stop_s"] - clean.start_s) * spec.rate_hz)
            np.testing.assert_array_equal(values[m][i], clean.signals[m][:, first:last])
            np.testing.assert_array_equal(observed[m][i], clean.observed[m][first:last])
            assert values[m].shape[2] == round(RECIPE.window_s * spec.rate_hz)


def test_modalities_keep_their_own_rates_and_the_recipes_order() -> None:
    rates = {m: s.rate_hz for m, s in windows().schema.modalities.items()}
    assert rates == {"eda": 4.0, "bvp": 64.0, "hr": 1.0}
    chosen = cut(cohort(), RECIPE, "state", modalities=["hr", "eda"])
    assert list(chosen.schema.modalities) == ["hr", "eda"]
    assert chosen.present().shape == (len(chosen), 2)


def test_take_is_a_view_that_keeps_features_and_labels() -> None:
    found = windows()
    rows = np.array([40, 3, 7])
    part = found.take(rows)
    assert part.table["start_s"].tolist() == found.table["start_s"].iloc[rows].tolist()
    np.testing.assert_array_equal(part.present(), found.present()[rows])
    for m, values in part.features().items():
        np.testing.assert_array_equal(values, found.features()[m][rows])
        np.testing.assert_array_equal(part.signals()[0][m], found.signals(rows)[0][m])
    np.testing.assert_array_equal(part.take([1]).table["start_s"], found.take([3]).table["start_s"])
    mask = found.table["subject"].to_numpy() == "bob"
    assert set(found.take(mask).table["subject"]) == {"bob"}
    assert len(found.take([])) == 0
    assert len(part.everything()) == len(found)


def test_new_labels_are_kept_by_what_is_taken() -> None:
    found = windows()
    other = 1 - found.y
    shuffled = found.with_y(other)
    np.testing.assert_array_equal(shuffled.y, other)
    np.testing.assert_array_equal(shuffled.take([4, 2, 9]).y, other[[4, 2, 9]])
    np.testing.assert_array_equal(shuffled.take([4, 2, 9]).take([1]).y, other[[2]])
    np.testing.assert_array_equal(found.y, 1 - other)


def test_traits_by_person_and_nan_where_unknown() -> None:
    first, second = recording("ann"), replace(recording("bob"), traits={"openness": 2.0})
    found = cut([first, second], RECIPE, "state")
    assert found.schema.traits == ("extraversion", "openness")
    traits, bob = found.traits(), (found.table["subject"] == "bob").to_numpy()
    assert np.isnan(traits[bob, 0]).all()
    assert (traits[bob, 1] == 2.0).all()
    assert np.isfinite(traits[~bob]).all()
    assert cut([first, second], RECIPE, "state", traits=False).traits().shape == (len(found), 0)


def test_absent_modality_is_not_present_and_zero() -> None:
    whole = recording("ann")
    last = whole.trials[-1]
    less = replace(last, signals={m: s for m, s in last.signals.items() if m != "bvp"})
    found = cut([replace(whole, trials=(*whole.trials[:-1], less))], RECIPE, "state")
    there = (found.table["trial"] == last.trial).to_numpy()
    column = list(found.schema.modalities).index("bvp")
    assert not found.present()[there, column].any()
    assert found.present()[~there, column].all()
    values, observed = found.signals(np.flatnonzero(there))
    assert not values["bvp"].any()
    assert not observed["bvp"].any()
    assert np.isnan(found.features()["bvp"][there]).all()
    assert np.isfinite(found.features()["hr"][there]).any()


def test_mostly_missing_samples_are_not_present_and_nothing_left_is_an_error() -> None:
    whole = recording("ann", trials=4)

    def without(one: Trial, modalities: tuple[str, ...]) -> Trial:
        dead = {m: replace(s, values=np.full_like(s.values, np.nan)) for m, s in one.signals.items() if m in modalities}
        return replace(one, signals={**one.signals, **dead})

    half = replace(whole, trials=(*whole.trials[:-1], without(whole.trials[-1], ("eda", "bvp", "hr"))))
    found = cut([half], RECIPE, "state")
    assert whole.trials[-1].trial not in set(found.table["trial"])
    assert any("no modality observed" in note for note in found.notes)
    dead = replace(whole, trials=tuple(without(t, ("eda", "bvp", "hr")) for t in whole.trials))
    with pytest.raises(InputError, match="no scored window with 50% of a signal"):
        cut([dead], RECIPE, "state")


def test_fingerprint_changes_with_any_sample_label_trait_or_recipe() -> None:
    made = recording("ann", trials=2)
    reference = cut([made], RECIPE, "state").fingerprint()
    assert cut([made], RECIPE, "state").fingerprint() == reference
    for modality in ("eda", "bvp", "hr"):
        one = made.trials[1]
        values = one.signals[modality].values.copy()
        values[0, values.shape[1] // 2] += 0.5
        signals = {**one.signals, modality: replace(one.signals[modality], values=values)}
        other = replace(made, trials=(made.trials[0], replace(one, signals=signals), *made.trials[2:]))
        assert cut([other], RECIPE, "state").fingerprint() != reference
    assert cut([made], RECIPE, "valence").fingerprint() != reference
    assert cut([made], replace(RECIPE, guard_s=3.0), "state").fingerprint() != reference
    assert cut([replace(made, traits={"openness": 9.0})], RECIPE, "state").fingerprint() != reference


def test_short_trials_are_left_out_and_noted() -> None:
    rng = np.random.default_rng(0)
    made = session(
        trial(rng, "ann", "a", 0.0, 12.0, 0.0, labels={"state": "calm"}),
        trial(rng, "ann", "short", 12.0, 5.0, 0.0, labels={"state": "calm"}),
        trial(rng, "ann", "b", 17.0, 12.0, 1.0, labels={"state": "tense"}),
    )
    found = cut([made], RECIPE, "state")
    assert set(found.table["trial"]) == {"a", "b"}
    assert found.notes == ("1 trial shorter than guard and window left out",)
    assert found.table.set_index("trial")["trial_index"].to_dict() == {"a": 0, "b": 2}
    found.note(["one more", "one more"])
    assert found.take([0]).notes == ("1 trial shorter than guard and window left out", "one more")
    with pytest.raises(InputError, match="Shorten window_s or guard_s"):
        cut([made], replace(RECIPE, window_s=60.0), "state")


def test_unlabelled_trials_are_not_cut_and_nan_is_no_label() -> None:
    made = recording("ann")
    labelled = [t for t in made.trials if t.role == "trial"]
    bare, nan = replace(labelled[0], labels={"state": "calm"}), replace(labelled[1], labels={"valence": float("nan")})
    found = cut([replace(made, trials=(made.trials[0], bare, nan, *labelled[2:]))], RECIPE, "valence")
    assert set(found.table["trial"]) == {"base", "t2", "t3", "t4", "t5"}
    assert np.isfinite(found.y[(found.table["role"] == "scored").to_numpy()]).all()


def test_one_class_is_an_error_before_and_after_the_cutting() -> None:
    rng = np.random.default_rng(0)
    calm = [trial(rng, "ann", f"t{i}", 12.0 * i, 12.0, 0.0, labels={"state": "calm"}) for i in range(2)]
    with pytest.raises(InputError, match="one class only, 'calm'"):
        cut([session(*calm)], RECIPE, "state")
    short = trial(rng, "ann", "x", 24.0, 3.0, 0.0, labels={"state": "tense"})
    with pytest.raises(InputError, match="windows of one class only, 'calm'"):
        cut([session(*calm, short)], RECIPE, "state")


def test_twice_the_same_trial_is_an_error() -> None:
    with pytest.raises(DataError, match=r"\('ann', 's1', 'base'\) twice"):
        cut([recording("ann"), recording("ann")], RECIPE, "state")


def test_channels_that_differ_between_recordings_are_an_error() -> None:
    def renamed(one: Trial) -> Trial:
        eda = one.signals["eda"]
        other = Signal(eda.values, eda.rate_hz, ("GSR",), eda.unit, eda.start_s)
        return replace(one, signals={**one.signals, "eda": other})

    other = recording("bob")
    with pytest.raises(DataError, match=r"eda of trial bob/s1/base has channels \('GSR',\)"):
        cut([recording("ann"), replace(other, trials=tuple(map(renamed, other.trials)))], RECIPE, "state")


def test_unknown_target_and_modality() -> None:
    with pytest.raises(InputError, match="Did you mean 'state'"):
        cut(cohort(), RECIPE, "stat")
    with pytest.raises(InputError, match="modality 'eeg' in no recording; expected some of bvp, eda, hr"):
        cut(cohort(), RECIPE, "state", modalities=["eeg"])


def test_without_a_target_every_trial_is_cut_and_no_label_read() -> None:
    bare = cut(cohort(), RECIPE, None)
    assert len(bare) == len(windows())
    assert set(bare.y) == {-1}
    assert (bare.schema.target, bare.schema.classes) == ("", ())


def test_for_a_model_every_trial_is_cut_with_the_models_schema() -> None:
    model = windows()
    bare = [replace(r, trials=tuple(replace(t, labels={}) for t in r.trials)) for r in cohort()]
    found = cut(bare, model.recipe, None, schema=model.schema)
    assert found.schema == model.schema
    assert (found.y == -1).all()
    np.testing.assert_array_equal(found.table["start_s"], model.table["start_s"])
    less = [replace(r, trials=tuple(replace(t, signals={"eda": t.signals["eda"]}) for t in r.trials)) for r in bare]
    with pytest.raises(SchemaError, match="the model reads eda, bvp, hr; the data have eda"):
        cut(less, model.recipe, None, schema=model.schema)
    units = [replace(r, trials=tuple(_in_unit(t, "nS") for t in r.trials)) for r in bare]
    with pytest.raises(SchemaError, match=r"the model differs from the data: eda: .*uS against .*nS"):
        cut(units, model.recipe, None, schema=model.schema)


def _in_unit(one: Trial, unit: str) -> Trial:
    return replace(one, signals={**one.signals, "eda": replace(one.signals["eda"], unit=unit)})


def test_progress_counts_trials() -> None:
    said: list[tuple[int, int]] = []
    cut([recording("ann", trials=2)], RECIPE, "state", progress=lambda done, total: said.append((done, total)))
    assert said == [(1, 3), (2, 3), (3, 3)]
