"""Every classical row and baseline: what it is called, what it reads, which targets it serves, its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Inputs = Literal["none", "clock", "elapsed", "elapsed_trial", "stimulus", "features", "covariance", "connectivity"]


@dataclass(frozen=True)
class ClassicalInfo:
    """One classical row: what it reads, the targets it serves, its options with their defaults.

    ``context``: it also stands in tables with the trial's running mean, the context that a trial-scope state has.
    ``fit_s``: seconds of one fit, a first guess for forecasts. ``make``: builds a row of one's own from (options,
    continuous, seed, training windows): an estimator of scikit-learn for standardised columns without gaps.
    """

    name: str
    title: str
    kind: Literal["baseline", "classical"]
    inputs: Inputs
    discrete: bool
    continuous: bool
    description: str
    options: Mapping[str, float] = field(default_factory=dict)
    context: bool = False
    fit_s: float = 0.3
    make: Callable[[Mapping[str, float], bool, int, int], Any] | None = None

    @property
    def sees(self) -> bool:
        """Whether it reads anything of the signals."""
        return self.inputs in ("features", "covariance", "connectivity")


CLASSICAL: dict[str, ClassicalInfo] = {
    info.name: info
    for info in (
        ClassicalInfo(
            "majority",
            "Majority",
            "baseline",
            "none",
            True,
            True,
            "the most frequent training class (or the median)",
            fit_s=0.01,
        ),
        ClassicalInfo(
            "prior",
            "Prior",
            "baseline",
            "none",
            True,
            True,
            "the frequencies of the training classes (or the mean)",
            fit_s=0.01,
        ),
        ClassicalInfo(
            "clock",
            "Design oracle (time and trial number)",
            "baseline",
            "clock",
            True,
            True,
            "random forest on elapsed session time and trial index: what the cut of the table gives away, no opponent",
            {"trees": 100, "leaf": 5},
            fit_s=0.25,
        ),
        ClassicalInfo(
            "elapsed",
            "Elapsed time",
            "baseline",
            "elapsed",
            True,
            True,
            "random forest on elapsed session time: the opponent of rows that carry state across a session",
            {"trees": 100, "leaf": 5},
            fit_s=0.25,
        ),
        ClassicalInfo(
            "elapsed_trial",
            "Elapsed time and time in trial",
            "baseline",
            "elapsed_trial",
            True,
            True,
            "random forest on session time and time since the trial began: the opponent of rows that reset at a trial",
            {"trees": 100, "leaf": 5},
            fit_s=0.25,
        ),
        ClassicalInfo(
            "stimulus_prior",
            "Which stimulus was on",
            "baseline",
            "stimulus",
            True,
            True,
            "class frequencies (or mean) of the stimulus in training; the prior for a stimulus that training lacks",
        ),
        ClassicalInfo(
            "logistic_regression",
            "Logistic regression",
            "classical",
            "features",
            True,
            False,
            "L2 logistic regression, balanced classes",
            {"C": 0.1},
            context=True,
        ),
        ClassicalInfo(
            "ridge",
            "Ridge regression",
            "classical",
            "features",
            False,
            True,
            "L2 linear regression",
            {"alpha": 100.0},
            context=True,
        ),
        ClassicalInfo(
            "random_forest",
            "Random forest",
            "classical",
            "features",
            True,
            True,
            "random forest, balanced classes",
            {"trees": 200, "leaf": 5},
            context=True,
            fit_s=0.5,
        ),
        ClassicalInfo(
            "svm",
            "Support vector machine",
            "classical",
            "features",
            True,
            True,
            "RBF kernel, balanced classes; its scores pass a softmax and are not calibrated",
            {"C": 1.0},
        ),
        ClassicalInfo(
            "gradient_boosting",
            "Gradient boosting",
            "classical",
            "features",
            True,
            True,
            "histogram gradient boosting, balanced classes, no early stopping",
            {"rounds": 150, "rate": 0.06, "leaves": 15},
        ),
        ClassicalInfo(
            "tangent_space",
            "Tangent space",
            "classical",
            "covariance",
            True,
            False,
            "EEG covariance in the tangent space, logistic regression (Barachant et al. 2012)",
            {"C": 0.1},
        ),
        ClassicalInfo(
            "recentred_tangent_space",
            "Tangent space, people re-centred",
            "classical",
            "covariance",
            True,
            False,
            "EEG covariance turned so that each person's mean is the identity, tangent space, logistic regression "
            "(Zanini et al. 2018); by the rows of the normaliser",
            {"C": 0.1, "recentre": 1},
        ),
        ClassicalInfo(
            "augmented_covariance",
            "Augmented covariance",
            "classical",
            "covariance",
            True,
            False,
            "EEG covariance with 4 delays in the tangent space, logistic regression (arXiv 2302.04508)",
            {"C": 0.01, "delays": 4},
        ),
        ClassicalInfo(
            "connectivity_features",
            "Connectivity features",
            "classical",
            "connectivity",
            True,
            False,
            "graph measures of EEG connectivity by band, logistic regression",
            {"C": 0.01},
        ),
    )
}
