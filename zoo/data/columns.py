"""The columns of a table as numbers for a model and back, by TensorFlow's operators: an export holds them too.

Numbers come as float32 `[B]`, NaN where missing; texts as strings `[B]`, "" where missing.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from zoo.runtime import checks

_MOST_QUANTILES = 1000
_FEWEST_LEFT = 4  # one of so many different numbers, where few are left
_FEWEST_STEPS = 100  # of float32 in a standard deviation of training
_FARTHEST = 10.0  # how far beyond the largest value of training a number is distinguished, in standard deviations
Value = float | str


def require_held(name: str, what: str, known: np.ndarray) -> None:
    """Raises ValueError unless float32 holds the known values `[N]` of training; `what` is "column" or "channel"."""
    largest = np.abs(known).max()
    if largest > np.finfo(np.float32).max:
        checks.fail(name, f"a {what} of numbers that float32 can hold", f"{largest:.7g}")


def require_told_apart(name: str, what: str, known: np.ndarray) -> None:
    """Raises ValueError unless float32 holds the known values `[N]` of training, and tells them apart.

    `what` is "column" or "channel".
    """
    require_held(name, what, known)
    largest = np.abs(known).max()
    if known.min() < known.max():
        spread, step = np.std(known), np.spacing(np.float32(largest))
        expected = f"a {what} of numbers that float32 tells apart; subtract its mean"
        if spread < _FEWEST_STEPS * step:
            checks.fail(name, expected, f"a standard deviation of {spread:.3g} about {np.mean(known):.7g}")
        # A single outlier makes the deviation large. The last digits of float64 are noise of rounding.
        different, left = (len(np.unique(each)) for each in (np.round(known / largest, 9), known.astype(np.float32)))
        if left < min(_FEWEST_STEPS, different / _FEWEST_LEFT):
            checks.fail(name, expected, f"{different} different ones, of which float32 leaves {left}")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        name: str.
    """

    name: str
    kind: ClassVar[str]
    text: ClassVar[bool] = False  # whether the values are strings

    @property
    def size(self) -> int:
        """The number of features."""
        return 1

    @property
    def user_kind(self) -> str:
        """The kind by the name that `zoo.data.Schema.of` takes and infers."""
        raise NotImplementedError

    @property
    def distinct(self) -> tuple[Value, ...]:
        """All values that a cell can have; () for a column of numbers."""
        return ()

    def encode(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Values `[B]` to features float32 `[B,size]` and whether each is known, bool `[B]`."""
        raise NotImplementedError

    def decode(self, features: tf.Tensor) -> tf.Tensor:
        """Features, or their means, `[B,size]` to values `[B]`."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The column as values of JSON; `from_config` is the inverse."""
        return {"kind": self.kind, **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True)
class Number(Column):
    """A number, scaled by its quantiles so that the training values become standard normal.

    Larger or smaller numbers than in training get distinct features, but decoded numbers stay within the range of
    training.

    Args:
        quantiles: floats that do not decrease, at the probabilities (i + ½) / G.
        integer: bool, whether decoded numbers are rounded to whole ones.
    """

    quantiles: tuple[float, ...]
    integer: bool = False
    kind: ClassVar[str] = "number"

    @property
    def user_kind(self) -> str:
        return "integer" if self.integer else "continuous"

    @classmethod
    def of(cls, name: str, values: np.ndarray, integer: bool = False) -> "Number":
        """The column of training values: float `[N]`, not all of them NaN."""
        known = np.sort(values[np.isfinite(values)])
        if not known.size:
            checks.fail("table", f"one with a known number in the column {name!r}", "none")
        require_told_apart(name, "column", known)
        if len(known) > _MOST_QUANTILES:
            places = (np.arange(_MOST_QUANTILES) + 0.5) / _MOST_QUANTILES
            inner = np.quantile(known, places, method="inverted_cdf" if integer else "linear")
            known = np.concatenate([known[:1], inner[1:-1], known[-1:]])
        known = np.repeat(known, 2) if len(known) == 1 else known
        return cls(name, tuple(float(np.float32(value)) for value in known), integer)

    def _grid(self):
        number = len(self.quantiles)
        places = (np.arange(number, dtype=np.float64) + 0.5) / number
        return tf.constant(self.quantiles, tf.float32), tf.constant(places, tf.float32)

    def encode(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        quantiles, places = self._grid()
        known = tf.math.is_finite(values)
        values = tf.where(known, values, quantiles[0])
        # Of equal quantiles a value has the middle place.
        below, above = (_interpolate(values, quantiles, places, side) for side in ("left", "right"))
        scaled = tf.math.ndtri(0.5 * (below + above))
        scale = max(float(np.std(self.quantiles)), 1e-30)
        beyond = (values - tf.clip_by_value(values, quantiles[0], quantiles[-1])) / scale
        return (scaled + tf.clip_by_value(beyond, -_FARTHEST, _FARTHEST))[:, None], known

    def decode(self, features: tf.Tensor) -> tf.Tensor:
        quantiles, places = self._grid()
        place = 0.5 * (1.0 + tf.math.erf(features[:, 0] / math.sqrt(2.0)))
        values = _interpolate(place, places, quantiles, "right")
        return tf.round(values) if self.integer else values


def _interpolate(x, xs, ys, side):
    """Linear interpolation at `x` `[B]` of the points (xs, ys), `[G]` each; constant beyond their ends."""
    place = tf.clip_by_value(tf.searchsorted(xs, x, side) - 1, 0, xs.shape[0] - 2)
    low, high = tf.gather(xs, place), tf.gather(xs, place + 1)
    at_end = x >= high if side == "right" else x > high
    share = tf.where(high > low, (x - low) / tf.where(high > low, high - low, 1.0), tf.cast(at_end, tf.float32))
    start = tf.gather(ys, place)
    return start + tf.clip_by_value(share, 0.0, 1.0) * (tf.gather(ys, place + 1) - start)


@dataclasses.dataclass(frozen=True)
class Levels(Column):
    """Ordered levels, numbers or texts, at 0, 1/(K − 1), …, 1.

    A number between the lowest and the highest level becomes the nearest one. Any other value counts as missing.

    Args:
        levels: K floats that increase, or K strs in their order.
    """

    levels: tuple[Value, ...]
    kind: ClassVar[str] = "levels"
    user_kind = "ordinal"

    @property
    def text(self) -> bool:  # type: ignore[override]
        return isinstance(self.levels[0], str)

    @property
    def distinct(self) -> tuple[Value, ...]:
        return self.levels

    def encode(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self.text:
            equal = tf.equal(values[:, None], tf.constant(self.levels))
            known, place = tf.reduce_any(equal, axis=1), tf.argmax(tf.cast(equal, tf.int32), axis=1)
        else:
            known = (values >= min(self.levels)) & (values <= max(self.levels))  # not NaN
            distance = tf.abs(tf.where(known, values, 0.0)[:, None] - tf.constant(self.levels, tf.float32))
            place = tf.argmin(distance, axis=1)
        return tf.cast(place, tf.float32)[:, None] / self._top(), known

    def decode(self, features: tf.Tensor) -> tf.Tensor:
        place = tf.cast(tf.round(tf.clip_by_value(features[:, 0], 0.0, 1.0) * self._top()), tf.int32)
        return tf.gather(_values(self.levels), place)

    def _top(self):
        return max(len(self.levels) - 1, 1)


@dataclasses.dataclass(frozen=True)
class Categories(Column):
    """Classes without an order, numbers or texts, as one-hot features. Another value counts as missing.

    Args:
        categories: K floats or strs.
    """

    categories: tuple[Value, ...]
    kind: ClassVar[str] = "categories"
    user_kind = "categorical"

    @property
    def text(self) -> bool:  # type: ignore[override]
        return isinstance(self.categories[0], str)

    @property
    def distinct(self) -> tuple[Value, ...]:
        return self.categories

    @property
    def size(self) -> int:
        return len(self.categories)

    def encode(self, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        equal = tf.equal(values[:, None], _values(self.categories))
        return tf.cast(equal, tf.float32), tf.reduce_any(equal, axis=1)

    def decode(self, features: tf.Tensor) -> tf.Tensor:
        return tf.gather(_values(self.categories), tf.argmax(features, axis=1))


def require_known(column: Column, values: np.ndarray, argument: str) -> None:
    """Raises ValueError for a value that the training rows do not have, of `values` `[N]`, numbers or texts.

    Continuous columns take any finite number, integer ones any that is whole, and ordinal ones their levels alone.
    """
    if column.text != (values.dtype.kind == "U"):
        return  # `Schema.encode` names the type
    if column.distinct:
        kind = np.str_ if column.text else np.float32
        known = np.isin(values.astype(kind), np.array(column.distinct, kind))
    else:
        known = np.isfinite(values.astype(np.float32))
        known &= np.equal(values, np.rint(values)) | (column.user_kind != "integer")
    if not known.all():
        what = "a whole number" if column.user_kind == "integer" else "a value of the training rows"
        checks.fail(argument, f"{what} for {column.name!r}", values[~known].tolist()[0])


def _values(values):
    return tf.constant(values) if isinstance(values[0], str) else tf.constant(values, tf.float32)


_KINDS: dict[str, type[Column]] = {each.kind: each for each in (Number, Levels, Categories)}


def from_config(config: Mapping[str, Any]) -> Column:
    """The column of `Column.get_config`."""
    rest: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}
    kind = rest.pop("kind")
    if kind not in _KINDS:
        checks.fail("kind", f"one of {list(_KINDS)}", kind)
    made: Any = _KINDS[kind]
    return made(**rest)


def distinct(values: np.ndarray) -> Sequence[Value]:
    """The known values of a column, the most frequent first; equally frequent ones in their order."""
    known = [value for value in values.tolist() if value not in ("", None) and value == value]
    found, counts = np.unique(np.array(known, values.dtype), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [value if isinstance(value, str) else float(value) for value in found[order].tolist()]
