"""One person held out at a time."""

from __future__ import annotations

from insula.protocols.dealing import held_out, people_of
from insula.protocols.protocol import ANY_SCOPE, Design, Parts, Protocol

NAME = "leave_one_subject_out"


def deal(d: Design) -> Parts:
    """Hold out each person in turn."""
    subject, names = people_of(d, NAME)
    return held_out(d, [(name, subject == name) for name in names], ("subject",))


PROTOCOL = Protocol(
    name=NAME,
    question="How well does it do on a person it never saw?",
    where="in people it has never seen",
    how="one person at a time was held out and the others trained on",
    limits="Everybody had the same laboratory and device; another setting is another question.",
    needs="people with different labels",
    instead="Use within_subject.",
    deal=deal,
    scopes=ANY_SCOPE,
    forbids=("subject",),
    folds="people",
)
