"""What a step is given: data, labels, targets and weights, told apart and checked."""

import dataclasses

import keras
import tensorflow as tf
from keras import ops

from zoo import random
from zoo.fitting import inputs
from zoo.runtime import checks

NO_TARGET = (0,)  # the shape of an example of `y` where there is none: Keras drops weights that come without one
_LABELS = ("labels", "label")


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a step is given, checked as far as a graph can: `target` is None where the data are their own."""

    x: object
    labels: object = None
    target: object = None
    weights: object = None


class BatchReader:
    """Reads what Keras gives to a step, and what a method of the contract is given.

    A model checks its data in `_check_data`, casts them in `_inputs`, and gives the range of their values in `_values`.
    """

    num_classes = None  # how many classes there are, for a model that is conditional on one
    num_attributes = None  # how many numbers there are, for a model that is conditional on attributes

    @property
    def conditional(self):
        """Whether the model takes labels beside its data: int32 `[B]` classes, or float32 `[B,d]` attributes."""
        return self.num_conditions > 0

    @property
    def num_conditions(self):
        """The length of `condition`: the number of classes, or of attributes; 0 for a model that takes no labels."""
        return self.num_classes or self.num_attributes or 0

    def condition(self, labels):
        """Labels as the networks take them, float32 `[B,num_conditions]`: classes one-hot, attributes as they are."""
        if self.num_attributes is not None:
            return ops.cast(labels, "float32")
        return ops.one_hot(labels, self.num_classes, dtype="float32")

    @property
    def label_spec(self):
        """Type and shape of an example's label: ("int32", ()) for a class, ("float32", (d,)) for attributes."""
        return ("int32", ()) if self.num_attributes is None else ("float32", (self.num_attributes,))

    def _set_conditions(self, num_classes, num_attributes=None):
        """Sets what the labels are; None and None for a model that takes none."""
        if num_classes is not None and num_attributes is not None:
            checks.fail("num_attributes", "None beside num_classes, as labels are one of both", num_attributes)
        if num_classes is not None:
            self.num_classes = checks.positive_int("num_classes", num_classes)
        if num_attributes is not None:
            self.num_attributes = checks.positive_int("num_attributes", num_attributes)

    def _cast_labels(self, labels):
        if labels is None:
            return None
        return ops.cast(labels, "int32" if self.num_attributes is None else "float32")

    def _inputs(self, x, labels):
        """The data and labels of a batch, checked and cast."""
        raise NotImplementedError

    def _values(self, batch, judged=True):
        """A list of `zoo.fitting.inputs.Values`, the ranges that the arrays of a `Batch` must lie in.

        `judged` says whether the likelihood is to see the data, or only the encoder.
        """
        labels = [] if batch.labels is None else [self._label_values(batch.labels)]
        weights = [] if batch.weights is None else [inputs.Values("sample_weight", batch.weights, low=0.0)]
        return labels + weights

    def _label_values(self, labels):
        if self.num_attributes is not None:
            return inputs.Values("labels", labels)
        return inputs.Values("labels", labels, 0, self.num_classes - 1)

    @property
    def example_shape(self):
        """The shape of an example of the data, or None where it is not known before the first."""
        return None

    def _row_argument(self, name, value, num_rows=None):
        """An argument of a `batched` method, as an array of the right type and shape, or a structure of them."""
        if name == "labels":
            return self._check_labels(value, num_rows)
        if name in ("x", "z", "codes"):
            if value is None:
                checks.fail(name, "an array", None)
            if isinstance(value, dict):  # a list is an array of rows here
                value = inputs.single(value, self._input_names())
            return self._check_data(name, value)
        if value is None:
            return None
        return keras.tree.map_structure(lambda leaf: inputs.array(name, leaf), value)

    def _values_of(self, name, value):
        """The ranges of such an argument: a list of `zoo.fitting.inputs.Values`."""
        if value is None:
            return []
        return [self._label_values(value)] if name == "labels" else []

    def _rows(self, num_samples, seed, temperature):
        """The arguments of `sample`, checked, for each row: seeds int32 and temperature float32 `[num_samples]`."""
        num_samples = checks.positive_int("num_samples", num_samples)
        temperature = checks.number("temperature", temperature, 0.0)
        return random.row_seeds(seed, num_samples), ops.full((num_samples,), temperature, "float32")

    def _split(self, data):
        """What Keras gives to a step as a `Batch` of arrays as they came, of the right structure, type and shape."""
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        y = y if self.num_attributes else _ranked(y)
        if hasattr(y, "shape") and tuple(y.shape[1:]) == NO_TARGET:
            y = None
        x, labels, target = self._roles(x, y)
        x = self._check_data("x", x)
        labels = self._check_labels(labels, x.shape[0])
        if target is not None:
            target = self._check_data("y", target)
            inputs.require_shape("y", target, tuple(x.shape[1:]))
        if weights is not None:
            weights = inputs.array("sample_weight", weights)
            if len(weights.shape) != 1 or None not in (weights.shape[0], x.shape[0]) and weights.shape != x.shape[:1]:
                checks.fail("sample_weight", "of shape [B], a number for each example", tuple(weights.shape))
        return Batch(x, labels, target, weights)

    def _roles(self, x, y):
        """Data, labels and target from what Keras calls x and y."""
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
        if hasattr(y, "dtype") and "float" in keras.backend.standardize_dtype(y.dtype) and len(y.shape) > 1:
            return x, None, y
        return x, y, None

    def _input_names(self):
        """What an entry of a dict may be called that is the model's input."""
        return ("x", "image")

    def _check_data(self, name, x):
        """`x` as an array of the type and shape that the model takes."""
        raise NotImplementedError

    def _unpack(self, data):
        """What Keras gives to a step, as a `Batch` of tensors."""
        batch = self._split(data)
        x, labels = self._inputs(batch.x, batch.labels)
        if not self.built:  # networks of the user's own may wait for their first call
            self(x, labels)
        target = None if batch.target is None else ops.cast(batch.target, "float32")
        weights = None if batch.weights is None else ops.cast(batch.weights, "float32")
        return Batch(x, labels, target, weights)

    def _check_labels(self, labels, num_rows):
        """Labels of `num_rows` examples, of the right type and shape; None where the model takes none."""
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
        if len(shape) == 2 and shape[1] == 1 and "int" in dtype:  # as Keras's loader of CIFAR-10 gives them
            shape = shape[:1]
            labels = labels if isinstance(labels, tf.TensorSpec) else labels[:, 0]
        if len(shape) == 2 and shape[1] == self.num_classes:
            way = "One-hot rows become classes by np.argmax(labels, axis=-1)"
            raise ValueError(f"Expected `labels` to be int32 of shape [{num_rows}]. Received: shape {shape}. {way}")
        if len(shape) != 1 or (None not in (num_rows, shape[0]) and num_rows != shape[0]):
            raise ValueError(f"Expected `labels` to be int32 of shape [{num_rows}]. Received: shape {shape}")
        if "int" not in dtype:
            way = "Use labels.astype('int32')"
            raise ValueError(f"Expected `labels` to be integers. Received: dtype={dtype}. {way}")
        return labels

    def _check_attributes(self, labels, num_rows):
        shape, dtype = tuple(labels.shape), keras.backend.standardize_dtype(labels.dtype)
        fits = (
            len(shape) == 2
            and shape[1] == self.num_attributes
            and (None in (num_rows, shape[0]) or num_rows == shape[0])
        )
        if not fits or "float" not in dtype:
            raise ValueError(
                f"Expected `labels` to be float32 of shape [{num_rows}, {self.num_attributes}], the attributes. "
                f"Received: {dtype} of shape {list(shape)}"
            )
        return labels


def _ranked(labels):
    """Labels of a known rank: Keras makes one graph for [B] and [B,1] when it was given both."""
    if isinstance(labels, tf.Tensor) and labels.shape.rank is None:
        return tf.reshape(labels, (-1,))
    return labels
