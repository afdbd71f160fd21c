"""The scikit-learn models of the classical rows, loaded when one is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CLOCKS: Mapping[str, list[str]] = {
    "clock": ["elapsed_s", "trial_index"],
    "elapsed": ["elapsed_s"],
    "elapsed_trial": ["elapsed_s", "in_trial_s"],
}
"""Rows that see no signal, and the columns they see; ``in_trial_s`` is the time since the trial began."""
USUAL = (
    "clock", "elapsed", "elapsed_trial", "stimulus_prior", "majority", "prior", "logistic_regression", "random_forest",
)  # fmt: skip
"""Rows beside a model unless others are named."""
BESIDE = ("logistic_regression", "ridge")
"""Rows that an energy sheet is put beside, where they serve the target."""


_LOGISTIC = (
    "logistic_regression", "tangent_space", "recentred_tangent_space", "augmented_covariance", "connectivity_features",
)  # fmt: skip


def build_row(name: str, options: Mapping[str, float], continuous: bool, seed: int, rows: int) -> Any:
    """Make the scikit-learn model of a row for standardised columns without gaps."""
    leaf = int(min(options.get("leaf", 20), max(1, rows // 20)))
    if name in _LOGISTIC:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=options["C"], class_weight="balanced", max_iter=5000, random_state=seed)
    if name == "ridge":
        from sklearn.linear_model import Ridge

        return Ridge(alpha=options["alpha"])
    if name in ("random_forest", *CLOCKS):
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        shape: dict[str, Any] = {
            "n_estimators": int(options["trees"]),
            "min_samples_leaf": leaf,
            "max_features": None if name in CLOCKS else "sqrt",
            "random_state": seed,
            "n_jobs": 1,
        }
        return (
            RandomForestRegressor(**shape) if continuous else RandomForestClassifier(class_weight="balanced", **shape)
        )
    if name == "svm":
        from sklearn.svm import SVC, SVR

        return SVR(C=options["C"]) if continuous else SVC(C=options["C"], class_weight="balanced")
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    growth: dict[str, Any] = {
        "max_iter": int(options["rounds"]),
        "learning_rate": options["rate"],
        "max_leaf_nodes": int(options["leaves"]),
        "min_samples_leaf": leaf,
        "l2_regularization": 1.0,
        "early_stopping": False,
        "random_state": seed,
    }
    if continuous:
        return HistGradientBoostingRegressor(**growth)
    return HistGradientBoostingClassifier(class_weight="balanced", **growth)
