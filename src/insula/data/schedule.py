"""What is known about the schedule that people share; `insula.protocols.schedule` finds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """How well other people's labels give a person's away, and whether people share a schedule.

    ``agreement`` is the balanced accuracy of guessing a window's label from other people's labels at that elapsed
    time, mean over people; ``order_agreement`` that from their labels at the same place in the order of trials;
    ``chance`` is 1 / classes. ``shared`` holds where elapsed time tells more than shuffled labels do.
    """

    agreement: float
    order_agreement: float
    chance: float
    shared: bool

    @property
    def kappa(self) -> float:
        """Share of the way from chance to 1 that elapsed time goes."""
        return (self.agreement - self.chance) / (1 - self.chance) if self.chance < 1 else float("nan")

    @property
    def order_kappa(self) -> float:
        """Share of the way from chance to 1 that a trial's place goes."""
        return (self.order_agreement - self.chance) / (1 - self.chance) if self.chance < 1 else float("nan")
