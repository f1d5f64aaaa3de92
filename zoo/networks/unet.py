"""The decoder of a `zoo.VAEAC`: a U-Net over the observed pixels, which takes the latents at its bottom."""

from collections.abc import Sequence

import keras
from keras import layers, ops

from zoo.networks import _blocks
from zoo.runtime import checks
from zoo.runtime.types import Shape


def unet_decoder(
    output_shape: Shape,
    latent_dim: int,
    channels: int = 1,
    filters: Sequence[int] = (32, 64),
    blocks: int = 1,
    bottom_blocks: int = 3,
    features: int = 16,
    activation: str = "relu",
) -> keras.Model:
    """A U-Net from an image with holes, beside its mask, and latents to the parameters of each pixel.

    Strided convolutions go down, transposed ones up, and at each resolution the way up takes what the way down had
    there (Ronneberger et al. 2015, "U-Net", figure 1; deviations: residual blocks, strides for pooling, and sums for
    concatenations, except for the image itself, which is concatenated before the last layers). The latents become 8
    channels at the lowest resolution.

    Args:
        output_shape: (H, W, parameters per pixel); H and W divisible by 2 ** len(filters).
        latent_dim: int >= 1, D.
        channels: int >= 1, C, of the image.
        filters: channels after each halving of the image: (32, 64) takes 28×28×2 to 14×14×32 to 7×7×64.
        blocks: int >= 0, residual blocks at each resolution, on the way down and on the way up.
        bottom_blocks: int >= 0, residual blocks at the lowest resolution, after the latents have come in.
        features: int >= 1, channels of the last layer but one, at the full resolution.
        activation: name of a Keras activation.

    Returns:
        keras.Model from `[B, H·W·2C + latent_dim]` to `[B,*output_shape]`.

    Raises:
        ValueError: if the image cannot be halved that often.

    Example:
        >>> zoo.networks.unet_decoder((28, 28, 1), latent_dim=16).input_shape
        (None, 1584)
    """
    _blocks.check_divisible(output_shape, len(filters), "output_shape")
    height, width, params = output_shape
    size = height * width * 2 * checks.positive_int("channels", channels)
    inputs = keras.Input((size + checks.positive_int("latent_dim", latent_dim),))
    given = layers.Reshape((height, width, 2 * channels))(inputs[:, :size])
    x, ways = given, []
    for number in filters:
        x = layers.Conv2D(number, 4, strides=2, padding="same", activation=activation)(x)
        for _ in range(checks.integer("blocks", blocks, 0)):
            x = _blocks.residual(x, number, activation)
        ways.append(x)
    z = layers.Dense(x.shape[1] * x.shape[2] * 8, activation=activation)(inputs[:, size:])
    z = layers.Reshape((x.shape[1], x.shape[2], 8))(z)
    x = layers.Conv2D(filters[-1], 3, padding="same")(ops.concatenate([x, z], axis=-1))
    for _ in range(checks.integer("bottom_blocks", bottom_blocks, 0)):
        x = _blocks.residual(x, filters[-1], activation)
    for number, way in zip(filters[-2::-1], ways[-2::-1]):
        x = layers.Activation(activation)(x)
        x = layers.Add()([layers.Conv2DTranspose(number, 4, strides=2, padding="same")(x), way])
        for _ in range(checks.integer("blocks", blocks, 0)):
            x = _blocks.residual(x, number, activation)
    x = layers.Conv2DTranspose(features, 4, strides=2, padding="same")(layers.Activation(activation)(x))
    x = layers.Conv2D(features, 3, padding="same", activation=activation)(ops.concatenate([x, given], axis=-1))
    return keras.Model(inputs, layers.Conv2D(params, 3, padding="same")(x), name="unet_decoder")
