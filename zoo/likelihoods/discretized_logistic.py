"""Likelihoods of 8-bit values: a logistic cut into 256 bins, and a mixture of them."""

from typing import Any

from keras import ops, saving

from zoo import distributions, random
from zoo.likelihoods._base import Likelihood
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor


@saving.register_keras_serializable("zoo")
class DiscretizedLogistic(Likelihood):
    """A logistic over the 256 values. The decoder gives a location and a log-scale for each channel of a pixel.

    `mean` is the location, clipped to [0, 1], as is usual for pictures. Where a wide logistic reaches beyond the range,
    the mean of the 256 values is nearer to the middle.
    """

    eight_bit = True

    def params_size(self, channels: int) -> int:
        return 2 * channels

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        mean, log_scale = ops.split(params, 2, axis=-1)
        log_scale = distributions.bound_log_scale(log_scale)
        return distributions.discretized_logistic_log_prob(x, 0.5 + 0.5 * mean, log_scale)

    def mean(self, params: Tensor) -> Tensor:
        return ops.clip(0.5 + 0.5 * ops.split(params, 2, axis=-1)[0], 0.0, 1.0)

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        mean, log_scale = ops.split(params, 2, axis=-1)
        uniform = random.uniform(seeds, mean.shape[1:])
        return distributions.discretized_logistic_sample(
            0.5 + 0.5 * mean, distributions.bound_log_scale(log_scale), uniform
        )


@saving.register_keras_serializable("zoo")
class DiscretizedLogisticMixture(Likelihood):
    """A mixture of logistics over the 256 values. See `zoo.distributions.discretized_logistic_mixture_log_prob`.

    Args:
        components: int >= 1.
        channels: int >= 1, of the image: 1 for grey, 3 for colour.
    """

    eight_bit = True
    couples_channels = True

    def __init__(self, components: int = 10, channels: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.components = checks.positive_int("components", components)
        self.channels = checks.positive_int("channels", channels)

    def params_size(self, channels: int) -> int:
        if channels != self.channels:
            raise ValueError(f"Expected images of {self.channels} channels. Received: channels={channels}")
        return distributions.mixture_size(channels, self.components)

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        return distributions.discretized_logistic_mixture_log_prob(x, params, self.components)

    def mean(self, params: Tensor) -> Tensor:
        return distributions.discretized_logistic_mixture_mean(params, self.channels, self.components)

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        uniform = random.uniform(seeds, (*params.shape[1:-1], self.components + self.channels))
        return distributions.discretized_logistic_mixture_sample(params, self.channels, self.components, uniform)

    def get_config(self) -> Config:
        return {**super().get_config(), "components": self.components, "channels": self.channels}
