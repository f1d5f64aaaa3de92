"""The error of reconstructions."""

import math
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from zoo.runtime.types import ArrayLike


def reconstruction_error(
    model: keras.Model, batches: Iterable[ArrayLike | tuple[ArrayLike, ArrayLike]], variance: float | None = None
) -> dict[str, float]:
    """The mean squared error of `model.reconstruct` over all values of all images.

    Args:
        model: a model of the zoo.
        batches: iterable of float images `[B,H,W,C]`, or of (images, labels) for a conditional model.
        variance: float, the variance of all values of the training data; None leaves the ratio out.

    Returns:
        dict of floats: `mse`, in squared units of the [0, 1] range; `mse_over_variance`, 1 for a model that always
        gives the mean value; `psnr`, −10 log10 mse, in dB.

    Example:
        >>> zoo.evaluation.reconstruction_error(model, [images], variance=images.var())
        {'mse': …, 'mse_over_variance': …, 'psnr': …}
    """
    reconstruct = tf.function(model.reconstruct, autograph=False, reduce_retracing=True)
    squared, number = 0.0, 0
    for batch in batches:
        x, labels = batch if model.conditional else (batch, None)
        difference = np.asarray(reconstruct(x, labels) - x, np.float64)
        squared += np.square(difference).sum()
        number += difference.size
    mse = squared / number
    ratio = {} if variance is None else {"mse_over_variance": mse / variance}
    return {"mse": mse, **ratio, "psnr": -10.0 * math.log10(mse) if mse else math.inf}
