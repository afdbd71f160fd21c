"""Which windows of other people may lend a fold's person what they taught: never anything that the fold tests."""

from __future__ import annotations

import numpy as np

from insula.errors import ProtocolError
from insula.protocols.protocols import PROTOCOLS, Split, scored_rows
from insula.types import IntArray
from insula.windows.table import Windows


def lent(windows: Windows, part: Split) -> IntArray:
    """Row numbers of other people's scored windows that a fold of one person may learn a prior from.

    Where the protocol holds out a unit that people share (a stimulus), other people's windows of the tested units are
    left out, and those without a unit, of which nobody knows whether they are among them.

    Raises ProtocolError for a fold that is not of one person, and where nobody is left.
    """
    if part.subject is None:
        raise ProtocolError(
            f"other people's prior in {part.name} fold {part.fold!r}, which has no person of its own; expected a model "
            "a person. Use within_subject or cross_session, or leave_stimulus_out with protocol.by_person = true."
        )
    table, rows = windows.table, scored_rows(windows.table)
    rows = rows[table["subject"].astype(str).to_numpy()[rows] != part.subject]
    shared = [c for c in PROTOCOLS[part.name].forbids if "subject" not in PROTOCOLS[part.name].forbids]
    for column in shared:
        values = table[column]
        tested = set(values.iloc[part.test])
        free = values.notna().to_numpy() & ~values.isin(tested).to_numpy()
        rows = rows[free[rows]]
    if not rows.size:
        raise ProtocolError(
            f"other people's prior in {part.name} fold {part.fold!r}: no window of another person is free of what is "
            "tested; expected some. Add people, or leave the prior out."
        )
    return np.asarray(rows, np.int64)
