"""Leaky: windows shuffled, so that a trial stands on both sides, as published work often does."""

from __future__ import annotations

from insula.protocols.dealing import leaking
from insula.protocols.grouping import stratified_folds
from insula.protocols.protocol import Design, Parts, Protocol
from insula.types import IntArray


def deal(d: Design) -> Parts:
    """Deal single windows to stratified folds."""

    def assign(rows: IntArray) -> IntArray:
        return stratified_folds(d.table["y"].to_numpy()[rows], d.folds or 5, d.rng)

    return leaking(d, assign)


PROTOCOL = Protocol(
    name="random_windows",
    question="What would the literature's figure be, with windows shuffled?",
    where="when windows of one trial stand on both sides",
    how="windows were shuffled without regard to trials, as published work often does (leaky)",
    limits="Only splits like this one are measured here.",
    needs="at least 2 windows of each class",
    instead="Use shorter windows or a shorter hop.",
    deal=deal,
    leaky=True,
    personal=True,
)
