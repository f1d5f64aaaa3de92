"""Feature networks for a perceptual loss, by name."""

import keras

from zoo.evaluation import features
from zoo.layers import PerceptualDistance
from zoo.runtime import checks

NAMES = ("cifar10_vgg", "keras_vgg16")
_BLOCKS = ("block1", "block2", "block3")
_VGG16 = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3")  # Zhang et al. 2018
# Of ImageNet, in the order blue, green, red, for values from 0 to 255, as keras.applications.vgg16 subtracts them.
_MEANS = (103.939, 116.779, 123.68)


def load(name: str, channels: int = 3) -> PerceptualDistance:
    """The distance of images in the features of a named network.

    Args:
        name: "cifar10_vgg", a classifier of CIFAR-10 that ships with the project (`python recipes/classifier.py
            --dataset cifar10 --network vgg`); or "keras_vgg16", with ImageNet weights that Keras fetches.
        channels: 3, or 1 for grey images, which the networks see with three equal channels.

    Returns:
        `zoo.layers.PerceptualDistance` of float32 images `[B,H,W,channels]` in [0, 1], H and W at least 4 for
        "cifar10_vgg" and 16 for "keras_vgg16".

    Raises:
        ValueError: for another name or number of channels, or a file that is missing or damaged.
        RuntimeError: if the weights of VGG16 cannot be had.

    Example:
        >>> zoo.training.perceptual.load("cifar10_vgg").network.outputs[2].shape
        (None, None, None, 128)
    """
    checks.one_of("name", name, NAMES)
    checks.one_of("channels", channels, (1, 3))
    x = image = keras.Input((None, None, channels))
    if channels == 1:
        x = keras.layers.Concatenate()([x, x, x])
    outputs = _vgg16(x) if name == "keras_vgg16" else _shipped(x)
    return PerceptualDistance(keras.Model(image, outputs, name=name))


def _shipped(x):
    """The last layer of each block, applied to images of any size: the classifier itself takes those of 32×32 only."""
    outputs = []
    for layer in features.classifier("cifar10_vgg").layers[1:]:
        x = layer(x)
        if layer.name in _BLOCKS:
            outputs.append(x)
        if layer.name == _BLOCKS[-1]:
            return outputs
    raise ValueError(f"Expected the classifier to have the layers {', '.join(_BLOCKS)}. Received: it ends before")


def _vgg16(x):
    x = keras.layers.Rescaling(255.0, [-mean for mean in _MEANS[::-1]])(x)
    try:
        network = keras.applications.VGG16(include_top=False, weights="imagenet", input_shape=(None, None, 3))
    except Exception as error:  # Keras raises a plain Exception for a failed download
        raise RuntimeError(
            "Expected the ImageNet weights of keras.applications.VGG16 to be at hand. Received: "
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]}. Remedies: call it once with a network, or "
            "take 'cifar10_vgg', which ships with the project"
        ) from error
    taps = keras.Model(network.inputs, [network.get_layer(layer).output for layer in _VGG16])
    return taps(keras.ops.flip(x, axis=-1))
