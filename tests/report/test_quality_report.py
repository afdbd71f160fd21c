"""The report's section on signals: its numbers are those of the windows, its words follow from the numbers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_result import gathered, rendered
from spoiled_cohort import flat_share, scored, windows

from insula.cli.analyse import analysis_rows
from insula.evaluation.experiment import experiment_from
from insula.evaluation.results import Result
from insula.evaluation.run import evaluate
from insula.explain import Shown, explain
from insula.explain.facts import Facts
from insula.explain.picture import Picture
from insula.explain.quality import LEAST_WINDOWS, QUALITY, _difference, signal_quality
from insula.explain.wording import percent
from insula.learning.weighing import good_rows, weights
from insula.report import page
from insula.signals.quality import FLAGS

PLAN = {
    "data": {"name": "manifest"},
    "model": {"name": "logistic_regression"},
    "protocol": {"name": "leave_one_subject_out"},
    "compare": {"rows": ["majority"], "variants": [], "session": False, "context": False},
    "train": {"quality": "drop", "quality_share": 0.4},
}


@pytest.fixture(scope="module")
def result() -> Result:
    of = windows("eda", "hr")
    return explain(evaluate(of, experiment_from(PLAN)).result, of, ())


def test_shares_by_modality_and_person_are_those_of_the_windows(result: Result) -> None:
    data = result.analyses["quality"]
    json.dumps(data, allow_nan=False)
    share, who = np.array(flat_share(scored())), scored().table["subject"].to_numpy()
    eda = data["modalities"]["eda"]
    assert list(eda["time"]) == ["flat", "gap"]
    assert eda["time"]["flat"] == pytest.approx(share.mean(), abs=1e-6)
    assert eda["flagged"]["flat"] == pytest.approx((share > 0.4).mean(), abs=1e-6)
    assert eda["any"] == pytest.approx((share > 0.4).mean())
    assert eda["time"]["gap"] == 0
    assert {p: v["flat"] for p, v in eda["people"].items()} == pytest.approx(
        {p: share[who == p].mean() for p in ("ann", "bob", "cyd")}, abs=1e-6
    )
    assert data["modalities"]["hr"]["time"] == {"gap": 0}
    assert (data["windows"], data["share"]) == (len(share), 0.4)


def test_what_training_did_is_counted(result: Result) -> None:
    of = scored("eda", "hr")
    told = result.analyses["quality"]["training"]
    assert told == {
        "how": "drop",
        "dropped": len(of) - len(good_rows(of, 0.4)),
        "mean_weight": pytest.approx(weights(of).mean()),
    }
    alone = windows()
    one = signal_quality(evaluate(alone, experiment_from(PLAN)).result, alone)
    assert one.training.dropped == int((np.array(flat_share(scored())) > 0.4).sum()) > 10


def test_scores_compare_flagged_and_good_windows_of_the_same_people(result: Result) -> None:
    rows = {r["name"]: r for r in result.analyses["quality"]["scores"]}
    assert set(rows) == {"eda", "any"}, "nothing is wrong with hr"
    count = int((np.array(flat_share(scored())) > 0.4).sum())
    assert rows["eda"]["windows"] == rows["any"]["windows"] == count


def marked(people: dict[str, tuple[list[str], list[str], list[bool]]]) -> pd.DataFrame:
    """Predictions: true labels, predicted ones and whether the window is flagged, a person each."""
    parts = []
    for who, (true, predicted, flagged) in people.items():
        n = len(true)
        parts.append(
            pd.DataFrame(
                {
                    "subject": who,
                    "session": "1",
                    "trial": [f"t{i // 5}" for i in range(n)],
                    "start_s": range(n),
                    "y_true": true,
                    "y_pred": predicted,
                    "p_a": 0.5,
                    "p_b": 0.5,
                    "flagged": flagged,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_differences_by_hand() -> None:
    a, b = ["a"] * 5, ["b"] * 5
    flags = [True] * 10 + [False] * 10
    table = marked(
        {
            "one": (a + b + a + b, a + a + a + b, flags),  # flagged 1/2, good 1
            "two": (a + b + a + b, a + b + a + a, flags),  # flagged 1, good 1/2
            "three": (a + b + a + b, b + b + a + b, flags),  # flagged 1/2, good 1
            "moves only under b": (b + b + a + b, a + a + a + b, flags),  # only one label on both sides
            "few": ((a + b)[: LEAST_WINDOWS - 1] + a + b, (a + b)[: LEAST_WINDOWS - 1] + a + b, flags[:4] + flags[10:]),
        }
    )
    difference, flagged, good = _difference(table, "balanced_accuracy")
    assert sorted(difference.tolist()) == [-0.5, -0.5, 0.5]
    assert (flagged, good) == (pytest.approx(2 / 3), pytest.approx(5 / 6))


# -- words and page ------------------------------------------------------------------------------------------------


def told(**changes: Any) -> Facts:
    """An invented result with other numbers about quality."""
    base, data = gathered("valence"), gathered("emotions").result.analyses["quality"]
    data = {**data, **changes}
    return replace(base, result=base.result.with_analyses(quality=data))


def one_modality(**time: float | None) -> dict[str, Any]:
    every = {f: time.get(f.replace(" ", "_")) for f in FLAGS}
    people = {"S01": every, "S02": {f: None if v is None else 2 * v for f, v in every.items()}}
    return {"modalities": {"eda": {"flagged": every, "time": every, "any": 0.0, "people": people}}}


def sentences(**changes: Any) -> str:
    return " ".join(shown(told(**changes)).sentences)


def shown(facts: Facts) -> Shown:
    found = QUALITY.read(facts.result)
    assert found is not None
    return QUALITY.show(found, facts)


def drawn(facts: Facts) -> dict[str, Picture]:
    return {p.name: p for p in shown(facts).pictures}


@pytest.mark.parametrize(
    ("training", "says"),
    [
        ({"how": "keep", "dropped": 34, "mean_weight": 0.87}, "kept every window; drop would leave out 34 of 1,200"),
        ({"how": "keep", "dropped": 34, "mean_weight": 0.87}, "count a window as 0.87 on average"),
        ({"how": "drop", "dropped": 34, "mean_weight": 0.87}, "left out 34 of 1,200 windows"),
        ({"how": "weigh", "dropped": 34, "mean_weight": 0.87}, "weighed each window by what is good of it, 0.87"),
        ({"how": "keep", "dropped": 0, "mean_weight": 0.999}, "no other rule would have changed much"),
    ],
)
def test_what_training_did_is_said(training: dict[str, Any], says: str) -> None:
    assert says in sentences(training=training, windows=1200)


def test_most_frequent_flag_and_its_person_are_named() -> None:
    said = sentences(**one_modality(gap=0.01, motion=0.2, flat=0.0))
    assert "most frequent flag is motion in eda: 20 % of the time, most of all in S02 (40 %)." in said


def test_good_signals_are_one_sentence_and_no_picture() -> None:
    good = {**one_modality(gap=0.0, flat=0.0), "scores": []}
    assert "No flag marks a single second" in sentences(**good)
    assert "compared" not in sentences(**good)
    assert drawn(told(**good)) == {}
    assert 'id="quality"' in page.render(told(**good).result)


def test_scores_that_cannot_be_compared_are_said_so() -> None:
    assert "No window is flagged" in sentences(scores=[])
    assert "7 windows are flagged; too few" in sentences(scores=[{"name": "eda", "windows": 7, "people": 0}])
    assert "quality-scores" not in drawn(told(scores=[]))
    assert "quality-scores" in drawn(told())


def test_table_shows_windows_and_time_and_a_dash_where_nothing_was_judged() -> None:
    (table,) = shown(told(**one_modality(gap=0.034, motion=0.0004))).tables
    assert table.columns == ("modality", "gap", "motion", "any flag")
    (row,) = table.rows
    assert (row.name, [c.value for c in row.cells]) == ("eda", [0.034, 0.0004, 0.0])
    text = page.render(told(**one_modality(gap=0.034, motion=0.0004)).result)
    section = text[text.index('<section id="quality">') :]
    section = section[: section.index("</section>")]
    assert re.search(r"3\.4 %<small>3\.4 %</small>", section)
    assert "&lt; 0.1 %" in section


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0"), (0.0004, "< 0.1 %"), (0.034, "3.4 %"), (0.0994, "9.9 %"), (0.0996, "10 %"), (1.0, "100 %"),
     (float("nan"), "–")],
)  # fmt: skip
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_strips_have_a_row_a_judged_flag_and_a_cell_a_person() -> None:
    picture = drawn(told(**one_modality(gap=0.01, motion=0.2)))["quality"]
    for svg in (picture.wide, picture.narrow):
        words = re.findall(r">([^<>]+)</text>", svg)
        assert [w for w in words if w in FLAGS] == ["gap", "motion"]
        assert {"S01", "S02", "eda", "20 %"} <= set(words)
    assert "line noise" not in picture.wide


def test_section_and_its_link_are_left_out_where_nothing_was_judged() -> None:
    text, bare = page.render(told().result), rendered("valence")
    assert 'id="quality"' in text
    assert 'href="#quality"' in text
    assert "#quality" not in bare
    assert 'id="quality"' not in bare


def test_real_result_is_shown_and_told(result: Result) -> None:
    text = page.render(result)
    assert "Training left out" in text
    assert "most frequent flag is flat in eda" in text
    lines = dict(analysis_rows(result))
    assert lines["quality, eda"].startswith("flat ")
    assert "drop" in lines["quality, training"]
