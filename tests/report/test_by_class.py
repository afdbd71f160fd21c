"""Scores of each class: against scikit-learn's, person by person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_result import gathered, rendered
from sklearn import metrics as oracle

from insula.explain import facts as read
from insula.report.by_class import class_scores, class_table, roc


def test_scores_of_a_class_are_means_over_people() -> None:
    facts = gathered("emotions")
    frame, classes = facts.predictions(facts.headline.system), facts.result.classes
    found = class_scores(facts)
    assert [s.name for s in found] == list(classes)
    areas, precisions, recalls, f1s = [], [], [], []
    for who in facts.people:
        own = frame[frame["subject"] == who]
        true, said = own["y_true"] == "fear", own["y_pred"] == "fear"
        areas.append(oracle.roc_auc_score(true, own["p_fear"]))
        precisions.append(oracle.precision_score(true, said) if said.any() else np.nan)
        recalls.append(oracle.recall_score(true, said))
        f1s.append(oracle.f1_score(true, said))
    fear = found[classes.index("fear")]
    assert fear.area.mean == pytest.approx(np.mean(areas))
    assert (fear.precision, fear.recall, fear.f1) == pytest.approx(
        (np.nanmean(precisions), np.mean(recalls), np.mean(f1s))
    )
    assert fear.windows == (frame["y_true"] == "fear").sum()
    assert np.trapezoid(fear.found, np.linspace(0, 1, 101)) == pytest.approx(fear.area.mean, abs=0.01)
    assert (np.diff(fear.found) >= 0).all()


@pytest.mark.slow
def test_page_has_curves_and_table_and_what_papers_print() -> None:
    facts = gathered("emotions")
    page = rendered("emotions")
    assert 'id="fig-roc"' in page
    assert 'data-name="classes"' in page
    own = facts.result.table().set_index("name").loc[facts.headline.system]
    assert f"plain accuracy {own['accuracy']:.3f}" in page
    assert f"weighted F1 {own['weighted_f1']:.3f}" in page
    assert ">weighted F1<" not in page  # no further column of the first table


def test_the_page_says_when_the_deep_path_was_dropped() -> None:
    facts = gathered("emotions")
    systems = tuple(
        replace(s, steps=0, loss=0.9, readout_alone=5, fits=8, converged=True) if s.name == facts.headline.system else s
        for s in facts.result.systems
    )
    told = read.gather(replace(facts.result, systems=systems)).headline.budget
    assert told.startswith("convex readout alone in 5 of 8 fits")


def test_a_number_has_no_classes() -> None:
    facts = gathered("valence")
    assert class_scores(facts) == ()
    assert class_table(facts) is None
    assert roc(facts) is None
