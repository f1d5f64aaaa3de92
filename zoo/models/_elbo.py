"""The objective of VAEs whose loss is a negative ELBO with a weight on its KL."""

from typing import Any, NamedTuple

import keras

from zoo import distributions, layers, likelihoods
from zoo.models._base import BaseVAE
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor, Tensors


class Latents(NamedTuple):
    """The posterior of a batch and a sample of it.

    Attributes:
        mean, log_var, z: float32 `[B,D]`.
        kl: float32 `[B,G]`, nats, from `zoo.priors.LatentPrior.kl`; the sum over G is KL( q(z|x) ‖ p(z) ).
    """

    mean: Tensor
    log_var: Tensor
    z: Tensor
    kl: Tensor


class ElboVAE(BaseVAE):
    """A VAE with a reparameterised posterior.

        loss = −log p(x|z) + w · penalty,   elbo = log p(x|z) − KL

    The penalty is the KL unless a model overrides it. `w` is `kl_weight`, 1 unless a callback such as
    `zoo.callbacks.KLWarmup` changes it. `elbo` depends on neither.

    Args:
        encoder, decoder: keras layers or models. The model's own docstring states their inputs and outputs.
        likelihood: a `zoo.likelihoods.Likelihood` or its name.
        free_bits: float >= 0, nats. The loss does not reward a KL below it.
        seed: int or None, of the noise in training.
    """

    term_names: tuple[str, ...] = ("loss", "reconstruction", "kl", "elbo")

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        likelihood: str | likelihoods.Likelihood,
        free_bits: float,
        seed: int | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, likelihoods.get(likelihood), **kwargs)
        self.free_bits = checks.number("free_bits", free_bits, 0.0)
        self.seed = checks.seed("seed", seed)
        self.sampling = layers.Sampling(seed, dtype="float32")
        self.kl_weight = self.add_weight(
            name="kl_weight", shape=(), dtype="float32", initializer="ones", trainable=False,
            aggregation="only_first_replica",
        )  # fmt: skip
        if self.likelihood.eight_bit:
            self.trackers["bits_per_dim"] = keras.metrics.Mean(name="bits_per_dim")

    def terms_of(self, x: Tensor, log_likelihood: Tensor, kl: Tensor, penalty: Tensor | float) -> Tensors:
        """Computes the terms of the objective from log p(x|z), the KL and the penalty: `[B]`, nats."""
        reconstruction = -log_likelihood
        elbo = log_likelihood - kl
        terms = {
            "loss": reconstruction + self.kl_weight * penalty,
            "reconstruction": reconstruction,
            "kl": kl,
            "elbo": elbo,
        }
        if self.likelihood.eight_bit:
            terms["bits_per_dim"] = distributions.bits_per_dim(elbo, x.shape[1:])
        return terms

    def get_config(self) -> Config:
        return {**super().get_config(), "free_bits": self.free_bits, "seed": self.seed}
