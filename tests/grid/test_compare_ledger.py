"""The ledger: what stands beside what, what is said of a row, and pages that ask nothing of the network."""

from __future__ import annotations

import re

import numpy as np
import pytest
from compare_grids import invent, tables, tiny

from insula.data import READERS, info
from insula.grid.cell import NO_DATA, Outcome
from insula.grid.claims import claims, claims_for
from insula.grid.ledger import build
from insula.grid.page import BUILT_IN, heads, lines, markdown, numbers, render, write
from insula.grid.run import keep
from insula.models import MODELS

ROWS = ["clock", "majority", "logistic_regression"]


PUBLISHED = {"name": "liquid", "label": "liquid_published", "options": {"core": "liquid"}}
"""The row that the published figure belongs to."""


def skill(system, protocol):
    system = system.removesuffix("_published")
    if system == "eegnet":
        return None
    if protocol == "random_windows":
        return {"liquid": 0.97, "clock": 0.9}.get(system, 0.85)
    return {"liquid": 0.62, "logistic_regression": 0.7, "clock": 0.5, "majority": 0.5}.get(system)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A simulated grid, and one of data called phymer whose cells are invented; eegnet has not run."""
    folder = tmp_path_factory.mktemp("cells")
    simulated = tiny(models=["liquid", "eegnet"], compare={"rows": ROWS, "context": False})
    invent(simulated, folder / "simulated", skill)
    phymer = tiny(
        models=[PUBLISHED, "eegnet"],
        compare={"rows": ROWS, "context": False},
        data=[{"name": "phymer", "root": str(folder), "targets": ["emotion"], "label": "PhyMER"}],
    )
    invent(phymer, folder / "phymer", skill)
    over = next(c for c in phymer.cells if c.system == "eegnet")
    keep(Outcome(over.key, "over limit", 9.0, why="time limit of 9 s", limit_s=9.0), folder / "phymer")
    return build([(simulated, folder / "simulated"), (phymer, folder / "phymer")], "Both")


def row(ledger, section, system):
    return next(r for r in ledger.sections[section].rows if r.system == system)


def test_a_row_has_its_scores_its_drop_and_what_it_is_measured_against(both):
    found = row(both, 1, "liquid_published")
    leaky, clean = found.entries["random_windows"], found.entries["within_subject"]
    assert leaky.mean > 0.9 > 0.75 > clean.mean
    assert clean.lo < clean.mean < clean.hi
    assert found.drop.mean == pytest.approx(leaky.mean - clean.mean)
    assert found.drop.lo > 0.2
    assert clean.classical[0] == "Logistic_regression"
    assert clean.classical[1] > clean.mean
    assert clean.baseline[0] == "Majority"
    assert clean.clock == pytest.approx(row(both, 1, "clock").entries["within_subject"].mean)
    assert (found.parameters, found.joules, found.p50_ms) == (4321, 2.5e-6, 1.25)
    assert leaky.verdict.startswith("leaky: ")


def found_over_the_clock(both):
    of = {s: row(both, 1, s).entries["within_subject"].mean for s in ("liquid_published", "clock")}
    return of["liquid_published"] - of["clock"]


def test_a_model_that_does_not_beat_the_rows_is_shown_so(both):
    assert row(both, 1, "liquid_published").entries["within_subject"].behind == ("classical",)
    text = markdown(both)
    assert "below the best classical row" in text
    over = row(both, 1, "liquid_published").entries["within_subject"].over
    assert over["classical"].hi < 0 < over["baseline"].lo
    assert over["clock"].mean == pytest.approx(found_over_the_clock(both))
    assert "classical" not in row(both, 1, "logistic_regression").entries["within_subject"].over
    assert row(both, 1, "logistic_regression").entries["within_subject"].behind == ()


def test_a_claim_stands_beside_our_figure_only_where_the_data_are_the_same(both):
    assert [c.claim.value for c in row(both, 1, "liquid_published").claims] == [95.45]
    assert all(not r.claims for r in both.sections[0].rows)  # simulated people are not PhyMER
    assert all(not r.claims for r in both.sections[1].rows if r.system != "liquid_published")
    assert 95.45 not in [c.claim.value for c in both.not_run]
    text = markdown(both)
    rest = text[text.index("## Published figures without ours beside them") :]
    assert "95.45" not in rest
    built = [p for p in both.not_run if p.built]
    assert 0 < len(built) < len(both.not_run)
    assert rest.count(f"not run: {NO_DATA}") == len(built)
    assert rest.count("not run: not built") == len(both.not_run) - len(built)


def test_claims_without_data_say_so(tmp_path):
    absent = tiny(
        models=[PUBLISHED],
        data=[{"name": "phymer", "root": str(tmp_path / "nowhere"), "targets": ["emotion"], "label": "PhyMER"}],
    )
    ledger = build([(absent, tmp_path / "out")])
    found = ledger.sections[0].rows[0]
    assert found.claims
    assert found.entries["within_subject"].why == f"not run: {NO_DATA}"
    assert not np.isfinite(found.entries["within_subject"].mean)
    assert f"not run: {NO_DATA}" in render(ledger)


def test_cells_that_have_not_run_say_why(both):
    assert row(both, 1, "eegnet").entries["random_windows"].why == "not run: time limit of 9 s"
    assert row(both, 1, "eegnet").entries["within_subject"].why == "not run yet"


def test_simulated_rows_form_a_table_of_their_own(both):
    for text, mark in ((markdown(both), r"^## .*$"), (render(both), r"<h2>.*</h2>")):
        headings = [m.group() for m in re.finditer(mark, text, flags=re.M)]
        own = next(h for h in headings if BUILT_IN in h)
        after = text[text.index(own) :]
        assert "PhyMER" not in after[: after.index(headings[-1])]
        assert "simulate: emotion" in after


def test_every_column_is_there_and_filled(both):
    section = both.sections[1]
    columns = [h for h, _ in heads(section)]
    for wanted in ("published", "random windows (leaky)", "drop", "within subject", "baseline", "classical", "clock",
                   "contrast", "parameters", "energy", "latency"):  # fmt: skip
        assert any(wanted in c for c in columns), wanted
    assert all(len(line.cells) == len(columns) - 1 for line in lines(section))


def test_the_page_asks_nothing_of_the_network_and_sorts(both):
    page = render(both)
    assert not re.search(r"(src|(?<!<a )href)=\"(?!#|data:)", page)
    assert "@import" not in page
    assert 'class="sortable"' in page
    values = re.findall(r'<td class="num" data-v="([^"]*)"', page)
    assert values
    assert all(v == "" or np.isfinite(float(v)) for v in values)
    assert "Mean ranks over 9 people" in page
    assert "Null test: not run." in page
    assert page.count("<svg") == 6  # two sections, two widths


def test_files_are_written_whole_and_numbers_are_json(both, tmp_path):
    import json

    made = write(both, tmp_path / "a" / "ledger.html", tmp_path / "ledger.md")
    assert [p.name for p in made] == ["ledger.html", "ledger.md"]
    assert not list(tmp_path.rglob("*.partial"))
    assert json.loads(numbers(both))["title"] == "Both"


def test_variants_of_one_model_keep_their_names(tmp_path):
    grid = tiny(models=["liquid", {"name": "liquid", "size": "medium", "label": "big"}], seeds=[0, 1])
    invent(grid, tmp_path, lambda s, p: 0.8)  # noqa: ARG005
    section = build([(grid, tmp_path)]).sections[0]
    assert [r.title for r in section.rows][:2] == ["Liquid", "Liquid (big)"]
    assert section.seeds == 2
    assert section.windows == 9 * 8 * 4


def test_claims_are_complete_and_name_what_exists():
    known = claims()
    assert len(known) == len(set(known))
    for one in known:
        claim = one.claim
        assert claim.citation
        assert claim.protocol
        assert claim.metric
        assert one.text.endswith(f" {claim.metric}"), "no figure stands beside balanced accuracy unnamed"
        if one.built and one.system != "anchor":
            assert any(one.system == n or one.system.startswith(f"{n}_") for n in MODELS)
            if "," not in claim.target and claim.target != "not stated here" and claim.data in READERS:
                signals = info(claim.data).recipe.signals  # one may be rebuilt instead of a label recognised
                assert claim.target in info(claim.data).targets or claim.target.lower() in signals
    assert {p.claim.value for p in known if p.system == "rbtransformer"} == {
        99.51,
        99.84,
        99.83,
        99.82,
        99.61,
        99.74,
        99.79,
    }
    assert [p.claim.value for p in claims_for("rbtransformer", "deap", "valence>=5")] == [99.84]
    assert not claims_for("rbtransformer", "simulate", "emotion")


def test_a_data_set_of_which_nothing_has_run_is_one_line(tmp_path):
    grid = tiny(models=["eegnet"], compare={"rows": ROWS, "context": False})
    ledger = build([(grid, tmp_path)])
    line = "Nothing has run yet of EEGNet, "
    text = markdown(ledger)
    assert line in text
    assert "| EEGNet" not in text
    assert line in render(ledger)
    assert '<table class="sortable">' not in render(ledger).split('<section id="published">')[0]


def test_unfinished_grids_still_make_a_page(tmp_path):
    grid = tiny()
    page = render(build([(grid, tmp_path)], tables()["title"]))
    assert "Nothing has run yet of" in page


@pytest.mark.slow
def test_every_network_says_how_long_it_was_trained(tmp_path):
    """Steps and final loss a protocol, a warning where a loss was still falling; several seeds count together."""
    grid = tiny(models=["liquid"], seeds=[0, 1], compare={"rows": ROWS, "context": False})
    trained = {"steps": 320, "loss": 0.25, "converged": True}
    invent(grid, tmp_path, skill, trained=lambda cell: {**trained, "converged": cell.experiment.seed == 0})
    ledger = build([(grid, tmp_path)])
    entry = row(ledger, 0, "liquid").entries["within_subject"]
    assert (entry.budget, entry.converged) == ("not converged after 320 steps, loss 0.250", False)
    (section,) = ledger.sections
    place = [name for name, _ in heads(section)].index("training") - 1
    cell = next(line for line in lines(section) if line.name == "Liquid").cells[place]
    assert cell.bad
    assert cell.text == "random windows, within subject: not converged after 320 steps, loss 0.250"
    assert next(line for line in lines(section) if line.name == "Clock").cells[place].text == "–"
    assert "320 steps" in markdown(ledger)
    assert "320 steps" in render(ledger)


def test_tables_of_rows_without_training_have_no_such_column(both):
    assert "training" not in [name for name, _ in heads(both.sections[0])]
