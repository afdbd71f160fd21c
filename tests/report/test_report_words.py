"""What the report says in words follows from the numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import fake_result
import numpy as np
import pytest
from fake_result import gathered, rendered

from insula.evaluation.verdict import WORDS, Verdict
from insula.explain import facts, wording
from insula.report import prose, words


def changed(name: str, **headline: Any) -> facts.Facts:
    """Facts of a fake result with the headline row changed."""
    base = gathered(name)
    row = replace(base.headline, **headline)
    return replace(base, headline=row, rows=tuple(row if r is base.headline else r for r in base.rows))


def test_verdict_follows_where_everything_holds() -> None:
    one = gathered("emotions")
    said = words.verdict(one)
    assert said.tone == "good"
    assert "The liquid fusion network follows the person for emotion in held-out trials" in said.sentence
    assert "of what is attainable" in said.sentence
    assert wording.score_text(one, one.headline.score) in said.more
    assert {c.state for c in words.checks(one)} == {"yes"}


def test_verdict_of_the_clocks_own_field() -> None:
    one = gathered("stress")
    said = words.verdict(one)
    assert said.tone != "good"
    assert "follows" not in said.sentence
    assert {c.question: c.state for c in words.checks(one)}["Better than the time alone?"] in ("no", "unknown")


def test_words_are_those_of_the_one_verdict() -> None:
    """Tone and claim come from `evaluation.verdict`; the page adds no judgement of its own."""
    base = gathered("emotions")
    for step, claim in ((1, "cannot be tested"), (2, "not above chance"), (3, "explained by the timetable")):
        found = Verdict(step, "", WORDS[step], "because")
        said = words.verdict(replace(base, verdict=found))
        assert claim in said.sentence
        assert said.tone == found.tone != "good"
        assert "Because." in said.more
        assert "does not recognise" not in said.sentence


def test_a_tick_and_a_cross_need_their_whole_interval() -> None:
    states = [
        {c.question: c.state for c in words.checks(changed("emotions", lo=lo, hi=hi))}["Better than guessing?"]
        for lo, hi in ((0.2, 0.3), (0.1, 0.2), (0.05, 0.1))
    ]
    assert states == ["yes", "unknown", "no"]
    base = gathered("emotions")
    pairs = tuple(replace(p, difference=0.0, lo=-0.01, hi=0.01) for p in base.pairs)
    tied = {c.question: c.state for c in words.checks(replace(base, pairs=pairs))}
    assert tied["Better than the time alone?"] == "unknown"
    null = {**base.result.nulls["liquid"], "p": 1.0}
    poor = replace(base, result=replace(base.result, nulls={"liquid": null}))
    assert {c.question: c.state for c in words.checks(poor)}["Gone when labels are shuffled?"] == "unknown"
    few = {**base.result.nulls["liquid"], "p": 0.5, "shuffles": 1, "floor": 0.5}
    one = replace(base, result=replace(base.result, nulls={"liquid": few}))
    assert {c.question: c.state for c in words.checks(one)}["Gone when labels are shuffled?"] == "unknown"


def test_nothing_is_ticked_where_nothing_can_be_tested() -> None:
    one = facts.gather(fake_result.emotions(people=2))
    assert words.verdict(one).sentence.startswith("Whether the liquid fusion network recognises emotion")
    assert {c.state for c in words.checks(one)} == {"unknown"}


@pytest.mark.parametrize("mark", ["session scope", "transductive"])
def test_verdict_of_a_marked_headline_is_never_plain_good(mark: str) -> None:
    base = gathered("emotions")
    said = words.verdict(replace(base, verdict=replace(base.verdict, marks=mark)))
    assert said.tone == "unclear"
    assert said.sentence.lower().startswith(mark)


def test_leaky_result_has_banner_and_no_check_passes() -> None:
    text = rendered("leaky")
    assert (
        "This protocol puts windows of the same trial on both sides; "
        "the figure does not tell how well emotion is recognised." in text
    )
    assert {c.state for c in words.checks(gathered("leaky"))} == {"unknown"}
    assert words.verdict(gathered("leaky")).tone == "leaky"
    assert 'role="alert"' not in rendered("emotions")


def test_session_scope_and_transductive_rows_are_marked_with_a_legend() -> None:
    text = rendered("emotions")
    assert text.count('<span class="badge session">') == 2
    assert text.count('<span class="badge transductive">') == 2
    assert '<span class="badge leaky">' not in text


def test_pair_is_turned_round() -> None:
    one = gathered("emotions")
    there, back = one.pair("liquid", "elapsed_trial"), one.pair("elapsed_trial", "liquid")
    assert there is not None
    assert back is not None
    assert (back.difference, back.lo, back.hi) == (-there.difference, -there.hi, -there.lo)
    assert one.pair("elapsed_trial", "prior") is None


def test_pairs_are_made_where_nobody_made_them() -> None:
    one = gathered("valence")
    pair = one.pair("liquid", "random_forest")
    assert pair is not None
    people = one.person_scores
    mine = np.mean([people["liquid"][s] - people["random_forest"][s] for s in one.people])
    assert pair.difference == pytest.approx(mine)


@pytest.mark.parametrize(("p", "text"), [(0.0004, "p < .001"), (0.048, "p = .048"), (1.0, "p = 1.000")])
def test_p_values(p: float, text: str) -> None:
    assert wording.p_text(p).replace("\u00a0", " ").replace("0.001", ".001") == text


def test_methods_name_data_protocol_versions_and_seed() -> None:
    text = prose.methods(gathered("emotions"))
    for part in (
        "Simulated cohort",
        "within_subject",
        "8 people",
        "168 trials",
        "41,287",
        "torch 2.13.0",
        "seed 7",
        "4 s every 2 s",
    ):
        assert part in text
    assert "leaky" in prose.methods(gathered("leaky"))


def test_few_people_are_said_to_be_few() -> None:
    one = facts.gather(fake_result.stress(people=5))
    meaning = dict(prose.meaning(one))
    assert "over 5 people" in meaning["The interval"]
    assert "nothing about people in general" in meaning["The interval"]
