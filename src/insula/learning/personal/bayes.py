"""A Bayesian linear head on embeddings or hand-made features: closed form, uncertain, learns label by label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from insula.errors import DataError, InputError
from insula.types import DoubleArray, IntArray


class BayesianHead:
    """Bayesian linear regression on one-hot labels, one posterior shared by all classes.

    With the prior ``w_k ~ N(prior mean, 1 / alpha)`` and noise of variance ``noise``, the posterior over the weights of
    features and intercept is normal in closed form (Bishop, Pattern Recognition and Machine Learning, 2006, 3.3), and a
    new label is a rank-one update of its covariance (recursive least squares). Labels in any order give the same head
    as all at once. Features are standardised with ``centre`` and ``spread`` where these are given (as those of the
    training people), otherwise taken as they come; values that are not finite count as the centre.

    Parameters
    ----------
    classes : names of the K classes, in the order of the probabilities.
    features : number of columns F.
    alpha : precision of the prior weights; the intercept is nearly free.
    noise : variance of a label around its score.
    weights : prior mean of the weights (F + 1, K), intercept last: the population's head. Default: zero, 1 / K.
    """

    def __init__(
        self,
        classes: Sequence[str],
        features: int,
        *,
        alpha: float = 1.0,
        noise: float = 0.25,
        weights: DoubleArray | None = None,
        centre: DoubleArray | None = None,
        spread: DoubleArray | None = None,
        sharpness: float = 8.0,
    ) -> None:
        if len(classes) < 2 or features < 1:
            raise InputError(f"{len(classes)} classes and {features} features; expected at least 2 and 1.")
        if not (alpha > 0 and noise > 0 and sharpness > 0):
            raise InputError(f"alpha {alpha}, noise {noise}, sharpness {sharpness}; expected all above 0.")
        self.classes = tuple(map(str, classes))
        self.features = features
        self.alpha, self.noise, self.sharpness = float(alpha), float(noise), float(sharpness)
        k = len(self.classes)
        self.mean: DoubleArray = np.zeros((features + 1, k))
        self.mean[-1] = 1 / k
        if weights is not None:
            self.mean = _shaped("weights", weights, (features + 1, k))
        self.centre = np.zeros(features) if centre is None else _shaped("centre", centre, (features,))
        self.spread = np.ones(features) if spread is None else _shaped("spread", spread, (features,))
        self.covariance: DoubleArray = np.eye(features + 1) / self.alpha
        self.covariance[-1, -1] = 1.0
        self.seen = np.zeros(k, np.int64)

    # -- learning --------------------------------------------------------------------------------------------------

    def update(self, x: DoubleArray, label: str | int, weight: float = 1.0) -> BayesianHead:
        """Learn one label (a class name or its code) of one row of features (F,); return the head itself.

        ``weight`` below 1 counts the label as less than one, above 1 as more.
        """
        code = self._code(label)
        if not weight > 0:
            raise InputError(f"weight {weight}; expected above 0.")
        row = self._rows(np.asarray(x, np.float64)[None])[0]  # (F + 1,)
        along = self.covariance @ row
        gain = along / (self.noise / weight + row @ along)
        target = np.eye(len(self.classes))[code]
        self.mean = self.mean + np.outer(gain, target - row @ self.mean)
        covariance = self.covariance - np.outer(gain, along)
        self.covariance = (covariance + covariance.T) / 2
        self.seen[code] += 1
        return self

    def fit(self, x: DoubleArray, labels: Sequence[str | int] | IntArray) -> BayesianHead:
        """Learn many labels (rows,) of features (rows, F), each class weighing the same however often it occurs."""
        x = np.asarray(x, np.float64)
        codes = np.asarray([self._code(one) for one in labels], np.int64)
        if x.ndim != 2 or len(x) != len(codes):
            raise InputError(f"features of shape {x.shape} for {len(codes)} labels; expected one row a label.")
        if not len(codes):
            return self
        counts = np.bincount(codes, minlength=len(self.classes))
        weight = np.asarray(len(codes) / (np.count_nonzero(counts) * np.maximum(counts, 1)), np.float64)[codes]
        rows = self._rows(x)
        prior = np.linalg.inv(self.covariance)
        scaled = rows * (weight / self.noise)[:, None]
        self.covariance = np.asarray(np.linalg.inv(prior + scaled.T @ rows), np.float64)
        right = prior @ self.mean + scaled.T @ np.eye(len(self.classes))[codes]
        self.mean = np.asarray(self.covariance @ right, np.float64)
        self.seen += counts
        return self

    # -- using -----------------------------------------------------------------------------------------------------

    def scores(self, x: DoubleArray) -> DoubleArray:
        """Posterior mean of each class's score, (K,) of one row (F,) or (rows, K) of many."""
        x = np.asarray(x, np.float64)
        found = self._rows(np.atleast_2d(x)) @ self.mean
        return np.asarray(found[0] if x.ndim == 1 else found)

    def predict_proba(self, x: DoubleArray) -> DoubleArray:
        """Probability of each class, (K,) or (rows, K): the softmax of the scores, flattened by their uncertainty."""
        x = np.asarray(x, np.float64)
        mean = np.atleast_2d(self.scores(x))
        deviation = np.atleast_1d(self.uncertainty(x))
        # the logit of class k is sharpness x its score; its posterior spread divides it (MacKay 1992)
        tempered = self.sharpness * mean / np.sqrt(1 + np.pi / 8 * (self.sharpness * deviation[:, None]) ** 2)
        shifted = np.exp(tempered - tempered.max(axis=1, keepdims=True))
        found = shifted / shifted.sum(axis=1, keepdims=True)
        return np.asarray(found[0] if x.ndim == 1 else found)

    def predict(self, x: DoubleArray) -> Any:
        """Most probable class code, of one row or (rows,)."""
        return np.asarray(self.scores(x)).argmax(axis=-1)

    def uncertainty(self, x: DoubleArray) -> Any:
        """Posterior deviation of the scores, a number or (rows,): how little the labels so far say about this row."""
        x = np.asarray(x, np.float64)
        rows = self._rows(np.atleast_2d(x))
        found = np.sqrt(np.maximum(np.einsum("nf,fg,ng->n", rows, self.covariance, rows), 0.0))
        return float(found[0]) if x.ndim == 1 else found

    # -- keeping ---------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        arrays = {n: getattr(self, n).tolist() for n in ("mean", "covariance", "centre", "spread", "seen")}
        numbers = {n: getattr(self, n) for n in ("features", "alpha", "noise", "sharpness")}
        return {"classes": list(self.classes), **numbers, **arrays}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BayesianHead:
        """Read what `to_dict` wrote; DataError where it is not whole."""
        try:
            head = cls(
                data["classes"],
                int(data["features"]),
                alpha=data["alpha"],
                noise=data["noise"],
                sharpness=data["sharpness"],
                weights=np.asarray(data["mean"], np.float64),
                centre=np.asarray(data["centre"], np.float64),
                spread=np.asarray(data["spread"], np.float64),
            )
            size = head.features + 1
            head.covariance = _shaped("covariance", np.asarray(data["covariance"], np.float64), (size, size))
            head.seen = np.asarray(data["seen"], np.int64).reshape(len(head.classes))
        except (LookupError, TypeError, ValueError) as error:
            raise DataError(f"a Bayesian head that cannot be read ({error}); expected what to_dict wrote.") from None
        return head

    def answers(self, classes: Sequence[str]) -> bool:
        """Whether its answers are of these classes, in their order."""
        return self.classes == tuple(classes)

    def _rows(self, x: DoubleArray) -> DoubleArray:
        """Standardised rows with a one at the end, (rows, F + 1)."""
        if x.ndim != 2 or x.shape[1] != self.features:
            raise InputError(f"features of shape {x.shape}; expected {self.features} columns.")
        z = (x - self.centre) / self.spread
        return np.hstack([np.where(np.isfinite(z), z, 0.0), np.ones((len(x), 1))])

    def _code(self, label: str | int) -> int:
        if isinstance(label, str):
            if label not in self.classes:
                raise InputError(f"label {label!r}; expected one of {', '.join(self.classes)}.")
            return self.classes.index(label)
        code = int(label)
        if not 0 <= code < len(self.classes):
            raise InputError(f"label {code}; expected a class code from 0 to {len(self.classes) - 1}.")
        return code

    def __repr__(self) -> str:
        return f"BayesianHead({', '.join(self.classes)}; {self.features} features, {int(self.seen.sum())} labels)"


def _shaped(what: str, values: DoubleArray, shape: tuple[int, ...]) -> DoubleArray:
    array = np.array(values, np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise InputError(f"{what} of shape {array.shape}; expected finite values of shape {shape}.")
    return array
