"""What the two detectors share: verdicts, and arguments that must stay as they were in `fit`."""

from collections.abc import Callable

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from zoo import data
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike


class Detector(OutlierMixin, BaseEstimator):
    """An outlier detector with `score_samples`, and with the negative threshold `offset_`."""

    offset_: float
    score_samples: Callable[..., np.ndarray]  # the higher, the more normal

    def decision_function(self, x: data.Series | ArrayLike) -> np.ndarray:
        """`score_samples` minus `offset_`, and so below 0 for anomalies: float64 `[N]`."""
        return self.score_samples(x) - self.offset_

    def predict(self, x: data.Series | ArrayLike) -> np.ndarray:
        """−1 for anomalies, and 1 for all others, also where there is no score: int64 `[N]`."""
        return np.where(self.decision_function(x) < 0.0, -1, 1)


def note_arguments(estimator: BaseEstimator) -> None:
    """Keeps the arguments of an estimator, at the end of its `fit`."""
    estimator.fitted_with_ = estimator.get_params(deep=False)


def require_fitted(estimator: BaseEstimator) -> None:
    """Raises NotFittedError before `fit`, and ValueError for an argument that was changed since."""
    check_is_fitted(estimator, "offset_")
    fitted_with = getattr(estimator, "fitted_with_", {})  # which the pickles of an earlier version lack
    for name, value in estimator.get_params(deep=False).items():
        former = fitted_with.get(name, value)
        if value is not former and value != former:
            checks.fail(name, f"{former!r}, as in fit; call fit again after a change", value)
