"""Splits the input of a training step into data, labels, targets and weights, and checks them."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo import random
from zoo.fitting import inputs
from zoo.runtime import checks
from zoo.runtime.types import Array, ArrayLike, Seeds, Tensor

_NO_TARGET = (0,)  # the shape of an example
_LABELS = ("labels", "label")


@dataclasses.dataclass(frozen=True)
class Batch:
    """The input of a step. Structures, types and shapes are checked, values are not.

    Attributes:
        x: the data.
        labels: one for each example; None for a model that is not conditional.
        target: data that the likelihood judges instead of `x`; None where `x` is its own target.
        weights: float `[B]`, of the examples; None for equal weights.
    """

    x: Array
    labels: Array | None = None
    target: Array | None = None
    weights: Array | None = None


def no_target(number: int) -> Array:
    """A `y` for `number` examples that stands for no target: Keras drops sample weights that come without a `y`.

    It is of bools, which no target is: for two `y` of one type TensorFlow traces one graph, in which their shapes are
    unknown.
    """
    return np.zeros((number, *_NO_TARGET), bool)


class BatchReader:
    """Reads the batches that Keras passes to a step, and the arguments of the contract's methods.

    A model checks its data in `_check_data`, casts them in `_inputs`, and returns the ranges of their values in
    `_values`.
    """

    distribute_strategy: tf.distribute.Strategy  # as Keras sets it
    data_argument = "x"  # the name of the data in the methods' signatures
    num_classes: int | None = None  # the number of classes, for a model whose labels are classes
    num_attributes: int | None = None  # the number of attributes, for a model whose labels are attributes

    @property
    def conditional(self) -> bool:
        """Whether the model takes labels beside its data: int32 `[B]` classes, or float32 `[B,d]` attributes."""
        return self.num_conditions > 0

    @property
    def num_conditions(self) -> int:
        """The length of `condition`: the number of classes, or of attributes; 0 for a model that takes no labels."""
        return self.num_classes or self.num_attributes or 0

    def condition(self, labels: ArrayLike) -> Tensor:
        """The labels in the form that the networks take, float32 `[B,num_conditions]`.

        Classes become one-hot rows; attributes stay as they are.
        """
        if self.num_attributes is not None:
            return ops.cast(labels, "float32")
        return ops.one_hot(labels, self.num_classes, dtype="float32")

    @property
    def label_spec(self) -> tuple[str, tuple[int, ...]]:
        """Type and shape of an example's label: ("int32", ()) for a class, ("float32", (d,)) for attributes."""
        return ("int32", ()) if self.num_attributes is None else ("float32", (self.num_attributes,))

    def _set_conditions(self, num_classes, num_attributes=None):
        """Sets the kind of labels: classes, attributes, or none where both arguments are None."""
        if num_classes is not None and num_attributes is not None:
            expected = "None beside num_classes, as labels are either classes or attributes"
            checks.fail("num_attributes", expected, num_attributes)
        if num_classes is not None:
            self.num_classes = checks.positive_int("num_classes", num_classes)
        if num_attributes is not None:
            self.num_attributes = checks.positive_int("num_attributes", num_attributes)

    def _cast_labels(self, labels):
        if labels is None:
            return None
        return ops.cast(labels, "int32" if self.num_attributes is None else "float32")

    def _inputs(self, x, labels):
        """Checks and casts the data and labels of a batch."""
        raise NotImplementedError

    def _values(self, batch, judged=True):
        """The ranges that the arrays of a `Batch` must lie in, a list of `zoo.fitting.inputs.Values`.

        `judged` says whether the likelihood sees the data, or the encoder alone.
        """
        labels = [] if batch.labels is None else [self.label_values(batch.labels)]
        weights = [] if batch.weights is None else [inputs.Values("sample_weight", batch.weights, low=0.0)]
        return labels + weights

    def label_values(self, labels: Array) -> inputs.Values:
        if self.num_attributes is not None:
            return inputs.Values("labels", labels)
        return inputs.Values("labels", labels, 0, self.num_conditions - 1)

    @property
    def example_shape(self) -> tuple[int, ...] | None:
        """The shape of an example of the data; None where it is unknown before the first batch."""
        return None

    def _row_argument(self, name, value, num_rows=None):
        """Checks an argument of a `batched` method, and returns it as an array or a structure of arrays."""
        if name == "labels":
            return self._check_labels(value, num_rows)
        if name in ("x", "z", "codes"):
            if value is None:
                checks.fail(name, "an array", None)
            if isinstance(value, dict):  # a list stays as it is: here it is an array of rows
                value = inputs.single(value, self._input_names())
            return self._check_data(name, value)
        if value is None:
            return None
        return keras.tree.map_structure(lambda leaf: inputs.array(name, leaf), value)

    def values_of(self, name: str, value: Array | None) -> list[inputs.Values]:
        """The ranges of an argument of a `batched` method: a list of `zoo.fitting.inputs.Values`."""
        if value is None:
            return []
        if name == "temperature":
            return [inputs.Values(name, value, 0.0)]
        return [self.label_values(value)] if name == "labels" else []

    def _rows(self, num_samples: int, seed: Seeds, temperature: float) -> tuple[Tensor, Tensor]:
        """Checks the arguments of `sample`, and returns one seed and one temperature for each row.

        Returns:
            int32 and float32, `[num_samples]` each.
        """
        num_samples = checks.positive_int("num_samples", num_samples)
        temperature = checks.number("temperature", temperature, 0.0)
        return random.row_seeds(seed, num_samples), ops.full((num_samples,), temperature, "float32")

    def _split(self, data):
        """Splits the input of a step into a `Batch`, and checks structure, types and shapes; nothing is cast."""
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        y = y if self.num_attributes else _ranked(y)
        if hasattr(y, "shape") and tuple(y.shape[1:]) == _NO_TARGET:
            y = None
        x, labels, target = self._roles(x, y)
        x = self._check_data("x", x)
        several = self.distribute_strategy.num_replicas_in_sync > 1
        if x.shape[0] == 0 and not (several and tf.is_tensor(x)):  # a replica may have no share of a small batch
            raise ValueError(f"Expected `x` to be of at least one example. Received: shape {tuple(x.shape)}")
        labels = self._check_labels(labels, x.shape[0])
        if target is not None:
            target = self._check_data("y", target)
            inputs.require_shape("y", target, tuple(x.shape[1:]))
        if weights is not None:
            weights = inputs.array("sample_weight", weights)
            if len(weights.shape) != 1 or not inputs.same_size(weights.shape[0], x.shape[0]):
                checks.fail("sample_weight", "of shape [B], a number for each example", tuple(weights.shape))
        return Batch(x, labels, target, weights)

    def _roles(self, x, y):
        """Returns data, labels and target, from the two arguments that Keras calls x and y."""
        labels = None
        names = self._input_names()
        if self.conditional:
            if isinstance(x, (list, tuple)) and len(x) == 2:
                (x, labels), target = x, y
            elif isinstance(x, dict) and any(name in x for name in _LABELS):
                labels, target = next(x[name] for name in _LABELS if name in x), y
                x = {name: value for name, value in x.items() if name not in _LABELS}
            else:
                labels, target = y, None
            return inputs.single(x, names), labels, target
        x = inputs.single(x, names)
        if y is None:
            return x, None, None
        y = inputs.single(y, names)
        if hasattr(y, "dtype") and len(y.shape) > 1:
            like_x = tuple(y.shape[1:]) == tuple(getattr(x, "shape", ())[1:])  # such as clean images of uint8
            if like_x or "float" in keras.backend.standardize_dtype(y.dtype):
                return x, None, y
        return x, y, None

    def _input_names(self):
        """The names under which a dict may hold the model's input."""
        return ("x", "image")

    def _check_data(self, name, x):
        """Checks the type and shape of `x`, and returns it as an array."""
        raise NotImplementedError

    def _check_labels(self, labels, num_rows):
        """Checks the labels of `num_rows` examples; returns None for a model that takes no labels."""
        kind = type(self).__name__
        if not self.conditional:
            if labels is not None:
                received = f"an array of shape {tuple(labels.shape)}" if hasattr(labels, "shape") else repr(labels)
                raise ValueError(f"Expected no `labels`, as {kind} is not conditional. Received: {received}")
            return None
        if labels is None:
            raise ValueError(f"Expected `labels`, as {kind} is conditional. Received: None")
        if self.num_attributes is not None:
            return self._check_attributes(inputs.array("labels", labels), num_rows)
        labels = _ranked(inputs.array("labels", labels))
        dtype = keras.backend.standardize_dtype(labels.dtype)
        shape = tuple(labels.shape)
        if len(shape) == 2 and shape[1] == 1 and "int" in dtype:  # as in Keras's CIFAR-10
            shape = shape[:1]
            labels = labels if isinstance(labels, tf.TensorSpec) else labels[:, 0]
        expected = f"Expected `labels` to be int32 of shape [{'N' if num_rows is None else num_rows}]"
        if len(shape) == 2 and shape[1] == self.num_classes:
            way = "One-hot rows become classes by np.argmax(labels, axis=-1)"
            raise ValueError(f"{expected}. Received: shape {shape}. {way}")
        if len(shape) != 1 or not inputs.same_size(num_rows, shape[0]):
            raise ValueError(f"{expected}. Received: shape {shape}")
        if "int" not in dtype:
            way = "Use labels.astype('int32')"
            raise ValueError(f"Expected `labels` to be integers. Received: dtype={dtype}. {way}")
        return labels

    def _check_attributes(self, labels, num_rows):
        shape, dtype, expected = tuple(labels.shape), keras.backend.standardize_dtype(labels.dtype), self.label_spec[1]
        fits = len(shape) > 0 and shape[1:] == expected and inputs.same_size(num_rows, shape[0])
        if not fits or "float" not in dtype:
            raise ValueError(
                f"Expected `labels` to be float32 of shape {[num_rows, *expected]}, the attributes. "
                f"Received: {dtype} of shape {list(shape)}"
            )
        return labels


def _ranked(labels):
    """Flattens labels of unknown rank: Keras makes one graph for [B] and [B,1] if it has seen both."""
    if isinstance(labels, tf.Tensor) and labels.shape.rank is None:
        return tf.reshape(labels, (-1,))
    return labels
