"""Figures that others published, with their protocol and source; data, not judgement.

A claim stands beside a figure of ours only where the data are the same. ``protocol`` says in words how it was got and
``ours`` names the protocol of insula that does the same. ``inferred`` marks protocols that the source does not state.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """One published figure.

    ``system`` is the name of our registry where ``built``, else only a title. ``data`` is our reader's name, or the
    data set's title where there is no reader. ``target`` is what was recognised, ``value`` the figure in percent (or
    in the unit that ``metric`` names).
    """

    system: str
    title: str
    data: str
    target: str
    value: float
    metric: str
    protocol: str
    ours: str | None
    source: str
    built: bool = True
    inferred: bool = False

    @property
    def text(self) -> str:
        """The figure as it was published."""
        return f"{self.value:g} {'%' if self.metric in ('accuracy', 'F1') else ''} {self.metric}".replace("  ", " ")


_POOLED = "all people pooled, shuffled 5-fold over overlapping windows, validation fold = test fold"
_RB = "arXiv 2511.13954"
_HISTN = "arXiv 2408.15255"
_LIBEER = "LibEER and EEGain, public benchmark code"


def _rbtransformer() -> list[Claim]:
    found = [("seed", "emotion", 99.51)]
    found += [("deap", t, v) for t, v in (("valence", 99.84), ("arousal", 99.83), ("dominance", 99.82))]
    found += [("dreamer", t, v) for t, v in (("valence", 99.61), ("arousal", 99.74), ("dominance", 99.79))]
    return [
        Claim("rbtransformer", "RBTransformer", data, target, value, "accuracy", _POOLED, "random_windows", _RB)
        for data, target, value in found
    ]


def _anchors() -> list[Claim]:
    """What public benchmark code reaches with whole trials held out."""
    within, across = "whole trials held out, subject-dependent, best of several networks", "people held out"
    rows = [
        ("deap", "valence", 57.7, within, "within_subject"),
        ("deap", "arousal", 66.1, within, "within_subject"),
        ("deap", "valence", 57.8, across, "leave_one_subject_out"),
        ("deap", "arousal", 51.5, across, "leave_one_subject_out"),
        ("seed", "emotion", 82.6, within, "within_subject"),
        ("seed", "emotion", 64.0, across, "leave_one_subject_out"),
        ("seed_iv", "emotion", 53.5, within, "within_subject"),
        ("seed_iv", "emotion", 56.1, across, "leave_one_subject_out"),
    ]
    return [
        Claim("anchor", "Best published network under benchmark code", d, t, v, "accuracy", p, ours, _LIBEER, False)
        for d, t, v, p, ours in rows
    ]


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "liquid", "Liquid fusion network", "phymer", "emotion", 95.45, "accuracy",
        "subject-dependent; the split is not public, almost surely random windows", "random_windows",
        "arXiv 2602.06997", inferred=True,
    ),
    *_rbtransformer(),
    Claim(
        "udc_snn", "UDC-SNN", "dreamer", "mean of valence, arousal, dominance", 90.75, "accuracy",
        "170,660 segments; the split is not stated here", None, "Sensors 2026",
    ),
    Claim(
        "histn", "HiSTN", "dreamer", "valence, 5 classes", 96.82, "F1",
        "subject-dependent over time folds inside the same trials", "within_trial", _HISTN, built=False,
    ),
    Claim(
        "histn", "HiSTN", "dreamer", "arousal, 5 classes", 95.62, "F1",
        "subject-dependent over time folds inside the same trials", "within_trial", _HISTN, built=False,
    ),
    Claim(
        "histn", "HiSTN", "dreamer", "valence, 5 classes", 78.34, "F1",
        "called subject-independent; fine-tuned 400 epochs on the first 10 s of every test trial with its label",
        None, _HISTN, built=False,
    ),
    Claim(
        "histn", "HiSTN", "dreamer", "arousal, 5 classes", 81.59, "F1",
        "called subject-independent; fine-tuned 400 epochs on the first 10 s of every test trial with its label",
        None, _HISTN, built=False,
    ),
    Claim(
        "pinn", "Multi-task PINN", "wesad", "emotion", 94.08, "F1", "random 5-fold", "random_windows",
        "arXiv 2505.18169", built=False,
    ),
    Claim(
        "cmslnet", "CMSLNet", "seed_iv", "emotion", 83.15, "accuracy", "people held out", "leave_one_subject_out",
        "TETCI 2025", built=False,
    ),
    Claim(
        "cmslnet", "CMSLNet", "seed_v", "emotion", 87.32, "accuracy", "people held out", "leave_one_subject_out",
        "TETCI 2025", built=False,
    ),
    Claim(
        "tcfn", "TCFN", "eSEE-d", "arousal, 3 classes", 83.27, "accuracy", "not stated here", None, "Brain Sci. 2025",
        built=False,
    ),
    Claim(
        "tcfn", "TCFN", "eSEE-d", "valence, 3 classes", 89.94, "accuracy", "not stated here", None, "Brain Sci. 2025",
        built=False,
    ),
    Claim(
        "tcfn", "TCFN", "seed_iv", "emotion", 63.85, "accuracy", "whole sessions held out", "cross_session",
        "Brain Sci. 2025", built=False,
    ),
    Claim(
        "c2dgcn", "C2DGCN", "seed_iv", "emotion", 97.73, "accuracy", "90 % of the windows train", "random_windows",
        "C2DGCN 2025", built=False, inferred=True,
    ),
    Claim(
        "c2dgcn", "C2DGCN", "deap", "not stated here", 97.66, "accuracy", "90 % of the windows train",
        "random_windows", "C2DGCN 2025", built=False, inferred=True,
    ),
    Claim(
        "freqdgt", "FreqDGT", "seed", "emotion", 81.1, "accuracy", "one person held out at a time",
        "leave_one_subject_out", "arXiv 2506.22807", built=False,
    ),
    Claim(
        "freqdgt", "FreqDGT", "seed_iv", "emotion", 71.9, "accuracy", "one person held out at a time",
        "leave_one_subject_out", "arXiv 2506.22807", built=False,
    ),
    Claim(
        "freqdgt", "FreqDGT", "FACED", "emotion", 62.3, "accuracy", "one person held out at a time",
        "leave_one_subject_out", "arXiv 2506.22807", built=False,
    ),
    *(
        Claim("eav_cnn", f"EAV's own CNN, {part}", "eav", "emotion", value, "accuracy",
              "the first 56 of 80 segments a class train", None, "EAV data set paper", built=False)
        for part, value in (("EEG", 60.0), ("audio", 61.9), ("video", 71.4))
    ),
    Claim(
        "wesad_personal", "Personal models", "wesad", "3 classes", 95.0, "accuracy", "a model a person", None,
        "arXiv 2308.14245", built=False,
    ),
    Claim(
        "wesad_general", "General models", "wesad", "3 classes", 67.0, "accuracy", "people held out",
        "leave_one_subject_out", "arXiv 2308.14245", built=False,
    ),
    *_anchors(),
)  # fmt: skip
"""Published figures, a system after the other; the anchors at the end are others' runs of published networks."""


def claims_for(system: str, data: str, target: str) -> list[Claim]:
    """Find the figures published for this system on this very data set and target."""
    return [c for c in CLAIMS if c.system == system and c.data == data and c.target == _plain(target)]


def _plain(target: str) -> str:
    """Drop a threshold or kind: ``valence>=5`` is the target valence."""
    for mark in (">=", "<=", ">", "<", ":"):
        target = target.split(mark)[0]
    return target
