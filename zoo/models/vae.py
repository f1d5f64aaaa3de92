"""The variational autoencoder."""

import keras
from keras import ops

from zoo import distributions, random
from zoo.models.bound import Bound


@keras.saving.register_keras_serializable("zoo")
class VAE(Bound):
    """The variational autoencoder with a diagonal Gaussian posterior and a standard normal prior.

        loss = −log p(x|z) + w · KL( q(z|x) ‖ p(z) ),   z ~ q(z|x),   elbo = log p(x|z) − KL

    (Kingma & Welling 2014, eq. (10), and appendix B for the KL.) `w` is `kl_weight`, 1 unless a callback such as
    `zoo.callbacks.KLWarmup` moves it; `elbo` is the same whatever it is.

    Args:
        encoder: layer from images `[B,H,W,C]` to `[B,2D]`: means, then log-variances.
        decoder: layer from latents `[B,D]` to `[B,H,W,likelihood.params_size(C)]`.
        likelihood: a `zoo.layers.Likelihood` or its name: "bernoulli", "gaussian", "discretized_logistic",
            "discretized_logistic_mixture".
        free_bits: float >= 0, nats a latent dimension below which its KL costs nothing more (Kingma et al. 2016, IAF,
            eq. (15); deviation: by example, not by the mean over the batch, so that it does not depend on how a batch
            is spread over replicas).
        seed: int or None, of the noise in training.

    Call arguments:
        x: float `[B,H,W,C]` in [0, 1].

    Returns:
        reconstructions, float32 `[B,H,W,C]` in [0, 1].

    Raises:
        ValueError: for arguments out of range; for an encoder whose output cannot be halved.

    Example:
        >>> encoder = zoo.networks.mlp_encoder((28, 28, 1), latent_dim=20)
        >>> decoder = zoo.networks.mlp_decoder((28, 28, 1), latent_dim=20)
        >>> model = zoo.VAE(encoder, decoder)
        >>> model.compile("adam")
        >>> model.fit(images, epochs=10, batch_size=128)
        >>> model.sample(16, seed=0).shape
        TensorShape([16, 28, 28, 1])
    """

    def __init__(self, encoder, decoder, likelihood="bernoulli", free_bits=0.0, seed=None, **kwargs):
        super().__init__(encoder, decoder, likelihood, free_bits, seed, **kwargs)
        self._latent_dim = _half_of_last_axis(encoder)

    # The objective.

    def compute_terms(self, x, labels=None, training=False):
        mean, log_var = self.posterior(x, labels, training=training)
        z = self.sampling(mean, log_var)
        log_likelihood = self.log_likelihood(x, z, labels, training)
        kl_by_dimension = distributions.normal_kl(mean, log_var)
        kl = distributions.sum_per_example(kl_by_dimension)
        return self.terms_of(x, log_likelihood, kl, self.kl_penalty(kl_by_dimension))

    def kl_penalty(self, kl):
        """What the loss asks for the KL, `[B,D]` nats a dimension: `[B]`."""
        return distributions.sum_per_example(ops.maximum(kl, self.free_bits))

    # The networks.

    def posterior(self, x, labels=None, training=False):
        """Mean and log-variance of q(z|x), float32 `[B,D]` each."""
        output = ops.cast(self.spread(self.encoder, self.encoder_inputs(x, labels), training=training), "float32")
        if len(output.shape) != 2 or output.shape[-1] % 2:
            raise ValueError(
                "Expected the encoder to give [B, 2·latent_dim]: means, then log-variances. "
                f"Received: an output of shape {tuple(output.shape)}"
            )
        self._latent_dim = output.shape[-1] // 2
        mean, log_var = ops.split(output, 2, axis=-1)
        return mean, distributions.bound_log_var(log_var)

    def likelihood_params(self, z, labels=None, training=False):
        """The decoder's output, float32 `[B,H,W,params_size]`."""
        return ops.cast(self.spread(self.decoder, self.decoder_inputs(z, labels), training=training), "float32")

    def log_likelihood(self, x, z, labels=None, training=False):
        """log p(x|z): float32 `[B]`, nats."""

        def of_part(x, z, labels, training):
            return self.likelihood.log_prob(x, self.likelihood_params(z, labels, training), training=training)

        return self.spread(of_part, x, z, labels, training=training)

    def encoder_inputs(self, x, labels):
        return x

    def decoder_inputs(self, z, labels):
        return z

    @property
    def latent_dim(self):
        """D, the number of latents."""
        if self._latent_dim is None:
            raise ValueError(f"Expected a built model. Call {self.name} on a batch of images first.")
        return self._latent_dim

    # The methods of the contract.

    def encode(self, x, labels=None):
        """The posterior q(z|x): {"mean", "log_var"}, float32 `[B,D]` each."""
        mean, log_var = self.posterior(*self._inputs(x, labels))
        return {"mean": mean, "log_var": log_var}

    def decode(self, z, labels=None):
        """The mean of p(x|z): latents float `[B,D]` to images float32 `[B,H,W,C]` in [0, 1]."""
        z, labels = self._inputs(z, labels, name="z")
        return self.likelihood.mean(self.likelihood_params(z, labels))

    def reconstruct(self, x, labels=None):
        """Images from the posterior mean of images: float32 `[B,H,W,C]` in [0, 1]; deterministic."""
        x, labels = self._inputs(x, labels)
        mean, _ = self.posterior(x, labels)
        return self.decode(mean, labels)

    def latents(self, seeds, temperature):
        noise = random.normal(seeds, (self.latent_dim,))
        return noise * ops.expand_dims(temperature, 1)

    def log_weights(self, x, posterior, seeds, labels=None):
        mean, log_var = posterior
        noise = random.normal(seeds, (mean.shape[-1],))
        z = distributions.normal_draw(mean, log_var, noise)
        log_likelihood = self.log_likelihood(x, z, labels)
        log_prior = distributions.normal_log_prob(z, 0.0, ops.zeros_like(z))
        return log_likelihood + log_prior - distributions.normal_log_prob(z, mean, log_var)


def _half_of_last_axis(encoder):
    """D where the encoder knows its output before it is called, as functional models do, else None."""
    shape = getattr(encoder, "output_shape", None)
    return shape[-1] // 2 if shape is not None else None
