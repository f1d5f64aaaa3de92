"""A warning about decoders that end in an activation."""

import warnings

import keras

from zoo.likelihoods import Likelihood

# Activations that limit or bend a decoder's output, where the likelihood expects unbounded numbers.
_ACTIVATIONS = (
    "sigmoid", "hard_sigmoid", "log_sigmoid", "softplus", "softmax", "log_softmax", "softsign", "tanh", "hard_tanh",
    "relu", "relu6", "exponential",
)  # fmt: skip
# Layers that do not change values.
_SHAPING = (
    keras.layers.Reshape, keras.layers.Flatten, keras.layers.Permute, keras.layers.Cropping1D, keras.layers.Cropping2D,
    keras.layers.Cropping3D, keras.layers.Identity,
)  # fmt: skip


def warn_of_activation(decoder: keras.layers.Layer, likelihood: Likelihood) -> None:
    """Warns if a decoder ends in an activation that limits its output, where the likelihood takes any numbers."""
    last = decoder
    while layers := getattr(last, "layers", None):
        layers = [layer for layer in layers if not isinstance(layer, _SHAPING)]
        if not layers:
            return
        last = layers[-1]
    kind = type(last).__name__.lower()
    name = getattr(getattr(last, "activation", None), "__name__", {"relu": "relu", "softmax": "softmax"}.get(kind))
    if name in _ACTIVATIONS:
        warnings.warn(
            f"The decoder ends in {name}, but {type(likelihood).__name__} takes any numbers (logits, or locations) and "
            "applies its own activation to them: the decoder cannot reach all images. Leave out the last activation",
            stacklevel=4,
        )
