"""One way to add a network, a reader, a row, a protocol or an analysis from outside the package."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal, get_args

from insula.errors import InputError, KindError, unknown_name

Kind = Literal["model", "row", "protocol", "reader", "analysis"]


def register(kind: Kind, name: str, thing: Any, *, replace: bool = False) -> None:
    """Put a thing beside those of insula under a name; every command and function then knows it.

    Parameters
    ----------
    kind : ``model``: a class ``(spec: InputSpec, size: str, **options)`` that keeps the contract of `insula.types`;
        ``row``: a `ClassicalInfo` with ``make``; ``reader``: a module or object with ``INFO`` and ``read``;
        ``protocol`` and ``analysis``: an object as those of `insula.protocols` and `insula.explain`.
    name : letters, digits and ``_``; refused where it is taken, unless ``replace``.
    thing : the object, or ``"module:Name"`` (of a reader also ``"module"``), which is imported now.
    """
    if kind not in get_args(Kind):
        raise unknown_name("kind", str(kind), get_args(Kind))
    if not name.isidentifier():
        raise InputError(f"name {name!r}; expected letters, digits and _. Choose another name.")
    held = _held(kind)
    if name in held and not replace:
        raise InputError(f"{kind} {name!r} is there already; expected a new name. Choose another, or say replace=True.")
    found = _imported(thing) if isinstance(thing, str) else thing
    _CHECKS[kind](name, found)
    held[name] = found


def _held(kind: Kind) -> dict[str, Any]:
    """The plain dict that a room keeps of its things."""
    room, attribute = {
        "model": ("insula.models", "MODELS"),
        "row": ("insula.learning.classical_rows", "CLASSICAL"),
        "protocol": ("insula.protocols.protocols", "PROTOCOLS"),
        "reader": ("insula.data", "READERS"),
        "analysis": ("insula.explain.analyses", "ANALYSES"),
    }[kind]
    found: dict[str, Any] = getattr(import_module(room), attribute)
    return found


def _imported(text: str) -> Any:
    module, _, attribute = text.partition(":")
    try:
        found = import_module(module)
        return getattr(found, attribute) if attribute else found
    except (ImportError, AttributeError) as error:
        raise InputError(f"{text!r} cannot be imported ({error}); expected module:Name. Check the spelling.") from None


def _model(name: str, thing: Any) -> None:
    from insula.models.card import card_of

    if not callable(thing):
        raise KindError(f"model {name!r} is {thing!r}; expected a class (spec, size, **options). Give the class.")
    card_of(thing)


def _row(name: str, thing: Any) -> None:
    from insula.learning.classical_rows import ClassicalInfo

    if not isinstance(thing, ClassicalInfo) or thing.make is None or thing.name != name:
        raise KindError(f"row {name!r} is {thing!r}; expected a ClassicalInfo of that name with make. Give one.")


def _with(*attributes: str) -> Callable[[str, Any], None]:
    def check(name: str, thing: Any) -> None:
        missing = [a for a in attributes if not hasattr(thing, a)]
        if missing:
            raise KindError(f"{name!r} without {', '.join(missing)}; expected {', '.join(attributes)}. Add them.")

    return check


_CHECKS: dict[str, Callable[[str, Any], None]] = {
    "model": _model,
    "row": _row,
    "protocol": _with("name", "leaky", "deal"),
    "reader": _with("INFO", "read"),
    "analysis": _with("name", "form", "run", "show"),
}
