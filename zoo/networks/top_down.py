"""The networks of a hierarchical VAE: a bottom-up encoder, and a top-down path of stochastic layers."""

import functools
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops, saving

from zoo.networks import _blocks
from zoo.runtime import checks
from zoo.runtime.settings import Fixed
from zoo.runtime.types import Config, Ints, Shape, Tensor


def strided(convolution: type[layers.Layer], filters: int, factor: int, **kwargs: Any) -> layers.Layer:
    """A convolution that reduces a grid by `factor`, or a transposed one that enlarges it by `factor`."""
    kernel = {1: 3, 2: 4}.get(factor, factor)  # kernels overlap, except for large factors
    return convolution(filters, kernel, strides=factor, padding="same", **kwargs)


def per_scale(name: str, value: Ints, number: int) -> tuple[int, ...]:
    """One int for each of `number` scales, from an int for all or from one for each."""
    values = value if isinstance(value, (list, tuple)) else (value,) * number
    if len(values) != number:
        checks.fail(name, f"an int or one for each of the {number} scales", value)
    return tuple(checks.positive_int(name, each) for each in values)


def grids(image_shape: Shape, scales: Sequence[int]) -> list[tuple[int, int]]:
    """(H/s, W/s) for each of `scales`; ValueError unless all divide, and each scale is a multiple of the next."""
    _blocks.require_channels_last()
    if not _are_sizes(scales) or any(a % b or a == b for a, b in zip(scales, scales[1:])):
        checks.fail("scales", "one or more integers >= 1, each a multiple of the next", scales)
    if not _are_sizes(image_shape) or len(image_shape) != 3 or any(size % scales[0] for size in image_shape[:2]):
        checks.fail("image_shape", f"(H, W, C) with H and W divisible by {scales[0]}", image_shape)
    return [(image_shape[0] // scale, image_shape[1] // scale) for scale in scales]


def _are_sizes(values):
    """Whether `values` are one or more integers >= 1."""
    try:
        values = tuple(values)
    except TypeError:
        return False
    return bool(values) and all(checks.is_integer(n) and n >= 1 for n in values)


def _require_activation(name):
    """Raises ValueError unless `name` is the name of an activation; the layer saves it by name."""
    try:
        known = isinstance(name, str) and keras.activations.get(name) is not None
    except ValueError:
        known = False
    if not known:
        checks.fail("activation", "the name of an activation of Keras", name)


@saving.register_keras_serializable("zoo")
class TopDown(Fixed, layers.Layer):
    """The decoder of a hierarchical VAE: `layers` stochastic layers at each of `scales`, and an output layer.

    With images of 32×32, scales (32, 8, 2) and layers (1, 2, 3), it has one layer of latents at 1×1, two at 4×4 and
    three at 16×16.

    Args:
        image_shape: (H, W, parameters per pixel).
        scales: ints, coarse first: the ratio of the image's size to that of the latents' grid. Each is a multiple of
            the next; the first divides H and W.
        layers: int or ints, stochastic layers at each scale.
        latent_dim: int or ints, channels of the latents at each scale.
        width: int or ints, channels of the path at each scale, the same as the encoder's features have.
        hidden: int or ints, channels inside the networks of each scale.
        activation: str, the name of an activation of Keras.
        bottleneck: bool, whether the networks of a layer reduce their inputs to `hidden` channels by a 1×1 convolution
            before the 3×3 one (Child 2021, "Very Deep VAEs", figure 3, with one 3×3 convolution where it has two): a
            path wider than `hidden` then costs little.
        output_blocks: int >= 0, residual blocks at the size of the image, after the last layer. 0: the path's last grid
            is enlarged to the parameters at once.
        output_width: int, channels of those blocks.

    Call arguments:
        z: list of float `[B,h,w,latent_dim]`, top first, one for each stochastic layer.

    Returns:
        `[B,H,W,parameters]`.

    Raises:
        ValueError: for arguments out of range, and for latents of other shapes.
    """

    def __init__(
        self,
        image_shape: Shape,
        scales: Sequence[int] = (4, 2),
        layers: Ints = 2,
        latent_dim: Ints = 8,
        width: Ints = 64,
        hidden: Ints = 64,
        activation: str = "relu",
        bottleneck: bool = False,
        output_blocks: int = 0,
        output_width: int = 32,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        sizes = grids(image_shape, scales)
        self.image_shape = tuple(int(size) for size in image_shape)
        self.scales = tuple(int(scale) for scale in scales)
        number = len(self.scales)
        self.layers = per_scale("layers", layers, number)
        self.latent_dim = per_scale("latent_dim", latent_dim, number)
        self.width = per_scale("width", width, number)
        self.hidden = per_scale("hidden", hidden, number)
        _require_activation(activation)
        self.activation = activation
        self.bottleneck = checks.boolean("bottleneck", bottleneck)
        self.output_blocks = checks.integer("output_blocks", output_blocks, 0)
        self.output_width = checks.positive_int("output_width", output_width)
        self.blocks: list[TopDownBlock] = []
        incoming, above = self.width[0], self.scales[0]
        for scale, (grid, layers_here) in enumerate(zip(sizes, self.layers)):
            for _ in range(layers_here):
                block = TopDownBlock(
                    grid, self.width[scale], self.latent_dim[scale], self.hidden[scale],
                    above // self.scales[scale], incoming, 1.0 / sum(self.layers), activation, self.bottleneck,
                    dtype=self.dtype_policy, name=f"{grid[0]}x{grid[1]}_{len(self.blocks) + 1}",
                )  # fmt: skip
                self.blocks.append(block)
                incoming, above = self.width[scale], self.scales[scale]
        self.start = self.add_weight(name="start", shape=(1, *sizes[0], self.width[0]), initializer="zeros")
        self.output_network = self._output_network((*sizes[-1], self.width[-1]))
        self.built = True

    def _output_network(self, path):
        x = inputs = keras.Input(path, dtype=self.variable_dtype)
        dtype, channels = {"dtype": self.dtype_policy}, self.image_shape[-1]
        x = layers.Activation(self.activation, **dtype)(x)
        if not self.output_blocks:
            return keras.Model(
                inputs, strided(layers.Conv2DTranspose, channels, self.scales[-1], **dtype)(x), name="output"
            )
        x = strided(layers.Conv2DTranspose, self.output_width, self.scales[-1], **dtype)(x)
        for _ in range(self.output_blocks):
            x = _blocks.residual(x, self.output_width, self.activation, self.output_width, self.dtype_policy)
        x = layers.Activation(self.activation, **dtype)(x)
        x = layers.Conv2D(channels, 1, **dtype)(x)
        return keras.Model(inputs, x, name="output")

    def begin(self, batch_size: int | Tensor) -> Tensor:
        """The path before the first layer: `[B,h,w,width]`."""
        start = ops.cast(self.start, self.compute_dtype)
        return ops.broadcast_to(start, (batch_size, *self.start.shape[1:]))

    def end(self, h: Tensor, training: bool = False) -> Tensor:
        """The likelihood's parameters, from the path after the last layer: `[B,H,W,parameters]`."""
        return self.output_network(h, training=training)

    def call(self, z: Sequence[Tensor], training: bool = False) -> Tensor:
        wanted = [block.latent_shape for block in self.blocks]
        shapes = [tuple(latents.shape[1:]) for latents in z]
        if shapes != wanted:  # some of them would broadcast silently
            checks.fail("z", f"a list of latents of shapes {wanted}, a row for each image", shapes)
        h = self.begin(ops.shape(z[0])[0])
        for block, latents in zip(self.blocks, z):
            h, _, _ = block.prior(block.enter(h, training), training)
            h = block.merge(h, latents, training)
        return self.end(h, training)

    def get_config(self) -> Config:
        names = (
            *("image_shape", "scales", "layers", "latent_dim", "width", "hidden", "activation"),
            *("bottleneck", "output_blocks", "output_width"),
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class TopDownBlock(layers.Layer):
    """One stochastic layer on the path h.

        p(z | above) = N(μ, σ²),               μ, log σ², δ = prior(h)
        q(z | above, x) = N(μ + Δμ, σ² e^Δ),   Δμ, Δ = posterior(h + δ, features)
        h ← h + δ + project(z);   h ← h + residual(h)

    The path carries all layers above. Inference and generation share it (Sønderby et al. 2016, "Ladder Variational
    Autoencoders", section 2; Child 2021, "Very Deep VAEs", figure 3, for the residual form). The posterior is relative
    to the prior (Vahdat & Kautz 2020, NVAE, section 3.2).

    Args:
        grid: (h, w).
        width, latent_dim, hidden, activation: as in `TopDown`, for this layer.
        factor: int >= 1, the enlargement of the path before this layer.
        incoming: int >= 1, channels of the path before the enlargement.
        gain: float > 0, the initial variance scaling of the terms that are added to the path.
        bottleneck: bool, as in `TopDown`.
    """

    def __init__(
        self,
        grid: Shape,
        width: int,
        latent_dim: int,
        hidden: int,
        factor: int,
        incoming: int,
        gain: float,
        activation: str,
        bottleneck: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.width, self.latent_dim = width, latent_dim
        convolution = functools.partial(layers.Conv2D, padding="same", dtype=self.dtype_policy)
        size = 1 if tuple(grid) == (1, 1) else 3
        # With a dtype, as a saved model is built again under any floatx.
        path = functools.partial(keras.Input, (*grid, width), dtype=self.variable_dtype)

        def network(inputs, outputs, **kwargs):
            x = inputs[0] if len(inputs) == 1 else layers.Concatenate(dtype=self.dtype_policy)(inputs)
            x = layers.Activation(activation, dtype=self.dtype_policy)(x)
            if bottleneck:
                x = convolution(hidden, 1, activation=activation)(x)
            x = convolution(hidden, size, activation=activation)(x)
            return keras.Model(inputs, convolution(outputs, 1, **kwargs)(x))

        self.enlarge = None
        if factor > 1:
            x = keras.Input((grid[0] // factor, grid[1] // factor, incoming), dtype=self.variable_dtype)
            enlarged = strided(layers.Conv2DTranspose, width, factor, dtype=self.dtype_policy)(x)
            self.enlarge = keras.Model(x, enlarged)
        # Zeros at first: p = q = N(0, I), and no layer starts with a KL that explodes.
        self.prior_network = network([path()], 2 * latent_dim + width, kernel_initializer="zeros")
        self.posterior_network = network([path(), path()], 2 * latent_dim, kernel_initializer="zeros")
        # No biases, for the reason given in `_blocks.residual`.
        added = {"kernel_initializer": keras.initializers.VarianceScaling(gain), "use_bias": False}
        self.project = convolution(width, 1, **added)
        self.project.build((None, *grid, latent_dim))
        self.residual_network = network([path()], width, **added)
        self.latent_shape = (*grid, latent_dim)
        self.built = True

    def enter(self, h: Tensor, training: bool = False) -> Tensor:
        """The path at this layer's resolution: `[B,h,w,width]`."""
        return h if self.enlarge is None else self.enlarge(h, training=training)

    def prior(self, h: Tensor, training: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """The path with δ added, then the mean and log-variance of p(z | above), float32 `[B,h,w,latent_dim]`.

        The log-variance is unbounded; apply `zoo.distributions.bound_log_var` to it.
        """
        output = self.prior_network(h, training=training)
        mean, log_var, delta = ops.split(output, [self.latent_dim, 2 * self.latent_dim], axis=-1)
        return h + delta, ops.cast(mean, "float32"), ops.cast(log_var, "float32")

    def posterior(
        self, h: Tensor, features: Tensor, mean: Tensor, log_var: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | above, x), from those of the prior; float32 `[B,h,w,latent_dim]`."""
        output = ops.cast(self.posterior_network([h, features], training=training), "float32")
        shift, stretch = ops.split(output, 2, axis=-1)
        return mean + shift, log_var + stretch

    def merge(self, h: Tensor, z: Tensor, training: bool = False) -> Tensor:
        """The path after this layer, given its latents `z` `[B,h,w,latent_dim]`: `[B,h,w,width]`."""
        h = h + self.project(z)
        return h + self.residual_network(h, training=training)


def bottom_up_encoder(
    image_shape: Shape,
    scales: Sequence[int] = (4, 2),
    width: Ints = 64,
    hidden: Ints = 64,
    blocks: Ints = 2,
    activation: str = "relu",
) -> keras.Model:
    """The encoder of a hierarchical VAE: computes features of an image at each scale, from fine to coarse.

    Args:
        image_shape: (H, W, C).
        scales, width, hidden: as in the matching `zoo.networks.TopDown`.
        blocks: int or ints >= 1, residual blocks at each scale.
        activation: name of a Keras activation.

    Returns:
        keras.Model from `[B,H,W,C]` to a list of `[B, H/scale, W/scale, width]`, one for each scale, coarse first.

    Raises:
        ValueError: if the scales do not divide the image or one another.
    """
    grids(image_shape, scales)
    number = len(scales)
    width, hidden, blocks = (
        per_scale(name, value, number) for name, value in (("width", width), ("hidden", hidden), ("blocks", blocks))
    )
    inputs = keras.Input(image_shape)
    x = layers.Rescaling(2.0, offset=-1.0)(inputs)
    features, below = [], 1
    for n in reversed(range(number)):
        x = strided(layers.Conv2D, width[n], scales[n] // below)(x)
        for _ in range(blocks[n]):
            x = _blocks.residual(x, width[n], activation, hidden[n])
        features.append(x)
        below = scales[n]
    return keras.Model(inputs, features[::-1], name="encoder")
