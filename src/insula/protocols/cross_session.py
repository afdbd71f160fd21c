"""A model a person, whole sessions held out."""

from __future__ import annotations

import numpy as np

from insula.protocols.dealing import by_person
from insula.protocols.grouping import is_continuous
from insula.protocols.protocol import ANY_SCOPE, TRIAL, Design, Part, Parts, Protocol


def deal(d: Design) -> Parts:
    """Hold out each session of each person in turn."""
    parts: list[Part] = []
    notes: list[str] = []
    y = d.table["y"].to_numpy()
    for subject, rows in by_person(d):
        session = d.table["session"].to_numpy()[rows].astype(str)
        names = list(dict.fromkeys(session))
        if len(names) < 2:
            notes.append(f"{subject}: 1 session")
            continue
        for one in names:
            train = rows[session != one]
            if not is_continuous(y) and np.unique(y[train]).size < 2:
                notes.append(f"{subject}: one class only outside session {one}")
                continue
            group = ("subject", "session") if len(names) > 2 else TRIAL
            if len(names) == 2:
                notes.append(f"{subject}: one session left to train on, inner validation holds out whole trials")
            parts.append(Part(f"{subject}:{one}", train, rows[session == one], group, subject))
    return parts, list(dict.fromkeys(notes))


PROTOCOL = Protocol(
    name="cross_session",
    question="How well does it do on another day?",
    where="in sessions it has never seen",
    how="whole sessions were held out",
    limits="These figures are about people the model knows, on another day, not about a new person.",
    needs="a person with 2 labelled sessions or more",
    instead="Use within_subject or leave_one_subject_out.",
    deal=deal,
    personal=True,
    scopes=ANY_SCOPE,
    forbids=("subject", "session"),
    folds="sessions",
)
