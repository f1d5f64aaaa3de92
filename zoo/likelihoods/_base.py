"""The protocol of likelihoods p(x|z).

A decoder gives `params_size(C)` numbers for the C channels of a pixel; the likelihood turns them into log-probabilities
and into the mean of the data.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from zoo.runtime import checks
from zoo.runtime.settings import Fixed
from zoo.runtime.types import Tensor


class Likelihood(Fixed, layers.Layer):
    """Base of the likelihoods. They compute in float32 under any dtype policy.

    `eight_bit` says whether `log_prob` is the log of a probability over the 256 values of a pixel, as bits per dim
    require. `support` is the range of the data, (low, high), or None for the real line. `unbounded` says whether
    `params` range over all numbers: the decoder must then not end in a sigmoid or another bounded activation.
    `sensitivity` is how many times more than other outputs the data of an export may differ from the model's: above 1
    for means that an iteration finds, which amplifies rounding. `couples_channels` says that the channels of a place
    are not independent given z: they are then observed or missing together. `counts` says that data are whole
    numbers, as `fit` and `evaluate` then require, and `grid`, a number or one for each channel, that they are
    multiples of 1 / grid, or any numbers where it is 0. `neutral`, a number or one for each channel, stands for missing
    values before anything is known of them.

    `observed_log_prob` calls `log_prob` for each value alone, as an example of one channel. A likelihood whose channels
    differ, for example by a scale each, overrides it.
    """

    eight_bit = False
    support: tuple[float, float] | None = (0.0, 1.0)
    unbounded = True
    couples_channels = False
    counts = False
    grid: float | tuple[float, ...] | None = None
    sensitivity = 1.0
    neutral: float | tuple[float, ...] = 0.0

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        object.__setattr__(self, "_alike", set())  # the numbers of channels that are known to be treated alike
        self.built = True

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        # In mixed precision Keras rounds weights in `call` of a model, where it cannot see the likelihood's methods.
        return super().add_weight(*args, **{"autocast": False, **kwargs})

    def known(self, x: Tensor) -> Tensor:
        """1 for each value of the data `x` that an error of its reconstruction counts, 0 for others: of x's shape."""
        return ops.ones_like(x)

    def params_size(self, channels: int) -> int:
        """The number of parameters per pixel that the decoder must give for `channels` channels."""
        return channels

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        """log p(x|z), summed over pixels and channels: float32 `[B]`, nats per example."""
        raise NotImplementedError

    def observed_log_prob(self, x: Tensor, params: Tensor, mask: Tensor, training: bool = False) -> Tensor:
        """log p of the values that a mask keeps: float32 `[B]`, nats per example.

        Args:
            x, mask: float32 `[B,…,C]`; the mask is 1 where a value counts and 0 elsewhere. If the likelihood couples
                channels, the mask is the same for all channels of a place.
            params: float32 `[B,…,params_size(C)]`.

        Raises:
            ValueError: if `log_prob` treats channels differently, and the class does not override this method.
        """
        number, channels = ops.shape(x)[0], 1 if self.couples_channels else x.shape[-1]
        per_value = params.shape[-1] // channels
        if channels > 1 and channels not in self._alike:
            self._require_alike(channels)
        if not self.couples_channels:  # each value becomes an example of one channel, with its own parameters
            params = ops.swapaxes(ops.reshape(params, (-1, per_value, channels)), 1, 2)
        values = ops.reshape(x, (-1, x.shape[-1] // channels))
        log_probs = self.log_prob(values, ops.reshape(params, (-1, per_value)), training)
        kept = ops.reshape(mask[..., :channels], (number, -1))
        return ops.sum(ops.where(kept > 0.0, ops.reshape(log_probs, (number, -1)), 0.0), axis=1)

    def _require_alike(self, channels):
        """Compares one example with its values one by one: constants of each channel would broadcast silently."""
        self._alike.add(channels)  # first, as the comparison comes here too
        low, high = self.support or (0.0, 1.0)
        with tf.init_scope():  # numbers, also where a graph is traced
            x = np.where(np.arange(channels) % 2, low, min(low + 1.0, high)).astype(np.float32)[None]
            params = np.linspace(-0.5, 0.5, self.params_size(channels), dtype=np.float32)[None]
            whole = self.log_prob(tf.constant(x), tf.constant(params))[0].numpy()
            by_value = self.observed_log_prob(tf.constant(x), tf.constant(params), tf.ones_like(x))[0].numpy()
        if abs(whole - by_value) > 1e-3 * max(1.0, abs(whole)):
            self._alike.remove(channels)
            raise ValueError(
                f"Expected {type(self).__name__} to define `observed_log_prob`, as its `log_prob` of {channels} "
                f"channels is not that of each alone. Received: {whole:g} nats together, {by_value:g} one by one"
            )

    def mean(self, params: Tensor) -> Tensor:
        """The mean of the data, float32 `[B,H,W,C]` within the support."""
        raise NotImplementedError

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        """Samples data from p(x|z), noise included: float32 `[B,H,W,C]`; `seeds` int32 `[B]`, one for each example."""
        raise NotImplementedError(f"Expected a likelihood that defines `sample`. Received: {type(self).__name__}")

    def check_params(self, data_shape: Sequence[int | None], params_shape: Sequence[int | None]) -> None:
        """Raises ValueError unless a decoder's output fits the data. Other shapes could broadcast silently.

        Args:
            data_shape, params_shape: tuples of ints without the batch axis; None is an unknown size.
        """
        *size, channels = data_shape
        wanted = (*size, None if channels is None else self.params_size(channels))
        fits = len(wanted) == len(params_shape)
        if not fits or any(a != b for a, b in zip(wanted, params_shape) if None not in (a, b)):
            expected = ", ".join("?" if n is None else str(n) for n in wanted)
            raise ValueError(
                f"Expected the decoder to give [B, {expected}], as {type(self).__name__} asks for {wanted[-1]} numbers "
                f"for the {channels} channels of a pixel. Received: an output of shape [B, "
                f"{', '.join(map(str, params_shape))}]"
            )


def require(likelihood: object) -> Likelihood:
    """Returns `likelihood`; raises a ValueError with the members that it lacks."""
    return checks.implements("likelihood", likelihood, Likelihood, ("log_prob", "mean"))
