"""Encoders and decoders of series, by convolutions along time."""

from collections.abc import Sequence

import keras
from keras import layers

from zoo.networks import _blocks
from zoo.runtime import checks
from zoo.runtime.types import Shape


def conv1d_encoder(
    series_shape: Shape,
    latent_dim: int,
    filters: Sequence[int] = (32, 64),
    stride: int = 2,
    dense: int = 128,
    activation: str = "relu",
) -> keras.Model:
    """Strided convolutions along time, one for each entry of `filters`, then a dense layer.

    Args:
        series_shape: (T, C), steps and channels; T divisible by stride ** len(filters).
        latent_dim: int >= 1.
        filters: channels after each shortening of the series: (32, 64) takes 64×3 to 32×32 to 16×64.
        stride: int >= 1, the factor of each shortening.
        dense: int >= 1, units of the last layer before the posterior.
        activation: name of a Keras activation.

    Returns:
        keras.Model from `[B,T,C]` to `[B, 2·latent_dim]`.

    Raises:
        ValueError: if T cannot be divided that often.

    Example:
        >>> zoo.networks.conv1d_encoder((64, 3), latent_dim=8).output_shape
        (None, 16)
    """
    filters = _blocks.some_filters(filters)
    _check_steps("series_shape", series_shape, stride, len(filters))
    x = inputs = keras.Input(series_shape)
    for width in filters:
        x = layers.Conv1D(width, 2 * stride + 1, strides=stride, padding="same", activation=activation)(x)
    x = _blocks.dense(layers.Flatten()(x), dense, activation)
    return keras.Model(inputs, _blocks.posterior(x, latent_dim), name="encoder")


def conv1d_decoder(
    output_shape: Shape,
    latent_dim: int,
    filters: Sequence[int] = (64, 32),
    stride: int = 2,
    dense: int = 128,
    activation: str = "relu",
) -> keras.Model:
    """A dense layer, then transposed convolutions along time, one for each entry of `filters`.

    Args:
        output_shape: (T, parameters per step); T divisible by stride ** len(filters).
        latent_dim: int >= 1.
        filters: channels before each lengthening: (64, 32) takes 16×64 to 32×32 to 64×32.
        stride: int >= 1, the factor of each lengthening.
        dense: int >= 1, units of the first layer.
        activation: name of a Keras activation.

    Returns:
        keras.Model from `[B,latent_dim]` to `[B,*output_shape]`.

    Raises:
        ValueError: if T cannot be divided that often.

    Example:
        >>> zoo.networks.conv1d_decoder((64, 3), latent_dim=8).output_shape
        (None, 64, 3)
    """
    filters = _blocks.some_filters(filters)
    steps = _check_steps("output_shape", output_shape, stride, len(filters))
    x = inputs = keras.Input((checks.positive_int("latent_dim", latent_dim),))
    x = _blocks.dense(x, dense, activation)
    x = layers.Dense(steps * filters[0], activation=activation)(x)
    x = layers.Reshape((steps, filters[0]))(x)
    for following in (*filters[1:], filters[-1]):
        x = layers.Conv1DTranspose(following, 2 * stride, strides=stride, padding="same")(x)
        x = layers.Activation(activation)(x)
    x = layers.Conv1D(output_shape[-1], 3, padding="same")(x)
    return keras.Model(inputs, x, name="decoder")


def conv1d_grid_encoder(
    series_shape: Shape, code_dim: int = 64, filters: int = 128, downsamples: int = 2, blocks: int = 2
) -> keras.Model:
    """The encoder of a VQ-VAE of series: halvings along time, with residual blocks after each.

    The grid of vectors has a width of 1. A `zoo.quantizers.ResidualQuantizer` puts the codes of its levels side by
    side, so its codes are `[B, T/2**downsamples, depth]`, a grid that priors over codes take.

    Args:
        series_shape: (T, C); T divisible by 2 ** downsamples.
        code_dim: int >= 1, channels of the result.
        filters: int >= 1, channels at the last resolution; half as many at the others.
        downsamples: int >= 1.
        blocks: int >= 0, at each resolution.

    Returns:
        keras.Model from `[B,T,C]` to `[B, T/2**downsamples, 1, code_dim]`.

    Raises:
        ValueError: if T cannot be halved that often.

    Example:
        >>> zoo.networks.conv1d_grid_encoder((64, 40), code_dim=16, downsamples=2).output_shape
        (None, 16, 1, 16)
    """
    checks.positive_int("downsamples", downsamples)
    steps = _check_steps("series_shape", series_shape, 2, downsamples)
    x = inputs = keras.Input(series_shape)
    for width in _blocks.widths(filters, downsamples):
        x = layers.Conv1D(width, 4, strides=2, padding="same")(x)
        x = _residual_stack(x, width, blocks)
    x = layers.Conv1D(checks.positive_int("code_dim", code_dim), 1)(x)
    return keras.Model(inputs, layers.Reshape((steps, 1, code_dim))(x), name="encoder")


def conv1d_grid_decoder(
    grid_shape: Shape, params: int, filters: int = 128, upsamples: int = 2, blocks: int = 2
) -> keras.Model:
    """The decoder of a VQ-VAE of series, the mirror image of `conv1d_grid_encoder`.

    Args:
        grid_shape: (h, 1, code_dim).
        params: int >= 1, parameters per step.
        filters, blocks: as in `conv1d_grid_encoder`.
        upsamples: int >= 1: 2 takes 16 steps to 64.

    Returns:
        keras.Model from `[B,h,1,code_dim]` to `[B, h·2**upsamples, params]`.

    Raises:
        ValueError: for a grid of another width.
    """
    if _blocks.sizes("grid_shape", grid_shape, "(h, 1, code_dim)")[1] != 1:
        checks.fail("grid_shape", "(h, 1, code_dim)", tuple(grid_shape))
    x = inputs = keras.Input(grid_shape)
    x = layers.Reshape((grid_shape[0], grid_shape[2]))(x)
    x = layers.Conv1D(filters, 3, padding="same")(x)
    widths = _blocks.widths(filters, checks.positive_int("upsamples", upsamples))[::-1]
    for width, following in zip(widths, (*widths[1:], params)):
        x = _residual_stack(x, width, blocks)
        x = layers.Conv1DTranspose(following, 4, strides=2, padding="same")(x)
    return keras.Model(inputs, x, name="decoder")


def _residual_stack(x, channels, blocks):
    for _ in range(checks.integer("blocks", blocks, 0)):
        y = layers.Activation("relu")(x)
        y = layers.Conv1D(max(1, channels // 2), 3, padding="same", activation="relu")(y)
        x = layers.Add()([x, layers.Conv1D(channels, 1, use_bias=False)(y)])
    return layers.Activation("relu")(x)


def _check_steps(name, shape, stride, times):
    """The number of steps after `times` divisions by `stride`."""
    _blocks.require_channels_last()
    factor = checks.positive_int("stride", stride) ** times
    form = f"(T, C) with T divisible by {factor} = {stride} ** {times}"
    steps, _ = _blocks.sizes(name, shape, form)
    if steps % factor:
        checks.fail(name, form, tuple(shape))
    return steps // factor
