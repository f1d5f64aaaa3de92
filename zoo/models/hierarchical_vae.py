"""The hierarchical VAE: many layers of latents, inferred from the top down."""

import math

import keras
import tensorflow as tf
from keras import ops

from zoo import distributions, networks, random
from zoo.fitting.batched import batched
from zoo.models._base import sub_batched
from zoo.models._elbo import ElboVAE
from zoo.runtime import checks, replicas


@keras.saving.register_keras_serializable("zoo")
class HierarchicalVAE(ElboVAE):
    """A VAE with latents z_1 (top) to z_L at several resolutions.

        p(x, z) = p(z_1) Π p(z_l | z_<l) p(x | z),   q(z | x) = q(z_1 | x) Π q(z_l | z_<l, x)
        loss = −E_q log p(x|z) + w Σ_l γ_l max(KL( q(z_l | z_<l, x) ‖ p(z_l | z_<l) ), λ)

    (Sønderby et al. 2016, "Ladder Variational Autoencoders", eqs. (1), (2) and (9); Child 2021, "Very Deep VAEs",
    section 3.) The encoder runs from fine to coarse, then inference and generation go down the one path of the decoder,
    a `zoo.networks.TopDown`. `w` is `kl_weight`, 1 unless a callback such as `zoo.callbacks.KLWarmup` moves it, λ is
    `free_bits`, and γ balances the layers while w < 1; `elbo` is the same whatever they are.

    Args:
        encoder: layer from images `[B,H,W,C]` to a list of features, one for each scale of the decoder, coarse first.
        decoder: a `zoo.networks.TopDown`, whose output has `likelihood.params_size(C)` channels.
        likelihood: a `zoo.likelihoods.Likelihood` or its name.
        free_bits: float >= 0, λ, nats a stochastic layer below which its KL costs nothing more (Kingma et al. 2016,
            IAF, eq. (15); deviation: by example, as in `zoo.VAE`).
        kl_balancing: bool, whether γ_l ∝ E[KL_l] / s_l, of mean 1 over the layers, while `kl_weight` < 1, and 1 from
            then on; s_l is the number of latents of the layer and the expectation is over the batch (Vahdat & Kautz
            2020, NVAE, appendix A, as in the code published with it). A layer then costs the less, the smaller its KL
            is for its size, so that none dies early.
        skip_threshold: float > 0, or None: a training step whose gradient, over all replicas, has a larger norm, in
            nats per unit of weight, leaves it out: only the momentum of the optimizer goes on (Child 2021, appendix A;
            there the whole step is skipped). A gradient that is no number is always left out. Under float16 neither
            is: the optimizer that scales the loss leaves out the steps that overflow, and does not count them.
        max_log_var: float > 0, what the log-variances of all latents are held below, and its negative above, smoothly.
            A smaller one keeps a prior that is sure of itself, and wrong, from a KL that throws training off.
        seed: int or None, of the noise in training.

    Call arguments:
        x: float `[B,H,W,C]` in [0, 1].

    Returns:
        reconstructions, float32 `[B,H,W,C]` in [0, 1].

    Reports:
        beside `loss`, `reconstruction`, `kl`, `elbo`, and `bits_per_dim` for 8-bit likelihoods: `kl_<h>x<w>_<l>`, the
        KL of the l-th layer, nats per example; `skipped`, the share of training steps left out.

    Raises:
        ValueError: for arguments out of range; for an encoder whose features do not fit the decoder, and a decoder
            whose output does not fit the likelihood.

    Example:
        >>> encoder = zoo.networks.bottom_up_encoder((28, 28, 1), scales=(28, 4, 2))
        >>> decoder = zoo.networks.TopDown((28, 28, 1), scales=(28, 4, 2), layers=(1, 2, 2))
        >>> model = zoo.HierarchicalVAE(encoder, decoder)
        >>> [layer["mean"].shape for layer in model.encode(images)]
        [TensorShape([32, 1, 1, 8]), TensorShape([32, 7, 7, 8]), …, TensorShape([32, 14, 14, 8])]
    """

    training_only = ("skipped",)

    def __init__(
        self, encoder, decoder, likelihood="bernoulli", free_bits=0.0, kl_balancing=False, skip_threshold=None,
        max_log_var=distributions.LOG_VAR_RANGE[1], seed=None, **kwargs,
    ):  # fmt: skip
        super().__init__(encoder, decoder, likelihood, free_bits, seed, **kwargs)
        if not isinstance(decoder, networks.TopDown):
            checks.fail("decoder", "a zoo.networks.TopDown", decoder)
        self.kl_balancing = bool(kl_balancing)
        self.skip_threshold = skip_threshold
        if skip_threshold is not None:
            self.skip_threshold = checks.number("skip_threshold", skip_threshold, 0.0, open_low=True)
        self.max_log_var = checks.number("max_log_var", max_log_var, 0.0, open_low=True)
        self.kl_names = tuple(f"kl_{block.name}" for block in decoder.blocks)
        self.trackers |= {name: keras.metrics.Mean(name=name) for name in (*self.kl_names, "skipped")}

    # The objective.

    def compute_terms(self, x, labels=None, training=False, target=None):
        log_likelihood, kls = self.log_likelihood_and_kls(x, target, training=training)
        terms = self.terms_of(x, log_likelihood, sum(kls), self.penalty(kls))
        return terms | dict(zip(self.kl_names, kls))

    @sub_batched
    def log_likelihood_and_kls(self, x, target, training=False):
        """log p(x|z) with z drawn from the posterior, and each layer's KL: `[B]` each."""
        kls = []

        def draw(block, prior, posterior):
            kls.append(distributions.sum_per_example(distributions.normal_kl(*posterior, *prior)))
            return self.sampling(*posterior)

        params, _ = self.top_down(draw, self.features(x, training), training=training)
        return self.judge(x if target is None else target, params, training), kls

    def penalty(self, kls):
        """What the loss asks for the layers' KLs, each `[B]`: `[B]`."""
        costs = [ops.maximum(kl, self.free_bits) for kl in kls]
        if not self.kl_balancing:
            return sum(costs)
        # The 0.01 keeps a layer of no KL in play.
        means = ops.stack([replicas.mean_over_batch(ops.stop_gradient(kl)) + 0.01 for kl in kls])
        sizes = [ops.prod(block.latent_shape) for block in self.decoder.blocks]
        weights = means / ops.cast(ops.stack(sizes), "float32")
        weights = ops.where(self.kl_weight < 1.0, weights / ops.mean(weights), 1.0)
        return sum(weights[number] * cost for number, cost in enumerate(costs))

    def filter_gradients(self, gradients):
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return gradients  # it skips the steps that overflow itself, and must see them
        known = [gradient for gradient in gradients if gradient is not None]  # a user's network may hold idle weights
        squared = sum(ops.sum(ops.square(replicas.all_sum(gradient))) for gradient in known)
        largest = float("inf") if self.skip_threshold is None else self.skip_threshold
        keep = ops.isfinite(squared) & (ops.sqrt(squared) < largest)
        self.trackers["skipped"].update_state(1.0 - ops.cast(keep, "float32"))
        return [None if gradient is None else ops.where(keep, gradient, 0.0) for gradient in gradients]

    # The networks.

    def features(self, x, training=False):
        """The encoder's features by grid, a dict of (h, w) to `[B,h,w,width]`."""
        size, wanted_size = self.decoder.image_shape[-1], self.likelihood.params_size(x.shape[-1])
        if size != wanted_size:  # they could be broadcast against one another
            raise ValueError(
                f"Expected a decoder of {wanted_size} parameters a pixel for this likelihood. Received: one of {size}"
            )
        features = self.run_network("encoder", x, training)
        if not isinstance(features, (list, tuple)):
            features = [features]  # as Keras unpacks a list of one
        features = {tuple(feature.shape[1:]): feature for feature in features}
        wanted = {(*block.latent_shape[:2], block.width) for block in self.decoder.blocks}
        if not wanted <= set(features):
            raise ValueError(
                f"Expected the encoder to give a list of features of shapes {sorted(wanted)}, as the decoder's grids "
                f"and widths are. Received: features of shapes {list(features)}"
            )
        return {shape[:2]: features[shape] for shape in wanted}

    def top_down(self, draw, features=None, batch_size=None, training=False):
        """Goes down the path once, with latents of the caller's choice.

        Args:
            draw: function of (block, prior, posterior) that gives z `[B,h,w,D]`, called for each layer from the top;
                `prior` and `posterior` are pairs of mean and log-variance, `posterior` is None without features.
            features: as `features` gives them, or None to generate.
            batch_size: int or int tensor, B where there are no features.

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
            z = draw(block, (mean, bound(log_var)), posterior)
            h = block.merge(h, z, training)
            latents.append(z)
        return ops.cast(self.decoder.end(h, training), "float32"), latents

    @property
    def prior(self):
        """p(z) of all layers, a `TopDownPrior`: a part of the decoder, trained with it, that cannot be exchanged."""
        return TopDownPrior(self)

    @property
    def num_layers(self):
        """L, the number of stochastic layers."""
        return len(self.decoder.blocks)

    # The methods of the contract.

    @batched
    def encode(self, x, labels=None, batch_size=None):
        """The posterior of each layer given the means of those above: a list, top first, of {"mean", "log_var"}.

        Each is float32 `[B,h,w,D]`.
        """
        x, _ = self._inputs(x, labels)
        posteriors = []

        def draw(block, prior, posterior):
            posteriors.append(dict(zip(("mean", "log_var"), posterior)))
            return posterior[0]

        self.top_down(draw, self.features(x))
        return posteriors

    @batched
    def decode(self, z, labels=None, batch_size=None):
        """The mean images of latents: float32 `[B,H,W,C]` in [0, 1].

        Args:
            z: list of float `[B,h,w,D]`, top first; of layers left out at its end, the prior's mean is taken.

        Raises:
            ValueError: if `z` does not fit the layers.
        """
        self._check_labels(labels, None)
        z = [ops.cast(values, "float32") for values in self._check_data("z", z)]
        given = iter(z)
        params, _ = self.top_down(lambda block, prior, _: next(given, prior[0]), batch_size=ops.shape(z[0])[0])
        return self.likelihood.mean(params)

    @batched
    def reconstruct(self, x, labels=None, batch_size=None):
        """Images from the posterior means of images: float32 `[B,H,W,C]` in [0, 1]; deterministic."""
        x, _ = self._inputs(x, labels)
        params, _ = self.top_down(lambda block, prior, posterior: posterior[0], self.features(x))
        return self.likelihood.mean(params)

    def posterior_mean(self, x, labels=None):
        _, means = self.top_down(lambda block, prior, posterior: posterior[0], self.features(x))
        return means

    def sample(self, num_samples, seed=None, temperature=1.0, labels=None, given=(), batch_size=None):
        """As `zoo.VAE.sample`; `temperature` multiplies the standard deviation of every layer's prior.

        Args:
            given: list of float `[num_samples,h,w,D]`, latents of the top layers, top first; those below are drawn.
                With one image's latents in all rows, it shows what the layers below hold.
        """
        seeds, temperature = self._rows(num_samples, seed, temperature)
        given = self._check_latents("given", given, num_samples)
        return self.generate(seeds, temperature, labels, given, batch_size=batch_size)[0]

    @batched
    def generate(self, seeds, temperature, labels=None, given=(), batch_size=None):
        self._check_labels(labels, None)
        temperature = ops.reshape(temperature, (-1, 1, 1, 1))
        above = iter(given)

        def draw(block, prior, _):
            mean, log_var = prior
            noise = random.normal(self._seeds_of(block, seeds), block.latent_shape)
            return next(above, distributions.normal_draw(mean, log_var, temperature * noise))

        params, latents = self.top_down(draw, batch_size=ops.shape(seeds)[0])
        return self.likelihood.mean(params), latents

    @sub_batched
    def posterior(self, x, labels=None, training=False):
        return self.features(x, training)

    @sub_batched
    def log_weights(self, x, posterior, seeds, labels=None, training=False):
        ratios = []

        def draw(block, prior, posterior):
            mean, log_var = posterior
            noise = random.normal(self._seeds_of(block, seeds), block.latent_shape)
            z = distributions.normal_draw(mean, log_var, noise)
            log_prior = distributions.normal_log_prob(z, *prior)
            ratios.append(log_prior - distributions.normal_log_prob(z, mean, log_var))
            return z

        params, _ = self.top_down(draw, posterior)
        return self.judge(x, params) + sum(ratios)

    def _seeds_of(self, block, seeds):
        return random.fold_in(seeds, self.decoder.blocks.index(block))

    def _check_latents(self, name, z, num_rows=None):
        """A list of latents of the top layers, top first, cast; of `num_rows` rows, or of those of the first."""
        if not isinstance(z, (list, tuple)) or len(z) > self.num_layers:
            shapes = keras.tree.map_structure(lambda values: getattr(values, "shape", values), z)
            checks.fail(name, f"a list of at most {self.num_layers} arrays of latents, top first", shapes)
        latents = []
        for block, values in zip(self.decoder.blocks, z):
            values = super()._check_data(name, values)
            shape = tuple(values.shape)
            if shape[1:] != block.latent_shape or (None not in (num_rows, shape[0]) and num_rows != shape[0]):
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

    def flat_posterior(self, x, labels=None):
        posteriors = self.encode(x, labels)
        return {name: self.flatten([layer[name] for layer in posteriors]) for name in ("mean", "log_var")}

    def flatten(self, latents):
        """The list of `[B,h,w,D]`, top first, as one array `[B, Σ h·w·D]`."""
        return ops.concatenate([ops.reshape(z, (-1, math.prod(z.shape[1:]))) for z in latents], axis=1)

    @property
    def embedding_dim(self):
        return sum(math.prod(block.latent_shape) for block in self.decoder.blocks)

    def unflatten(self, latents):
        shapes = [block.latent_shape for block in self.decoder.blocks]
        parts = tf.split(latents, [math.prod(shape) for shape in shapes], axis=1)
        return [ops.reshape(part, (-1, *shape)) for part, shape in zip(parts, shapes)]

    def get_config(self):
        names = ("kl_balancing", "skip_threshold", "max_log_var")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class TopDownPrior:
    """The prior of a hierarchical VAE: p(z) = Π_l p(z_l | z_1, …, z_{l−1}), as the decoder's path computes it.

    Args:
        model: the `zoo.HierarchicalVAE`.
    """

    def __init__(self, model):
        self._vae = model

    def log_prob(self, z):
        """log p(z): latents of all layers, a list of float `[B,h,w,D]`, top first, to float32 `[B]`, nats."""
        z = self._vae._check_latents("z", z)
        if len(z) < self._vae.num_layers:
            checks.fail("z", f"the latents of all {self._vae.num_layers} layers", f"those of {len(z)}")
        given, log_probs = iter(z), []

        def draw(block, prior, _):
            log_probs.append(distributions.normal_log_prob(values := ops.cast(next(given), "float32"), *prior))
            return values

        self._vae.top_down(draw, batch_size=ops.shape(z[0])[0])
        return sum(log_probs)

    def sample(self, num_samples, seed=None, temperature=1.0):
        """Samples latents: a list of float32 `[num_samples,h,w,D]`, top first; arguments as in `zoo.VAE.sample`."""
        return self._vae.generate(*self._vae._rows(num_samples, seed, temperature))[1]
