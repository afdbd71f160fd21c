"""Mixed emotions: what the user writes, shares of ratings and of annotators, and how windows carry them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_cohort import RECIPE, recording, write_manifest

from insula.data import load
from insula.errors import InputError
from insula.protocols.grouping import permuted_rows
from insula.types import Label, Recording
from insula.windows.cutting import cut
from insula.windows.mixing import is_mixed
from insula.windows.targets import Target, require_target


@pytest.mark.parametrize("text", ["mix(joy,fear,sadness)", "mix(joy,fear):from=1", "annotators(emotion)"])
def test_a_mixture_survives_text(text: str) -> None:
    target = Target.parse(text)
    assert str(target) == text
    assert Target.parse(str(target)) == target
    assert is_mixed(text)
    assert not is_mixed("joy")


@pytest.mark.parametrize("text", ["mix()", "mix(joy", "annotators(a,b)", "mix(joy,fear)>2"])
def test_what_is_no_mixture(text: str) -> None:
    with pytest.raises(InputError, match=r"expected .*mix\(NAME,NAME\)"):
        Target.parse(text)
    with pytest.raises(InputError, match="two emotions or more, each once"):
        Target.parse("mix(joy,joy)")


def test_ratings_are_shared_out() -> None:
    target = Target.parse("mix(joy,fear,sadness):from=1")
    told = target.of({"joy": 4.0, "fear": 2.0, "sadness": 1.0})
    assert told == (0.75, 0.25, 0.0)
    assert target.of({"joy": 1.0, "fear": 1.0, "sadness": 1.0}) is None, "nothing was felt"
    assert target.of({"joy": 4.0, "fear": 2.0}) is None
    codes, classes = target.encode([told, (0.2, 0.3, 0.5)])
    assert codes.tolist() == [0, 2]
    assert classes == ("joy", "fear", "sadness")
    with pytest.raises(InputError, match=r"rating of 0; expected 1 or more"):
        target.of({"joy": 0.0, "fear": 2.0, "sadness": 1.0})
    with pytest.raises(InputError, match=r"which is text .*annotators\(joy\)"):
        target.of({"joy": "much", "fear": 2.0, "sadness": 1.0})


def test_annotators_are_counted_and_their_ratings_averaged() -> None:
    voices = Target.parse("annotators(emotion)")
    told = [
        voices.of({"emotion.ann": "joy", "emotion.ben": "fear", "emotion.cyd": "joy", "emotion.dan": float("nan")}),
        voices.of({"emotion.ann": "calm"}),
    ]
    codes, classes = voices.encode([t for t in told if t is not None])
    assert classes == ("calm", "fear", "joy")
    np.testing.assert_allclose(voices.shares([t for t in told if t is not None]), [[0, 1 / 3, 2 / 3], [1, 0, 0]])
    assert codes.tolist() == [2, 0]
    assert voices.of({"emotion": "joy"}) is None
    ratings = Target.parse("mix(joy,fear)")
    assert ratings.of({"joy.ann": 3.0, "joy.ben": 1.0, "fear": 2.0}) == (0.5, 0.5)


def test_what_no_trial_carries_is_named() -> None:
    known = ["joy", "fear.ann", "emotion.ann"]
    require_target(Target.parse("mix(joy,fear)"), known)
    require_target(Target.parse("annotators(emotion)"), known)
    with pytest.raises(InputError, match=r"rating 'joi'.*Did you mean 'joy'"):
        require_target(Target.parse("mix(joi,fear)"), known)
    with pytest.raises(InputError, match="annotations of 'joy'"):
        require_target(Target.parse("annotators(joy)"), known)


def rated(name: str = "ann") -> Recording:
    """Each trial rated calm and tense, shares .25 apart from trial to trial."""
    whole = recording(name, baseline_s=30.0)
    ratings: list[dict[str, Label]] = [{"calm": float(k % 4), "tense": 4.0 - k % 4} for k in range(len(whole.trials))]
    return replace(whole, trials=tuple(replace(t, labels=r) for t, r in zip(whole.trials, ratings, strict=True)))


def test_windows_carry_their_trials_shares() -> None:
    windows = cut([rated()], RECIPE, "mix(calm,tense)")
    assert windows.mix is not None
    scored = windows.scored
    assert scored.mix is not None
    np.testing.assert_allclose(scored.mix.sum(1), 1)
    np.testing.assert_array_equal(scored.mix.argmax(1), scored.y)
    assert np.isnan(windows.mix[(windows.table["role"] != "scored").to_numpy()]).all()
    some = scored.take([3, 1])
    np.testing.assert_array_equal(some.mix, scored.mix[[3, 1]])
    assert windows.fingerprint() != cut([rated()], RECIPE, "mix(tense,calm)").fingerprint()


def test_permuted_labels_keep_whole_mixtures_and_replaced_ones_are_classes() -> None:
    windows = cut([rated()], RECIPE, "mix(calm,tense)").scored
    moved = windows.from_rows(permuted_rows(windows.table, np.random.default_rng(0)))
    assert windows.mix is not None
    assert moved.mix is not None
    assert not np.array_equal(moved.mix, windows.mix)
    np.testing.assert_allclose(np.sort(moved.mix[:, 0]), np.sort(windows.mix[:, 0]))
    np.testing.assert_array_equal(moved.mix.argmax(1), moved.y)
    replaced = windows.with_y(1 - windows.y)
    np.testing.assert_array_equal(replaced.mix, np.eye(2)[1 - windows.y])


def test_a_manifest_has_a_column_an_annotator(tmp_path: Path) -> None:
    write_manifest(tmp_path, [recording("ann")])
    table = pd.read_csv(tmp_path / "manifest.csv")
    table["emotion.anna"] = np.where(table["state"] == "tense", "fear", "joy")
    table["emotion.ben"] = np.where(table["trial"].isin(["t0", "t1"]), "calm", table["emotion.anna"])
    table.loc[table["role"] == "baseline", ["emotion.anna", "emotion.ben"]] = ""
    table.to_csv(tmp_path / "manifest.csv", index=False)
    windows = cut(load("manifest", tmp_path), RECIPE, "annotators(emotion)").scored
    assert windows.schema.classes == ("calm", "fear", "joy")
    assert windows.mix is not None
    divided = windows.table["trial"].isin(["t0", "t1"]).to_numpy()
    np.testing.assert_allclose(windows.mix[divided].max(1), 0.5)
    np.testing.assert_allclose(windows.mix[~divided].max(1), 1.0)
    np.testing.assert_allclose(windows.mix[divided][:, 0], 0.5)
