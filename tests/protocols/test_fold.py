"""A fold carries what keeps it honest, and every protocol is one object with its words."""

from __future__ import annotations

from dataclasses import fields

import pytest
from small_cohort import scored, windows

import insula
from insula.protocols.own_median import undecided
from insula.protocols.protocols import PROTOCOLS
from insula.windows.table import Terms


def test_split_gives_windows_that_carry_group_and_normaliser() -> None:
    for protocol, group, normaliser in (
        ("within_subject", ("subject", "session", "trial"), "person_trials"),
        ("leave_one_subject_out", ("subject",), "opening"),
    ):
        fold = insula.split(protocol, windows())[0]
        assert isinstance(fold, insula.Fold)
        assert (fold.group, fold.normaliser) == (group, normaliser)
        for side in (fold.train, fold.test):
            assert side.terms == Terms(group, normaliser, fold.name)
            assert side.take([0, 1]).terms == side.terms
            assert side.with_y(side.y).terms == side.terms
            assert not undecided(side)
        assert not set(fold.train.rows) & set(fold.test.rows)
        assert protocol in repr(fold)
        assert "kept whole" in fold._repr_html_()


def test_windows_of_no_fold_have_no_terms() -> None:
    assert scored().terms is None


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_a_protocol_says_everything_about_itself(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.name == name
    assert all(getattr(protocol, f.name) for f in fields(protocol) if f.type == "str")
    assert protocol.leaky == (protocol.forbids == ())


def test_no_protocol_is_known_by_name_outside_its_room() -> None:
    """Sentences about a protocol, and choices by its name, belong into its object."""
    import re
    from pathlib import Path

    root = Path(insula.__file__).parent
    names = "|".join(PROTOCOLS)
    asked = re.compile(rf"""(==|!=|in) \(?["']({names})["']|["']({names})["']:""")
    found = [
        f"{file.relative_to(root)}: {line.strip()}"
        for file in sorted(root.rglob("*.py"))
        if file.parent.name != "protocols"
        for line in file.read_text(encoding="utf-8").splitlines()
        if asked.search(line)
    ]
    assert not found
