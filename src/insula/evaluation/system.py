"""System: one row of a result, and what must be known to read its score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from insula.notebook import counted

STIMULI = "stimulus_prior"
"""The row that knows which stimulus was on; it is there where tested stimuli were in training."""
WITH_PRIOR = "_with_prior"
"""Ends the name of a row that is multiplied by what it learned from other people."""
Kind = Literal["model", "ablation", "classical", "baseline"]


@dataclass(frozen=True)
class System:
    """One row of a result: what predicted, and what must be known to read its score.

    ``scope`` says where its state or context is reset (``none``, ``window``, ``trial``, ``session``). ``role`` is that
    of a network's variant: ``core``, ``control``, ``twin``, ``ablation``, ``published``.
    ``steps`` (of the fit with fewest), ``loss`` (final one in training, mean over fits) and ``converged`` (in every
    fit) say how a network was trained; ``readout_alone`` of ``fits`` kept no deep path beside a convex readout, which
    has no steps, and those of the others count. ``fallbacks`` names those for whom the normaliser that was asked for
    had nothing to go by. ``prior`` has the weights of other people's prior, empty for a row without one.
    """

    name: str
    title: str
    kind: Kind
    scope: str = "none"
    normaliser: str = "none"
    leaky: bool = False
    transductive: bool = False
    parameters: int | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    role: str = ""
    steps: int | None = None
    loss: float | None = None
    converged: bool | None = None
    fallbacks: tuple[str, ...] = ()
    readout_alone: int = 0
    fits: int = 0
    prior: str = ""

    @property
    def bare(self) -> str:
        """Name of the same row without other people's prior."""
        return self.name.removesuffix(WITH_PRIOR) if self.prior else self.name

    @property
    def budget(self) -> str:
        """How long it was trained, and whether its training loss had stopped falling; empty for what has no steps."""
        if self.steps is None or self.loss is None:
            return ""
        alone = f"convex readout alone in {self.readout_alone} of {self.fits} fits, " if self.readout_alone else ""
        if self.readout_alone and self.readout_alone == self.fits:
            return f"{alone}loss {self.loss:.3f}"
        how = f"{counted(self.steps, 'step')}, loss {self.loss:.3f}"
        return alone + (how if self.converged else f"not converged after {how}")

    @property
    def scaling(self) -> str:
        """The normaliser, and for whom something else was used."""
        if not self.fallbacks:
            return self.normaliser
        who = ", ".join(f.split(":")[0] for f in self.fallbacks[:3]) + (", ..." if len(self.fallbacks) > 3 else "")
        return f"{self.normaliser}; population for {len(self.fallbacks)} ({who})"

    @property
    def marks(self) -> str:
        """What makes the score not comparable with a clean, trial-scope one; empty where nothing does."""
        found = [
            ("leaky", self.leaky),
            ("session scope", self.scope == "session" and self.kind != "baseline"),
            ("transductive", self.transductive),
        ]
        return ", ".join(text for text, there in found if there)
