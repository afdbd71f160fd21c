"""Exception tree: every mistake a user can make is an `InsulaError`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InsulaError(Exception):
    """Root of all errors that insula raises on purpose."""


class InputError(InsulaError, ValueError):
    """A value, option or argument that does not fit its rule."""


class KindError(InsulaError, TypeError):
    """An object of the wrong kind was given."""


class DataError(InsulaError, ValueError):
    """A file or folder that cannot be read as what it should be; the message names it."""


class ProtocolError(InsulaError, ValueError):
    """A protocol that the data at hand do not allow; the message says why."""


class SchemaError(InsulaError, ValueError):
    """A model and data whose schemas differ; the message names both sides."""


class MissingDependencyError(InsulaError, ImportError):
    """An optional package is needed; the message names the extra to install."""


def unknown_name(kind: str, got: str, known: Iterable[str]) -> InputError:
    """Build the error for a name outside a registry, with the nearest known names."""
    names = sorted(known)
    near = difflib.get_close_matches(got, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(repr(n) for n in near)}?" if near else "Use one of them."
    return InputError(f"{kind} {got!r}; expected one of {', '.join(names) or '(none)'}. {hint}")
