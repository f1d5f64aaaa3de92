"""Checks of encoders and decoders, and the forms of an encoder's output."""

import warnings

import keras
from keras import ops

from zoo.likelihoods import Likelihood
from zoo.runtime import checks
from zoo.runtime.types import Tensor

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


def network(name: str, value: object) -> keras.layers.Layer:
    """`value`, a layer or model of one input; raises ValueError for others."""
    layer = checks.instance(name, value, keras.layers.Layer, "a keras layer or model")
    shape = getattr(layer, "input_shape", None)
    if isinstance(shape, (list, dict)):
        checks.fail(name, "a network of one input", f"one of {len(shape)} inputs")
    return layer


def warn_of_activation(decoder: keras.layers.Layer, likelihood: Likelihood) -> None:
    """Warns if a decoder ends in an activation that limits its output, where the likelihood takes any numbers."""
    reason = (
        f"{type(likelihood).__name__} takes any numbers (logits, or locations) and applies its own activation to them: "
        "the decoder cannot reach all images"
    )
    _warn_of_end("decoder", decoder, reason)


def warn_of_encoder(encoder: keras.layers.Layer) -> None:
    """Warns if an encoder ends in an activation: means and log-variances can have any sign."""
    reason = (
        "gives means and log-variances, which can have any sign: a variance below 1, or a mean below 0, cannot be "
        "reached"
    )
    _warn_of_end("encoder", encoder, reason)


def _warn_of_end(name, network, reason):
    last = _last_activation(network)
    if last is not None:
        warnings.warn(f"The {name} ends in {last}, but {reason}. Leave out the last activation", stacklevel=5)


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
    """The name of the activation that makes a tensor of a functional model, whatever reshapes it later."""
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


def halves(output: Tensor | list[Tensor] | tuple[Tensor, ...] | dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and log-variance from an encoder's output: one tensor with both, or two tensors.

    Raises:
        ValueError: for an output of another form.
    """
    if isinstance(output, (list, tuple)):
        shapes = [tuple(each.shape) for each in output]
        if len(output) != 2 or len(shapes[0]) != 2 or shapes[0] != shapes[1]:
            way = "; the model itself samples z" if len(output) == 3 else ""
            raise ValueError(f"Expected an encoder of two outputs [mean, log_var], [B,D] each{way}. Received: {shapes}")
        return output[0], output[1]
    if isinstance(output, dict):
        raise ValueError(
            f"Expected an encoder of one tensor, or of a list [mean, log_var]. Received: a dict of {[*output]}"
        )
    shape = tuple(output.shape)
    if len(shape) != 2 or shape[-1] % 2:
        raise ValueError(
            "Expected the encoder to give [B, 2·latent_dim]: means, then log-variances. "
            f"Received: an output of shape {shape}"
        )
    return ops.split(output, 2, axis=-1)


def latent_dim_of(encoder: keras.layers.Layer) -> int | None:
    """D, if the encoder knows its output's shape before it is called, as functional models do; else None."""
    shape = getattr(encoder, "output_shape", None)
    if isinstance(shape, list):  # two outputs
        return shape[0][-1]
    return None if shape is None else shape[-1] // 2
