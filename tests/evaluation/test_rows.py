"""The rows of an evaluation: each is compared with one that differs from it in one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from own_model import MyNet
from small_cohort import windows

from insula.evaluation.adapting import POPULATION
from insula.evaluation.calibration import CURVE
from insula.evaluation.experiment import experiment_from
from insula.evaluation.fits import Fit
from insula.evaluation.kept import kept_rows
from insula.evaluation.results import Result
from insula.evaluation.rows import RowPlan, make_plans
from insula.evaluation.run import Evaluation, _system, evaluate
from insula.evaluation.system import System
from insula.explain.analysis import Evaluated
from insula.explain.controls import trained_alike
from insula.explain.facts import gather
from insula.explain.replay import again, answer
from insula.explain.wording import looked_into
from insula.learning.personal.personal import DEFAULT
from insula.protocols.protocol import Amounts
from insula.protocols.protocols import split
from insula.report.page import render

BARE = {
    "liquid", "liquid_session", "liquid_gru", "liquid_frozen", "tcn", "majority", "elapsed_trial",
}  # fmt: skip


def plans(protocol: str, **tables: Any) -> list[RowPlan]:
    calibrated = protocol == "calibrated"
    first = split(protocol, windows().table, amounts=Amounts((0, 1), "trials") if calibrated else None)[0]
    asked = {
        "data": {"name": "manifest"},
        "protocol": {"name": protocol, **({"trials": [0, 1], "strategies": ["head"]} if calibrated else {})},
        **tables,
    }
    return make_plans(windows(), experiment_from(asked), first, force=True)


def test_what_stands_beside_the_first_row_has_no_prior_that_its_name_does_not_say() -> None:
    found = plans(
        "within_subject",
        model={"prior": 0.5},
        compare={
            "rows": ["majority", "elapsed_trial"], "variants": ["gru", "frozen"], "models": ["tcn"], "traits": True,
            "session": True, "context": False,
        },
    )  # fmt: skip
    assert {p.name for p in found if not p.prior} == BARE
    lent = {p.name: p.title for p in found if p.prior}
    assert set(lent) == {"liquid_with_prior", "liquid_with_prior_no_traits", "elapsed_trial_with_prior"}
    assert all("with other people's prior" in title for title in lent.values())
    assert not any("prior" in p.title for p in found if not p.prior)
    first, traits = found[0], next(p for p in found if p.role == "traits")
    assert (first.name, first.bare, found[1].name) == ("liquid_with_prior", "liquid", "liquid")
    assert traits.title == f"{first.title}, without people's traits"
    assert (traits.prior, traits.network) == (first.prior, first.network)


def test_a_row_without_traits_is_adapted_as_the_first_one_is() -> None:
    found = plans("calibrated", compare={"rows": [], "variants": ["gru"], "traits": True})
    first, traits = found[0], next(p for p in found if p.role == "traits")
    assert (first.strategies, first.curve) == (("head",), True)
    assert (traits.strategies, traits.curve) == (("head",), False)
    assert next(p for p in found if p.name == "liquid_gru").strategies == ()


def test_rows_that_are_adapted_beside_the_first_say_so() -> None:
    found = plans("calibrated", compare={"rows": [], "variants": ["gru"], "traits": True})
    traits, variant = (next(p for p in found if p.name == f"liquid_{name}") for name in ("no_traits", "gru"))
    fits = [Fit(variant.name, i, None, 1, 0.0, strategy=way) for i, way in enumerate(("bayes", "bayes", "head"))]
    (told,) = _system(variant, fits, leaky=False).notes
    assert "adapted with the largest amount of labels; the usual strategy for every row but the first" in told
    assert told.endswith("Bayesian head on the embedding (2), the head trained further (1)")
    assert "strategy chosen on inner people" in _system(traits, fits, leaky=False).notes[0]
    assert not _system(found[0], fits, leaky=False).notes, "its curve says it"


def test_kept_models_are_named_as_what_they_are() -> None:
    found = [replace(p, keep=i == 0) for i, p in enumerate(plans("within_subject", model={"prior": 0.5}))]
    parts = split("within_subject", windows().table)
    models = {(p.name, i): None for p in found for i in range(len(parts))}
    lent = "logistic_regression_with_prior"
    first, classical = kept_rows(found, parts, models, [lent] * len(parts))
    assert (first.name, first.kind) == ("liquid_with_prior", "model")
    assert (classical.name, classical.title) == ("classical", "Logistic regression, with other people's prior")


@pytest.fixture(scope="module")
def lent() -> Evaluation:
    asked = experiment_from(
        {
            "data": {"name": "manifest"},
            "model": {"prior": 0.5},
            "protocol": {"name": "within_subject", "folds": 2},
            "compare": {"rows": ["majority"], "declare": False},
            "train": {"epochs": 1},
        }
    )
    return evaluate(windows(), asked, factory=MyNet)


def test_fold_models_are_compared_with_the_row_that_they_answer(lent: Evaluation) -> None:
    evaluated = Evaluated(lent.result, windows(), lent.models)
    assert [s.name for s in lent.result.systems][:2] == ["MyNet_with_prior", "MyNet"]
    assert evaluated.main == lent.result.modelled == "MyNet"
    replayed = again(evaluated, answer)["p_calm"]
    np.testing.assert_allclose(replayed, lent.result.of(evaluated.main)["p_calm"], atol=1e-6)
    assert not np.allclose(replayed, lent.result.of("MyNet_with_prior")["p_calm"], atol=1e-3)


def with_rows(of: Evaluation, *systems: System, **analyses: Any) -> Result:
    """The result with other rows, which answer what its own network answers."""
    answered = of.result.of("MyNet")
    tables = [answered.assign(system=s.name) for s in systems]
    return replace(of.result, systems=systems, predictions=pd.concat(tables, ignore_index=True), analyses=analyses)


def adapted(of: Evaluation, *names: str) -> Result:
    """The result of a protocol that calibrates, with these rows beside the network."""
    rows = [System(n, n, "ablation", role="control" if "frozen" in n else "") for n in names]
    return with_rows(of, System("liquid", "Liquid", "model"), *rows, **{CURVE: {}})


def test_a_trained_control_is_compared_with_a_row_of_its_own_form(lent: Evaluation) -> None:
    assert trained_alike(lent.result) == ("MyNet", "MyNet")
    found = adapted(lent, "liquid_frozen", f"liquid_{POPULATION}", f"liquid_{DEFAULT}")
    assert found.modelled == f"liquid_{POPULATION}"
    assert trained_alike(found) == ("liquid", f"liquid_{DEFAULT}")
    assert trained_alike(adapted(lent, "liquid_frozen")) == ("liquid", "")


def test_the_page_says_which_row_is_looked_into_and_compares_variants_with_it(lent: Evaluation) -> None:
    first, bare = lent.result.systems[:2]
    rows = first, bare, replace(bare, name="MyNet_gru", title="Gated core", role="core")
    page = render(with_rows(lent, *rows, modalities={"rows": [{"name": "without eda", "difference": 0.1}]}))
    assert "Looked into is the row “MyNet”: differences are from its score, not from that of “MyNet, with other" in page
    assert "Without other people’s prior the model is not told apart from the gated core (+0.0" in page
    assert looked_into(gather(with_rows(lent, bare))) == ""
