"""Splits by name: which windows train, which are tested, and which unit is kept whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from insula.errors import InputError, ProtocolError, unknown_name
from insula.protocols import (
    calibrated,
    cross_session,
    leave_one_subject_out,
    leave_stimulus_out,
    leave_subjects_out,
    random_windows,
    tuned_on_test_trials,
    within_subject,
    within_trial,
)
from insula.protocols.grouping import (
    exchangeable_labellings,
    inner_split,
    is_continuous,
    on_both_sides,
    overlapping,
    permute_labels,
    scored_rows,
)
from insula.protocols.protocol import TRIAL, Amounts, Calibration, Design, Protocol
from insula.types import IntArray

__all__ = ["PROTOCOLS", "TRIAL", "Protocol", "Split", "allowed", "exchangeable_labellings", "inner_split",
           "permute_labels", "scored_rows", "split"]  # fmt: skip

PROTOCOLS: dict[str, Protocol] = {
    one.PROTOCOL.name: one.PROTOCOL
    for one in (
        within_subject,
        cross_session,
        leave_one_subject_out,
        leave_subjects_out,
        leave_stimulus_out,
        calibrated,
        random_windows,
        within_trial,
        tuned_on_test_trials,
    )
}
"""Protocols by name. One more is one more object here."""


@dataclass(frozen=True)
class Split:
    """One fold: row numbers of the Windows table that train and that are tested.

    ``group`` names the columns whose values identify the unit kept whole, inner validation groups by the same ones
    (empty: single windows). ``subject`` is the person of a personal protocol. ``notes`` lists what was left out of the
    whole protocol, the same for each of its folds. ``then`` are rows for further training, ``calibration`` is what the
    tested person labelled (see `Part`).
    """

    name: str
    fold: str
    train: IntArray
    test: IntArray
    group: tuple[str, ...]
    leaky: bool
    subject: str | None = None
    notes: tuple[str, ...] = ()
    then: IntArray | None = None
    calibration: Calibration | None = None

    @property
    def learned(self) -> IntArray:
        """All rows that something is learned from."""
        return self.train if self.then is None else np.union1d(self.train, self.then)

    @classmethod
    def make(
        cls,
        table: pd.DataFrame,
        name: str,
        fold: str,
        train: IntArray,
        test: IntArray,
        *,
        group: tuple[str, ...],
        leaky: bool,
        subject: str | None = None,
        notes: tuple[str, ...] = (),
        then: IntArray | None = None,
        calibration: Calibration | None = None,
    ) -> Split:
        """Check that the sides are apart, then build the split; ProtocolError names what stands on both."""
        what = f"{name} fold {fold!r}"
        train, test = np.sort(np.asarray(train, np.int64)), np.sort(np.asarray(test, np.int64))
        further = None if then is None else np.sort(np.asarray(then, np.int64))
        sides = [("training", train), ("test", test), *([] if further is None else [("further training", further)])]
        for side, rows in sides:
            if not rows.size:
                raise ProtocolError(f"{what} without {side} windows; expected at least one. Use fewer folds.")
            if rows[0] < 0 or rows[-1] >= len(table) or (np.diff(rows) == 0).any():
                raise ProtocolError(f"{what} with {side} rows out of range or twice; expected each row once.")
            if "role" in table and (table["role"].to_numpy()[rows] != "scored").any():
                raise ProtocolError(f"{what} with {side} rows that are not scored; expected role 'scored' only.")
        if np.intersect1d(train, test).size or (further is not None and np.intersect1d(further, test).size):
            raise ProtocolError(f"{what} with windows on both sides; expected none. Split again.")
        if not leaky:
            forbidden = dict.fromkeys((TRIAL, *((group,) if group else ()), PROTOCOLS[name].forbids))
            _require_apart(table, what, train, test, tuple(c for c in forbidden if c))
            if calibration is not None:
                _require_apart(table, what, calibration.before, test, (TRIAL,))
        return cls(name, fold, train, test, group, leaky, subject, notes, further, calibration)


def _require_apart(
    table: pd.DataFrame, what: str, learned: IntArray, test: IntArray, units: tuple[tuple[str, ...], ...]
) -> None:
    """Raise ProtocolError where a unit, or a stretch of time, stands among the learned and the tested rows."""
    for columns in units:
        shared = on_both_sides(table, learned, test, columns)
        if shared:
            raise ProtocolError(
                f"{what} with {'/'.join(columns)} {shared[0]} on both sides; expected {len(shared)} fewer. "
                "Keep each one whole."
            )
    if overlapping(table, learned, test).size:
        raise ProtocolError(f"{what} with overlapping time on both sides; expected none. Hold out more.")


def split(
    name: str,
    table: pd.DataFrame,
    *,
    folds: int | None = None,
    seed: int = 0,
    personal: bool | None = None,
    amounts: Amounts | None = None,
) -> list[Split]:
    """Split the scored rows of a Windows table by a named protocol.

    ``folds`` (default at most 5) is refused where the design fixes it. ``personal`` lets the leaky protocols train on
    all people at once (False) instead of one model a person, and leave_stimulus_out make one model a person (True);
    None is the protocol's own way. ``amounts`` are those that tested people label (None: the protocol's own), refused
    where they label nothing. Raises ProtocolError where
    the data do not allow the protocol; people who cannot be split are in the notes of each Split.
    """
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, PROTOCOLS)
    protocol = PROTOCOLS[name]
    if folds is not None and protocol.folds != "free":
        raise InputError(f"folds {folds} for {name}; expected none, the design fixes them. Leave folds out.")
    if folds is not None and folds < 2:
        raise InputError(f"folds {folds}; expected 2 or more. Use 2.")
    if personal is not None and personal != protocol.personal and not (protocol.leaky or protocol.either):
        raise InputError(f"personal={personal} for {name}; expected {protocol.personal}. Leave personal out.")
    if amounts is not None and not protocol.calibrates:
        able = ", ".join(p.name for p in PROTOCOLS.values() if p.calibrates)
        raise InputError(
            f"{amounts.unit} for {name}, whose tested people label nothing; expected none. Use protocol {able}."
        )
    rows = scored_rows(table)
    if not rows.size:
        raise ProtocolError(
            f"{name} without scored windows; expected labelled trials. Check the labels and the recipe."
        )
    _require_two_classes(name, table, rows)
    own = protocol.personal if personal is None else personal
    design = Design(table, rows, folds, np.random.default_rng(seed), own, amounts)
    parts, notes = protocol.deal(design)
    if not parts:
        reasons = "; ".join(notes[:3]) + ("; ..." if len(notes) > 3 else "")
        raise ProtocolError(
            f"{name} impossible for every person ({reasons}); expected {protocol.needs}. {protocol.instead}"
        )
    return [
        Split.make(
            table,
            name,
            p.fold,
            p.train,
            p.test,
            group=p.group,
            leaky=protocol.leaky,
            subject=p.subject,
            notes=tuple(notes),
            then=p.then,
            calibration=p.calibration,
        )
        for p in parts
    ]


def allowed(table: pd.DataFrame) -> dict[str, str | None]:
    """Say for each protocol why the data do not allow it, or None where they do."""
    reasons: dict[str, str | None] = {}
    for name in PROTOCOLS:
        try:
            split(name, table)
            reasons[name] = None
        except ProtocolError as error:
            reasons[name] = str(error)
    return reasons


def _require_two_classes(name: str, table: pd.DataFrame, rows: IntArray) -> None:
    y = table["y"].to_numpy()[rows]
    if not is_continuous(y) and np.unique(y).size < 2:
        raise ProtocolError(
            f"{name} with one class only ({y[0]}); expected at least 2 classes among the scored windows. "
            "Choose another target or add trials of another label."
        )
