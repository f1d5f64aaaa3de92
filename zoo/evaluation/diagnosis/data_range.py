"""The values of a dataset beside the range of a likelihood."""

import dataclasses

import keras
import numpy as np

from zoo.evaluation.rows import Examples
from zoo.fitting.inputs import TOLERANCE


@dataclasses.dataclass(frozen=True)
class DataRange:
    """The values of a dataset beside the range of the likelihood.

    Attributes:
        low, high: floats, the smallest and the largest finite value.
        support: the likelihood's range, or None for the real line.
        outside: float, the share of the values outside of it.
        invalid: float, the share that is NaN or infinite.
        eight_bit: bool, whether the likelihood is one of 8-bit values.
        off_grid: float, the share of the values that are no multiple of 1/255.
    """

    low: float
    high: float
    support: tuple[float, float] | None
    outside: float = 0.0
    invalid: float = 0.0
    eight_bit: bool = False
    off_grid: float = 0.0


def data_range(model: keras.Model, examples: Examples) -> DataRange:
    """Compares the values of the examples with the likelihood's range; those of a denoiser may be noisy."""
    support = None if model.denoises else model.likelihood.support
    eight_bit = bool(model.likelihood.eight_bit) and not model.denoises
    low, high, outside, invalid, off_grid = np.inf, -np.inf, 0, 0, 0
    for _, x, _, _ in examples.batches(checked=False):
        finite = np.isfinite(x)
        invalid += int(x.size - finite.sum())
        x = x[finite]
        if not x.size:
            continue
        low, high = min(low, float(x.min())), max(high, float(x.max()))
        if support is not None:
            outside += int(((x < support[0] - TOLERANCE) | (x > support[1] + TOLERANCE)).sum())
        if eight_bit:
            off_grid += int((np.abs(x * 255.0 - np.round(x * 255.0)) > 0.02).sum())
    number = len(examples) * examples.dims
    shares = [count / number for count in (outside, invalid, off_grid)]
    return DataRange(low, high, support, shares[0], shares[1], eight_bit, shares[2])


def is_out_of_range(values: DataRange) -> bool:
    """Whether the data do not suit the likelihood: values outside, NaN, off the 8-bit grid, or scaled down twice."""
    empty = values.low > values.high  # no finite value
    return bool(values.outside or values.invalid or values.off_grid > 0.01 or is_scaled_twice(values) or empty)


def is_scaled_twice(values: DataRange) -> bool:
    """Whether the data fill so little of [0, 1] that they were probably divided by 255 twice."""
    return values.support == (0.0, 1.0) and values.low >= 0.0 and 0.0 < values.high <= 1.5 / 255.0
