"""A Gaussian prior whose mean and variance a network computes from the labels."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import keras
from keras import ops

from zoo import distributions
from zoo.fitting import phase
from zoo.priors.latents._base import LearnedPrior
from zoo.priors.latents._mixture import draw_normal
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor


@keras.saving.register_keras_serializable("zoo")
class ConditionalGaussian(LearnedPrior):
    """p(z|y) = N(z; μ(y), diag σ²(y)), where a network gives μ and log σ² of the attributes y.

    (Sohn et al. 2015, "Learning Structured Output Representation using Deep Conditional Generative Models", eq. (4);
    Denton & Fergus 2018, section 3.2, for y the past frames of a clip.) The KL has a closed form.
    `zoo.distributions.bound_log_var` keeps log-variances within (−14, 14).

    Args:
        network: keras model from attributes, float `[B,d]`, or `[B,…]` for a model such as `zoo.FutureVAE`, to
            `[B,2D]`: means, then log-variances.
        seed: int or None, of the samples of z in `fit`.

    Call arguments:
        z: float32 `[B,D]`.
        labels: float32 `[B,…]`, the network's input.

    Returns:
        log p(z|y), float32 `[B]`, nats.

    Raises:
        ValueError: for a network of another output.

    Example:
        >>> network = zoo.networks.clip_encoder((4, 32, 32, 1), latent_dim=16)
        >>> prior = zoo.priors.ConditionalGaussian(network)
        >>> prior.sample(2, seed=0, labels=clips[:2, :4]).shape
        TensorShape([2, 16])
    """

    def __init__(self, network: keras.Model, seed: int | None = None, **kwargs: Any) -> None:
        taken, given = (getattr(network, name, None) for name in ("input_shape", "output_shape"))
        if not isinstance(taken, tuple) or not isinstance(given, tuple) or len(given) != 2 or given[1] % 2:
            checks.fail("network", "a keras model from [B, …] to [B, 2·latent_dim]", network)
        super().__init__(given[1] // 2, num_attributes=math.prod(taken[1:]), seed=seed, **kwargs)
        self.network = network
        self.built = True

    @property
    def label_spec(self) -> tuple[str, tuple[int, ...]]:
        return ("float32", tuple(self.network.input_shape[1:]))

    def moments(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of p(z|labels), float32 `[B,D]` each."""
        mean, log_var = ops.split(ops.cast(phase.run(self.network, labels), "float32"), 2, axis=-1)
        return mean, distributions.bound_log_var(log_var)

    def density(self, labels: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        mean, log_var = self.moments(labels)
        return lambda z: distributions.normal_log_prob(z, mean, log_var)

    def log_density(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.density(labels)(z)

    def kl(self, mean: Tensor, log_var: Tensor, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return distributions.normal_kl(mean, log_var, *self.moments(labels))

    def draw(self, seeds: Tensor, temperature: Tensor, labels: Tensor | None = None) -> Tensor:
        return draw_normal(*self.moments(labels), seeds, temperature)

    def get_config(self) -> Config:
        config = super().get_config()
        for derived in ("latent_dim", "num_classes", "num_attributes"):
            del config[derived]
        return {**config, "network": keras.saving.serialize_keras_object(self.network)}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, object] | None = None) -> Self:
        network = keras.saving.deserialize_keras_object(config["network"], custom_objects)
        return cls(**{**config, "network": network})
