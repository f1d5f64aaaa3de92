"""The standard normal prior."""

from typing import Any

import keras
from keras import ops

from zoo import distributions, random
from zoo.priors.latents._base import LatentPrior
from zoo.runtime.types import Tensor


@keras.saving.register_keras_serializable("zoo")
class StandardNormal(LatentPrior):
    """p(z) = N(z; 0, I), the prior of Kingma & Welling 2014, with the KL of their appendix B. It has no weights.

    Args:
        latent_dim: int >= 1, D.

    Example:
        >>> zoo.priors.StandardNormal(latent_dim=4).sample(3, seed=0).shape
        TensorShape([3, 4])
    """

    def __init__(self, latent_dim: int, **kwargs: Any) -> None:
        super().__init__(latent_dim, **kwargs)
        self.built = True

    def log_density(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return distributions.normal_log_prob(z, 0.0, ops.zeros_like(z))

    def kl(self, mean: Tensor, log_var: Tensor, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return distributions.normal_kl(mean, log_var)

    def draw(self, seeds: Tensor, temperature: Tensor, labels: Tensor | None = None) -> Tensor:
        return random.normal(seeds, (self.latent_dim,)) * ops.expand_dims(temperature, 1)
