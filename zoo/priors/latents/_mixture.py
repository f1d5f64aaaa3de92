"""Mixtures of diagonal Gaussians: the density and the draw that several priors share."""

import math
from typing import NamedTuple

import tensorflow as tf
from keras import ops

from zoo import distributions, random
from zoo.priors.latents._base import LearnedPrior


class Components(NamedTuple):
    """The components of a mixture of K Gaussians for each of G rows; G is 1 where all rows share them.

    Attributes:
        log_weights: float32 `[G,K]`, whose exponentials sum to 1.
        means, log_vars: float32 `[G,K,D]`.
    """

    log_weights: tf.Tensor
    means: tf.Tensor
    log_vars: tf.Tensor

    def log_density(self, z):
        """log Σ_k w_k N(z; μ_k, σ²_k): float32 `[B,D]` to `[B]`, nats."""
        # Each difference by itself: squares multiplied out are faster, and lose the digits of sharp components.
        scaled = (ops.expand_dims(z, 1) - self.means) * ops.exp(-0.5 * self.log_vars)
        log_scales = ops.sum(self.log_vars + math.log(2.0 * math.pi), axis=-1)
        log_normal = -0.5 * (ops.sum(ops.square(scaled), axis=-1) + log_scales)
        return ops.logsumexp(self.log_weights + log_normal, axis=1)


class MixturePrior(LearnedPrior):
    """Base of the priors p(z) = Σ_k w_k N(z; μ_k, σ²_k); a prior defines `mixture` and `draw`."""

    def mixture(self, labels=None):
        """The `Components` for labels `[B]`, or for all rows without labels."""
        raise NotImplementedError

    def density(self, labels=None):
        return self.mixture(labels).log_density

    def log_density(self, z, labels=None):
        return self.density(labels)(z)

    def kl(self, mean, log_var, z, labels=None):
        """As in `LatentPrior`, but for a single component, which is a Gaussian: its KL has a closed form, `[B,D]`."""
        if self.components > 1:
            return super().kl(mean, log_var, z, labels)
        _, prior_mean, prior_log_var = self.mixture(labels)
        return distributions.normal_kl(mean, log_var, prior_mean[:, 0], prior_log_var[:, 0])


def choose(log_weights, seeds):
    """A component for each row: log-weights `[G,K]` and seeds int32 `[B]` to one-hot rows, float32 `[B,K]`.

    argmax_k (log w_k + Gumbel noise), the noise of the seed `fold_in(seed, 1)`: the seed itself makes the noise of the
    Gaussian.
    """
    number = log_weights.shape[1]
    noise = random.gumbel(random.fold_in(seeds, 1), (number,))
    # tf.argmax, as the one in keras.ops does not convert to TFLite.
    return tf.one_hot(tf.argmax(log_weights + noise, axis=1, output_type=tf.int32), number)


def draw_normal(mean, log_var, seeds, temperature):
    """Samples of N(mean, (temperature · σ)²): means and log-variances `[B,D]` to float32 `[B,D]`."""
    noise = random.normal(seeds, (mean.shape[-1],))
    return distributions.reparameterize(mean, log_var, noise * ops.expand_dims(temperature, 1))
