"""Warnings about networks that end in an activation."""

import warnings

import keras

from zoo.likelihoods import Likelihood

# Activations that limit or bend a decoder's output, where the likelihood expects unbounded numbers.
_ACTIVATIONS = (
    "sigmoid", "hard_sigmoid", "log_sigmoid", "softplus", "softmax", "log_softmax", "softsign", "tanh", "hard_tanh",
    "relu", "relu6", "exponential",
)  # fmt: skip
# Layers and operations that do not change values.
_SHAPING = (
    "Reshape", "Flatten", "Permute", "Cropping1D", "Cropping2D", "Cropping3D", "Identity", "Transpose", "Squeeze",
    "ExpandDims", "GetItem", "Cast",
)  # fmt: skip


def warn_of_activation(decoder: keras.layers.Layer, likelihood: Likelihood) -> None:
    """Warns if a decoder ends in an activation that limits its output, where the likelihood takes any numbers."""
    name = _last_activation(decoder)
    if name is not None:
        warnings.warn(
            f"The decoder ends in {name}, but {type(likelihood).__name__} takes any numbers (logits, or locations) and "
            "applies its own activation to them: the decoder cannot reach all images. Leave out the last activation",
            stacklevel=4,
        )


def warn_of_encoder(encoder: keras.layers.Layer) -> None:
    """Warns if an encoder ends in an activation: means and log-variances can have any sign."""
    name = _last_activation(encoder)
    if name is not None:
        warnings.warn(
            f"The encoder ends in {name}, but gives means and log-variances, which can have any sign: a variance below "
            "1, or a mean below 0, cannot be reached. Leave out the last activation",
            stacklevel=4,
        )


def _last_activation(network):
    """The name of the activation in which a network, or one of its outputs, ends; None if it ends in none.

    Of a class of the user's own nothing is known: its layers may be used in any order.
    """
    if isinstance(network, keras.Sequential):
        layers = [layer for layer in network.layers if not _only_shapes(layer)]
        return _last_activation(layers[-1]) if layers else None
    operations = getattr(network, "operations", None)
    if isinstance(network, keras.Model) and isinstance(operations, list):
        found = (_activation_before(tensor, operations) for tensor in network.outputs)
        return next((name for name in found if name is not None), None)
    if isinstance(network, keras.Model) or type(network).__module__.split(".")[0] != "keras":
        return None
    function = getattr(network, "activation", None) or getattr(network, "function", None)  # of a Lambda
    name = getattr(function, "__name__", type(network).__name__)
    return next((each for each in _ACTIVATIONS if each.replace("_", "") == name.replace("_", "").lower()), None)


def _activation_before(tensor, operations):
    """The name of the activation that makes a tensor of a functional model, but for a later change of its shape."""
    maker = next((each for each in operations if _one(each, "output") is tensor), None)
    if maker is None:
        return None
    if _only_shapes(maker):
        return _activation_before(_one(maker, "input"), operations)
    return _last_activation(maker)


def _only_shapes(operation):
    kind = type(operation)
    return kind.__name__ in _SHAPING and kind.__module__.split(".")[0] == "keras"


def _one(operation, name):
    """The input or the output of an operation that is called once and has one; else None."""
    try:
        return getattr(operation, name)
    except (AttributeError, ValueError):
        return None
