"""The likelihood of data in their own units, by one of standardised data."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops, saving

from zoo.likelihoods._base import Likelihood
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor


@saving.register_keras_serializable("zoo")
class Standardized(Likelihood):
    """A likelihood of (x − m) / s, as a density of x, with a mean m and a deviation s for each channel.

        log p(x|z) = log p̃((x − m) / s | z) − Σ log s

    The decoder gives the parameters of the inner likelihood p̃. The mean of the data and samples are in the units of x:
    the scaling is a part of the model, of its files and of its exports.

    Args:
        likelihood: a `zoo.likelihoods.Likelihood` on the real line, such as `Gaussian(range=None)`.
        means: floats `[C]`, m.
        deviations: floats > 0, `[C]`, s.
        names: strs, the channels' names, or None. They are only kept.

    Raises:
        ValueError: for a likelihood of data in a range, for arguments of different lengths or out of range, and for
            data of other channels.

    Example:
        >>> judge = zoo.likelihoods.Standardized(zoo.likelihoods.Gaussian(1.0, range=None), [20.0, 1013.0], [5.0, 8.0])
        >>> judge.mean(keras.ops.zeros((1, 4, 2)))[0, 0].numpy().tolist()
        [20.0, 1013.0]
    """

    support = None

    def __init__(
        self,
        likelihood: Likelihood | Mapping[str, object],
        means: Sequence[float],
        deviations: Sequence[float],
        names: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(likelihood, dict):
            likelihood = keras.saving.deserialize_keras_object(likelihood)
        if not isinstance(likelihood, Likelihood) or likelihood.support is not None:
            checks.fail("likelihood", "a zoo.likelihoods.Likelihood on the real line, as with range=None", likelihood)
        self.likelihood, self.unbounded = likelihood, likelihood.unbounded
        self.couples_channels = likelihood.couples_channels
        self.means = tuple(checks.number("means", float(each)) for each in means)
        self.deviations = tuple(checks.number("deviations", float(each), 0.0, open_low=True) for each in deviations)
        self.neutral = self.means
        self.names = None if names is None else tuple(map(str, names))
        lengths = {len(each) for each in (self.means, self.deviations, self.names) if each is not None}
        if len(lengths) != 1 or lengths == {0}:
            checks.fail("deviations", f"of the length of means, {len(self.means)}, as names", len(self.deviations))

    def params_size(self, channels: int) -> int:
        if channels != len(self.deviations):
            checks.fail("x", f"of {len(self.deviations)} channels, as means", f"{channels} channels")
        return self.likelihood.params_size(channels)

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        places = ops.cast(math.prod(ops.shape(x)[1:-1]), "float32")
        stretch = places * float(np.log(self.deviations).sum())
        return self.likelihood.log_prob(self._standard(x), params, training=training) - stretch

    def observed_log_prob(self, x: Tensor, params: Tensor, mask: Tensor, training: bool = False) -> Tensor:
        seen = mask[..., :1] if self.couples_channels else mask
        stretches = ops.where(seen > 0.0, np.log(np.array(self.deviations, np.float32)), 0.0)
        stretch = ops.sum(ops.reshape(stretches, (ops.shape(x)[0], -1)), axis=1)
        return self.likelihood.observed_log_prob(self._standard(x), params, mask, training) - stretch

    def mean(self, params: Tensor) -> Tensor:
        return self._raw(self.likelihood.mean(params))

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        return self._raw(self.likelihood.sample(params, seeds))

    def _standard(self, x):
        return (x - np.array(self.means, np.float32)) / np.array(self.deviations, np.float32)

    def _raw(self, values):
        return values * np.array(self.deviations, np.float32) + np.array(self.means, np.float32)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "likelihood": keras.saving.serialize_keras_object(self.likelihood),
            "means": list(self.means),
            "deviations": list(self.deviations),
            "names": None if self.names is None else list(self.names),
        }
