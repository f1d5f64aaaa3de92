"""Checks of a model's input: structure, type, shape, and the range of its values.

Structure, type and shape are known wherever a model is called, in a graph too, and their checks cost nothing there.
Values are checked in every array that is passed to a method, and in the first batch that `fit`, `evaluate` or `predict`
receives (`zoo.fitting.first_batch`).
"""

import dataclasses
from collections.abc import Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from zoo.runtime import checks
from zoo.runtime.types import Array, Shape, Tensor

TOLERANCE = 1e-3  # how far values may lie beyond their range: resizing and JPEG exceed it slightly
_ROUNDING = {"float16": 2.0**-11, "bfloat16": 2.0**-8}  # of numbers below 1
LARGEST = float(np.finfo(np.float32).max)
FARTHEST = 10.0  # widths of the range of the data: noise may reach so far, and 0..255 does not count as noise


def array(name: str, value: object) -> Array:
    """`value` as an array with a shape and a dtype; `value` itself if it has both.

    Raises:
        ValueError: if no tensor can be made from it.
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
    if np.ma.is_masked(value):
        checks.numpy_array(name, value)
    dtype = value.dtype if isinstance(value.dtype, str) else value.dtype.name
    if not dtype.startswith(("bool", "int", "uint", "float", "bfloat")):
        raise ValueError(f"Expected `{name}` to be an array of numbers. Received: dtype={dtype}")
    return value


def single(value: object, names: Sequence[str]) -> object:
    """The one array in a model's input: the entry of a list or dict of length 1, or the entry of a dict under `names`.

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


def same_size(a: int | None, b: int | None) -> bool:
    """Whether two sizes of an axis agree; None, an unknown size, agrees with any."""
    return None in (a, b) or a == b


def require_integers(name: str, value: Array) -> None:
    """Raises ValueError unless `value` has an integer dtype."""
    dtype = keras.backend.standardize_dtype(value.dtype)
    if "int" not in dtype:
        raise ValueError(f"Expected `{name}` to be int32. Received: dtype={dtype}")


def require_floating(name: str, value: Array) -> None:
    """Raises ValueError unless `value` is floating-point; the message holds the line of code that converts it."""
    dtype = keras.backend.standardize_dtype(value.dtype)
    if "float" in dtype:
        return
    way = f" Divide by 255: {name}.astype('float32') / 255" if dtype == "uint8" else f" Use {name}.astype('float32')"
    raise ValueError(f"Expected `{name}` to be floating-point. Received: dtype={dtype}.{way}")


def require_data_of_floats(name: str, model: keras.Model) -> None:
    """Raises ValueError for a model of tokens, whose examples general tools do not take."""
    if model.data_dtype != "float32":
        checks.fail(name, "one of images or other floats; TextModel has `score`", f"a {type(model).__name__}")


