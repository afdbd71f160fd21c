"""Arithmetic of the classical rows, read from fitted scikit-learn estimators, for one decision each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insula.errors import InputError
from insula.explain.cost.operations import OperationCount, Work

Rows = NDArray[np.float64]
Counter = Callable[[Any, Rows], Work]


def _scaler(step: Any, rows: Rows) -> Work:
    del step
    return Work(rows.shape[1])  # one scale and shift a column


def _imputer(step: Any, rows: Rows) -> Work:
    del step
    return Work(0, rows.shape[1])  # one comparison a column


def _linear(step: Any, rows: Rows) -> Work:
    """K rows of F multiply-accumulates; then the sigmoid of one score, or a softmax (3 additions, 2 others a class)."""
    del rows
    outputs, columns = np.atleast_2d(step.coef_).shape
    if not hasattr(step, "predict_proba"):
        return Work(outputs * columns)
    return Work(outputs * columns) + (Work(0, 0, 1) if outputs == 1 else Work(0, 3 * outputs, 2 * outputs))


def _svm(step: Any, rows: Rows) -> Work:
    """Kernel values to all support vectors, then the dual coefficients of every pair of classes.

    RBF: F subtractions, F squares, one exponential (and its gamma) each. Linear: F multiply-accumulates each.
    """
    vectors, columns = step.support_vectors_.shape
    del rows
    duals = int(np.count_nonzero(step.dual_coef_)) if not hasattr(step.dual_coef_, "nnz") else int(step.dual_coef_.nnz)
    if step.kernel == "rbf":
        return Work(vectors * columns + vectors + duals, vectors * columns, vectors)
    if step.kernel == "linear":
        return Work(vectors * columns + duals)
    raise InputError(f"SVM kernel {step.kernel!r}; expected rbf or linear. Use one of them to count its energy.")


def _forest(step: Any, rows: Rows) -> Work:
    """One comparison a node passed, in the mean over ``rows``; then the trees' votes: K additions a tree."""
    passed = sum(float(tree.decision_path(rows).sum()) / len(rows) - 1 for tree in step.estimators_)
    outputs = int(getattr(step, "n_classes_", 1))
    return Work(0, round(passed) + len(step.estimators_) * outputs, outputs)


def _gradient_trees(step: Any, rows: Rows) -> Work:
    """One comparison a node passed, in the mean over ``rows``; one addition a tree; the link function."""
    passed = trees = 0.0
    for stage in step._predictors:
        for predictor in stage:
            passed += _mean_path(predictor.nodes, rows)
            trees += 1
    outputs = len(step._predictors[0])
    return Work(0, round(passed + trees), 1 if outputs == 1 else 2 * outputs)


def _mean_path(nodes: Any, rows: Rows) -> float:
    """Mean number of decisions of ``rows`` in one tree of scikit-learn's histogram gradient boosting."""
    at = np.zeros(len(rows), dtype=np.int64)
    passed = 0
    while True:
        inner = nodes["is_leaf"][at] == 0
        if not inner.any():
            return passed / len(rows)
        passed += int(inner.sum())
        node = nodes[at]
        values = rows[np.arange(len(rows)), np.where(inner, node["feature_idx"], 0)]
        left = np.where(np.isnan(values), node["missing_go_to_left"] == 1, values <= node["num_threshold"])
        at = np.where(inner, np.where(left, node["left"], node["right"]).astype(np.int64), at)


def _constant(step: Any, rows: Rows) -> Work:
    del step, rows
    return Work()


ESTIMATOR_COUNTERS: dict[str, Counter] = {
    "StandardScaler": _scaler,
    "RobustScaler": _scaler,
    "SimpleImputer": _imputer,
    "LogisticRegression": _linear,
    "Ridge": _linear,
    "RidgeCV": _linear,
    "LinearRegression": _linear,
    "LinearSVC": _linear,
    "LinearDiscriminantAnalysis": _linear,
    "SVC": _svm,
    "SVR": _svm,
    "RandomForestClassifier": _forest,
    "RandomForestRegressor": _forest,
    "ExtraTreesClassifier": _forest,
    "ExtraTreesRegressor": _forest,
    "HistGradientBoostingClassifier": _gradient_trees,
    "HistGradientBoostingRegressor": _gradient_trees,
    "DummyClassifier": _constant,
    "DummyRegressor": _constant,
}
"""Class name -> counter of one decision, given the fitted estimator and sample rows (n, F)."""


def count_estimator(estimator: Any, rows: Rows) -> OperationCount:
    """Count one decision of a fitted scikit-learn estimator or Pipeline.

    Parameters
    ----------
    estimator : fitted; every step must have a rule, else InputError names it.
    rows : (n, F) feature rows; paths through trees are their mean.
    """
    values: Rows = np.asarray(rows, dtype=np.float64)
    if values.ndim != 2 or len(values) == 0:
        raise InputError(f"feature rows of shape {values.shape}; expected (n, F) with n of 1 or more.")
    steps = list(estimator.steps) if hasattr(estimator, "steps") else [(type(estimator).__name__, estimator)]
    layers: dict[str, Work] = {}
    for name, step in steps:
        if step is None or step == "passthrough":
            continue
        kind = type(step).__name__
        if kind not in ESTIMATOR_COUNTERS:
            raise InputError(
                f"estimator {kind} in {name}; expected one of {', '.join(sorted(ESTIMATOR_COUNTERS))}. "
                "Register a counter for it in insula.explain.cost.estimators.ESTIMATOR_COUNTERS."
            )
        layers[name] = ESTIMATOR_COUNTERS[kind](step, values)
        if hasattr(step, "transform"):
            values = np.asarray(step.transform(values), dtype=np.float64)
    return OperationCount.of(layers)


def column_preparation(columns: int) -> OperationCount:
    """Count filling gaps (one comparison) and standardising (one scale and shift) of feature columns."""
    return OperationCount.of({"imputation": Work(0, columns), "scaling": Work(columns)})


def estimator_parameters(estimator: Any) -> int:
    """Numbers a fitted estimator keeps: coefficients, support vectors, or three a tree node."""
    steps = [step for _, step in estimator.steps] if hasattr(estimator, "steps") else [estimator]
    total = 0
    for step in steps:
        for name in ("coef_", "intercept_", "mean_", "scale_", "statistics_", "support_vectors_"):
            if name == "coef_" and hasattr(step, "support_vectors_"):
                continue
            total += int(np.size(getattr(step, name))) if hasattr(step, name) else 0
        total += int(np.size(step.dual_coef_)) if hasattr(step, "support_vectors_") else 0
        total += sum(3 * int(tree.tree_.node_count) for tree in _trees(step))
        total += sum(3 * len(p.nodes) for stage in getattr(step, "_predictors", []) for p in stage)
    return total


def _trees(step: Any) -> list[Any]:
    return [t for t in np.ravel(getattr(step, "estimators_", [])) if hasattr(t, "tree_")]
