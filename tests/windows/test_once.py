"""What depends on the whole table alone is made once in a process, for all views and copies of the table."""

from __future__ import annotations

import pickle

from small_cohort import RECIPE, cohort, windows

from insula.windows.before import rows_before
from insula.windows.cutting import cut


def test_views_and_copies_share_what_was_made_and_other_tables_do_not() -> None:
    made: list[int] = []

    def make() -> list[int]:
        made.append(1)
        return made

    one = cut(cohort(), RECIPE, "state")
    assert one.once("x", make) is one.take([0, 1]).once("x", make)
    copy = pickle.loads(pickle.dumps(one))  # as another process gets it
    assert copy.once("x", make) is made
    assert len(made) == 1
    assert cut(cohort(), RECIPE, "state").once("x", make) is made
    assert len(made) == 2


def test_baselines_are_those_of_the_asked_trials() -> None:
    whole, _ = rows_before(windows())
    some, _ = rows_before(windows().take([0]))
    assert set(some) <= set(whole)
    assert all((some[key] == whole[key]).all() for key in some)