def require_shape(name: str, value: Array, shape: Sequence[int | None]) -> None:
    """Raises ValueError unless `value` has the shape `[B, *shape]`; None in `shape` stands for any size."""
    given = tuple(value.shape)
    if given and len(given) == len(shape) + 1 and all(map(same_size, given[1:], shape)):
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
    """An array and the range of its values, which must be finite.

    Args:
        name: str, the name of the array in error messages.
        array: floats or integers `[B, …]`.
        low, high: floats, the ends of the range, included.
        way: str, advice for a user whose integers lie outside the range.
        counts: bool, whether the values must be whole numbers.
        grid: numbers, one for each channel: the values must be multiples of 1 / grid, or any where it is 0. None for
            any values.
    """

    name: str
    array: Array
    low: float = -LARGEST
    high: float = LARGEST
    way: str = ""
    counts: bool = False
    grid: tuple[float, ...] | None = None

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arguments of `require`."""
        return (self.array,)

    def hold(self) -> Tensor:
        """Whether all values lie in the range, a bool tensor.

        It takes few operations, as each takes about as long as a pass over the values.
        """
        numbers = tf.convert_to_tensor(self.array)
        numbers = numbers if numbers.dtype.is_integer else tf.cast(numbers, tf.float32)
        fit = self._fit(tf.reduce_min(numbers), tf.reduce_max(numbers))
        on_grid = self._on_grid(numbers)
        return fit if on_grid is None else fit & tf.reduce_all(on_grid)

    def hold_rows(self) -> Tensor:
        """Whether the values of each example lie in the range, bool `[B]`: for graphs that cannot raise an error."""
        # Value by value: runtimes differ in what the least and the largest of values with a NaN are.
        numbers = tf.convert_to_tensor(self.array)
        fit = self._fit(numbers, numbers)
        on_grid = self._on_grid(numbers)
        return _all_of_each(fit if on_grid is None else fit & on_grid)

    def require(self, values: np.ndarray) -> None:
        """Raises ValueError unless `values`, the array in NumPy, lie in the range."""
        if values.size and not self._fit(values.min(), values.max()):
            self._explain(values)
        on_grid = self._on_grid(values)
        parts = values[:0] if on_grid is None else values[~on_grid.numpy()]
        if len(parts):
            expected = "counts, which are whole numbers"
            if not self.counts:
                sizes = ("1" if each == 1.0 else f"1/{each:g}" for each in sorted({*(self.grid or ())} - {0.0}))
                expected = f"on the levels of the likelihood, multiples of {' or '.join(sizes)}"
            checks.fail(self.name, expected, f"{len(parts)} values such as {parts[0]:g}")

    def _on_grid(self, numbers):
        """Whether each value is a whole number or on the grid; None where any number is."""
        if self.counts:
            return tf.equal(numbers, tf.round(numbers))
        if self.grid is None:
            return None
        # As far from a level as a value may lie beyond the range, or as 16 bits are from a fraction; never half way.
        slack = max(TOLERANCE, _ROUNDING.get(keras.backend.standardize_dtype(self.array.dtype), 0.0))
        places = tf.cast(numbers, tf.float32) * self.grid
        return tf.abs(places - tf.round(places)) <= [min(slack * each, 0.4) for each in self.grid]

    def _fit(self, low, high):
        # A NaN among the values makes both NaN. Integers compare with integers only.
        if low.dtype.name.startswith(("int", "uint")):
            return (low >= int(self.low)) & (high <= int(self.high))
        slack = TOLERANCE if self.low > -LARGEST and self.high < LARGEST else 0.0
        return (low >= self.low - slack) & (high <= self.high + slack)

    def _explain(self, values):
        wrong = ~np.isfinite(values)
        if wrong.any():
            row = int(np.argwhere(wrong)[0][0]) if wrong.ndim else 0
            raise ValueError(
                f"Expected `{self.name}` to be finite numbers. Received: {int(wrong.sum())} of {wrong.size} values "
                f"that are NaN or infinite, the first in row {row}"
            )
        low, high = values.min(), values.max()
        farthest = max(float(low), float(high), key=abs)
        if abs(farthest) > LARGEST:
            checks.fail(self.name, "numbers that float32 can hold", farthest)
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
        return f"Scale them, or {likelihood}; np.clip removes values that lie just outside"


@dataclasses.dataclass(frozen=True)
class Noisy(Values):
    """Values that may lie beyond the range of the data by noise."""

    def _mend(self, low, high):
        return f"Noise may reach {FARTHEST:g} widths of the range of the data beyond it: bring {self.name} to its units"


def noisy(name: str, array: Array, support: tuple[float, float] | None) -> Values:
    """The range that noisy data may have: that of a likelihood, and ten widths of it on each side."""
    if support is None:
        return Values(name, array)
    slack = FARTHEST * (support[1] - support[0])
    return Noisy(name, array, support[0] - slack, support[1] + slack)


@dataclasses.dataclass(frozen=True)
class ZeroOrOne(Values):
    """Values that are 0 or 1, such as a mask.

    Args:
        whole: bool, whether all channels of a place must be alike.
    """

    low: float = 0.0
    high: float = 1.0
    whole: bool = False

    def hold(self) -> Tensor:
        return tf.reduce_all(self.hold_rows())

    def hold_rows(self) -> Tensor:
        mask = tf.cast(self.array, tf.float32)
        fit = (mask == 0.0) | (mask == 1.0)
        return _all_of_each(fit & (mask == mask[..., :1]) if self.whole else fit)

    def require(self, values: np.ndarray) -> None:
        other = values[(values != 0) & (values != 1)]
        if len(other):
            checks.fail(self.name, "0 and 1 alone", f"values such as {other[0]:g}")
        if self.whole:
            require_whole(self.name, values)


@dataclasses.dataclass(frozen=True)
class BesideMask(Values):
    """Values beside their mask: the second half of the last axis is 1 for observed and 0 for missing values.

    Missing values are 0: others would tell a model what it must not see.

    Args:
        whole: bool, whether the mask of all channels of a place must be the same.
    """

    whole: bool = False

    def hold(self) -> Tensor:
        return super().hold() & tf.reduce_all(self._hold_mask())

    def hold_rows(self) -> Tensor:
        return super().hold_rows() & self._hold_mask()

    def _hold_mask(self):
        values, mask = tf.split(tf.cast(self.array, tf.float32), 2, axis=-1)
        return ZeroOrOne(self.name, mask, whole=self.whole).hold_rows() & _all_of_each((mask != 0.0) | (values == 0.0))

    def require(self, values: np.ndarray) -> None:
        super().require(values)
        values, mask = np.split(values, 2, axis=-1)
        other = mask[(mask != 0) & (mask != 1)]
        if len(other):
            expected = "values beside a mask of 0 and 1, as zoo.likelihoods.Masked.beside makes them"
            checks.fail(self.name, expected, f"a mask with values such as {other[0]:g}")
        left = values[(mask == 0) & (values != 0)]
        if len(left):
            expected = "0 where its mask is 0, as zoo.likelihoods.Masked.beside makes it"
            checks.fail(self.name, expected, f"{len(left)} values such as {left[0]:g}")
        if self.whole:
            require_whole(self.name, mask)


@dataclasses.dataclass(frozen=True)
class Target:
    """A target `y` for the input `x`, which must differ from it: without a target the input is its own.

    Args:
        model: str, the kind of model.
        x, y: floats of the same shape.
    """

    model: str
    x: Array
    y: Array

    @property
    def arrays(self) -> tuple[Array, ...]:
        """The arguments of `require`."""
        return (self.x, self.y)

    def hold(self) -> Tensor:
        """Whether the two differ, a bool tensor."""
        differ = ~tf.reduce_all(tf.equal(tf.cast(self.x, tf.float32), tf.cast(self.y, tf.float32)))
        return differ | tf.equal(tf.size(self.x), 0)  # a replica may have no share of a small batch

    def require(self, x: np.ndarray, y: np.ndarray) -> None:
        """Raises ValueError if the two arrays are equal."""
        if len(x) and (x is y or np.array_equal(x, y)):
            raise ValueError(
                f"Expected `y` to be another array than `x`, as {self.model} is its own target: fit(x). Received: the "
                "same values twice. Train a model that removes noise by fit(noisy, clean)"
            )


def look(values: Iterable[Values | Target]) -> None:
    """Checks arrays, and raises ValueError for the first that is not as its `Values` or `Target` requires."""
    for each in values:
        each.require(*map(np.asarray, each.arrays))


def require_whole(name: str, mask: np.ndarray) -> None:
    """Raises ValueError unless the mask is the same for all channels of a place, which the likelihood couples."""
    unlike = (mask != mask[..., :1]).any(axis=-1)
    if unlike.any():
        way = "a mask that is the same for all channels of a place, as the likelihood couples them"
        checks.fail(name, way, f"{int(unlike.sum())} places with some of their channels missing")


def _all_of_each(fit):
    """Whether all values of each example fit: bool `[B,…]` to `[B]`."""
    return tf.reduce_all(fit, axis=list(range(1, len(fit.shape)))) if len(fit.shape) > 1 else fit


def unfit(error: tf.errors.OpError, arrays: Iterable[tuple[str, Shape]]) -> ValueError:
    """Turns an error that TensorFlow raised while computing, mostly for a wrong size, into one about the data.

    Args:
        error: `tf.errors.OpError`.
        arrays: pairs of names and shapes, of the model's input.
    """
    given = ", ".join(f"{name} of shape {tuple(shape)}" for name, shape in arrays)
    # TensorFlow's message names the operation, then on further lines the source location and the reason.
    reasons = [line.strip() for line in error.message.splitlines() if line.strip() and not line.startswith("  ")]
    reason = next((line for line in reversed(reasons) if "node" not in line), reasons[0] if reasons else "")
    return ValueError(f"Expected data that the networks can take. Received: {given}. TensorFlow says: {reason[:300]}")
