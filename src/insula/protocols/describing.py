"""What recordings hold and what they allow: `insula.data.describe` with the protocols judged."""

from __future__ import annotations

from collections.abc import Sequence

from insula.data.check import Description
from insula.data.check import describe as count
from insula.data.info import Problem
from insula.protocols.protocols import allowed
from insula.protocols.schedule import schedule
from insula.signals.recipe import Recipe
from insula.types import Recording


def describe(
    recordings: Sequence[Recording], recipe: Recipe | None = None, *, problems: Sequence[Problem] = ()
) -> Description:
    """Count and check recordings, look for a shared schedule, and say for each target what the protocols need."""
    return count(recordings, recipe, problems=problems, allowed=allowed, schedule=schedule)
