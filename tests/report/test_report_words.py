"""What the report says in words follows from the numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import fake_result
import numpy as np
import pytest
from fake_result import gathered, rendered

from insula.explain import facts, wording
from insula.report import prose, words


def changed(name: str, **headline: Any) -> facts.Facts:
    """Facts of a fake result with the headline row changed."""
    base = gathered(name)
    row = replace(base.headline, **headline)
    return replace(base, headline=row, rows=tuple(row if r is base.headline else r for r in base.rows))


def test_verdict_says_recognises_where_everything_holds() -> None:
    one = gathered("emotions")
    said = words.verdict(one)
    assert said.tone == "good"
    assert "The liquid fusion network recognises emotion in held-out trials" in said.sentence
    assert wording.score_text(one, one.headline.score) in said.sentence
    assert {c.state for c in words.checks(one)} == {"yes"}


def test_verdict_does_not_say_recognises_below_the_clock() -> None:
    said = words.verdict(gathered("stress"))
    assert said.tone == "bad"
    assert said.sentence.startswith("These figures do not show")
    assert "clock" in said.sentence
    assert {c.question: c.state for c in words.checks(gathered("stress"))}["Better than a clock?"] == "no"


def test_verdict_of_an_interval_that_holds_chance() -> None:
    said = words.verdict(changed("emotions", score=0.16, lo=0.13, hi=0.19))
    assert said.tone == "bad"
    assert "does not recognise emotion" in said.sentence


def test_verdict_of_a_contrast_that_holds_zero() -> None:
    one = changed("stress", score=0.95, lo=0.92, hi=0.97, contrast=0.01, contrast_lo=-0.01, contrast_hi=0.03)
    said = words.verdict(one)
    assert said.tone == "bad"
    assert "other people" in said.sentence


def test_verdict_of_a_null_test_that_fails() -> None:
    base = gathered("emotions")
    null = {**base.result.nulls["liquid"], "p": 0.4}
    one = replace(base, result=replace(base.result, nulls={"liquid": null}))
    assert words.verdict(one).tone == "bad"
    assert "shuffled labels" in words.verdict(one).sentence


@pytest.mark.parametrize("mark", [{"scope": "session"}, {"transductive": True}])
def test_verdict_of_a_marked_headline_is_never_plain_good(mark: dict[str, Any]) -> None:
    assert words.verdict(changed("emotions", **mark)).tone == "unclear"


def test_verdict_never_goes_beyond_the_result_itself() -> None:
    for name in ("emotions", "stress", "valence", "leaky"):
        one = gathered(name)
        if one.headline.verdict != "shown":
            assert words.verdict(one).tone in ("bad", "leaky")


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
    there, back = one.pair("liquid", "clock"), one.pair("clock", "liquid")
    assert there is not None
    assert back is not None
    assert (back.difference, back.lo, back.hi) == (-there.difference, -there.hi, -there.lo)
    assert one.pair("clock", "prior") is None


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
        "simulate",
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
    assert "trials within people" in meaning["The interval"].lower()
    assert "nothing about people in general" in meaning["The interval"]
