"""The β-VAE."""

from typing import Any

import keras
from keras import ops

from zoo.likelihoods import Likelihood
from zoo.models._elbo import Latents
from zoo.models.vae import VAE
from zoo.runtime import checks
from zoo.runtime.settings import Setting
from zoo.runtime.types import Config, Tensor


@keras.saving.register_keras_serializable("zoo")
class BetaVAE(VAE):
    """A VAE that multiplies its KL by β, or keeps it at a capacity.

        loss = −log p(x|z) + w · β · KL             (Higgins et al. 2017, eq. (4))
        loss = −log p(x|z) + w · γ · |KL − C|       (Burgess et al. 2018, eq. (8)), if `capacity` is given

    `w` is `kl_weight`, 1 unless a callback such as `zoo.callbacks.KLWarmup` changes it. `elbo` is that of the VAE: it
    does not depend on w, β, γ and C.

    Args:
        encoder, decoder, likelihood, free_bits, seed, prior: as in `zoo.VAE`.
        beta: float >= 0.
        capacity: float >= 0, C in nats, or None for the first form. `zoo.callbacks.CapacityWarmup` raises it.
        gamma: float >= 0.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> model = zoo.BetaVAE(encoder, decoder, beta=4.0)
    """

    own_weights = ("beta", "capacity", "gamma")

    beta = Setting(checks.number, 0.0)
    gamma = Setting(checks.number, 0.0)
    capacity = Setting(checks.number, 0.0, fixed=True, optional=True)  # it has a weight, `capacity_in_force`

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        likelihood: str | Likelihood = "bernoulli",
        beta: float = 4.0,
        capacity: float | None = None,
        gamma: float = 1000.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self.beta = beta
        self.capacity = capacity
        self.gamma = gamma
        if self.capacity is not None:
            self.capacity_in_force = self.add_weight(
                name="capacity", shape=(), dtype="float32", trainable=False, aggregation="only_first_replica",
                initializer=keras.initializers.Constant(self.capacity),
            )  # fmt: skip

    def penalty(self, latents: Latents) -> Tensor:
        penalty = super().penalty(latents)
        if self.capacity is None:
            return self.beta * penalty
        return self.gamma * ops.abs(penalty - self.capacity_in_force)

    def get_config(self) -> Config:
        return {**super().get_config(), "beta": self.beta, "capacity": self.capacity, "gamma": self.gamma}
