"""Groups of whole people held out."""

from __future__ import annotations

import numpy as np

from insula.errors import ProtocolError
from insula.protocols.dealing import held_out, people_of
from insula.protocols.protocol import ANY_SCOPE, Design, Parts, Protocol

NAME = "leave_subjects_out"


def deal(d: Design) -> Parts:
    """Deal people at random to at most 5 groups and hold out each in turn."""
    subject, names = people_of(d, NAME)
    if d.folds and d.folds > len(names):
        raise ProtocolError(
            f"{NAME} with {d.folds} folds of {len(names)} people; expected at most one fold a person. "
            f"Use folds {len(names)} or leave_one_subject_out."
        )
    groups = np.array_split(d.rng.permutation(np.array(names, dtype=object)), min(d.folds or 5, len(names)))
    return held_out(d, [(str(i), np.isin(subject, g.astype(str))) for i, g in enumerate(groups)], ("subject",))


PROTOCOL = Protocol(
    name=NAME,
    question="How well does it do on people it never saw, a group at a time?",
    where="in people it has never seen",
    how="groups of people were held out in turn",
    limits="Everybody had the same laboratory and device; another setting is another question.",
    needs="people with different labels",
    instead="Use within_subject.",
    deal=deal,
    scopes=ANY_SCOPE,
    forbids=("subject",),
)
