"""Encoder and decoder of a VQ-VAE: residual convolutions around a grid of vectors."""

import keras
from keras import layers

from zoo.networks import _blocks
from zoo.runtime import checks
from zoo.runtime.types import Shape


def residual_encoder(
    image_shape: Shape,
    code_dim: int = 64,
    filters: int = 128,
    downsamples: int = 2,
    blocks: int = 2,
    activation: str = "relu",
    normalization: str | None = None,
) -> keras.Model:
    """The encoder of a VQ-VAE: halvings of the image, with residual blocks after each, give a grid of vectors.

    After van den Oord et al. 2017, section 4.1; deviation: blocks at every resolution instead of the last one only,
    which lowered the error on CIFAR-10 by about a twentieth for the same training time.

    Args:
        image_shape: (H, W, C); H and W divisible by 2 ** downsamples.
        code_dim: int >= 1, channels of the result.
        filters: int, channels at the last resolution; half as many at the others.
        downsamples: int >= 1: 2 takes 32×32 to 8×8.
        blocks: int >= 0, at each resolution.
        activation: name of a Keras activation.
        normalization: "rms" divides the channels of each place by their root mean square, times a learned scale (Zhang
            & Sennrich 2019, "Root Mean Square Layer Normalization", eq. (4)), after the blocks of each resolution: with
            "silu" it permits learning rates at which training would diverge without it. None: no normalization.

    Returns:
        keras.Model from `[B,H,W,C]` to `[B, H/2**downsamples, W/2**downsamples, code_dim]`.

    Raises:
        ValueError: if the image cannot be halved that often, and for another normalization.
    """
    _blocks.check_divisible(image_shape, downsamples)
    x = inputs = keras.Input(image_shape)
    for width in _blocks.widths(filters, downsamples):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(x)
        x = _blocks.residual_stack(x, width, blocks, activation, normalization)
    return keras.Model(inputs, layers.Conv2D(checks.positive_int("code_dim", code_dim), 1)(x), name="encoder")


def residual_decoder(
    grid_shape: Shape,
    params: int,
    filters: int = 128,
    upsamples: int = 2,
    blocks: int = 2,
    activation: str = "relu",
    normalization: str | None = None,
) -> keras.Model:
    """The decoder of a VQ-VAE, the mirror image of `residual_encoder`.

    Args:
        grid_shape: (h, w, code_dim).
        params: int >= 1, parameters per pixel.
        filters, blocks, activation, normalization: as in `residual_encoder`; the normalization is before each doubling.
        upsamples: int >= 1: 2 takes 8×8 to 32×32.

    Returns:
        keras.Model from `[B,h,w,code_dim]` to `[B, h·2**upsamples, w·2**upsamples, params]`.

    Raises:
        ValueError: for another normalization.
    """
    checks.positive_int("params", params)
    x = inputs = keras.Input(_blocks.sizes("grid_shape", grid_shape, "(h, w, code_dim)", any_size=True))
    x = layers.Conv2D(filters, 3, padding="same")(x)
    widths = _blocks.widths(filters, checks.positive_int("upsamples", upsamples))[::-1]
    for width, following in zip(widths, (*widths[1:], params)):
        x = _blocks.residual_stack(x, width, blocks, activation, normalization)
        x = layers.Conv2DTranspose(following, 4, strides=2, padding="same")(x)
    return keras.Model(inputs, x, name="decoder")
