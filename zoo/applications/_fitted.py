"""The arguments of an estimator, which must stay as they were in `fit`: what `fit` computed belongs to them."""

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from zoo.runtime import checks


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
