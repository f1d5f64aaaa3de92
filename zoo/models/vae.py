"""The variational autoencoder."""

import keras
from keras import ops

from zoo import distributions, random
from zoo.fitting.batched import batched
from zoo.models._elbo import ElboVAE, Latents
from zoo.models._prior import HasPrior, PriorSlot
from zoo.priors import StandardNormal
from zoo.priors import latents as priors
from zoo.runtime import checks


@keras.saving.register_keras_serializable("zoo")
class VAE(HasPrior, ElboVAE):
    """The variational autoencoder with a diagonal Gaussian posterior.

        loss = −log p(x|z) + w · KL( q(z|x) ‖ p(z) ),   z ~ q(z|x),   elbo = log p(x|z) − KL

    (Kingma & Welling 2014, eq. (10), and appendix B for the KL.) `w` is `kl_weight`, 1 unless a callback such as
    `zoo.callbacks.KLWarmup` moves it; `elbo` is the same whatever it is.

    Args:
        encoder: layer from images `[B,H,W,C]` to `[B,2D]`, means, then log-variances; or to both, two outputs `[B,D]`.
        decoder: layer from latents `[B,D]` to `[B,H,W,likelihood.params_size(C)]`.
        likelihood: a `zoo.likelihoods.Likelihood` or its name: "bernoulli", "gaussian", "discretized_logistic",
            "discretized_logistic_mixture".
        free_bits: float >= 0, nats a latent dimension below which its KL costs nothing more, or all latents together
            where the prior's dimensions are not independent (Kingma et al. 2016, IAF, eq. (15); deviation: by example,
            not by the mean over the batch, so that it does not depend on how a batch is spread over replicas).
        seed: int or None, of the noise in training.
        prior: a `zoo.priors.LatentPrior`, p(z), trained with the model unless `prior.trainable` is False; None for
            `zoo.priors.StandardNormal`. `model.prior = prior` exchanges it later, and `compile` is then due once more.
            Where a prior has no closed form for the KL, `kl` and `elbo` are estimates at the z that was sampled.

    Call arguments:
        x: float `[B,H,W,C]` within the likelihood's support: [0, 1], or the `range` of a `zoo.likelihoods.Gaussian`.
            Data of any other rank `[B,…]` will do where the networks take them.

    Returns:
        reconstructions, float32 `[B,H,W,C]` within the support.

    Raises:
        ValueError: for arguments out of range; for an encoder whose output cannot be halved; for data of another
            structure, type, shape or range.

    Example:
        >>> encoder = zoo.networks.mlp_encoder((28, 28, 1), latent_dim=20)
        >>> decoder = zoo.networks.mlp_decoder((28, 28, 1), latent_dim=20)
        >>> model = zoo.VAE(encoder, decoder)
        >>> model.compile("adam")
        >>> model.fit(images, epochs=10, batch_size=128)
        >>> model.sample(16, seed=0).shape
        TensorShape([16, 28, 28, 1])
    """

    def __init__(self, encoder, decoder, likelihood="bernoulli", free_bits=0.0, seed=None, prior=None, **kwargs):
        super().__init__(encoder, decoder, likelihood, free_bits, seed, **kwargs)
        self._latent_dim = _latent_dim_of(encoder)
        self.prior_slot = PriorSlot()
        self.prior = prior

    # The objective.

    def compute_terms(self, x, labels=None, training=False, target=None):
        mean, log_var = self.posterior(x, labels, training=training)
        z = self.sampling(mean, log_var)
        inputs = self.decoder_inputs(z, labels)
        log_likelihood = self.log_likelihood(x if target is None else target, inputs, training=training)
        latents = Latents(mean, log_var, z, self.prior.kl(mean, log_var, z, self.prior_labels(labels)))
        kl = distributions.sum_per_example(latents.kl)
        terms = self.penalty_terms(latents)
        return terms | self.terms_of(x, log_likelihood, kl, terms.pop("penalty"))

    def penalty_terms(self, latents):
        """A dict of `penalty`, and of what else a model reports of it, `[B]` each."""
        return {"penalty": self.penalty(latents)}

    def penalty(self, latents):
        """The term of the loss that keeps q(z|x) near p(z): `Latents` to `[B]`, nats."""
        return distributions.sum_per_example(ops.maximum(latents.kl, self.free_bits))

    # The networks.

    def posterior(self, x, labels=None, training=False):
        """Mean and log-variance of q(z|x), float32 `[B,D]` each."""
        mean, log_var = _halves(self.run_encoder(self.encoder_inputs(x, labels), training=training))
        self._latent_dim = mean.shape[-1]
        return ops.cast(mean, "float32"), distributions.bound_log_var(ops.cast(log_var, "float32"))

    def encoder_inputs(self, x, labels):
        return x

    def decoder_inputs(self, z, labels):
        return z

    @property
    def latent_dim(self):
        """D, the number of latents."""
        if self._latent_dim is None:  # a network of the user's own, loaded and not called yet
            if self.encoder_shape is None:
                raise ValueError(f"Expected a built model. Call {self.name} on a batch of images first.")
            x = keras.KerasTensor((None, *self.encoder_shape), "float32")
            mean, _ = _halves(self.encoder.compute_output_spec(x))
            self._latent_dim = mean.shape[-1]
        return self._latent_dim

    @property
    def embedding_dim(self):
        return self.latent_dim

    # The prior.

    @property
    def prior(self):
        """p(z), a `zoo.priors.LatentPrior`; settable at any time."""
        if self.prior_slot.prior is None:  # the encoder may not have known its output before it was called
            self.prior_slot.exchange(StandardNormal(self.latent_dim))
        return self.prior_slot.prior

    def check_prior(self, prior):
        priors.require(prior)
        if self._latent_dim not in (None, prior.latent_dim):
            checks.fail("prior", f"over {self._latent_dim} latents", f"one over {prior.latent_dim}")
        labels, own = ((each.num_classes, each.num_attributes) for each in (prior, self))
        if prior.conditional and labels != own:
            names = "num_classes={}, num_attributes={}"
            checks.fail("prior", f"one without labels, or with {names.format(*own)}", names.format(*labels))
        prior.attach(self)

    def prior_labels(self, labels):
        """The labels that the prior takes, or None."""
        return labels if self.prior.conditional else None

    # The methods of the contract.

    @batched
    def encode(self, x, labels=None, batch_size=None):
        """The posterior q(z|x): {"mean", "log_var"}, float32 `[B,D]` each."""
        mean, log_var = self.posterior(*self._inputs(x, labels))
        return {"mean": mean, "log_var": log_var}

    @batched
    def decode(self, z, labels=None, batch_size=None):
        """The mean of p(x|z): latents float `[B,D]` to images float32 `[B,H,W,C]` in [0, 1]."""
        z, labels = self._inputs(z, labels, name="z")
        return self.likelihood.mean(self.likelihood_params(self.decoder_inputs(z, labels)))

    @batched
    def reconstruct(self, x, labels=None, batch_size=None):
        """Images from the posterior mean of images: float32 `[B,H,W,C]` in [0, 1]; deterministic."""
        x, labels = self._inputs(x, labels)
        return self.decode(self.posterior_mean(x, labels), labels)

    def posterior_mean(self, x, labels=None):
        mean, _ = self.posterior(x, labels)
        return mean

    def latents(self, seeds, temperature, labels=None):
        labels = None if labels is None else self._cast_labels(labels)
        return self.prior.draw(seeds, temperature, self.prior_labels(labels))

    def log_weights(self, x, posterior, seeds, labels=None):
        mean, log_var = posterior
        z = distributions.normal_draw(mean, log_var, random.normal(seeds, (mean.shape[-1],)))
        log_likelihood = self.log_likelihood(x, self.decoder_inputs(z, labels))
        log_prior = self.prior.log_density(z, self.prior_labels(labels))
        return log_likelihood + log_prior - distributions.normal_log_prob(z, mean, log_var)

    def get_config(self):
        standard = type(self.prior_slot.prior) in (type(None), StandardNormal)
        prior = None if standard else keras.saving.serialize_keras_object(self.prior)
        return {**super().get_config(), "prior": prior}


def _halves(output):
    """Mean and log-variance from an encoder's output: one of both, or two.

    Raises:
        ValueError: for an output of another form.
    """
    if isinstance(output, (list, tuple)):
        shapes = [tuple(each.shape) for each in output]
        if len(output) != 2 or len(shapes[0]) != 2 or shapes[0] != shapes[1]:
            way = "; z is drawn by the model" if len(output) == 3 else ""
            raise ValueError(f"Expected an encoder of two outputs [mean, log_var], [B,D] each{way}. Received: {shapes}")
        return output
    if len(output.shape) != 2 or output.shape[-1] % 2:
        raise ValueError(
            "Expected the encoder to give [B, 2·latent_dim]: means, then log-variances. "
            f"Received: an output of shape {tuple(output.shape)}"
        )
    return ops.split(output, 2, axis=-1)


def _latent_dim_of(encoder):
    """D where the encoder knows its output before it is called, as functional models do, else None."""
    shape = getattr(encoder, "output_shape", None)
    if isinstance(shape, list):  # means and log-variances apart
        return shape[0][-1]
    return None if shape is None else shape[-1] // 2
