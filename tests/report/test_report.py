"""The report: what it says follows from the numbers, and the page is whole, safe and readable."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import fake_result
import pandas as pd
import pytest
from fake_result import gathered, rendered

from insula import report
from insula.errors import InputError
from insula.evaluation.results import Result
from insula.explain import facts
from insula.explain.picture import Picture
from insula.learning.metrics import ece
from insula.protocols.grouping import natural
from insula.report import outside, page

EVIL = "<script>alert('x')</script>"
VOID = {"meta", "link", "br", "img", "hr", "input"}


class Page(HTMLParser):
    """Tags with their attributes and whether every one was closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


# -- numbers -------------------------------------------------------------------------------------------------------


def test_confusion_counts_every_window_once() -> None:
    one = gathered("emotions")
    frame = one.predictions("liquid")
    counts = facts.confusion_counts(frame, one.result.classes)
    table = pd.crosstab(frame["y_true"], frame["y_pred"])
    assert counts.sum() == len(frame)
    assert (counts == table.loc[list(one.result.classes), list(one.result.classes)].to_numpy()).all()


def test_reliability_bins_give_the_calibration_error() -> None:
    one = gathered("emotions")
    frame = one.predictions("liquid")
    bins = facts.reliability_bins(frame, one.result.classes)
    assert sum(b.count for b in bins) == len(frame)
    gap = sum(b.count * abs(b.right - b.confidence) for b in bins) / len(frame)
    true = facts.codes(frame, "y_true", one.result.classes)
    assert gap == pytest.approx(ece(true, facts.probabilities(frame, one.result.classes)), abs=1e-12)


def test_people_are_in_natural_order_and_scores_are_the_results_own() -> None:
    one = gathered("emotions")
    assert one.people == tuple(f"S{i:02d}" for i in range(1, 9))
    own = one.result.people()["liquid"]
    assert one.person_scores["liquid"] == {s: pytest.approx(own[s]) for s in one.people}
    assert one.headline.score == pytest.approx(own.mean())
    assert sorted(["P10", "P2", "p1b", "²"], key=natural) == ["p1b", "P2", "P10", "²"]


def test_rivals_are_fair() -> None:
    one = gathered("emotions")
    assert one.rival is not None
    assert one.rival.system == "logistic_regression"  # the random forest saw the whole test session
    opponent = facts.opponent(one)
    assert opponent is not None
    assert opponent.system == "logistic_regression"


def test_numbers_are_the_table_and_plain_json() -> None:
    result = fake_result.stress()
    out = report.numbers(result)
    json.dumps(out, allow_nan=False)
    table = result.table().set_index("name")
    for system in out["systems"]:
        row = table.loc[system["name"]]
        assert system["score"] == pytest.approx(row["balanced_accuracy"])
        assert system["contrast_lo"] == pytest.approx(row["contrast_lo"])
    assert out["headline"] == "liquid"
    assert out["verdict"]["tone"] == result.verdict("liquid").tone
    assert sum(map(sum, out["confusion"]["counts"])) == len(result.of("liquid"))


def test_strips_are_of_the_best_the_middle_and_the_worst_person() -> None:
    one = gathered("stress")
    mine = one.person_scores["liquid"]
    chosen = [s.name for s in facts.strips(one, dict.fromkeys(mine, ""))]
    assert chosen[0] == max(mine, key=mine.__getitem__)
    assert chosen[-1] == min(mine, key=mine.__getitem__)
    assert len(chosen) == 3


# -- page ----------------------------------------------------------------------------------------------------------


def test_marks_of_the_scale_are_drawn_by_their_ink() -> None:
    """The clock's name stands below the scale, where it cannot lie upon that of chance."""
    assert set(re.findall(r'<i class="mark ([^"]*)"', rendered("stress"))) == {"soft", "clock"}


