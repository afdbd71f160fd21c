"""Sources are links, the study is named, and no path of the computer that made a result is shown."""

from __future__ import annotations

from dataclasses import replace

import fake_result
import pytest
from fake_result import gathered

from insula import report
from insula.evaluation.results import Result
from insula.explain.facts import Facts
from insula.report import prose, sources
from insula.signals.recipe import Recipe, SignalRecipe


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("Li et al., doi:10.1109/T-AFFC.2011.15", "https://doi.org/10.1109/T-AFFC.2011.15"),
        ("code read, arXiv 2511.13954, 2025", "https://arxiv.org/abs/2511.13954"),
        ("arXiv:2006.04439", "https://arxiv.org/abs/2006.04439"),
        ("see https://zenodo.org/record/1 (zip).", "https://zenodo.org/record/1"),
    ],
)
def test_a_source_is_a_link_and_its_text_stays(text: str, href: str) -> None:
    made = str(sources.linked(text))
    assert f'href="{href}"' in made
    assert made.count("<a ") == 1


def test_what_is_no_source_is_escaped_and_kept() -> None:
    assert str(sources.linked("a < b & 10.5 of 3/4")) == "a &lt; b &amp; 10.5 of 3/4"
    assert 'href="https://x.org/?a"' in str(sources.linked('https://x.org/?a"><script>'))
    assert "<script>" not in str(sources.linked('https://x.org/"><script>'))


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("--root /home/ann/study/E4 --folds 3", "--root …/E4 --folds 3"),
        ("C:\\Users\\ann\\study broke", "…/study broke"),
        ("https://physionet.org/content/cogwear/1.0.0/", "https://physionet.org/content/cogwear/1.0.0/"),
        ("doi:10.3390/s22218135 and E4/S03/x.csv and 1/2", "doi:10.3390/s22218135 and E4/S03/x.csv and 1/2"),
    ],
)
def test_absolute_paths_keep_their_last_part(given: str, left: str) -> None:
    assert sources.without_paths({"a": [given, 1]}) == {"a": [left, 1]}


def of(**data: str) -> Result:
    base = fake_result.stress(people=3)
    recipe = Recipe(signals={"eda": SignalRecipe(4.0, lowpass_hz=1.0, order=2)}).to_dict()
    return replace(
        base,
        config={"experiment": {"data": data}, "recipe": recipe},
        provenance={"command": f"insula evaluate --root {data.get('root')}"},
        analyses={"data": {"rates_hz": {"eda": 4.0}, "features": {"eda": 5}, "problems": ["/home/ann/E4/x.csv: flat"]}},
    )


def facts(result: Result) -> Facts:
    return replace(gathered("stress"), result=result)


def test_your_own_study_is_named_by_its_folder_and_nothing_more_is_shown() -> None:
    text = report.render(of(name="manifest", root="/home/ann/sleep study/"))
    assert "Stress in sleep study" in text
    assert "/home/ann" not in text
    assert "/home/ann" not in str(report.numbers(of(name="manifest", root="/home/ann/sleep study/")))


@pytest.mark.slow
def test_a_published_set_has_its_citation_and_simulated_people_a_banner() -> None:
    deap = report.render(of(name="deap", root="/data/deap"))
    assert "Stress in DEAP" in deap
    assert 'href="https://doi.org/10.1109/T-AFFC.2011.15"' in deap
    assert "nobody was recorded" not in deap
    assert "nobody was recorded" in report.render(of(name="simulate"))


def test_methods_tell_bands_features_and_analyses() -> None:
    text = prose.methods(facts(of(name="deap")))
    assert "EDA at 4 Hz, below 1 Hz (order 2)" in text
    assert "EDA level, slope and fast responses" in text
    assert "t-SNE" in prose.methods(gathered("emotions"))
    assert "t-SNE" not in text
