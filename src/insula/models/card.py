"""What is known about a network, stated on its class: title, source, what it reads, its variants, published figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from insula.errors import InputError

Role = Literal["core", "control", "twin", "ablation", "published"]


@dataclass(frozen=True)
class Variant:
    """Options of a network under a name, with the title of its row.

    ``role`` says what it is for: another ``core`` in its place, a ``control`` (the same network with one thing fixed),
    a ``twin`` (the same shape in other arithmetic), an ``ablation`` (one part left out), or a ``published`` relative.
    ``usual`` ones stand beside the network in every evaluation that does not name its variants.
    """

    title: str
    options: Mapping[str, Any]
    role: Role
    usual: bool = False


@dataclass(frozen=True)
class Claim:
    """One published figure of a network.

    ``data`` is our reader's name, or the data set's title where there is no reader; ``target`` is what was recognised;
    ``value`` is in percent (or in the unit that ``metric`` names). ``protocol`` says in words how it was got, ``ours``
    names the protocol of insula that does the same. ``inferred`` marks protocols that the source does not state,
    ``variant`` the variant that it belongs to, ``epochs`` how long it was trained.
    """

    data: str
    target: str
    metric: str
    value: float
    protocol: str
    citation: str
    ours: str | None = None
    inferred: bool = False
    variant: str | None = None
    epochs: int | None = None


@dataclass(frozen=True)
class Pretraining:
    """Weights that others have trained and a user has in a folder.

    ``files`` is what the folder holds, ``where`` they are given out and under which ``licence``, ``seen`` the
    recordings they learned from, in words, ``reads`` the modalities of which it takes the first that there is,
    ``parts`` the options that follow the name in ``NAME:..:DIR``.
    """

    files: tuple[str, ...]
    where: str
    licence: str
    seen: str
    reads: tuple[str, ...]
    parts: tuple[str, ...] = ("weights",)

    @property
    def note(self) -> str:
        """What a result has to say of them."""
        return f"the encoder learned from {self.seen}; whether people tested here were among them is not known"


@dataclass(frozen=True)
class ModelCard:
    """Facts of one network; generic code asks them and knows no network by name.

    Parameters
    ----------
    title : of its row in tables.
    summary : one sentence.
    source : authors or title, year and identifier.
    reads : modalities that it cannot do without.
    step : whether it is a step model: has ``sequence``, carries state, and a whole pass equals any chunking in hops.
    variants : by name; the row of one is called ``network_variant``.
    claims : published figures.
    experiment : file under ``experiments/`` with its published recipe and protocol.
    window_cost_s : seconds of one core for an epoch and a window of 4 s; a first guess for forecasts.
    not_exportable : why there is no ONNX model of it, None where there is one.
    pretraining : of an encoder: the weights it needs from a folder of the user's.
    """

    title: str
    summary: str = ""
    source: str = ""
    reads: tuple[str, ...] = ()
    step: bool = False
    variants: Mapping[str, Variant] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    experiment: str | None = None
    window_cost_s: float = 2e-3
    not_exportable: str | None = None
    pretraining: Pretraining | None = None

    @property
    def usual(self) -> tuple[str, ...]:
        """Names of the variants that stand beside it by default."""
        return tuple(name for name, one in self.variants.items() if one.usual)

    def variant_of(self, options: Mapping[str, Any]) -> str | None:
        """Name of the variant that these options make: the one with the most of them, None for the network itself."""
        found = [
            (len(one.options), name)
            for name, one in self.variants.items()
            if one.options and all(k in options and options[k] == v for k, v in one.options.items())
        ]
        return max(found, key=lambda f: f[0])[1] if found else None

    def title_of(self, options: Mapping[str, Any]) -> str:
        """Title of the network with these options: that of its variant, if they make one."""
        name = self.variant_of(options)
        return self.title if name is None else self.variants[name].title


def card_of(thing: Any) -> ModelCard:
    """Return the card of a network, its class, or a factory; raise InputError where what it declares does not hold.

    One that states none gets a plain card: its name, the first line of its docstring, and a step model where it has
    the method ``sequence``. Of a factory that is no class nothing is known before it has built something.
    """
    card = getattr(thing, "card", None)
    step = callable(getattr(thing, "sequence", None))
    name = getattr(thing, "__name__", None) or type(thing).__name__
    if card is None:
        text = (getattr(thing, "__doc__", None) or "").strip().split("\n\n")[0].split("\n")[0]
        return ModelCard(title=name, summary=text, step=step)
    if not isinstance(card, ModelCard):
        raise InputError(f"card of {name} is {card!r}; expected a ModelCard. Give it card = ModelCard(title=...).")
    if card.step != step:
        raise InputError(
            f"{name} declares step={card.step} and has {'a' if step else 'no'} method sequence; expected both or none. "
            "A step model answers many hops at once in sequence(batch, state) and carries its state."
        )
    return card
