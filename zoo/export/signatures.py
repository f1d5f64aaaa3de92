"""The signatures of an exported model: the contract that users in other languages rely on.

| signature | inputs | outputs |
|---|---|---|
| `serving_default` = `reconstruct` | `image` f32 `[B,H,W,C]` | `image` |
| `encode` | `image` | `mean`, `log_var` f32 `[B,D]`; or `codes` i32 `[B,h,w]` |
| `decode` | `z` f32 `[B,D]`, or `codes` | `image` |
| `sample` | `seed` i32 `[B]`, `temperature` f32 `[B]` | `image`, and `z` or `codes` |
| `log_prob` | `image`, `seed` | `log_prob` f32 `[B]`, nats |

If the model, or the prior of a VQ-VAE, is conditional, they also take `labels`: i32 `[B]` classes or f32 `[B,d]`
attributes. The latents of a hierarchical VAE are concatenated to one row, top layer first. A VQ-VAE without a prior has
neither `sample` nor `log_prob`.
"""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from zoo.runtime.types import Tensors

ALIASES = {"serving_default": "reconstruct"}


@dataclasses.dataclass(frozen=True)
class Signature:
    """An exported function of a model.

    Args:
        call: function of tensors, by the names of `inputs`, that gives a dict of tensors.
        inputs: dict of names to `tf.TensorSpec`s, whose first axis is the batch.
    """

    call: Callable[..., Tensors]
    inputs: dict[str, tf.TensorSpec]

    def trace(self) -> tf.types.experimental.ConcreteFunction:
        """The `tf.function` of the inputs, traced."""

        def call(**inputs):
            # A SavedModel takes inputs of any shape, and an encoder that flattens them might accept a wrong one.
            checked = {name: tf.ensure_shape(value, self.inputs[name].shape) for name, value in inputs.items()}
            return self.call(**checked)

        return tf.function(call, autograph=False).get_concrete_function(**self.inputs)


def of(model: keras.Model, batch_size: int | None = None) -> dict[str, Signature]:
    """The signatures of a built model, by name.

    Args:
        model: a model of the zoo.
        batch_size: int >= 1, or None for any.

    Raises:
        ValueError: if the model has not been built, or takes images of any size.
    """

    def spec(name, dtype, shape=()):
        return tf.TensorSpec((batch_size, *shape), dtype, name)

    image, seed = spec("image", "float32", model.image_shape), spec("seed", "int32")
    temperature = spec("temperature", "float32")

    def signature(call, *inputs, label_source=model if model.conditional else None):
        inputs = inputs if label_source is None else (*inputs, spec("labels", *label_source.label_spec))
        return Signature(call, {spec.name: spec for spec in inputs})

    def reconstruct(image, labels=None):
        return {"image": model.reconstruct(image, labels)}

    def encode(image, labels=None):
        return model.flat_posterior(image, labels)

    encoding = signature(encode, image)
    latents = _latents(encoding)

    def decode(labels=None, **latents):
        (latents,) = latents.values()
        return {"image": model.decode(model.unflatten(latents), labels)}

    def sample(seed, temperature, labels=None):
        images, drawn = model.generate(seed, temperature, labels)
        return {"image": images, latents.name: model.flatten(drawn)}

    def log_prob(image, seed, labels=None):
        return {"log_prob": model.log_prob(image, 1, seed, labels)}

    found = {
        "reconstruct": signature(reconstruct, image),
        "encode": encoding,
        "decode": signature(decode, spec(latents.name, latents.dtype, latents.shape[1:])),
    }
    if model.can_sample:
        found["sample"] = signature(sample, seed, temperature, label_source=model.label_source())
        found["log_prob"] = signature(log_prob, image, seed, label_source=model.label_source())
    return found


def _latents(encoding):
    """The spec of the latents or codes that `decode` takes, from the output of `encode`."""
    outputs = encoding.trace().structured_outputs
    name = "codes" if "codes" in outputs else "mean"
    return tf.TensorSpec(outputs[name].shape, outputs[name].dtype, "codes" if name == "codes" else "z")
