"""The InfoVAE with the maximum mean discrepancy."""

import keras
from keras import ops

from zoo.models.vae import VAE
from zoo.runtime import checks, replicas


@keras.saving.register_keras_serializable("zoo")
class InfoVAE(VAE):
    """A VAE that pays less for the KL of each posterior, and for the distance of all of them together from the prior.

        loss = −log p(x|z) + w · ( (1 − α) KL( q(z|x) ‖ p(z) ) + (α + λ − 1) MMD( q(z) ‖ p(z) ) )

    (Zhao et al. 2019, "InfoVAE: Balancing Learning and Inference in Variational Autoencoders", with the maximum mean
    discrepancy as the divergence.) α = 1 is their MMD-VAE. `w` is `kl_weight`, 1 unless a callback moves it. `kl` and
    `elbo` are those of the VAE, whatever w, α and λ are.

    MMD = E k(z, z′) − 2 E k(z, z̃) + E k(z̃, z̃′), z and z′ of the batch and z̃ and z̃′ of as many samples of the prior,
    each pair of two different ones, over all replicas: 0 in the mean where q(z) is p(z), and negative as often as
    positive there. k(a, b) = e^(−‖a − b‖² / 2D).

    Args:
        encoder, decoder, likelihood, free_bits, seed, prior: as in `zoo.VAE`.
        alpha: float <= 1, α.
        lambda_: float, λ, with α + λ >= 1. MMD is below 2 and the other terms are nats, so λ must be large to matter.

    Reports:
        beside the terms of a VAE `mmd`, without its weight.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> model = zoo.InfoVAE(encoder, decoder, alpha=0.5, lambda_=500.0)
    """

    term_names = (*VAE.term_names, "mmd")

    def __init__(self, encoder, decoder, likelihood="bernoulli", alpha=0.0, lambda_=500.0, **kwargs):
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self.alpha = checks.number("alpha", alpha, high=1.0)
        self.lambda_ = checks.number("lambda_", lambda_, 1.0 - self.alpha)

    def penalty_terms(self, latents):
        z = replicas.concat(latents.z)
        number = ops.shape(z)[0]
        drawn = self.prior.draw(self.sampling.row_seeds(number), ops.ones((number,)))
        mmd = maximum_mean_discrepancy(z, drawn) + ops.zeros_like(latents.z[:, 0])  # the batch's, for each example
        penalty = (1.0 - self.alpha) * self.penalty(latents) + (self.alpha + self.lambda_ - 1.0) * mmd
        return {"penalty": penalty, "mmd": mmd}

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "lambda_": self.lambda_}


def maximum_mean_discrepancy(a, b):
    """The unbiased estimate of MMD² from two samples of one size, float32 `[M,D]`: a scalar.

    Gretton et al. 2012, "A Kernel Two-Sample Test", lemma 6, with the kernel e^(−‖a − b‖² / 2D).
    """
    size = ops.cast(ops.shape(a)[0], "float32")
    pairs = ops.maximum(size * (size - 1.0), 1.0)

    def kernel(a, b):
        squared = ops.sum(ops.square(a), axis=1)[:, None] + ops.sum(ops.square(b), axis=1) - 2.0 * a @ ops.transpose(b)
        return ops.exp(-ops.maximum(squared, 0.0) / (2.0 * a.shape[1]))

    within = sum((ops.sum(kernel(each, each)) - size) / pairs for each in (a, b))
    return within - 2.0 * ops.mean(kernel(a, b))
