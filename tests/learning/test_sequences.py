"""Stretches and single windows are two views of the same samples; padding carries nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_cohort import RECIPE, recording, scored, windows

from insula.learning.batches import Prepared, batches, by_length, input_spec, spec_of, without
from insula.learning.feed import Feed
from insula.learning.level import Normaliser
from insula.learning.scale import SignalScaler
from insula.windows.cutting import cut
from insula.windows.table import Windows


def prepare(of: Windows, known: Windows | None = None) -> Prepared:
    base = scored() if known is None else known
    n = len(base.schema.traits)
    traits = (np.zeros(n, np.float32), np.ones(n, np.float32))
    return Prepared(of, SignalScaler("opening").fit(base), Normaliser("opening").fit(base), traits)


def uneven() -> Windows:
    """Two sessions with trials of different lengths."""
    return cut([recording("ann", trial_s=12.0), recording("bob", trial_s=17.0, trials=4)], RECIPE, "state")


@pytest.mark.parametrize("scope", ["trial", "session"])
def test_stretches_hold_the_samples_of_the_single_windows(scope: str) -> None:
    found = uneven()
    prepared = prepare(scored(found), scored(found))
    items = prepared.items(scope)
    whole = prepared.stretches(items)
    rows = np.flatnonzero(prepared.asked >= 0)
    singles = prepared.singles(rows)
    per_window = round(RECIPE.hops_per_window)
    place = {int(r): (b, n) for b, item in enumerate(items) for n, r in enumerate(item.rows) if r >= 0}
    for i, row in enumerate(rows):
        b, n = place[int(row)]
        for m, spec in found.schema.modalities.items():
            hop = round(RECIPE.hop_s * spec.rate_hz)
            span = slice((n + 1 - per_window) * hop, (n + 1) * hop)
            assert torch.equal(singles.batch.signals[m][i], whole.batch.signals[m][b, :, span])
            assert torch.equal(singles.batch.observed[m][i], whole.batch.observed[m][b, span])
            torch.testing.assert_close(
                singles.batch.features[m][i], whole.batch.features[m][b, n], equal_nan=True, rtol=0, atol=0
            )
        assert torch.equal(singles.batch.present[i], whole.batch.present[b, n])
        assert singles.y[i, 0] == whole.y[b, n]
        assert singles.row[i, 0] == whole.row[b, n] == prepared.asked[row]
    assert int(whole.weight.sum()) == len(rows) == int(singles.weight.sum())


def test_padding_and_hops_without_a_window_carry_no_label() -> None:
    found = uneven()
    prepared = prepare(scored(found), scored(found))
    items = prepared.items("trial")
    whole = prepared.stretches(items)
    assert len({len(i) for i in items}) == 2  # so that there is padding
    for b, item in enumerate(items):
        assert not whole.weight[b, : round(RECIPE.hops_per_window) - 1].any()
        assert not whole.weight[b, len(item) :].any()
        assert (whole.row[b, len(item) :] == -1).all()
        assert not whole.batch.present[b, len(item) :].any()
        for m, spec in found.schema.modalities.items():
            first = len(item) * round(RECIPE.hop_s * spec.rate_hz)
            assert not whole.batch.observed[m][b, first:].any()
            assert not whole.batch.signals[m][b, :, first:].any()
            assert whole.batch.features[m][b, len(item) :].isnan().all()


def test_session_scope_joins_trials_in_time_order_with_the_gap_as_elapsed_time() -> None:
    found = uneven()
    prepared = prepare(scored(found), scored(found))
    items = prepared.items("session")
    assert [i.trials[0][0] for i in items] == ["ann", "bob"]
    for item, seconds in zip(items, (12.0, 17.0), strict=True):
        assert [k[2] for k in item.trials] == [f"t{n}" for n in range(len(item.trials))]
        used = np.floor((seconds - RECIPE.guard_s) / RECIPE.hop_s) * RECIPE.hop_s
        gap_s = 3.0 + seconds - used  # between trials, the guard included
        assert item.gaps_s == (0.0, *[pytest.approx(gap_s)] * (len(item.trials) - 1))
        starts = prepared.windows.table["start_s"].to_numpy()[item.rows[item.rows >= 0]]
        assert (np.diff(starts) > 0).all()
    whole = prepared.stretches(items)
    for m, spec in found.schema.modalities.items():
        since = whole.batch.elapsed_s[m][0, :, 0].numpy()
        first = np.cumsum([0, *items[0].hops[:-1]]) * round(RECIPE.hop_s * spec.rate_hz)
        expected = np.full(since.size, 1 / spec.rate_hz)
        expected[first] += items[0].gaps_s
        np.testing.assert_allclose(since, expected, rtol=1e-6)
    trial = prepared.stretches(prepared.items("trial"))
    for m, spec in found.schema.modalities.items():
        np.testing.assert_allclose(trial.batch.elapsed_s[m].numpy(), 1 / spec.rate_hz, rtol=1e-6)


def test_only_asked_rows_are_labelled_and_the_others_still_pass_through() -> None:
    base = scored()
    asked = base.take([0, 2, 9])
    prepared = prepare(asked)
    assert {k[:1] + k[2:] for k in prepared.signals} == {
        (s, t) for s, t in zip(asked.table["subject"], asked.table["trial"], strict=True)
    }
    whole = prepared.stretches(prepared.items("trial"))
    assert sorted(whole.row[whole.weight > 0].tolist()) == [0, 1, 2]
    assert (whole.row[whole.weight == 0] == -1).all()
    values = {int(r): float(y) for r, y in zip(whole.row.flatten(), whole.y.flatten(), strict=True) if r >= 0}
    assert [values[i] for i in range(3)] == asked.y.tolist()
    assert len(prepared.windows) > len(asked)  # the trials' other windows
    reference = windows().take((windows().table["trial"] == "t0").to_numpy())
    assert not set(prepare(reference).windows.table["role"]) - {"scored"}


def test_given_labels_are_used_not_those_of_the_table() -> None:
    flipped = scored().with_y(1 - scored().y)
    prepared = prepare(flipped)
    whole = prepared.stretches(prepared.items("trial"))
    keep = whole.row >= 0
    np.testing.assert_array_equal(whole.y[keep].numpy(), flipped.y[whole.row[keep].numpy()])


def test_batches_hold_every_item_once_in_the_order_given() -> None:
    prepared = prepare(scored(uneven()), scored(uneven()))
    items = prepared.items("trial")
    order = np.random.default_rng(0).permutation(len(items))
    groups = list(batches(items, 3, order))
    assert [i.trials for g in groups for i in g] == [items[k].trials for k in order]
    assert [len(g) for g in groups] == [3, 3, 3, 1]
    ranked = [len(items[k]) for k in by_length(items)]
    assert ranked == sorted(ranked)


def test_training_batches_mix_classes_whose_trials_differ_in_length() -> None:
    """Sorted by length, every batch would hold one class: calm trials are short here and tense ones long."""
    people = []
    for name in ("ann", "bob", "cat", "dan"):
        made = recording(name)
        last = 0.0
        trials = []
        for t in made.trials:
            seconds = 8.0 if t.labels.get("state") == "calm" else 12.0
            cut_to = {
                m: replace(s, values=s.values[:, : round(seconds * s.rate_hz)], start_s=last)
                for m, s in t.signals.items()
            }
            trials.append(replace(t, start_s=last, stop_s=last + seconds, signals=cut_to))
            last += seconds + 2
        people.append(replace(made, trials=tuple(trials)))
    found = scored(cut(people, RECIPE, "state"))
    feed = Feed(prepare(found, found), "trial")
    lengths = {len(i): set(feed.prepared.y[i.rows[i.rows >= 0]]) for i in feed.items}
    assert [len(labels) for labels in lengths.values()] == [1, 1]
    rng = np.random.default_rng(0)
    parts = [part for _ in range(20) for part in feed.each(4, rng)]
    single = np.mean([len(part.y[part.weight > 0].unique()) == 1 for part in parts])
    assert single < 0.25  # by chance 1 of 8; sorted by length 1 of 1


def test_without_takes_one_modality_from_the_marked_samples_only() -> None:
    prepared = prepare(scored())
    batch = prepared.stretches(prepared.items("trial")[:4]).batch
    rows = torch.tensor([True, False, True, False])
    less = without(batch, "bvp", 1, rows)
    for b in range(4):
        gone = bool(rows[b])
        assert bool(less.signals["bvp"][b].any()) is not gone
        assert bool(less.observed["bvp"][b].any()) is not gone
        assert bool(less.features["bvp"][b].isfinite().any()) is not gone
        assert bool(less.present[b, :, 1].any()) is not gone
        assert torch.equal(less.signals["eda"][b], batch.signals["eda"][b])
        assert torch.equal(less.present[b, :, [0, 2]], batch.present[b, :, [0, 2]])
    assert batch.signals["bvp"].any()  # the batch itself is as it was
    assert not without(batch, "bvp", 1).signals["bvp"].any()


def test_absent_modality_of_a_trial_is_unobserved() -> None:
    made = recording("ann")
    last = made.trials[-1]
    less = replace(last, signals={m: s for m, s in last.signals.items() if m != "bvp"})
    found = cut([replace(made, trials=(*made.trials[:-1], less))], RECIPE, "state")
    prepared = prepare(scored(found), scored(found))
    items = prepared.items("trial")
    b = [i.trials[0] for i in items].index(last.key)
    whole = prepared.stretches(items).batch
    assert not whole.observed["bvp"][b].any()
    assert whole.observed["eda"][b].any()
    rows = np.flatnonzero((prepared.windows.table["trial"] == last.trial).to_numpy())
    assert not prepared.singles(rows).batch.observed["bvp"].any()


def test_input_spec_says_sizes() -> None:
    spec = input_spec(windows())
    assert spec.signals == {"eda": (1, 4.0), "bvp": (1, 64.0), "hr": (1, 1.0)}
    assert (spec.outputs, spec.continuous, spec.traits) == (2, False, 2)
    assert (spec.window_s, spec.hop_s) == (4.0, 2.0)
    assert spec.features == {m: v.shape[1] for m, v in windows().features().items()}
    continuous = windows("valence")
    assert (spec_of(continuous.schema, RECIPE).outputs, input_spec(continuous).continuous) == (1, True)
