"""Log-probabilities of single values: counts, and ordered levels. Pure functions, in nats."""

import math

from keras import ops

from zoo._compat.tflite import softplus
from zoo.runtime.types import Array, Tensor


def _log_gamma_rest(x):
    """log Γ(x + 1) − x log x + x for x >= 0: the part of a factorial that stays small, with an error below 1e-6.

    From 8 on it is Stirling's series, ½ log 2πx + 1/(12x) − 1/(360x³). Below, log Γ(x + 9) by the same series, minus
    the logarithm of (x + 1)(x + 2)…(x + 8).
    """
    small = x < 8.0
    y = ops.where(small, x + 8.0, x)
    series = 0.5 * ops.log(2.0 * math.pi * y) + 1.0 / (12.0 * y) - 1.0 / (360.0 * y * y * y)
    low = ops.where(small, x, 0.0)
    product = ops.ones_like(low)
    for number in range(1, 9):
        product = product * (low + number)
    power = low * ops.log(ops.maximum(low, 1e-30))
    shifted = series + y * ops.log(y) - 8.0 - ops.log(product) - power
    return ops.where(small, shifted, series)


def _deviance(x, mean):
    """x log(x / mean) − x + mean, for x >= 0 and mean > 0: without the cancellation of large terms near x = mean."""
    ratio = ops.where(x > 0.0, (x - mean) / mean, 0.0)
    return x * ops.log1p(ratio) - (x - mean)


def poisson_terms(x: Array, mean: Array) -> Tensor:
    """log of Poisson(x; mean), x log m − m − log x!, of each value: float32 of the broadcast shape, nats.

    Written as −(x log(x/m) − x + m) − (log x! − x log x + x) (Loader 2000, "Fast and Accurate Computation of Binomial
    Probabilities"), whose terms stay small for large counts.
    """
    return -_deviance(x, mean) - _log_gamma_rest(x)


def negative_binomial_terms(x: Array, mean: Array, concentration: Array) -> Tensor:
    """log of the negative binomial of mean m and variance m + m²/r of each value: float32, nats.

        log Γ(x + r) − log Γ(r) − log x! + r log(r / (r + m)) + x log(m / (r + m))

    in Loader's form, as `poisson_terms`, which it becomes as r grows.
    """
    r, total = concentration, x + concentration
    shift = (x - mean) / (r + mean)
    ratio = ops.where(x > 0.0, (x - mean) / mean, 0.0)
    exponent = total * ops.log1p(shift) - x * ops.log1p(ratio)
    return exponent + ops.log(r / total) + _log_gamma_rest(total) - _log_gamma_rest(r) - _log_gamma_rest(x)


def ordinal_terms(level: Array, location: Array, log_scale: Array, thresholds: Array) -> Tensor:
    """log P(level) of each value under a logistic that thresholds cut into K levels: float32 of `level`'s shape, nats.

        P(k) = σ((c_k − f) / s) − σ((c_{k−1} − f) / s),   c_{−1} = −∞,   c_{K−1} = ∞

    The cumulative-logit model of McCullagh 1980, "Regression Models for Ordinal Data", with a scale.

    Args:
        level: `[…,C]`, whole numbers from 0 to K − 1.
        location, log_scale: of the same shape, f and log s.
        thresholds: float32 `[C,K−1]` or `[1,K−1]`, increasing along the last axis.
    """
    number = thresholds.shape[-1] + 1
    chosen = ops.one_hot(ops.cast(ops.round(level), "int32"), number, dtype="float32")
    infinity = 1e6 * ops.ones_like(thresholds[:, :1])
    upper = ops.sum(chosen * ops.concatenate([thresholds, infinity], axis=-1), axis=-1)
    lower = ops.sum(chosen * ops.concatenate([-infinity, thresholds], axis=-1), axis=-1)
    inverse_scale = ops.exp(-log_scale)
    inside = -softplus(-(upper - location) * inverse_scale) - softplus((lower - location) * inverse_scale)
    width = ops.maximum((upper - lower) * inverse_scale, 1e-12)
    return inside + ops.log(-ops.expm1(-width))
