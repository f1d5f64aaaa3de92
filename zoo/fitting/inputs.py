"""What comes into a model: its structure, its type, its shape, and the range of its values.

Structure, type and shape are known wherever a model is called, in a graph too, and cost nothing there. Values are
looked at in every array that a method is given, and in the first batch that a verb of Keras is given (`FirstBatch`).
"""

import dataclasses
import functools
import math

import keras
import numpy as np
import tensorflow as tf

from zoo._compat import tensorflow as tf_compat
from zoo.runtime import checks

TOLERANCE = 1e-3  # of a range of values: resizing and JPEG go a little beyond
LARGEST = float(np.finfo(np.float32).max)
_MOST_VALUES = 2**26  # of a larger array, evenly spaced rows are looked at


def array(name, value):
    """`value` with a shape and a dtype, itself if it has them.

    Raises:
        ValueError: if it is nothing that a tensor can be made of.
    """
    if isinstance(value, (tf.Variable, keras.Variable)):
        value = tf.convert_to_tensor(value)
    if isinstance(value, (tf.RaggedTensor, tf.SparseTensor)):
        checks.fail(name, "one dense array", type(value).__name__)
    if not isinstance(value, (np.ndarray, tf.Tensor, tf.TensorSpec, keras.KerasTensor)):
        try:
            value = np.asarray(value)
        except (TypeError, ValueError):  # rows of different lengths
            checks.fail(name, "one dense array, whose rows are of one length", type(value).__name__)
    dtype = value.dtype if isinstance(value.dtype, str) else value.dtype.name
    if not dtype.startswith(("bool", "int", "uint", "float", "bfloat")):
        raise ValueError(f"Expected `{name}` to be an array of numbers. Received: dtype={dtype}")
    return value


def single(value, names):
    """The one array of what Keras hands on: of a list or dict of one entry, or of a dict with an entry of `names`.

    Raises:
        ValueError: for several inputs.
    """
    if isinstance(value, dict):
        known = [name for name in names if name in value]
        if len(value) != 1 and not known:
            raise ValueError(
                f"Expected `x` to be one array, or a dict with an entry called {_either(names)}. "
                f"Received: a dict of {', '.join(map(repr, value))}"
            )
        return value[known[0]] if known else next(iter(value.values()))
    if isinstance(value, (list, tuple)):
        if len(value) != 1:
            raise ValueError(f"Expected `x` to be one array, as the model has one input. Received: {len(value)} inputs")
        return value[0]
    return value


def _either(names):
    return " or ".join(map(repr, dict.fromkeys(names)))


def require_floating(name, value):
    """Raises ValueError unless `value` is floating-point, with the line that mends it."""
    dtype = keras.backend.standardize_dtype(value.dtype)
    if "float" in dtype:
        return
    way = f" Divide by 255: {name}.astype('float32') / 255" if dtype == "uint8" else f" Use {name}.astype('float32')"
    raise ValueError(f"Expected `{name}` to be floating-point. Received: dtype={dtype}.{way}")


def require_shape(name, value, shape):
    """Raises ValueError unless `value` is `[B, *shape]`, where None stands for any size."""
    given = tuple(value.shape)
    if given and len(given) == len(shape) + 1 and all(a == b for a, b in zip(given[1:], shape) if None not in (a, b)):
        return
    expected = ", ".join("any" if size is None else str(size) for size in shape)
    way = ""
    if len(shape) > 1 and given[1:] == tuple(shape[:-1]) and shape[-1] == 1:
        way = f" It lacks the axis of channels: {name}[..., None]"
    elif given == tuple(shape):
        way = f" It lacks the axis of the batch: {name}[None]"
    raise ValueError(f"Expected `{name}` to have the shape [B, {expected}]. Received: shape {given}.{way}")


