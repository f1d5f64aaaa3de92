"""Builders of the usual encoders and decoders: functional Keras models.

Any Keras model of the same shapes can take their place. An encoder for Gaussian latents gives `[B, 2·latent_dim]`:
means, then log-variances; a decoder gives the likelihood's parameters, `params_size(channels)` a pixel, without an
activation. No network normalises over the batch, so that an example's result does not depend on its neighbours or on
replicas.
"""

import math

import keras
from keras import layers

from zoo import checks
from zoo.layers import top_down


def mlp_encoder(image_shape, latent_dim, hidden=(512, 512), activation="relu"):
    """Dense layers: `[B,H,W,C]` to `[B, 2·latent_dim]`. Any shape of image, or of table, will do."""
    x = inputs = keras.Input(image_shape)
    x = layers.Flatten()(x)
    for units in hidden:
        x = layers.Dense(units, activation=activation)(x)
    return keras.Model(inputs, _posterior(x, latent_dim), name="encoder")


def mlp_decoder(output_shape, latent_dim, hidden=(512, 512), activation="relu"):
    """Dense layers: `[B,latent_dim]` to `[B,*output_shape]`."""
    x = inputs = keras.Input((latent_dim,))
    for units in hidden:
        x = layers.Dense(units, activation=activation)(x)
    x = layers.Dense(math.prod(output_shape))(x)
    return keras.Model(inputs, layers.Reshape(output_shape)(x), name="decoder")


def conv_encoder(image_shape, latent_dim, filters=(32, 64), blocks=0, dense=256, activation="relu"):
    """Strided convolutions, one for each entry of `filters`, then a dense layer.

    Args:
        image_shape: (H, W, C); H and W divisible by 2 ** len(filters).
        latent_dim: int >= 1.
        filters: channels after each halving of the image: (32, 64) takes 28×28×1 to 14×14×32 to 7×7×64.
        blocks: int >= 0, residual blocks after each halving.
        dense: int >= 1, units of the last layer before the posterior.

    Returns:
        keras.Model from `[B,H,W,C]` to `[B, 2·latent_dim]`.

    Raises:
        ValueError: if the image cannot be halved that often.
    """
    check_divisible(image_shape, len(filters))
    x = inputs = keras.Input(image_shape)
    for width in filters:
        x = layers.Conv2D(width, 4, strides=2, padding="same", activation=activation)(x)
        for _ in range(blocks):
            x = _residual(x, width, activation)
    x = layers.Dense(dense, activation=activation)(layers.Flatten()(x))
    return keras.Model(inputs, _posterior(x, latent_dim), name="encoder")


