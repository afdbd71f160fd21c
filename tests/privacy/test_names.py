"""Where a person's name stands, and the same without it."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insula.privacy.names import REMOVED, Name


@pytest.mark.parametrize(
    ("name", "others", "text", "without"),
    [
        ("S1", ["S10"], "S1/1: none; S10/1: none", "[removed]/1: none; S10/1: none"),
        ("S1", [], "/d/S1_E4/bvp.csv, sub-S1, xS1, S1x", "/d/[removed]_E4/bvp.csv, sub-[removed], xS1, S1x"),
        ("anna", ["anna-lena"], "anna-lena and anna", "anna-lena and [removed]"),
        ("Zoë", [], "Zoe\u0308, Zo\\u00eb and Zoëlla", "[removed], [removed] and Zoëlla"),
        ("O'Brien", [], "<b>O&#39;Brien</b> O'Brien", "<b>[removed]</b> [removed]"),
        ("山田", [], "山田: 1 session", "[removed]: 1 session"),
        ("1", [], "1 of 12 trials, person 1 and sub-1", "1 of 12 trials, person [removed] and sub-[removed]"),
        ("1", ["2"], "people 2, 1 have 1 trial", "people 2, [removed] have 1 trial"),
        ("1", [], "1/1: no reference windows", "[removed]/1: no reference windows"),
        ("1", [], "10/1: no reference windows, 1/1", "10/1: no reference windows, 1/1"),
    ],
)  # fmt: skip
def test_a_name_is_found_as_a_whole(name: str, others: list[str], text: str, without: str) -> None:
    found = Name(name, others)
    assert found.without(text) == without
    assert found.mentioned(text) == (text != without)


def test_a_word_that_insula_writes_is_a_name_only_where_a_person_is_meant() -> None:
    found = Name("rest", words={"rest"})
    assert found.ordinary
    assert found.cleaned({"classes": ["rest", "stress"], "subjects": ["rest", "bob"], "y": "rest"}) == {
        "classes": ["rest", "stress"],
        "subjects": ["bob"],
        "y": "rest",
    }


def test_json_loses_records_columns_keys_and_notes_of_the_person() -> None:
    document = {
        "people": {"4": {"eda": [1, 2]}, "40": {"eda": [3, 4]}},
        "counts": {"4": 1},
        "latent": {"subject": ["4", "40", "4"], "xy": [[1, 1], [2, 2], [3, 3]], "note": "three"},
        "rows": [{"subject": 4, "score": 1.0}, {"subject": 40, "score": 0.5}],
        "notes": ["4/1: no reference windows", "40: one class only", "4 trials"],
        "command": 'insula evaluate --subjects 4,40 --folds 4 --set \'data.subjects=["4", "40"]\'',
        "folds": 4,
    }
    assert Name("4", ["40"]).cleaned(document) == {
        "people": {"40": {"eda": [3, 4]}},
        "counts": {"4": 1},
        "latent": {"subject": ["40"], "xy": [[2, 2]], "note": "three"},
        "rows": [{"subject": 40, "score": 0.5}],
        "notes": ["40: one class only", "4 trials"],
        "command": 'insula evaluate --subjects 40 --folds 4 --set \'data.subjects=["[removed]", "40"]\'',
        "folds": 4,
    }


@given(
    st.text(string.ascii_letters + string.digits + "é-_ '&<", min_size=2, max_size=8).filter(
        lambda t: t.strip() == t and any(c.isalpha() for c in t) and t[0].isalnum() and t[-1].isalnum()
    ),
    st.lists(st.sampled_from(["/ ", "; ", " ", "(", "): ", "-", "."]), min_size=1, max_size=4),
)
def test_cleaning_leaves_nothing_and_cleaning_again_changes_nothing(name: str, around: list[str]) -> None:
    found = Name(name)
    text = name.join(["", *around, ""])
    once = found.without(text)
    assert name not in once.replace(REMOVED, "")
    assert found.without(once) == once or name.lower() == "removed"
    assert name not in str(found.cleaned({"note": [{"deep": text}]})).replace(REMOVED, "")