@dataclasses.dataclass(frozen=True)
class Values:
    """An array and the range that its values must lie in, NaN and infinity never.

    Args:
        name: str, what the user calls it.
        array: floats or integers `[B, …]`.
        low, high: floats, the ends of the range, included.
        way: str, what a user can do who has other values.
    """

    name: str
    array: object
    low: float = -LARGEST
    high: float = LARGEST
    way: str = ""

    @property
    def arrays(self):
        return (self.array,)

    def hold(self):
        """Whether all is surely well, as a tensor: of few operations, as each takes as long as the numbers do."""
        numbers = self.array if self.array.dtype.is_integer else tf.cast(self.array, tf.float32)
        return self._fit(tf.reduce_min(numbers), tf.reduce_max(numbers))

    def require(self, values):
        """Raises ValueError unless all is well with `values`, the array as NumPy has it."""
        values = _rows(values)
        if values.size and not self._fit(values.min(), values.max()):
            self._explain(values)

    def _fit(self, low, high):
        # Both are NaN where one value is. Integers compare with integers only.
        if low.dtype.name.startswith(("int", "uint")):
            return (low >= int(self.low)) & (high <= int(self.high))
        slack = TOLERANCE if self.low > -LARGEST and self.high < LARGEST else 0.0
        return (low >= self.low - slack) & (high <= self.high + slack)

    def _explain(self, values):
        wrong = ~np.isfinite(values) if values.dtype.kind != "i" else np.zeros(values.shape, bool)
        if wrong.any():
            row = int(np.argwhere(wrong)[0][0]) if wrong.ndim else 0
            raise ValueError(
                f"Expected `{self.name}` to be finite numbers. Received: {int(wrong.sum())} of {wrong.size} values "
                f"that are NaN or infinite, the first in row {row}"
            )
        low, high = values.min(), values.max()
        if values.dtype.kind in "iu":
            worst = low if low < self.low else high
            way = self.way
            if low == 1 and high == self.high + 1:
                way = f"They count from 0: {self.name} - 1"
            way = f". {way}" if way else ""
            raise ValueError(
                f"Expected `{self.name}` to be from {self.low:g} to {self.high:g}. Received: {self.name}={worst}{way}"
            )
        if self.high == LARGEST:
            checks.fail(self.name, f"numbers >= {self.low:g}", float(low))
        raise ValueError(
            f"Expected `{self.name}` to lie in [{self.low:g}, {self.high:g}]. Received: values from {low:g} to "
            f"{high:g}. {self._mend(float(low), float(high))}"
        )

    def _mend(self, low, high):
        signed = low >= -1.0 - TOLERANCE and high <= 1.0 + TOLERANCE
        likelihood = f"give the model the likelihood zoo.likelihoods.Gaussian(range={(-1, 1) if signed else None})"
        if (self.low, self.high) == (0.0, 1.0):
            if low >= 0 and 2.0 < high <= 255:
                return f"Divide by 255: {self.name} / 255"
            if signed:
                return f"Scale them from [-1, 1], ({self.name} + 1) / 2, or {likelihood}"
        return f"Scale them, or {likelihood}; a little noise goes by np.clip"


@dataclasses.dataclass(frozen=True)
class Target:
    """A target that a model is to give for `x`, which must be another: a model without one is its own target.

    Args:
        model: str, the kind of model.
        x, y: floats of the same shape.
    """

    model: str
    x: object
    y: object

    @property
    def arrays(self):
        return (self.x, self.y)

    def hold(self):
        return ~tf.reduce_all(tf.equal(tf.cast(self.x, tf.float32), tf.cast(self.y, tf.float32)))

    def require(self, x, y):
        if x is y or np.array_equal(_rows(x), _rows(y)):
            raise ValueError(
                f"Expected `y` to be another array than `x`, as {self.model} is its own target: fit(x). Received: the "
                "same values twice. A model that takes noise away is trained by fit(noisy, clean)"
            )


def look(values):
    """Raises ValueError for the first of a list of `Values` or `Target`s, of arrays, with which something is wrong."""
    for each in values:
        each.require(*map(np.asarray, each.arrays))


def _rows(numbers):
    """An array, or evenly spaced rows of it where it is very large."""
    return numbers if numbers.size <= _MOST_VALUES else numbers[:: math.ceil(numbers.size / _MOST_VALUES)]


def unfit(error, arrays):
    """The ValueError for what TensorFlow only found while it computed, most often a size that a network can't take.

    Args:
        error: `tf.errors.OpError`.
        arrays: list of pairs of names and shapes, what the model was given.
    """
    given = ", ".join(f"{name} of shape {tuple(shape)}" for name, shape in arrays)
    # TensorFlow names the operation first, then in lines of its own the place and the reason.
    reasons = [line.strip() for line in error.message.splitlines() if line.strip() and not line.startswith("  ")]
    reason = next((line for line in reversed(reasons) if "node" not in line), reasons[0] if reasons else "")
    return ValueError(f"Expected data that the networks can take. Received: {given}. TensorFlow says: {reason[:300]}")


