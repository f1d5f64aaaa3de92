"""The hierarchical VAE: many layers of latents, inferred from the top down."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import keras
from keras import ops

from zoo import distributions, networks, random
from zoo.fitting.batched import batched
from zoo.likelihoods import Likelihood
from zoo.models._protocol import Proposal
from zoo.models._sub_batched import sub_batched
from zoo.models._top_down import Features, TopDownVAE
from zoo.runtime import checks, replicas
from zoo.runtime.settings import Setting
from zoo.runtime.types import ArrayLike, Batches, Config, Labels, Seeds, Tensor, Tensors


@keras.saving.register_keras_serializable("zoo")
class HierarchicalVAE(TopDownVAE):
    """A VAE with latents z_1 (top) to z_L at several resolutions.

        p(x, z) = p(z_1) Π p(z_l | z_<l) p(x | z),   q(z | x) = q(z_1 | x) Π q(z_l | z_<l, x)
        loss = −E_q log p(x|z) + w Σ_l γ_l max(KL( q(z_l | z_<l, x) ‖ p(z_l | z_<l) ), λ)

    (Sønderby et al. 2016, "Ladder Variational Autoencoders", eqs. (1), (2) and (9); Child 2021, "Very Deep VAEs",
    section 3.) The encoder runs from fine to coarse grids; then inference and generation follow the same path down the
    decoder, a `zoo.networks.TopDown`. `w` is `kl_weight`, 1 unless a callback such as `zoo.callbacks.KLWarmup` changes
    it, λ is `free_bits`, and γ balances the layers while w < 1. `elbo` depends on none of them.

    Args:
        encoder: layer from images `[B,H,W,C]` to a list of features, one for each scale of the decoder, coarse first.
        decoder: a `zoo.networks.TopDown`, whose output has `likelihood.params_size(C)` channels.
        likelihood: a `zoo.likelihoods.Likelihood` or its name.
        free_bits: float >= 0, λ, nats per stochastic layer: the loss does not reward a smaller KL (Kingma et al. 2016,
            IAF, eq. (15); deviation: by example, as in `zoo.VAE`).
        kl_balancing: bool, whether γ_l ∝ E[KL_l] / s_l, with mean 1 over the layers, while `kl_weight` < 1, and γ_l = 1
            from then on. s_l is the layer's number of latents, and the expectation is over the batch (Vahdat & Kautz
            2020, NVAE, appendix A, as in the code published with it). The smaller the KL of a layer for its size, the
            smaller its weight, which keeps layers from collapsing early.
        max_log_var: float > 0, the bound of the log-variances of all latents, which lie smoothly within
            (−max_log_var, max_log_var). A smaller bound prevents a prior with a small variance and a wrong mean from
            causing a KL that is large enough to disrupt training.
        seed: int or None, of the noise in training.
        kl_weight: "auto" or None, as in `zoo.VAE`. `kl_balancing` must be False with "auto".

    Call arguments:
        x: float `[B,H,W,C]` in [0, 1].

    Returns:
        reconstructions, float32 `[B,H,W,C]` in [0, 1].

    Reports:
        beside `loss`, `reconstruction`, `kl`, `elbo`, and `bits_per_dim` for 8-bit likelihoods: `kl_<h>x<w>_<l>`, the
        KL of the l-th layer, nats per example.

    Raises:
        ValueError: for arguments out of range; for an encoder whose features do not fit the decoder; and for a decoder
            whose output does not fit the likelihood.

    Example:
        >>> encoder = zoo.networks.bottom_up_encoder((28, 28, 1), scales=(28, 4, 2))
        >>> decoder = zoo.networks.TopDown((28, 28, 1), scales=(28, 4, 2), layers=(1, 2, 2))
        >>> model = zoo.HierarchicalVAE(encoder, decoder)
        >>> [layer["mean"].shape for layer in model.encode(images)]
        [TensorShape([32, 1, 1, 8]), TensorShape([32, 7, 7, 8]), …, TensorShape([32, 14, 14, 8])]
    """

    # Its layers have figures of their own.
    decoder = Setting(checks.instance, networks.TopDown, "a zoo.networks.TopDown", fixed=True)
    kl_balancing = Setting(checks.boolean)
    max_log_var = Setting(checks.number, 0.0, open_low=True)
    _compiled_before: Config = {}  # arguments of `compile` that a file of an earlier version holds elsewhere

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: networks.TopDown,
        likelihood: str | Likelihood = "bernoulli",
        free_bits: float = 0.0,
        kl_balancing: bool = False,
        max_log_var: float = distributions.LOG_VAR_RANGE[1],
        seed: int | None = None,
        kl_weight: Literal["auto"] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, free_bits, seed, kl_weight, **kwargs)
        self.kl_balancing = kl_balancing
        self.max_log_var = max_log_var
        self.check_settings()
        self.kl_names = tuple(f"kl_{block.name}" for block in decoder.blocks)
        self.trackers |= {name: keras.metrics.Mean(name=name) for name in self.kl_names}

    def check_settings(self) -> None:
        super().check_settings()
        if self.kl_weight_rule is not None and self.kl_balancing:
            checks.fail(
                "kl_balancing", "False with kl_weight='auto', as it acts only while the weight is below 1", True
            )

    # The objective.

    def compute_terms(
        self, x: Tensor, labels: Tensor | None = None, training: bool = False, target: Tensor | None = None
    ) -> Tensors:
        log_likelihood, kls = self.log_likelihood_and_kls(x, target, training=training)
        terms = self.terms_of(x, log_likelihood, sum(kls), self.penalty(kls))
        return terms | dict(zip(self.kl_names, kls))

    @functools.partial(sub_batched, judges=True)
    def log_likelihood_and_kls(
        self, x: Tensor, target: Tensor | None, training: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """log p(x|z) for z sampled from the posterior, and each layer's KL: `[B]` each, nats."""
        params, kls = self._params_and_kls(x, training=training)
        return self.judge(x if target is None else target, params, training), kls

    @sub_batched
    def _params_and_kls(self, x, training=False):
        kls: list[Tensor] = []

        def choose(block, prior, posterior):
            kls.append(distributions.sum_per_example(distributions.normal_kl(*posterior, *prior)))
            return self.sampling(*posterior)

        params, _ = self.top_down(choose, self.features(x, training), training=training)
        return params, kls

    def penalty(self, kls: Sequence[Tensor]) -> Tensor:
        """The term of the loss for the layers' KLs, each `[B]`: `[B]`, nats."""
        costs = [ops.maximum(kl, self.free_bits) for kl in kls]
        if not self.kl_balancing:
            return sum(costs)
        # The 0.01 keeps the weight of a layer without KL above 0.
        means = ops.stack([replicas.mean_over_batch(ops.stop_gradient(kl)) + 0.01 for kl in kls])
        sizes = [ops.prod(block.latent_shape) for block in self.decoder.blocks]
        weights = means / ops.cast(ops.stack(sizes), "float32")
        weights = ops.where(self.kl_weight < 1.0, weights / ops.mean(weights), 1.0)
        return sum(weights[number] * cost for number, cost in enumerate(costs))

    # The methods of the contract.

    @batched
    def encode(self, x: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> list[Tensors]:
        """The posterior of each layer given the means of those above: a list, top first, of {"mean", "log_var"}.

        Each is float32 `[B,h,w,D]`.
        """
        x, _ = self._inputs(x, labels)
        posteriors = []

        def choose(block, prior, posterior):
            posteriors.append(dict(zip(("mean", "log_var"), posterior)))
            return posterior[0]

        self.top_down(choose, self.features(x))
        return posteriors

    @batched
    def decode(
        self, z: Sequence[ArrayLike] | ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None
    ) -> Tensor:
        """The mean images of latents: float32 `[B,H,W,C]` in [0, 1].

        Args:
            z: list of float `[B,h,w,D]`, top first; layers missing at its end take the prior's mean.

        Raises:
            ValueError: if `z` does not fit the layers.
        """
        self._check_labels(labels, None)
        z = [ops.cast(values, "float32") for values in self._check_data("z", z)]
        given = iter(z)
        params, _ = self.top_down(lambda block, prior, _: next(given, prior[0]), batch_size=ops.shape(z[0])[0])
        return self.likelihood.mean(params)

    @batched
    def reconstruct(self, x: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """Reconstructs images from their posterior means: float32 `[B,H,W,C]` in [0, 1]; deterministic."""
        x, _ = self._inputs(x, labels)
        params, _ = self.top_down(lambda block, prior, posterior: posterior[0], self.features(x))
        return self.likelihood.mean(params)

    def posterior_mean(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        _, means = self.top_down(lambda block, prior, posterior: posterior[0], self.features(x))
        return means

    def sample(  # type: ignore[override]  # `given` comes before `batch_size`
        self,
        num_samples: int,
        seed: Seeds = None,
        temperature: float = 1.0,
        labels: Labels = None,
        given: Sequence[ArrayLike] = (),
        batch_size: int | None = None,
        observe: bool = False,
    ) -> Tensor:
        """As `zoo.VAE.sample`; `temperature` multiplies the standard deviation of every layer's prior.

        Args:
            given: list of float `[num_samples,h,w,D]`, latents of the top layers, top first; the layers below are
                sampled. With one image's latents in all rows, the samples show the variation in the layers below.
        """
        seeds, temperatures = self._rows(num_samples, seed, temperature)
        given = self._check_latents("given", given, num_samples)
        observe = checks.boolean("observe", observe)
        return self.generate(seeds, temperatures, labels, given, batch_size=batch_size, observe=observe)[0]

    @batched
    def generate(  # type: ignore[override]  # as in `sample`
        self,
        seeds: Tensor,
        temperature: Tensor,
        labels: Labels = None,
        given: Sequence[Tensor] = (),
        batch_size: int | None = None,
        observe: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        self._check_labels(labels, None)
        temperature = ops.reshape(temperature, (-1, 1, 1, 1))
        above = iter(given)

        def choose(block, prior, _):
            mean, log_var = prior
            noise = random.normal(self._seeds_of(block, seeds), block.latent_shape)
            return next(above, distributions.reparameterize(mean, log_var, temperature * noise))

        params, latents = self.top_down(choose, batch_size=ops.shape(seeds)[0])
        return self.data_of(params, seeds, observe), latents

    @sub_batched
    def posterior(self, x: Tensor, labels: Tensor | None = None, training: bool = False) -> Features:
        return self.features(x, training)

    def weigher(self, x: Tensor, labels: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        features = self.posterior(x)
        return lambda seeds: self._log_weights(x, features, seeds)

    @functools.partial(sub_batched, judges=True)
    def _log_weights(self, x, features, seeds, training=False):
        proposal = self._proposal(features, seeds)
        return self.judge(x, proposal.params) + proposal.log_ratio

    def propose(self, x: Tensor, seeds: Tensor, labels: Tensor | None = None) -> Proposal:
        x, _ = self._inputs(x, labels)
        return self._proposal(self.features(x), seeds)

    def _proposal(self, features, seeds):
        ratios: list[Tensor] = []
        kls: list[Tensor] = []

        def choose(block, prior, posterior):
            mean, log_var = posterior
            noise = random.normal(self._seeds_of(block, seeds), block.latent_shape)
            z = distributions.reparameterize(mean, log_var, noise)
            ratios.append(distributions.normal_log_prob(z, *prior) - distributions.normal_log_prob(z, mean, log_var))
            kls.append(distributions.sum_per_example(distributions.normal_kl(*posterior, *prior)))
            return z

        params, _ = self.top_down(choose, features)
        return Proposal(params, sum(ratios), sum(kls))

    def flat_posterior(self, x: Tensor, labels: Tensor | None = None) -> Tensors:
        posteriors = self.encode(x, labels)
        return {name: self.flatten([layer[name] for layer in posteriors]) for name in ("mean", "log_var")}

    def get_config(self) -> Config:
        return {**super().get_config(), "kl_balancing": self.kl_balancing, "max_log_var": self.max_log_var}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Mapping[str, object] | None = None) -> Self:
        # Up to 0.1.0 the threshold was an argument of the model, and None left out gradients that are NaN or infinite.
        config = dict(config)
        before = {"skip_threshold": config.pop("skip_threshold") or math.inf} if "skip_threshold" in config else {}
        model = super().from_config(config, custom_objects)
        object.__setattr__(model, "_compiled_before", before)
        return model

    def compile_from_config(self, config: Config) -> None:
        super().compile_from_config({**self._compiled_before, **config})

    @property
    def embedding_dim(self) -> int:
        return sum(math.prod(block.latent_shape) for block in self.decoder.blocks)
