"""The hierarchical VAE: many layers of latents, inferred from the top down."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, TypeAlias

import keras
import tensorflow as tf
from keras import ops

from zoo import distributions, networks, random
from zoo.fitting import inputs
from zoo.fitting.batched import batched
from zoo.likelihoods import Likelihood
from zoo.models._elbo import ElboVAE
from zoo.models._networks import sub_batched
from zoo.networks.top_down import TopDownBlock
from zoo.runtime import checks, replicas
from zoo.runtime.types import ArrayLike, Batches, Config, Labels, Seeds, Tensor, Tensors

# Mean and log-variance.
Normal: TypeAlias = tuple[Tensor, Tensor]
# The encoder's features by grid, (h, w) to `[B,h,w,width]`.
Features: TypeAlias = dict[tuple[int, int], Tensor]


@keras.saving.register_keras_serializable("zoo")
class HierarchicalVAE(ElboVAE):
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
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, free_bits, seed, **kwargs)
        if not isinstance(decoder, networks.TopDown):
            checks.fail("decoder", "a zoo.networks.TopDown", decoder)
        self.kl_balancing = bool(kl_balancing)
        self.max_log_var = checks.number("max_log_var", max_log_var, 0.0, open_low=True)
        self.kl_names = tuple(f"kl_{block.name}" for block in decoder.blocks)
        self.trackers |= {name: keras.metrics.Mean(name=name) for name in self.kl_names}

    # The objective.

    def compute_terms(
        self, x: Tensor, labels: Tensor | None = None, training: bool = False, target: Tensor | None = None
    ) -> Tensors:
        log_likelihood, kls = self.log_likelihood_and_kls(x, target, training=training)
        terms = self.terms_of(x, log_likelihood, sum(kls), self.penalty(kls))
        return terms | dict(zip(self.kl_names, kls))

    @sub_batched
    def log_likelihood_and_kls(
        self, x: Tensor, target: Tensor | None, training: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """log p(x|z) for z sampled from the posterior, and each layer's KL: `[B]` each, nats."""
        kls = []

        def choose(block, prior, posterior):
            kls.append(distributions.sum_per_example(distributions.normal_kl(*posterior, *prior)))
            return self.sampling(*posterior)

        params, _ = self.top_down(choose, self.features(x, training), training=training)
        return self.judge(x if target is None else target, params, training), kls

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

    # The networks.

    def features(self, x: Tensor, training: bool = False) -> Features:
        """The encoder's features by grid, a dict of (h, w) to `[B,h,w,width]`."""
        size, wanted_size = self.decoder.image_shape[-1], self.likelihood.params_size(x.shape[-1])
        if size != wanted_size:  # otherwise they might be broadcast
            raise ValueError(
                f"Expected a decoder of {wanted_size} parameters a pixel for this likelihood. Received: one of {size}"
            )
        features = self.run_network("encoder", x, training)
        if not isinstance(features, (list, tuple)):
            features = [features]  # Keras unpacks a list of one
        features = {tuple(feature.shape[1:]): feature for feature in features}
        wanted = {(*block.latent_shape[:2], block.width) for block in self.decoder.blocks}
        if not wanted <= set(features):
            raise ValueError(
                f"Expected the encoder to give a list of features of shapes {sorted(wanted)}, as the decoder's grids "
                f"and widths are. Received: features of shapes {list(features)}"
            )
        return {shape[:2]: features[shape] for shape in wanted}

    def top_down(
        self,
        choose: Callable[[TopDownBlock, Normal, Any], Tensor],
        features: Features | None = None,
        batch_size: int | Tensor | None = None,
        training: bool = False,
    ) -> tuple[Tensor, list[Tensor]]:
        """Follows the path down once, with latents that the caller chooses.

        Args:
            choose: function of (block, prior, posterior) that returns z `[B,h,w,D]`; it is called for each layer, top
                first. `prior` and `posterior` are pairs of mean and log-variance; `posterior` is None without features.
            features: from `features`, or None to generate.
            batch_size: int or int tensor, B; needed without features.

        Returns:
            the likelihood's parameters, float32 `[B,H,W,params_size]`, and the list of z, top first.
        """
        if features is not None:
            batch_size = ops.shape(next(iter(features.values())))[0]

        def bound(log_var):
            return distributions.soft_bound(log_var, -self.max_log_var, self.max_log_var)

        h, latents = self.decoder.begin(batch_size), []
        for block in self.decoder.blocks:
            h, mean, log_var = block.prior(block.enter(h, training), training)
            posterior = None
            if features is not None:
                feature = features[block.latent_shape[:2]]
                shifted, stretched = block.posterior(h, feature, mean, log_var, training)
                posterior = (shifted, bound(stretched))
            z = choose(block, (mean, bound(log_var)), posterior)
            h = block.merge(h, z, training)
            latents.append(z)
        return ops.cast(self.decoder.end(h, training), "float32"), latents

    @property
    def prior(self) -> "TopDownPrior":
        """p(z) of all layers, a `TopDownPrior`. It is a part of the decoder, and cannot be exchanged."""
        return TopDownPrior(self)

    @property
    def num_layers(self) -> int:
        """L, the number of stochastic layers."""
        return len(self.decoder.blocks)

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
    ) -> Tensor:
        """As `zoo.VAE.sample`; `temperature` multiplies the standard deviation of every layer's prior.

        Args:
            given: list of float `[num_samples,h,w,D]`, latents of the top layers, top first; the layers below are
                sampled. With one image's latents in all rows, the samples show the variation in the layers below.
        """
        seeds, temperatures = self._rows(num_samples, seed, temperature)
        given = self._check_latents("given", given, num_samples)
        return self.generate(seeds, temperatures, labels, given, batch_size=batch_size)[0]

    @batched
    def generate(  # type: ignore[override]  # as in `sample`
        self,
        seeds: Tensor,
        temperature: Tensor,
        labels: Labels = None,
        given: Sequence[Tensor] = (),
        batch_size: int | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        self._check_labels(labels, None)
        temperature = ops.reshape(temperature, (-1, 1, 1, 1))
        above = iter(given)

        def choose(block, prior, _):
            mean, log_var = prior
            noise = random.normal(self._seeds_of(block, seeds), block.latent_shape)
            return next(above, distributions.reparameterize(mean, log_var, temperature * noise))

        params, latents = self.top_down(choose, batch_size=ops.shape(seeds)[0])
        return self.likelihood.mean(params), latents

    @sub_batched
    def posterior(self, x: Tensor, labels: Tensor | None = None, training: bool = False) -> Features:
        return self.features(x, training)

    @sub_batched
    def log_weights(
        self,
        x: Tensor,
        posterior: Features,
        seeds: Tensor,
        labels: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        ratios = []

        def choose(block, prior, posterior):
            mean, log_var = posterior
            noise = random.normal(self._seeds_of(block, seeds), block.latent_shape)
            z = distributions.reparameterize(mean, log_var, noise)
            log_prior = distributions.normal_log_prob(z, *prior)
            ratios.append(log_prior - distributions.normal_log_prob(z, mean, log_var))
            return z

        params, _ = self.top_down(choose, posterior)
        return self.judge(x, params) + sum(ratios)

    def _seeds_of(self, block, seeds):
        return random.fold_in(seeds, self.decoder.blocks.index(block))

    def _check_latents(self, name, z, num_rows=None):
        """Checks a list of latents of the top layers, top first: `num_rows` rows each, or as many as the first has."""
        if not isinstance(z, (list, tuple)) or len(z) > self.num_layers:
            shapes = keras.tree.map_structure(lambda values: getattr(values, "shape", values), z)
            checks.fail(name, f"a list of at most {self.num_layers} arrays of latents, top first", shapes)
        latents = []
        for block, values in zip(self.decoder.blocks, z):
            values = super()._check_data(name, values)
            shape = tuple(values.shape)
            if shape[1:] != block.latent_shape or not inputs.same_size(num_rows, shape[0]):
                rows = "B" if num_rows is None else num_rows
                checks.fail(name, f"latents of shape {(rows, *block.latent_shape)} for layer {block.name}", shape)
            num_rows = shape[0] if num_rows is None else num_rows
            latents.append(values)
        return latents

    def _check_data(self, name, x):
        if name != "z":
            return super()._check_data(name, x)
        latents = self._check_latents("z", x)
        if not latents:
            checks.fail("z", "a list of latents, that of the top layer first", x)
        return latents

    def flat_posterior(self, x: Tensor, labels: Tensor | None = None) -> Tensors:
        posteriors = self.encode(x, labels)
        return {name: self.flatten([layer[name] for layer in posteriors]) for name in ("mean", "log_var")}

    def flatten(self, latents: Sequence[Tensor]) -> Tensor:
        """The list of `[B,h,w,D]`, top first, as one array `[B, Σ h·w·D]`."""
        return ops.concatenate([ops.reshape(z, (-1, math.prod(z.shape[1:]))) for z in latents], axis=1)

    def unflatten(self, latents: Tensor) -> list[Tensor]:
        shapes = [block.latent_shape for block in self.decoder.blocks]
        parts = tf.split(latents, [math.prod(shape) for shape in shapes], axis=1)
        return [ops.reshape(part, (-1, *shape)) for part, shape in zip(parts, shapes)]

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


class TopDownPrior:
    """The prior of a hierarchical VAE, p(z) = Π_l p(z_l | z_1, …, z_{l−1}), which the decoder computes.

    Args:
        model: the `zoo.HierarchicalVAE`.
    """

    def __init__(self, model: HierarchicalVAE) -> None:
        self._vae = model

    def log_prob(self, z: Sequence[ArrayLike]) -> Tensor:
        """log p(z): latents of all layers, a list of float `[B,h,w,D]`, top first, to float32 `[B]`, nats."""
        z = self._vae._check_latents("z", z)
        if len(z) < self._vae.num_layers:
            checks.fail("z", f"the latents of all {self._vae.num_layers} layers", f"those of {len(z)}")
        given, log_probs = iter(z), []

        def choose(block, prior, _):
            log_probs.append(distributions.normal_log_prob(values := ops.cast(next(given), "float32"), *prior))
            return values

        self._vae.top_down(choose, batch_size=ops.shape(z[0])[0])
        return sum(log_probs)

    def sample(self, num_samples: int, seed: Seeds = None, temperature: float = 1.0) -> list[Tensor]:
        """Samples latents: a list of float32 `[num_samples,h,w,D]`, top first; arguments as in `zoo.VAE.sample`."""
        return self._vae.generate(*self._vae._rows(num_samples, seed, temperature))[1]