def conv_decoder(output_shape, latent_dim, filters=(64, 32), blocks=0, dense=256, activation="relu"):
    """A dense layer, then transposed convolutions, one for each entry of `filters`.

    Args:
        output_shape: (H, W, parameters a pixel); H and W divisible by 2 ** len(filters).
        latent_dim: int >= 1.
        filters: channels before each doubling: (64, 32) goes 7×7×64, 14×14×32, 28×28×32.
        blocks: int >= 0, residual blocks before each doubling and after the last.
        dense: int >= 1, units of the first layer.

    Returns:
        keras.Model from `[B,latent_dim]` to `[B,*output_shape]`.

    Raises:
        ValueError: if the image cannot be halved that often.
    """
    check_divisible(output_shape, len(filters), "output_shape")
    height, width = (size // 2 ** len(filters) for size in output_shape[:2])
    x = inputs = keras.Input((latent_dim,))
    x = layers.Dense(dense, activation=activation)(x)
    x = layers.Dense(height * width * filters[0], activation=activation)(x)
    x = layers.Reshape((height, width, filters[0]))(x)
    for channels, following in zip(filters, (*filters[1:], filters[-1])):
        for _ in range(blocks):
            x = _residual(x, channels, activation)
        x = layers.Conv2DTranspose(following, 4, strides=2, padding="same")(x)
        x = layers.Activation(activation)(x)
    for _ in range(blocks):
        x = _residual(x, filters[-1], activation)
    x = layers.Conv2D(output_shape[-1], 3, padding="same")(x)
    return keras.Model(inputs, x, name="decoder")


def residual_encoder(image_shape, code_dim=64, filters=128, downsamples=2, blocks=2):
    """The encoder of a VQ-VAE: halvings, residual blocks after each, one vector for each place.

    After van den Oord et al. 2017, section 4.1; deviation: blocks at every resolution, not at the last one only, which
    took the error on CIFAR-10 down by about a twentieth for the same training time.

    Args:
        image_shape: (H, W, C); H and W divisible by 2 ** downsamples.
        code_dim: int >= 1, channels of the result.
        filters: int, channels at the last resolution; half as many at those before.
        downsamples: int >= 1: 2 takes 32×32 to 8×8.
        blocks: int >= 0, at each resolution.

    Returns:
        keras.Model from `[B,H,W,C]` to `[B, H/2**downsamples, W/2**downsamples, code_dim]`.

    Raises:
        ValueError: if the image cannot be halved that often.
    """
    check_divisible(image_shape, downsamples)
    x = inputs = keras.Input(image_shape)
    for width in _widths(filters, downsamples):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(x)
        x = _residual_stack(x, width, blocks)
    return keras.Model(inputs, layers.Conv2D(checks.positive_int("code_dim", code_dim), 1)(x), name="encoder")


def residual_decoder(grid_shape, params, filters=128, upsamples=2, blocks=2):
    """The decoder of a VQ-VAE, the mirror image of `residual_encoder`.

    Args:
        grid_shape: (h, w, code_dim).
        params: int >= 1, parameters a pixel.
        filters, blocks: as in `residual_encoder`.
        upsamples: int >= 1: 2 takes 8×8 to 32×32.

    Returns:
        keras.Model from `[B,h,w,code_dim]` to `[B, h·2**upsamples, w·2**upsamples, params]`.
    """
    x = inputs = keras.Input(grid_shape)
    x = layers.Conv2D(filters, 3, padding="same")(x)
    widths = _widths(filters, checks.positive_int("upsamples", upsamples))[::-1]
    for width, following in zip(widths, (*widths[1:], params)):
        x = _residual_stack(x, width, blocks)
        x = layers.Conv2DTranspose(following, 4, strides=2, padding="same")(x)
    return keras.Model(inputs, x, name="decoder")


def bottom_up_encoder(image_shape, scales=(4, 2), width=64, hidden=64, blocks=2, activation="relu"):
    """The encoder of a hierarchical VAE: the features of an image at each scale, from fine to coarse.

    Args:
        image_shape: (H, W, C).
        scales, width, hidden: as in the `zoo.layers.TopDown` that takes the features.
        blocks: int or ints >= 1, residual blocks at each scale.

    Returns:
        keras.Model from `[B,H,W,C]` to a list of `[B, H/scale, W/scale, width]`, one for each scale, coarse first.

    Raises:
        ValueError: if the scales do not divide the image or one another.
    """
    top_down.grids(image_shape, scales)
    number = len(scales)
    width, hidden, blocks = (
        top_down.per_scale(name, value, number)
        for name, value in (("width", width), ("hidden", hidden), ("blocks", blocks))
    )
    inputs = keras.Input(image_shape)
    x = layers.Rescaling(2.0, offset=-1.0)(inputs)
    features, below = [], 1
    for n in reversed(range(number)):
        x = top_down.strided(layers.Conv2D, width[n], scales[n] // below)(x)
        for _ in range(blocks[n]):
            x = _residual(x, width[n], activation, hidden[n])
        features.append(x)
        below = scales[n]
    return keras.Model(inputs, features[::-1], name="encoder")


def _widths(filters, resolutions):
    checks.positive_int("filters", filters)
    return [max(1, filters // 2)] * (resolutions - 1) + [filters]


def check_divisible(image_shape, halvings, name="image_shape"):
    """Raises ValueError unless height and width can be halved `halvings` times."""
    checks.positive_int("downsamples", halvings)
    if len(image_shape) != 3 or any(size % 2**halvings for size in image_shape[:2]):
        checks.fail(name, f"(H, W, C) with H and W divisible by {2**halvings}", tuple(image_shape))


def _posterior(x, latent_dim):
    return layers.Dense(2 * checks.positive_int("latent_dim", latent_dim), name="posterior")(x)


def _residual(x, channels, activation, hidden=None):
    y = layers.Activation(activation)(x)
    y = layers.Conv2D(hidden or max(1, channels // 2), 3, padding="same", activation=activation)(y)
    # Without a bias, which the next layer has: TensorFlow 2.21's fusion of convolution, bias, sum and ReLU fails here,
    # and takes all other fusions of the graph with it.
    return layers.Add()([x, layers.Conv2D(channels, 1, use_bias=False)(y)])


def _residual_stack(x, channels, blocks):
    for _ in range(blocks):
        x = _residual(x, channels, "relu")
    return layers.Activation("relu")(x)
