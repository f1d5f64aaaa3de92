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
neither `sample` nor `log_prob`. For data that is not an image (of a rank other than 3) the tensor `image` is called
`x`. That of a `zoo.TextVAE` holds tokens, i32 `[B,T]`.

A `zoo.VAEAC` has one more, `impute`: `image`, `mask` f32 of the same shape (1 observed, 0 missing), `seed` and
`temperature` to `image`, with the missing values filled in. Its other signatures take no labels: nothing is observed.

An export with `observe=True` has one more, `sample_observed`: the inputs of `sample`, and `image`, sampled from p(x|z)
with its noise at the same z. The outputs of `sample` are means.

`zoo.applications.AnomalyDetector.export` adds `anomaly`, which takes `image` and gives `score` f32 `[B]` and
`is_anomaly` i32 `[B]`, 0 or 1.

An exported graph raises no error for values that the model's methods refuse: data out of range, NaN, a class or a code
that does not exist, a negative temperature. The outputs of such a row are NaN, and −1 for codes; `is_anomaly` is 1. So
are those of all rows if one input has a single row and another has several.
"""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo.runtime.types import Tensor, Tensors

ALIASES = {"serving_default": "reconstruct"}
OBSERVED = "sample_observed"


@dataclasses.dataclass(frozen=True)
class Signature:
    """An exported function of a model.

    Args:
        call: function of tensors, by the names of `inputs`, that gives a dict of tensors.
        inputs: dict of names to `tf.TensorSpec`s, whose first axis is the batch.
    """

    call: Callable[..., Tensors]
    inputs: dict[str, tf.TensorSpec]

    def of_batch(self, batch_size: int | None) -> "Signature":
        """The signature for batches of that size; of any, for None."""
        inputs = {
            name: tf.TensorSpec((batch_size, *spec.shape[1:]), spec.dtype, spec.name)
            for name, spec in self.inputs.items()
        }
        return Signature(self.call, inputs)

    def trace(self) -> tf.types.experimental.ConcreteFunction:
        """The `tf.function` of the inputs, traced."""

        def call(**inputs):
            # A SavedModel takes inputs of any shape, and an encoder that flattens them might accept a wrong one.
            checked = {name: tf.ensure_shape(value, self.inputs[name].shape) for name, value in inputs.items()}
            return self.call(**checked)

        return tf.function(call, autograph=False).get_concrete_function(**self.inputs)


def data_name(model: keras.Model) -> str:
    """The name of the tensor of data: "image", or "x" for data of a rank other than that of images."""
    return "image" if len(model.image_shape) == 3 else "x"


def of(model: keras.Model, batch_size: int | None = None, observe: bool = False) -> dict[str, Signature]:
    """The signatures of a built model, by name.

    Args:
        model: a model of the zoo.
        batch_size: int >= 1, or None for any.
        observe: bool, whether `sample_observed` is among them.

    Raises:
        ValueError: if the model has not been built, or takes images of any size.
    """

    def spec(name, dtype, shape=()):
        return tf.TensorSpec((batch_size, *shape), dtype, name)

    data = data_name(model)
    image, seed = spec(data, model.data_dtype, model.image_shape), spec("seed", "int32")
    temperature = spec("temperature", "float32")

    def signature(call, *inputs, label_source=model if model.conditional else None):
        inputs = inputs if label_source is None else (*inputs, spec("labels", *label_source.label_spec))

        def checked(**given):
            valid = ops.logical_and(valid_rows(model, given, label_source), _of_one_batch(given))
            # A runtime may fail on an index out of range, for all rows.
            indices = {name: _or(valid, given[name], 0) for name in ("labels", "codes", data) if name in given}
            return or_nothing(valid, call(**{**given, **indices}))

        return Signature(checked, {spec.name: spec for spec in inputs})

    def reconstruct(labels=None, **given):
        return {data: model.reconstruct(given[data], labels)}

    def encode(labels=None, **given):
        return model.flat_posterior(given[data], labels)

    encoding = signature(encode, image)
    key = ("zoo.export latents", batch_size)
    if key not in model.functions:  # forgotten with the model's graphs; an export asks several times
        model.functions[key] = _latents(encoding)
    latents = model.functions[key]

    def decode(labels=None, **latents):
        (latents,) = latents.values()
        return {data: model.decode(model.unflatten(latents), labels)}

    def sample(seed, temperature, labels=None):
        images, drawn = model.generate(seed, temperature, labels)
        return {data: images, latents.name: model.flatten(drawn)}

    def sample_observed(seed, temperature, labels=None):
        return {data: model.generate(seed, temperature, labels, observe=True)[0]}

    def log_prob(seed, labels=None, **given):
        return {"log_prob": model.log_prob(given[data], 1, seed, labels)}

    found = {
        "reconstruct": signature(reconstruct, image),
        "encode": encoding,
        "decode": signature(decode, spec(latents.name, latents.dtype, latents.shape[1:])),
    }
    if hasattr(model, "complete"):

        def impute(mask, seed, temperature, **given):
            return {data: model.complete(given[data], mask, seed, temperature)}

        mask = spec("mask", "float32", model.image_shape)
        found["impute"] = signature(impute, image, mask, seed, temperature)
    if model.can_sample:
        found["sample"] = signature(sample, seed, temperature, label_source=model.label_source())
        found["log_prob"] = signature(log_prob, image, seed, label_source=model.label_source())
        if observe:
            found[OBSERVED] = signature(sample_observed, seed, temperature, label_source=model.label_source())
    return found


def valid_rows(model: keras.Model, given: Tensors, label_source: keras.Model | None = None) -> Tensor:
    """Whether each row is one that the model's methods take: inputs of a signature, by name, to bool `[B]`."""
    data, rows = data_name(model), []
    for name, value in given.items():
        if name == "labels" and label_source is not None:
            values = [label_source.label_values(value)]
        elif name == data and "mask" in given:  # missing values may be anything
            values = model.values_of("x", ops.where(given["mask"] > 0.0, value, (model.data_range or (0.0,))[0]))
        else:
            values = model.values_of("x" if name == data else name, value)
        rows += [each.hold_rows() for each in values]
    return functools.reduce(ops.logical_and, rows) if rows else ops.ones_like(given["seed"], "bool")


