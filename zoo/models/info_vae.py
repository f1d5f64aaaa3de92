"""The InfoVAE with the maximum mean discrepancy."""

from typing import Any

import keras
from keras import ops

from zoo.likelihoods import Likelihood
from zoo.models._elbo import Latents
from zoo.models.vae import VAE
from zoo.runtime import checks, replicas
from zoo.runtime.settings import Setting
from zoo.runtime.types import Config, Tensor, Tensors


@keras.saving.register_keras_serializable("zoo")
class InfoVAE(VAE):
    """A VAE with a smaller weight on the KL of each posterior, and a weight on the distance of q(z) from the prior.

        loss = −log p(x|z) + w · ( (1 − α) KL( q(z|x) ‖ p(z) ) + (α + λ − 1) MMD( q(z) ‖ p(z) ) )

    (Zhao et al. 2019, "InfoVAE: Balancing Learning and Inference in Variational Autoencoders", with the maximum
    mean discrepancy as the divergence.) q(z) is the average of the posteriors. α = 1 is
    their MMD-VAE. `w` is `kl_weight`, 1 unless a callback changes it. `kl` and `elbo` are those of the VAE: they do not
    depend on w, α and λ.

    MMD = E k(z, z′) − 2 E k(z, z̃) + E k(z̃, z̃′), with z and z′ from the batch of all replicas, and z̃ and z̃′ from as many
    samples of the prior; the two of a pair always differ. If q(z) is p(z), its mean is 0, and it may be negative.
    k(a, b) = e^(−‖a − b‖² / 2D).

    Args:
        encoder, decoder, likelihood, free_bits, seed, prior: as in `zoo.VAE`.
        alpha: float <= 1, α.
        lambda_: float, λ, with α + λ >= 1. MMD is below 2 and the other terms are nats, so λ must be large to matter.

    Reports:
        beside the terms of a VAE: `mmd`, without its weight.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> model = zoo.InfoVAE(encoder, decoder, alpha=0.5, lambda_=500.0)
    """

    own_weights = ("alpha", "lambda_")
    term_names = (*VAE.term_names, "mmd")
    alpha = Setting(checks.number, high=1.0)
    lambda_ = Setting(checks.number, 0.0)

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        likelihood: str | Likelihood = "bernoulli",
        alpha: float = 0.0,
        lambda_: float = 500.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self.alpha = alpha
        self.lambda_ = lambda_
        self.check_settings()

    def check_settings(self) -> None:
        super().check_settings()
        if self.lambda_ < 1.0 - self.alpha:
            checks.fail("lambda_", f">= {1.0 - self.alpha:g}, as alpha + lambda_ >= 1", self.lambda_)

    def penalty_terms(self, latents: Latents) -> Tensors:
        z = replicas.concat(latents.z)
        number = ops.shape(z)[0]
        drawn = self.prior.draw(self.sampling.row_seeds(number), ops.ones((number,), "float32"))
        mmd = maximum_mean_discrepancy(z, drawn) + ops.zeros_like(latents.z[:, 0])  # the batch's, for each example
        penalty = (1.0 - self.alpha) * self.penalty(latents) + (self.alpha + self.lambda_ - 1.0) * mmd
        return {"penalty": penalty, "mmd": mmd}

    def get_config(self) -> Config:
        return {**super().get_config(), "alpha": self.alpha, "lambda_": self.lambda_}


def maximum_mean_discrepancy(a: Tensor, b: Tensor) -> Tensor:
    """The unbiased estimate of MMD² from two sets of samples of the same size, float32 `[M,D]` each: a scalar.

    0 for sets of a single sample, which tell nothing.

    Gretton et al. 2012, "A Kernel Two-Sample Test", lemma 6, with the kernel e^(−‖a − b‖² / 2D).
    """
    size = ops.cast(ops.shape(a)[0], "float32")
    pairs = ops.maximum(size * (size - 1.0), 1.0)

    def kernel(a, b):
        squared = ops.sum(ops.square(a), axis=1)[:, None] + ops.sum(ops.square(b), axis=1) - 2.0 * a @ ops.transpose(b)
        return ops.exp(-ops.maximum(squared, 0.0) / (2.0 * a.shape[1]))

    within = sum((ops.sum(kernel(each, each)) - size) / pairs for each in (a, b))
    return ops.where(size > 1.0, within - 2.0 * ops.mean(kernel(a, b)), 0.0)
