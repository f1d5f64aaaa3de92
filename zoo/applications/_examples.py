"""The inputs of estimators: examples as a model takes them, or flattened to rows as scikit-learn's tools pass them."""

import math

import keras
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from zoo.fitting import inputs
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike


def examples_of(estimator: BaseEstimator, x: ArrayLike, first: bool = False) -> np.ndarray:
    """`as_examples` of an estimator's model; the columns of a DataFrame must be those of its `fit`, in their order.

    Args:
        estimator: with the attribute `model`.
        x: as in `as_examples`.
        first: bool, whether `x` is that of `fit`.
    """
    validate_data(estimator, x, reset=first, skip_check_array=True, ensure_2d=False)
    return as_examples(estimator.model, x)


def as_examples(model: keras.Model, x: ArrayLike) -> np.ndarray:
    """`x` as a float32 array of the model's examples.

    Args:
        model: a model of the zoo.
        x: `[N,…]`, or `[N,F]` with the F numbers of an example in a row; the model's shape is then restored.

    Raises:
        ValueError: for integers, rows of another length, an array without the axis of examples, and values outside of
            the model's range.
    """
    inputs.require_data_of_floats("model", model)
    x = checks.numpy_array("x", x)
    inputs.require_floating("x", x)
    shape = model.example_shape
    if shape is not None and x.ndim == 2 and len(shape) != 1:
        if x.shape[1] != math.prod(shape):
            checks.fail("x", f"of shape {('N', *shape)} or {('N', math.prod(shape))}", tuple(x.shape))
        x = x.reshape(-1, *shape)
    if x.ndim < 2 or not len(x):
        checks.fail("x", "an array [N, …] of one example or more", tuple(x.shape))
    if shape is not None:
        inputs.require_shape("x", x, shape)
    x = x.astype(np.float32)
    if not model.denoises:
        inputs.look([model.data_values("x", x)])
    return x


def require_unconditional(model: keras.Model, use: str) -> None:
    """Raises ValueError for a conditional model, whose methods ask for labels."""
    checks.zoo_model(model)
    if model.conditional:
        checks.fail("model", f"one without labels, as {use} knows none", type(model).__name__)
