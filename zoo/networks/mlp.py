"""Dense encoder and decoder."""

import math
from collections.abc import Sequence

import keras
from keras import layers

from zoo.networks import _blocks
from zoo.runtime import checks
from zoo.runtime.types import Shape


def mlp_encoder(
    image_shape: Shape, latent_dim: int, hidden: Sequence[int] = (512, 512), activation: str = "relu"
) -> keras.Model:
    """Dense layers: `[B,H,W,C]` to `[B, 2·latent_dim]`. Works for data of any shape, tables included.

    Args:
        image_shape: (H, W, C), or the shape of an example of any rank.
        latent_dim: int >= 1.
        hidden: units of each hidden layer.
        activation: name of a Keras activation, or "gated": a second dense layer of as many units, with a sigmoid,
            multiplies the first (Dauphin et al. 2017, "Language Modeling with Gated Convolutional Networks").

    Returns:
        keras.Model from `[B,H,W,C]` to `[B, 2·latent_dim]`.

    Example:
        >>> zoo.networks.mlp_encoder((28, 28, 1), latent_dim=16).output_shape
        (None, 32)
    """
    x = inputs = keras.Input(_blocks.sizes("image_shape", image_shape))
    x = layers.Flatten()(x)
    for units in checks.positive_ints("hidden", hidden):
        x = _blocks.dense(x, units, activation)
    return keras.Model(inputs, _blocks.posterior(x, latent_dim), name="encoder")


def mlp_decoder(
    output_shape: Shape, latent_dim: int, hidden: Sequence[int] = (512, 512), activation: str = "relu"
) -> keras.Model:
    """Dense layers: `[B,latent_dim]` to `[B,*output_shape]`.

    Args:
        output_shape: (H, W, parameters per pixel), or a shape of any rank.
        latent_dim: int >= 1.
        hidden, activation: as in `mlp_encoder`.

    Returns:
        keras.Model from `[B,latent_dim]` to `[B,*output_shape]`.

    Example:
        >>> zoo.networks.mlp_decoder((28, 28, 1), latent_dim=16).output_shape
        (None, 28, 28, 1)
    """
    x = inputs = keras.Input((checks.positive_int("latent_dim", latent_dim),))
    for units in checks.positive_ints("hidden", hidden):
        x = _blocks.dense(x, units, activation)
    x = layers.Dense(math.prod(_blocks.sizes("output_shape", output_shape)))(x)
    return keras.Model(inputs, layers.Reshape(output_shape)(x), name="decoder")


def mlp_critic(latent_dim: int, hidden: Sequence[int] = (256, 256, 256)) -> keras.Model:
    """The critic of a `zoo.FactorVAE`: dense layers with leaky ReLUs, `[B,latent_dim]` to logits `[B,1]`.

    Kim & Mnih 2018, appendix A, have six layers of 1,000 units, `hidden=(1000,) * 6`, which take longer on a CPU than a
    small VAE. The critic computes in float32 under any dtype policy.
    """
    x = inputs = keras.Input((checks.positive_int("latent_dim", latent_dim),))
    for units in checks.positive_ints("hidden", hidden):
        x = layers.Dense(units, dtype="float32")(x)
        x = layers.LeakyReLU(0.2, dtype="float32")(x)
    return keras.Model(inputs, layers.Dense(1, dtype="float32")(x), name="critic")
