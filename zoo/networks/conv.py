"""Convolutional encoder and decoder of Gaussian latents."""

from collections.abc import Sequence

import keras
from keras import layers

from zoo.networks import _blocks
from zoo.runtime import checks
from zoo.runtime.types import Shape


def conv_encoder(
    image_shape: Shape,
    latent_dim: int,
    filters: Sequence[int] = (32, 64),
    blocks: int = 0,
    dense: int = 256,
    activation: str = "relu",
) -> keras.Model:
    """Strided convolutions, one for each entry of `filters`, then a dense layer.

    Args:
        image_shape: (H, W, C); H and W divisible by 2 ** len(filters).
        latent_dim: int >= 1.
        filters: channels after each halving of the image: (32, 64) takes 28×28×1 to 14×14×32 to 7×7×64.
        blocks: int >= 0, residual blocks after each halving.
        dense: int >= 1, units of the last layer before the posterior.
        activation: name of a Keras activation.

    Returns:
        keras.Model from `[B,H,W,C]` to `[B, 2·latent_dim]`.

    Raises:
        ValueError: if the image cannot be halved that often.

    Example:
        >>> zoo.networks.conv_encoder((28, 28, 1), latent_dim=16).output_shape
        (None, 32)
    """
    filters = _blocks.some_filters(filters)
    _blocks.check_divisible(image_shape, len(filters))
    x = inputs = keras.Input(image_shape)
    for width in filters:
        x = layers.Conv2D(width, 4, strides=2, padding="same", activation=activation)(x)
        for _ in range(checks.integer("blocks", blocks, 0)):
            x = _blocks.residual(x, width, activation)
    x = _blocks.dense(layers.Flatten()(x), dense, activation)
    return keras.Model(inputs, _blocks.posterior(x, latent_dim), name="encoder")


def conv_decoder(
    output_shape: Shape,
    latent_dim: int,
    filters: Sequence[int] = (64, 32),
    blocks: int = 0,
    dense: int = 256,
    activation: str = "relu",
) -> keras.Model:
    """A dense layer, then transposed convolutions, one for each entry of `filters`.

    Args:
        output_shape: (H, W, parameters per pixel); H and W divisible by 2 ** len(filters).
        latent_dim: int >= 1.
        filters: channels before each doubling: (64, 32) takes 7×7×64 to 14×14×32 to 28×28×32.
        blocks: int >= 0, residual blocks before each doubling and after the last.
        dense: int >= 1, units of the first layer.
        activation: name of a Keras activation.

    Returns:
        keras.Model from `[B,latent_dim]` to `[B,*output_shape]`.

    Raises:
        ValueError: if the image cannot be halved that often.

    Example:
        >>> zoo.networks.conv_decoder((28, 28, 1), latent_dim=16).output_shape
        (None, 28, 28, 1)
    """
    filters = _blocks.some_filters(filters)
    _blocks.check_divisible(output_shape, len(filters), "output_shape")
    height, width = (size // 2 ** len(filters) for size in output_shape[:2])
    x = inputs = keras.Input((checks.positive_int("latent_dim", latent_dim),))
    x = _blocks.dense(x, dense, activation)
    x = layers.Dense(height * width * filters[0], activation=activation)(x)
    x = layers.Reshape((height, width, filters[0]))(x)
    for channels, following in zip(filters, (*filters[1:], filters[-1])):
        for _ in range(checks.integer("blocks", blocks, 0)):
            x = _blocks.residual(x, channels, activation)
        x = layers.Conv2DTranspose(following, 4, strides=2, padding="same")(x)
        x = layers.Activation(activation)(x)
    for _ in range(checks.integer("blocks", blocks, 0)):
        x = _blocks.residual(x, filters[-1], activation)
    x = layers.Conv2D(output_shape[-1], 3, padding="same")(x)
    return keras.Model(inputs, x, name="decoder")
