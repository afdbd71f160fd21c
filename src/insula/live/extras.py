"""What the live layer needs beyond insula itself."""

from __future__ import annotations

from importlib.util import find_spec

from insula.errors import InputError

NEEDED = ("starlette", "uvicorn", "websockets")


def require_live() -> None:
    """Raise InputError with the way out when the extra is not installed."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(f"{', '.join(missing)} not installed; expected insula[live]. pip install 'insula[live]'.")