class FirstBatch:
    """Looks at the first batch after `reopen`, before anything is computed from it, and at no other.

    Structure, type and shape are those of the dataset's specs. The look at values is a part of the graph, for that is
    where batches of every kind of dataset pass: a condition on a flag, which later batches pass in microseconds.

    Args:
        split: function of a batch as Keras gives it to a step, or of its specs, that raises ValueError for one of
            another structure, type or shape.
        values_of: function of such a batch, and of whether the likelihood is to see it, that gives a list of `Values`
            and `Target`s.
    """

    def __init__(self, split, values_of):
        self._split, self._values_of = split, values_of
        self._fresh, self._failure, self._arrays, self._specs = True, None, [], None
        self._unseen = tf_compat.Flag()

    def reopen(self):
        self._fresh = True
        with tf.init_scope():
            self._unseen.set(True)

    def __call__(self, batches, judged):
        """Looks at `batches`, what each replica is given; gives what a graph must wait for, a list of tensors."""
        values = [each for batch in batches for each in self._values_of(batch, judged)]
        self._arrays = [(each.name, each.array.shape) for each in values if isinstance(each, Values)]
        if tf.executing_eagerly():
            if self._unseen.get():
                self._unseen.set(False)
                look(values)
            return []
        # An error in the graph would break the collectives of several replicas for good: `guarded` raises it later.
        stops = len(batches) == 1

        # With a condition in it, the step's own graph would run the slower as a whole.
        @tf_compat.graph_of_its_own
        def looked():
            with tf.device("CPU:0"):
                return tf.cond(self._unseen.get(), lambda: self._look(values, stops), lambda: False)

        return [looked()]

    def _look(self, values, stops):
        self._unseen.set(False)
        good = functools.reduce(tf.logical_and, [each.hold() for each in values])
        arrays = [array for each in values for array in each.arrays]

        def explain(*arrays):
            arrays = iter(arrays)
            try:
                for each in values:
                    each.require(*(next(arrays) for _ in each.arrays))
            except ValueError as error:
                self._failure = error
            return np.bool_(self._failure is None)

        def fail():
            passed = tf.numpy_function(explain, arrays, tf.bool)
            # In the place of an exception, whose traceback TensorFlow would print.
            stop = [tf.debugging.Assert(passed, ["the first batch was refused"])] if stops else []
            with tf.control_dependencies(stop):
                return tf.identity(passed)

        return tf.cond(good, lambda: True, fail)

    def guarded(self, function, variables):
        """A function that Keras made for a step, which raises what the look at its first batch finds.

        Args:
            function: of an iterator of batches, or of a list of them.
            variables: function without arguments that gives what the step may change. Where several replicas have made
                the step from a batch that is refused, these are what they were before.
        """

        def call(batches):
            kept = None
            if self._fresh:
                self._fresh = False
                self._check_specs(batches)
                if isinstance(batches, tf.distribute.DistributedIterator):
                    kept = [(variable, variable.numpy()) for variable in variables()]
            try:
                results = function(batches)
            except tf.errors.OpError as error:
                self._raise_failure(error)
                if isinstance(error, tf.errors.InvalidArgumentError):
                    raise unfit(error, self._arrays) from error
                raise
            if self._failure is not None:
                for variable, value in kept or ():
                    variable.assign(value)
                self._raise_failure(None)
            return results

        call.guarded = True
        return call

    def _check_specs(self, batches):
        """Splits an iterator's specs, before TensorFlow makes one graph for these shapes and others seen before."""
        if isinstance(batches, list):  # of tensors, in `predict`
            self._split(keras.tree.map_structure(_of_first_replica, batches[0]))
            return
        specs = getattr(batches, "element_spec", None)  # none of what `train_on_batch` is given
        if specs is not None and specs != self._specs:
            self._split(keras.tree.map_structure(_of_first_replica, specs))
            self._specs = specs  # those of the next call are mostly the same

    def _raise_failure(self, cause):
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure from cause


def _of_first_replica(leaf):
    if isinstance(leaf, tf.OptionalSpec):  # of Keras, for None
        return None
    if isinstance(leaf, tf.distribute.DistributedValues):
        return leaf.values[0]
    return tf_compat.spec_of_first_replica(leaf)
