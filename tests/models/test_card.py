"""Cards: what a network says about itself, defaults for a user's own, and declarations that must hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from insula.errors import InputError
from insula.evaluation.experiment import read_experiment
from insula.evaluation.rows import require_names
from insula.models import MODELS, model_class
from insula.models.card import ModelCard, Variant, card_of

NAMES = sorted(MODELS)
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.mark.parametrize("name", NAMES)
def test_every_network_has_a_card_that_says_what_it_is(name: str) -> None:
    card = card_of(model_class(name))
    assert card.title
    assert len(card.summary) > 20
    assert any(c.isdigit() for c in card.source) or "ours" in card.source, "an identifier, or that it is our own"
    assert set(card.usual) <= set(card.variants)
    titles = [one.title for one in card.variants.values()]
    assert len({*titles, card.title}) == len(titles) + 1, "every row has a title of its own"


@pytest.mark.parametrize("name", [n for n in NAMES if card_of(model_class(n)).experiment])
def test_its_experiment_is_there_and_asks_for_it(name: str) -> None:
    plan = read_experiment(EXPERIMENTS / str(card_of(model_class(name)).experiment))
    assert plan.model.name == name
    require_names(plan)


@pytest.mark.parametrize("name", NAMES)
def test_options_of_a_variant_name_it(name: str) -> None:
    card = card_of(model_class(name))
    assert card.variant_of({}) is None
    for variant, one in card.variants.items():
        assert card.variant_of(one.options) == variant
        assert card.title_of({**one.options, "dropout": 0.1}) == one.title


def test_the_variant_with_most_of_the_options_is_meant() -> None:
    card = ModelCard(
        title="T",
        variants={"a": Variant("A", {"x": 1}, "core"), "b": Variant("B", {"x": 1, "y": 2}, "core")},
    )
    assert card.title_of({"x": 1}) == "A"
    assert card.title_of({"x": 1, "y": 2}) == "B"
    assert card.title_of({"y": 2}) == "T"


class Plain(nn.Module):
    """Reads something.

    And more.
    """


class Stepping(nn.Module):
    def sequence(self, batch: Any, state: Any = None) -> Any:
        return batch, state


class Boasting(nn.Module):
    card = ModelCard(title="Boasting", step=True)


class Hiding(Stepping):
    card = ModelCard(title="Hiding")


class Wrong(nn.Module):
    card = "a title"


def test_a_users_own_class_has_a_plain_card() -> None:
    assert card_of(Plain) == card_of(Plain()) == ModelCard(title="Plain", summary="Reads something.")
    assert card_of(Stepping).step
    assert card_of(Plain.__init__).title == "__init__"


@pytest.mark.parametrize("kind", [Boasting, Hiding, Wrong])
def test_a_declaration_that_does_not_hold_is_refused(kind: type) -> None:
    with pytest.raises(InputError, match=kind.__name__):
        card_of(kind)
