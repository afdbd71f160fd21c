"""The folds of an experiment: its protocol asked for what the experiment says."""

from __future__ import annotations

from insula.evaluation.experiment import Experiment
from insula.protocols.own_median import split_windows
from insula.protocols.protocols import Split
from insula.windows.table import Windows


def folds_of(windows: Windows, experiment: Experiment) -> list[Split]:
    """Split windows as the experiment asks; ProtocolError where they do not allow it."""
    asked = experiment.protocol
    return split_windows(
        windows, asked.name, folds=asked.folds, seed=experiment.seed, personal=asked.personal, amounts=asked.amounts
    )
