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
    """The name of the activation in which a network, or one of its outputs, ends; None if it ends in none."""
    outputs = _listed(network, "outputs")
    if len(outputs) > 1:
        found = (_last_activation(keras.Model(network.inputs, output)) for output in outputs)
        return next((name for name in found if name is not None), None)
    last = network
    while steps := _listed(last, "operations") or _listed(last, "layers"):
        steps = [step for step in steps if type(step).__name__ not in _SHAPING]
        if not steps:
            return None
        last = steps[-1]
    function = getattr(last, "activation", None) or getattr(last, "function", None)  # of a Lambda
    name = getattr(function, "__name__", type(last).__name__)
    return next((each for each in _ACTIVATIONS if each.replace("_", "") == name.replace("_", "").lower()), None)


def _listed(network, name):
    """An attribute that functional models have as a list; a network of the user's own may have another of that name."""
    value = getattr(network, name, None)
    return value if isinstance(value, list) else []