@pytest.mark.parametrize("name", ["emotions", "stress", "valence", "leaky"])
def test_page_is_well_formed_and_asks_nothing_of_the_network(name: str) -> None:
    text = rendered(name)
    parsed = Page(text)
    assert parsed.open == []
    for tag, attrs in parsed.tags:
        for key in ("src", "href", "xlink:href", "action", "srcset"):
            shut = ("#", "data:", "https://") if tag == "a" else ("#", "data:")  # a reader may follow a source
            assert (attrs.get(key) or "#").startswith(shut)
    assert "@import" not in text
    assert set(re.findall(r"url\(([^)]{1,6})", text)) <= set(re.findall(r"url\((#[^)]{0,5})", text))
    sources = {str(a["href"]) for a in parsed.all("a") if str(a["href"]).startswith("https://")}
    without = re.sub(r"<a .*?</a>", "", text, flags=re.S)
    addresses = set(re.findall(r"https?://[^\s\"'<]+", without))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert sources
    assert len(text.encode()) < 3_000_000
    ids = [a["id"] for _, a in parsed.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    linked = {str(a["href"])[1:] for a in parsed.all("a") if str(a["href"]).startswith("#")}
    assert linked <= set(ids)


def test_every_figure_has_two_widths_a_name_and_a_caption() -> None:
    text = rendered("emotions")
    parsed = Page(text)
    pictures = [a for a in parsed.all("svg") if a.get("class") == "plot"]
    figures = parsed.all("figure")
    assert len(figures) == 20
    assert len(pictures) == 2 * len(figures)
    assert len(parsed.all("figcaption")) == len(figures)
    assert all(len(a.get("aria-label") or "") > 30 for a in pictures)
    assert "  " not in "".join(re.findall(r"<figcaption>(.*?)</figcaption>", text))
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", re.sub(r"<style>.*?</style>", "", text, flags=re.S))


def test_sections_without_data_are_left_out() -> None:
    assert 'id="inside"' in rendered("emotions")
    bare = rendered("stress")
    assert 'id="inside"' not in bare
    assert "fig-latent" not in bare
    assert "fig-null" not in bare
    assert "fig-contrast" in bare


def test_many_notes_are_folded_away() -> None:
    base = gathered("valence")
    protocol = {**base.result.protocol, "notes": ["one", "two", "three", "two"]}
    text = page._render(replace(base, result=replace(base.result, protocol=protocol)))
    assert "3 notes on this run" in text
    assert "notes on this run" not in rendered("valence")


def test_continuous_target_shows_ccc_and_a_scatter() -> None:
    text = rendered("valence")
    assert "CCC" in text
    assert "fig-scatter" in text
    assert "balanced accuracy" not in text
    assert "fig-confusion" not in text


def test_null_test_without_its_scores_is_shown_as_intervals() -> None:
    base = gathered("emotions")
    null = {k: v for k, v in base.result.nulls["liquid"].items() if k != "scores"}
    one = replace(base, result=replace(base.result, nulls={"liquid": null}))
    made = outside._null(one)
    assert made is not None
    assert "shuffled labels, mean" in made.wide


def drawn(of: facts.Facts) -> dict[str, Picture]:
    """Pictures of the part inside the model by name."""
    parts, _ = page.shown(of)
    return {p.name: p for one in parts.get("inside", ()) for p in one.pictures}


def test_analyses_with_holes_do_not_break_the_page() -> None:
    base = gathered("emotions")
    holes = {
        "attention": {"tokens_s": [2, 1, 0], "classes": {"anger": [0.2, 0.3, 0.5]}},
        "time_constants": {"layers": {"eeg": {"tau_sys_mean_s": [0.1, 0.2, None]}, "empty": {}}},
        "controls": {"rows": [{"name": "equal", "difference": None}]},
        "latent": {"xy": []},
        "modalities": {},
        "data": {},
    }
    one = replace(base, result=replace(base.result, analyses=holes))
    assert set(drawn(one)) == {"attention", "constants-0"}


def test_an_analysis_of_another_form_is_named_and_the_page_stands() -> None:
    base = gathered("valence").result
    text = report.render(replace(base, analyses={"latent": {"xy": "nowhere"}, "modalities": {"rows": 3}}))
    assert "analysis latent of a result cannot be read" in text
    assert "analysis modalities of a result cannot be read" in text
    assert 'id="systems"' in text


def test_note_of_an_analysis_becomes_a_sentence() -> None:
    base = gathered("emotions")
    rows = base.result.analyses["modalities"]["rows"]
    noted = replace(base.result, analyses={"modalities": {"rows": rows, "note": "absent at prediction only"}})
    made = drawn(replace(base, result=noted))
    assert made["modalities"].caption.endswith(" Absent at prediction only.")


def test_time_constant_controls_are_no_ablation() -> None:
    base = gathered("emotions")
    rows = tuple(replace(r, role="control") if r.system == "liquid_gru" else r for r in base.rows)
    made = outside._ablation(replace(base, rows=rows))
    assert made is not None
    assert "Exponential" in made.wide
    assert "GRU" not in made.wide


def test_groups_are_claimed_only_where_the_test_finds_them() -> None:
    text = rendered("emotions")
    first, second = (text.split(f'id="fig-constants-{i}"')[1].split("</figure>")[0] for i in (0, 1))
    assert "Two groups describe them better than one" in first
    assert "fast group" in first
    assert "no fast and slow neurons are claimed" in second
    assert "fast group" not in second


def hostile() -> Result:
    """A result whose every free text is an attack."""
    base = fake_result.stress(people=3)
    frame = base.predictions.copy()
    frame["subject"] = frame["subject"].map(
        {"S01": EVIL, "S02": '"><img src=x onerror=alert(1)>', "S03": "{{ 7 * 7 }}$x$"}
    )
    frame = frame.rename(columns={"p_stress": f"p_{EVIL}"})
    for column in ("y_true", "y_pred"):
        frame[column] = frame[column].replace("stress", EVIL)
    return replace(
        base,
        target=EVIL,
        classes=("rest", EVIL),
        predictions=frame,
        systems=tuple(replace(s, title=f"{s.title} {EVIL}", notes=(EVIL,), normaliser=EVIL) for s in base.systems),
        protocol={**base.protocol, "name": EVIL, "notes": [EVIL]},
        provenance={"command": EVIL, "date": EVIL, "versions": {EVIL: EVIL}, EVIL: "</script>"},
        config={EVIL: ["</script><script>alert(1)</script>"]},
        analyses={
            "data": {EVIL: EVIL, "problems": [EVIL, {"file": EVIL, "what": EVIL}]},
            "modalities": {"rows": [{"name": EVIL, "difference": 0.1, "lo": 0.0, "hi": 0.2}], "note": EVIL},
        },
    )


def test_free_text_is_escaped_everywhere() -> None:
    text = report.render(hostile())
    parsed = Page(text)
    assert parsed.open == []
    assert len(parsed.all("script")) == 1
    assert parsed.all("img") == []
    assert not any(key.startswith("on") for _, attrs in parsed.tags for key in attrs)
    assert "{{ 7 * 7 }}" in text
    assert "&lt;script&gt;" in text


# -- writing -------------------------------------------------------------------------------------------------------


def test_write_makes_the_page_and_its_numbers(tmp_path: Path) -> None:
    result = fake_result.valence(people=3)
    path = report.write(result, tmp_path / "runs" / "demo" / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    numbers = json.loads((path.parent / "report.json").read_text(encoding="utf-8"))
    assert numbers == report.numbers(result)
    assert sorted(p.name for p in path.parent.iterdir()) == ["report.html", "report.json"]


def test_failed_write_leaves_the_old_page_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    real = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if Path(target) == path:
            raise OSError("disk full")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        report.write(fake_result.valence(people=3), path)
    assert path.read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} <= {"report.html", "report.json"}


def test_empty_result_is_refused() -> None:
    base = fake_result.valence(people=2)
    empty = replace(base, systems=(), predictions=base.predictions.iloc[:0])
    with pytest.raises(InputError, match="without systems or predictions"):
        report.render(empty)
