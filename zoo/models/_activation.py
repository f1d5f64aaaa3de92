"""A warning about decoders that end in an activation."""

import warnings

import keras

# What a likelihood that takes any number does not expect of a decoder: with an end.
_ACTIVATIONS = (
    "sigmoid", "hard_sigmoid", "log_sigmoid", "softplus", "softmax", "log_softmax", "softsign", "tanh", "hard_tanh",
    "relu", "relu6", "exponential",
)  # fmt: skip
# Layers that pass values on as they are.
_SHAPING = (
    keras.layers.Reshape, keras.layers.Flatten, keras.layers.Permute, keras.layers.Cropping1D, keras.layers.Cropping2D,
    keras.layers.Cropping3D, keras.layers.Identity,
)  # fmt: skip


def warn_of_activation(decoder, likelihood):
    """Warns where a decoder ends in an activation that keeps it from giving what the likelihood takes."""
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
            "makes what it needs of them itself, so that images cannot become what they should. Leave the last "
            "activation out",
            stacklevel=4,
        )
