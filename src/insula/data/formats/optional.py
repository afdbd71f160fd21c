"""Packages that only some file formats need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from insula.errors import MissingDependencyError


def optional_package(name: str, extra: str, purpose: str) -> Any:
    """Import a package of an optional extra, or say in MissingDependencyError what to install for ``purpose``."""
    try:
        return import_module(name)
    except ImportError:
        raise MissingDependencyError(
            f"package {name!r} is not installed; expected it for {purpose}. Run: pip install 'insula[{extra}]' "
            f"(or pip install {name})."
        ) from None
