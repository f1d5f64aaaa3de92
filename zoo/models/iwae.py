"""The importance-weighted autoencoder."""

import math
from typing import Any, Literal

import keras
import tensorflow as tf
from keras import ops

from zoo import distributions
from zoo.likelihoods import Likelihood
from zoo.models.vae import VAE
from zoo.runtime import checks
from zoo.runtime.settings import Setting
from zoo.runtime.types import Config, Tensor, Tensors


@keras.saving.register_keras_serializable("zoo")
class IWAE(VAE):
    """A VAE trained on a tighter bound of log p(x), estimated from several samples of its posterior.

        loss = −log (1/K) Σ_k w_k,   log w_k = log p(x|z_k) + w (log p(z_k) − log q(z_k|x)),   z_k ~ q(z|x)

    (Burda et al. 2016, "Importance Weighted Autoencoders", eq. (8).) `w` is `kl_weight`, 1 unless a callback changes
    it. `reconstruction`, `kl` and `elbo` are those of the VAE, each the mean over the K samples, and so comparable with
    those of other models: at w = 1 the loss is below −elbo in the mean.

    Args:
        encoder, decoder, likelihood, seed, prior, kl_weight: as in `zoo.VAE`.
        num_samples: int >= 1, K. With 1 the loss is that of a `zoo.VAE` whose KL is estimated from one sample.
        gradient: "standard", the gradient of the loss; or "dreg", the doubly reparameterised estimate of the encoder's
            gradient (Tucker et al. 2019, "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives"),
            which has the same mean and a smaller variance as K grows. The gradients of the decoder and the
            prior are the same for both.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> model = zoo.IWAE(encoder, decoder, num_samples=5, gradient="dreg")
    """

    free_bits = Setting(checks.zero, "an IWAE has no term of its own for the KL")
    num_samples = Setting(checks.positive_int)
    gradient = Setting(checks.one_of, ("standard", "dreg"))

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        likelihood: str | Likelihood = "bernoulli",
        num_samples: int = 5,
        gradient: Literal["standard", "dreg"] = "standard",
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self.num_samples = num_samples
        self.gradient = gradient

    def compute_terms(
        self, x: Tensor, labels: Tensor | None = None, training: bool = False, target: Tensor | None = None
    ) -> Tensors:
        target = self._repeat(x if target is None else target)
        mean, log_var = map(self._repeat, self.posterior(x, labels, training=training))
        labels = self._repeat(labels)
        z = self.sampling(mean, log_var)
        scale: list[Tensor] = []  # the factor of the gradient that reaches z; it follows from z
        if self.gradient == "dreg":
            z = _scale_gradient(z, scale)
            log_q = distributions.normal_log_prob(z, ops.stop_gradient(mean), ops.stop_gradient(log_var))
        else:
            log_q = distributions.normal_log_prob(z, mean, log_var)
        log_likelihood = self.log_likelihood(target, self.decoder_inputs(z, labels), training=training)
        log_prior = self.prior.log_density(z, self.prior_labels(labels))
        log_weights = self._by_example(log_likelihood + self.kl_weight * (log_prior - log_q))
        total = ops.logsumexp(log_weights, axis=1)
        shares = ops.stop_gradient(ops.exp(log_weights - total[:, None]))
        scale.append(1.0 + self.kl_weight * (shares - 1.0))
        bound = total - math.log(self.num_samples)
        kl = distributions.sum_per_example(self.prior.kl(mean, log_var, z, self.prior_labels(labels)))
        log_likelihood, kl = (ops.mean(self._by_example(each), axis=1) for each in (log_likelihood, kl))
        return self.terms_of(x, log_likelihood, kl, penalty=0.0) | {"loss": -bound}

    def _repeat(self, values):
        """Repeats each example K times in a row: `[B, …]` to `[B·K, …]`."""
        if values is None:
            return None
        # Repeating and tiling compute with integers, for which TensorFlow logs an error on CPUs without AVX-512.
        stacked = ops.stack([values] * self.num_samples, axis=1)
        return ops.reshape(stacked, (-1, *values.shape[1:]))

    def _by_example(self, values):
        return ops.reshape(values, (-1, self.num_samples))

    def get_config(self) -> Config:
        config = {**super().get_config(), "num_samples": self.num_samples, "gradient": self.gradient}
        del config["free_bits"]
        return config


def _scale_gradient(z, scale):
    """Returns `z` `[B·K,D]`, and multiplies its gradient by `scale[0]` `[B,K]`.

    The caller appends the factor to the list before the gradient is computed.

    With ŵ_k the importance weights, normalised over k, the gradient of the loss by the encoder's weights φ is

        −Σ_k ( (1 − w) ŵ_k + w ŵ_k² ) (∂ log w_k / ∂z_k) (∂z_k / ∂φ)

    which for w = 1 is that of Tucker et al. The gradient that arrives at z_k has one factor ŵ_k already, as that of a
    log of a sum; `scale` is therefore 1 + w (ŵ_k − 1). With w ≠ 1, the paper's own derivation replaces the score
    function of q(z|x) w times.
    """

    @tf.custom_gradient
    def scaled(z):
        def gradient(upstream):
            return upstream * ops.reshape(scale[0], (-1, 1))

        return tf.identity(z), gradient

    return scaled(z)
