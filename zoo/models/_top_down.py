"""The path of a hierarchical VAE from the top down, and the prior along it."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf
from keras import ops

from zoo import distributions, networks, random
from zoo.fitting import inputs
from zoo.models._base import BaseVAE
from zoo.models._elbo import ElboVAE
from zoo.networks.top_down import TopDownBlock
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Seeds, Tensor

# Mean and log-variance.
Normal: TypeAlias = tuple[Tensor, Tensor]
# The encoder's features by grid, (h, w) to `[B,h,w,width]`.
Features: TypeAlias = dict[tuple[int, ...], Tensor]


class TopDownVAE(ElboVAE, BaseVAE):
    """A VAE with a layer of latents at each block of its decoder, a `zoo.networks.TopDown`.

    A model sets `max_log_var`, the bound of the log-variances.
    """

    decoder: networks.TopDown
    max_log_var: float

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
        """p(z) of all layers, a `TopDownPrior`.

        It is a part of the decoder, is trained with it, and cannot be exchanged.
        """
        return TopDownPrior(self)

    @property
    def num_layers(self) -> int:
        """L, the number of stochastic layers."""
        return len(self.decoder.blocks)

    def flatten(self, latents: Sequence[Tensor]) -> Tensor:
        """The list of `[B,h,w,D]`, top first, as one array `[B, Σ h·w·D]`."""
        return ops.concatenate([ops.reshape(z, (-1, math.prod(z.shape[1:]))) for z in latents], axis=1)

    def unflatten(self, latents: Tensor) -> list[Tensor]:
        shapes = [block.latent_shape for block in self.decoder.blocks]
        parts = tf.split(latents, [math.prod(shape) for shape in shapes], axis=1)
        return [ops.reshape(part, (-1, *shape)) for part, shape in zip(parts, shapes)]

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


class TopDownPrior:
    """The prior of a hierarchical VAE, p(z) = Π_l p(z_l | z_1, …, z_{l−1}), which the decoder computes.

    Args:
        model: the `zoo.HierarchicalVAE`.
    """

    def __init__(self, model: TopDownVAE) -> None:
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
        return list(self._vae.generate(*self._vae._rows(num_samples, seed, temperature))[1])