def _of_one_batch(given):
    """Whether all inputs have as many rows as the first: a single one would otherwise count for all."""
    numbers = [ops.shape(value)[0] for value in given.values()]
    return functools.reduce(ops.logical_and, [ops.equal(number, numbers[0]) for number in numbers])


def or_nothing(valid: Tensor, outputs: Tensors) -> Tensors:
    """The outputs; NaN, −1 for integers, or "" for texts, in rows that are not valid, bool `[B]`."""
    nothing = ops.where(valid, np.float32(0.0), np.float32(np.nan))  # added, as runtimes are slow to select

    def each(output):
        if output.dtype == tf.string:
            return tf.where(valid, output, "")
        return _or(valid, output, -1) if _is_integer(output) else output + _beside(output, nothing)

    return {name: each(output) for name, output in outputs.items()}


def _or(valid, value, other):
    return ops.where(_beside(value, valid), value, other) if _is_integer(value) else value


def _is_integer(value):
    return "int" in keras.backend.standardize_dtype(value.dtype)


def _beside(value, of_row):
    """A number for each row in a shape that broadcasts to `value`."""
    return ops.reshape(of_row, (-1, *[1] * (len(value.shape) - 1)))


def _latents(encoding):
    """The spec of the latents or codes that `decode` takes, from the output of `encode`."""
    outputs = encoding.trace().structured_outputs
    name = "codes" if "codes" in outputs else "mean"
    return tf.TensorSpec(outputs[name].shape, outputs[name].dtype, "codes" if name == "codes" else "z")
