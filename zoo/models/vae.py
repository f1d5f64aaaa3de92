"""The variational autoencoder."""

from collections.abc import Callable
from typing import Any, Literal

import keras
from keras import ops

from zoo import distributions, random
from zoo.fitting.batched import batched
from zoo.likelihoods import Likelihood
from zoo.models._base import BaseVAE
from zoo.models._data import not_built
from zoo.models._elbo import ElboVAE, Latents
from zoo.models._networks import halves, latent_dim_of, warn_of_encoder
from zoo.models._prior import HasPrior, PriorSlot
from zoo.models._protocol import Proposal
from zoo.priors import LatentPrior, StandardNormal
from zoo.priors import latents as priors
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Batches, Config, Labels, Tensor, Tensors


@keras.saving.register_keras_serializable("zoo")
class VAE(HasPrior, ElboVAE, BaseVAE):
    """The variational autoencoder with a diagonal Gaussian posterior.

        loss = −log p(x|z) + w · KL( q(z|x) ‖ p(z) ),   z ~ q(z|x),   elbo = log p(x|z) − KL

    (Kingma & Welling 2014, eq. (10), and appendix B for the KL.) `w` is `kl_weight`, 1 unless a callback such as
    `zoo.callbacks.KLWarmup` or `zoo.callbacks.GECO` changes it; `elbo` does not depend on it.

    Args:
        encoder: layer from images `[B,H,W,C]` to `[B,2D]`, means, then log-variances; or to both as two outputs
            `[B,D]`.
        decoder: layer from latents `[B,D]` to `[B,H,W,likelihood.params_size(C)]`.
        likelihood: a `zoo.likelihoods.Likelihood` or its name: "bernoulli", "gaussian", "discretized_logistic",
            "discretized_logistic_mixture".
        free_bits: float >= 0, λ, nats. The loss takes max(KL, λ) for each latent dimension; or, if the prior's
            dimensions are not independent, max(KL, λ) for all latents together, with the estimate of the KL for an
            example (Kingma et al. 2016, IAF, eq. (15); deviation: by example, not by the mean over the batch, which
            would depend on how a batch is split over replicas).
        seed: int or None, of the noise in training.
        prior: a `zoo.priors.LatentPrior`, p(z), trained with the model unless `prior.trainable` is False; None for
            `zoo.priors.StandardNormal`. `model.prior = prior` exchanges it later; call `compile` again after that. For
            a prior without a closed form of the KL, `kl` and `elbo` are estimates at the sampled z.
        kl_weight: "auto" for a loss without a weight to tune, the −ELBO; or None. The rule depends on the likelihood:
            Gaussian: w stays 1 and the scale σ is the one that maximises the likelihood, as a fixed σ would weigh the
            KL by 2σ² against the squared error (Rybkin et al. 2021, section 3). `likelihood` is "gaussian", which
            stands for `zoo.likelihoods.Gaussian("optimal")` here, or a `Gaussian` of scale "optimal" or "learned".
            Bernoulli: w is 1, as a probability of binary data has no scale that could be wrong; `fit` lets it rise from
            0 in the first third of a training, at most 500 steps (`zoo.callbacks.KLWarmup()`, or one of your own), so
            that latents are not given up before they are of use. `train_on_batch` has w = 1 at once. A model that is
            compiled anew has the warm-up anew.
            With "auto", other likelihoods are refused, and `zoo.callbacks.GECO`, which moves w for good. To meet a
            target of the reconstruction or of the KL instead, leave it None and train with GECO.

    Call arguments:
        x: float `[B,H,W,C]` within the likelihood's support: [0, 1], or the `range` of a `zoo.likelihoods.Gaussian`.
            Data of any other rank `[B,…]` work if the networks take them.

    Returns:
        reconstructions, float32 `[B,H,W,C]` within the support.

    Raises:
        ValueError: for arguments out of range, or that `kl_weight` rules out; for an encoder whose output cannot be
            halved; for data of another structure, type, shape or range.

    Example:
        >>> encoder = zoo.networks.mlp_encoder((28, 28, 1), latent_dim=20)
        >>> decoder = zoo.networks.mlp_decoder((28, 28, 1), latent_dim=20)
        >>> model = zoo.VAE(encoder, decoder)
        >>> model.compile("adam")
        >>> model.fit(images, epochs=10, batch_size=128)
        >>> model.sample(16, seed=0).shape
        TensorShape([16, 28, 28, 1])
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        likelihood: str | Likelihood = "bernoulli",
        free_bits: float = 0.0,
        seed: int | None = None,
        prior: LatentPrior | None = None,
        kl_weight: Literal["auto"] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, free_bits, seed, kl_weight, **kwargs)
        warn_of_encoder(encoder)
        self._latent_dim: int | None = latent_dim_of(encoder)
        self.prior_slot = PriorSlot()
        self.prior = prior

    # The objective.

    def compute_terms(
        self, x: Tensor, labels: Tensor | None = None, training: bool = False, target: Tensor | None = None
    ) -> Tensors:
        mean, log_var = self.posterior(x, labels, training=training)
        z = self.sampling(mean, log_var)
        inputs = self.decoder_inputs(z, labels)
        log_likelihood = self.log_likelihood(x if target is None else target, inputs, training=training)
        latents = Latents(mean, log_var, z, self.prior.kl(mean, log_var, z, self.prior_labels(labels)))
        if len(latents.kl.shape) != 2 or latents.kl.shape[0] not in (None, mean.shape[0]):
            checks.fail("prior", "one whose kl is [B,G]", f"a kl of shape {tuple(latents.kl.shape)}")
        kl = distributions.sum_per_example(latents.kl)
        terms = self.penalty_terms(latents)
        checks.per_example(f"the penalty of {type(self).__name__}", terms["penalty"], mean.shape[0])
        return terms | self.terms_of(x, log_likelihood, kl, terms.pop("penalty"))

    def bottleneck(self, x: Tensor, labels: Tensor | None = None, training: bool = False) -> tuple[Tensor, Tensor]:
        mean, log_var = self.posterior(x, labels, training=training)
        z = self.sampling(mean, log_var)
        latents = Latents(mean, log_var, z, self.prior.kl(mean, log_var, z, self.prior_labels(labels)))
        return self.decoder_inputs(z, labels), self.kl_weight * self.penalty(latents)

    def penalty_terms(self, latents: Latents) -> Tensors:
        """A dict of `penalty` and of further terms that a model reports about it, `[B]` each."""
        return {"penalty": self.penalty(latents)}

    def penalty(self, latents: Latents) -> Tensor:
        """The term of the loss that keeps q(z|x) near p(z): `Latents` to `[B]`, nats."""
        # Without free bits an estimate of the KL below 0 is kept: only then is the mean of the estimates the KL.
        kl = ops.maximum(latents.kl, self.free_bits) if self.free_bits else latents.kl
        return distributions.sum_per_example(kl)

    # The networks.

    def posterior(self, x: Tensor, labels: Tensor | None = None, training: bool = False) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), float32 `[B,D]` each."""
        mean, log_var = halves(self.run_encoder(self.encoder_inputs(x, labels), training=training))
        self._latent_dim = mean.shape[-1]
        return ops.cast(mean, "float32"), distributions.bound_log_var(ops.cast(log_var, "float32"))

    def encoder_inputs(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """The encoder's input for data and labels."""
        return x

    def decoder_inputs(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """The decoder's input for latents and labels."""
        return z

    @property
    def latent_dim(self) -> int:
        """D, the number of latents."""
        if self._latent_dim is None:  # a network of the user's own, loaded and not called yet
            if self.encoder_shape is None:
                raise not_built(self)
            x = keras.KerasTensor((None, *self.encoder_shape), self.data_dtype)
            mean, _ = halves(self.encoder.compute_output_spec(x))
            self._latent_dim = mean.shape[-1]
        return self._latent_dim

    @property
    def embedding_dim(self) -> int:
        return self.latent_dim

    # The prior.

    @property
    def prior(self) -> LatentPrior:
        """p(z), a `zoo.priors.LatentPrior`; can be set at any time."""
        prior = self.prior_slot.prior
        if prior is None:  # made at the first use, as D may be unknown until the encoder is called
            prior = StandardNormal(self.latent_dim)
            self.prior_slot.exchange(prior)
        return prior

    @prior.setter
    def prior(self, prior: LatentPrior | None) -> None:
        self.attach_prior(prior)

    def exchanged(self, name: str) -> None:
        super().exchanged(name)
        if name == "encoder":
            warn_of_encoder(self.encoder)
            self._latent_dim = latent_dim_of(self.encoder)
            if type(self.prior_slot.prior) is StandardNormal:
                self.prior = None

    def check_settings(self) -> None:
        super().check_settings()
        prior, latent_dim = self.prior_slot.prior, latent_dim_of(self.encoder)
        if prior is not None and type(prior) is not StandardNormal and latent_dim not in (None, prior.latent_dim):
            checks.fail("encoder", f"one to {prior.latent_dim} latents, as the prior has", f"one to {latent_dim}")

    def check_prior(self, prior: object) -> None:
        prior = priors.require(prior)
        if self._latent_dim not in (None, prior.latent_dim):
            checks.fail("prior", f"over {self._latent_dim} latents", f"one over {prior.latent_dim}")
        labels, own = ((each.num_classes, each.num_attributes) for each in (prior, self))
        if prior.conditional and labels != own:
            names = "num_classes={}, num_attributes={}"
            checks.fail("prior", f"one without labels, or with {names.format(*own)}", names.format(*labels))
        prior.attach(self)

    def prior_labels(self, labels: Tensor | None) -> Tensor | None:
        """The labels that the prior takes, or None."""
        return labels if self.prior.conditional else None

    # The methods of the contract.

    @batched
    def encode(self, x: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensors:
        """The posterior q(z|x): {"mean", "log_var"}, float32 `[B,D]` each."""
        mean, log_var = self.posterior(*self._inputs(x, labels))
        return {"mean": mean, "log_var": log_var}

    @batched
    def decode(self, z: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """The mean of p(x|z): latents float `[B,D]` to images float32 `[B,H,W,C]` in [0, 1]."""
        return self.likelihood.mean(self.decoded(z, labels))

    def decoded(self, z: Tensor, labels: Labels = None) -> Tensor:
        z, labels = self._inputs(z, labels, name="z")
        return self.likelihood_params(self.decoder_inputs(z, labels))

    @batched
    def reconstruct(self, x: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """Reconstructs images from their posterior means: float32 `[B,H,W,C]` in [0, 1]; deterministic."""
        x, labels = self._inputs(x, labels)
        return self.decode(self.posterior_mean(x, labels), labels)

    def posterior_mean(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        mean, _ = self.posterior(x, labels)
        return mean

    def latents(self, seeds: Tensor, temperature: Tensor, labels: Labels = None) -> Tensor:
        return self.prior.draw(seeds, temperature, self.prior_labels(self._cast_labels(labels)))

    def weigher(self, x: Tensor, labels: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        mean, log_var = self.posterior(x, labels)
        density = self.prior.density(self.prior_labels(labels))

        def log_weights(seeds):
            z = distributions.reparameterize(mean, log_var, random.normal(seeds, (mean.shape[-1],)))
            log_likelihood = self.log_likelihood(x, self.decoder_inputs(z, labels))
            return log_likelihood + density(z) - distributions.normal_log_prob(z, mean, log_var)

        return log_weights

    def propose(self, x: Tensor, seeds: Tensor, labels: Tensor | None = None) -> Proposal:
        x, labels = self._inputs(x, labels)
        mean, log_var = self.posterior(x, labels)
        z = distributions.reparameterize(mean, log_var, random.normal(seeds, (mean.shape[-1],)))
        log_prior = self.prior.log_density(z, self.prior_labels(labels))
        kl = distributions.sum_per_example(self.prior.kl(mean, log_var, z, self.prior_labels(labels)))
        params = self.likelihood_params(self.decoder_inputs(z, labels))
        return Proposal(params, log_prior - distributions.normal_log_prob(z, mean, log_var), kl)

    def get_config(self) -> Config:
        standard = type(self.prior_slot.prior) in (type(None), StandardNormal)
        prior = None if standard else keras.saving.serialize_keras_object(self.prior)
        return {**super().get_config(), "prior": prior}
