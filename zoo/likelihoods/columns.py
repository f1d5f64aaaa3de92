"""Likelihoods of columns of numbers that share no scale: Gaussian, and ordinal."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import initializers, ops, saving

from zoo import distributions, random
from zoo._compat.tflite import softplus
from zoo.likelihoods import _draws
from zoo.likelihoods._base import Likelihood
from zoo.likelihoods._terms import ordinal_terms
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor


class ByValue(Likelihood):
    """Base of likelihoods whose values are independent given z, with weights of their own for each channel."""

    def terms(self, x: Tensor, params: Tensor) -> Tensor:
        """log p of each value, float32 of x's shape, nats."""
        raise NotImplementedError

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        return distributions.sum_per_example(self.terms(x, params))

    def observed_log_prob(self, x: Tensor, params: Tensor, mask: Tensor, training: bool = False) -> Tensor:
        return distributions.sum_per_example(ops.where(mask > 0.0, self.terms(x, params), 0.0))


@saving.register_keras_serializable("zoo")
class GaussianColumns(ByValue):
    """N(x_c; params_c, σ_c²) on the real line, with a learned σ for each channel c: columns of a table.

    Args:
        channels: int >= 1, the size of the last axis of the data.
        minimum: float > 0, the least σ, in units of the data: a column of few values would otherwise drive it to 0, and
            the density to infinity. It is below e⁷ = 1,096, the greatest σ.
        initial_sigma: float > 0 and below e⁷, every σ before training, but at least `minimum`. A training of few steps
            ends near it.

    Raises:
        ValueError: for arguments out of range, and for data of other channels.
    """

    support = None
    unbounded = False

    def __init__(self, channels: int, minimum: float = 0.01, initial_sigma: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = checks.positive_int("channels", channels)
        self.minimum = _sigma("minimum", minimum)
        self.initial_sigma = _sigma("initial_sigma", initial_sigma)
        self.log_var = self.add_weight(
            shape=(channels,),
            initializer=initializers.Constant(2.0 * math.log(max(self.initial_sigma, self.minimum))),
            constraint=self._at_least,
            name="log_var",
            aggregation="mean",
        )

    def params_size(self, channels: int) -> int:
        return _same(self.channels, channels)

    def _log_var(self):
        log_var = distributions.bound_log_var(ops.convert_to_tensor(self.log_var))
        return log_var + ops.stop_gradient(self._at_least(log_var) - log_var)  # σ can grow again from the minimum

    def _at_least(self, log_var):
        return ops.maximum(log_var, 2.0 * math.log(self.minimum))

    def terms(self, x: Tensor, params: Tensor) -> Tensor:
        log_var = self._log_var()
        return -0.5 * (math.log(2.0 * math.pi) + log_var + ops.square(x - params) * ops.exp(-log_var))

    def mean(self, params: Tensor) -> Tensor:
        return params

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        return distributions.reparameterize(params, self._log_var(), random.normal(seeds, params.shape[1:]))

    def get_config(self) -> Config:
        own = {"channels": self.channels, "minimum": self.minimum, "initial_sigma": self.initial_sigma}
        return {**super().get_config(), **own}


def _sigma(name, value):
    greatest = math.exp(distributions.LOG_VAR_RANGE[1] / 2.0)
    return checks.number(name, value, 0.0, greatest, open_low=True, open_high=True)


@saving.register_keras_serializable("zoo")
class Ordinal(ByValue):
    """Ordered levels: a logistic variable that thresholds cut into K levels.

        P(x = k / (K − 1)) = σ((c_k − f) / s) − σ((c_{k−1} − f) / s)

    (McCullagh 1980; the thresholds c are weights of each channel, and the decoder gives f and log s for each value.)
    Data are the levels 0, 1, …, K − 1 divided by K − 1, so in [0, 1]; a level with K = 1 is 0. The mean of the data is
    Σ_k P(k) k / (K − 1).

    Args:
        levels: int >= 1, K of every channel; or one int for each channel, `[C]`. At first all levels of a channel are
            about equally likely at f = 0 and s = 1.

    Raises:
        ValueError: for other levels, and for data of other channels.
    """

    def __init__(self, levels: int | Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        several = isinstance(levels, (list, tuple))
        given: Any = levels if several else [levels]
        self.levels = tuple(checks.positive_int("levels", each) for each in given)
        if not self.levels:
            checks.fail("levels", "an int >= 1, or one for each channel", levels)
        self.shared = not several
        top = self._top().tolist()
        self.grid = top[0] if self.shared else tuple(top)
        start, steps = _thresholds(self.levels)
        make = {"aggregation": "mean", "dtype": "float32"}
        self.first = self.add_weight(shape=start.shape, initializer="zeros", name="first", **make)
        self.first.assign(start)
        self.steps = self.add_weight(shape=steps.shape, initializer="zeros", name="steps", **make)
        self.steps.assign(steps)

    def params_size(self, channels: int) -> int:
        return 2 * (channels if self.shared else _same(len(self.levels), channels))

    def _thresholds(self):
        """Increasing along the last axis, `[C,K−1]`; those beyond a channel's own K − 1 lie at infinity."""
        rest = softplus(0.0 + ops.convert_to_tensor(self.steps)) + 1e-3  # not of the variable itself
        rest = rest + 1e6 * ops.convert_to_tensor(self._beyond(), "float32")
        first = ops.convert_to_tensor(self.first)
        return ops.concatenate([first, first + ops.cumsum(rest, axis=-1)], axis=-1)

    def _beyond(self):
        """1 for the step to the first threshold that a channel does not have, `[C,K−2]`."""
        beyond = np.zeros(self.steps.shape, np.float32)
        for row, number in zip(beyond, self.levels):
            row[max(number - 2, 0) : max(number - 2, 0) + 1] = 1.0
        return beyond

    def _top(self):
        return np.maximum(np.array(self.levels, np.float32) - 1.0, 1.0)

    def _split(self, params):
        location, log_scale = ops.split(params, 2, axis=-1)
        return location, distributions.soft_bound(log_scale, *distributions.LOG_SCALE_RANGE)

    def terms(self, x: Tensor, params: Tensor) -> Tensor:
        location, log_scale = self._split(params)
        return ordinal_terms(x * self._top(), location, log_scale, self._thresholds())

    def _above(self, value):
        """The number of thresholds below each value, `[…,C]`: its level."""
        return ops.sum(ops.cast(ops.expand_dims(value, -1) > self._thresholds(), "float32"), axis=-1)

    def mean(self, params: Tensor) -> Tensor:
        location, log_scale = (ops.expand_dims(each, -1) for each in self._split(params))
        beyond = ops.sigmoid((location - self._thresholds()) * ops.exp(-log_scale))  # P(level > k)
        return ops.sum(beyond, axis=-1) / self._top()

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        location, log_scale = self._split(params)
        value = location + ops.exp(log_scale) * _draws.logistic(seeds, location.shape[1:])
        return self._above(value) / self._top()

    def get_config(self) -> Config:
        return {**super().get_config(), "levels": self.levels[0] if self.shared else list(self.levels)}


def _same(own, channels):
    if channels != own:
        checks.fail("x", f"of {own} channels, as the likelihood has weights for each", f"{channels} channels")
    return own


def _thresholds(levels):
    """The first threshold `[C,1]`, and the inverse softplus of the steps to the others, `[C,K−2]`: at log(k / (K − k)).

    A channel of one level has its first threshold at infinity.
    """
    width = max(max(levels), 2)
    first, steps = np.zeros((len(levels), 1), np.float32), np.zeros((len(levels), width - 2), np.float32)
    for row, number in enumerate(levels):
        places = [math.log(k / (number - k)) for k in range(1, number)] or [1e6]
        first[row] = places[0]
        gaps = np.diff(places) - 1e-3
        steps[row, : len(gaps)] = np.log(np.expm1(gaps))
    return first, steps
