"""The discriminator of an adversarial decoder."""

import keras
from keras import layers

from zoo.networks import _blocks
from zoo.runtime import checks


def patch_discriminator(channels: int = 3, filters: int = 32, downsamples: int = 2) -> keras.Model:
    """A logit for each patch of an image: how much it looks like one of a real image.

    After Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks", section 3.2.2, narrower
    and without batch normalisation. For `filters=32, downsamples=2`: image [B,32,32,3]; [B,16,16,32]; [B,8,8,64]; a
    convolution more, [B,8,8,64]; logits [B,8,8,1], each of a patch of 26×26 pixels. It takes images of any size that
    can be halved that often, and computes in float32 under any dtype policy.

    Args:
        channels: int >= 1, C.
        filters: int >= 1, channels after the first halving; each further halving doubles them, up to four times.
        downsamples: int >= 1, halvings.

    Returns:
        keras.Model from `[B,H,W,C]` to `[B, H/2**downsamples, W/2**downsamples, 1]`.
    """
    _blocks.require_channels_last()
    x = inputs = keras.Input((None, None, checks.positive_int("channels", channels)))
    filters = checks.positive_int("filters", filters)
    width = filters
    for number in range(checks.positive_int("downsamples", downsamples)):
        width = filters * min(4, 2**number)
        # No bias: TensorFlow 2.21's fusion of convolution, bias and leaky ReLU fails under a gradient.
        x = layers.Conv2D(width, 4, strides=2, padding="same", use_bias=False, dtype="float32")(x)
        x = layers.LeakyReLU(0.2, dtype="float32")(x)
    x = layers.Conv2D(width, 3, padding="same", use_bias=False, dtype="float32")(x)
    x = layers.LeakyReLU(0.2, dtype="float32")(x)
    return keras.Model(inputs, layers.Conv2D(1, 3, padding="same", dtype="float32")(x), name="discriminator")
