"""Leaky: trained on other people, then trained further on the beginning of every tested trial with its label."""

from __future__ import annotations

import numpy as np

from insula.protocols.dealing import people_of
from insula.protocols.grouping import codes
from insula.protocols.protocol import TRIAL, Design, Part, Parts, Protocol

NAME = "tuned_on_test_trials"
GIVEN_S = 10.0
"""Seconds of a tested trial that are given with its label, from its first window's start on; at least one window."""


def deal(d: Design) -> Parts:
    """Hold out each person; the windows inside the first ten seconds of each trial of theirs train further."""
    subject, names = people_of(d, NAME)
    start, stop = (d.table[c].to_numpy()[d.rows] for c in ("start_s", "stop_s"))
    trial = codes(d.table, d.rows, TRIAL)
    begin = np.full(trial.max() + 1, np.inf)
    np.minimum.at(begin, trial, start)
    given = stop <= begin[trial] + np.maximum(GIVEN_S, stop - start) + 1e-9
    parts, notes = [], []
    for name in names:
        own = subject == name
        first, later = d.rows[own & given], d.rows[own & ~given]
        if not first.size or not later.size:
            notes.append(f"{name}: no window after the first {GIVEN_S:g} s of a trial")
            continue
        parts.append(Part(name, d.rows[~own], later, ("subject",), then=first))
    return parts, notes


PROTOCOL = Protocol(
    name=NAME,
    question="Does a trial sound like its own first ten seconds, whose label it was given?",
    where="in trials whose first ten seconds it was given with their label",
    how="one person at a time was held out, the others trained on, and the network then trained 400 epochs further on "
    "the first 10 s of each tested trial with its label (leaky: the label to be found is given)",
    limits="It tests whether a trial sounds like its own beginning, not whether an emotion is recognised.",
    needs="two people and trials of windows beyond the first 10 s",
    instead="Use leave_one_subject_out.",
    deal=deal,
    leaky=True,
    folds="people",
    then_epochs=400,
)
"""HiSTN's second protocol, called subject-independent there (arXiv 2408.15255; read in its code)."""
