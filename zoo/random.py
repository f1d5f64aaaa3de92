"""Random numbers as a pure function of an integer seed: the same numbers in every runtime.

TensorFlow's own generators keep hidden state, take no seed from outside once exported, or do not convert to TFLite.
This one is counter-based: number j of seed s is a hash of (s, j), computed with 32-bit multiplications, shifts and
exclusive ors, which every runtime has.

    bits(s, j) = mix(mix(s + A) ^ mix(j + B))

`mix` is Wellons' two-multiplication integer hash (lowbias32 with its later constants,
https://github.com/skeeto/hash-prospector), a bijection of the 32-bit integers. The
generator is for simulation; it is not cryptographic.

Seeds are int32 of shape `[B]`, one per row: row i of a result depends on `seed[i]` alone. The uniform numbers are the
same bits everywhere. The others involve logarithms and cosines, whose last digit can depend on the runtime and on the
number of rows.
"""

import math
import numbers
import random

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Seeds, Shape, Tensor

_BITS = (0x3C6EF372, 0x9E3779B9)  # added to seed and counter to draw numbers
_FOLD = (0x1B873593, 0xCC9E2D51)  # and to derive seeds, as the two must never coincide


def _uint32(value):
    """`value` modulo 2**32 as a uint32 tensor; ints of more than 32 bits are refused."""
    if isinstance(value, numbers.Integral):
        checks.seed("seed", value)
        return ops.convert_to_tensor(int(value) % 2**32, "uint32")
    value = _of_32_bits(value)
    dtype = getattr(value, "dtype", None)
    if dtype is not None and "int" not in keras.backend.standardize_dtype(dtype):  # a cast would cut 1.7 to 1
        checks.fail("seed", "integers", f"dtype {dtype}")
    return ops.cast(value, "uint32")


def _of_32_bits(value):
    """`value`, with a list as an array. Raises ValueError if a known number has more than 32 bits."""
    value = np.asarray(value) if isinstance(value, (list, tuple, float)) else value
    wide = getattr(value, "dtype", None) in (np.int64, np.uint64, tf.int64, tf.uint64)
    if wide and (isinstance(value, np.ndarray) or tf.executing_eagerly()) and np.size(value):
        for extreme in (np.min(value), np.max(value)):
            checks.seed("seed", int(extreme))
    return value


def _of_rows(seed):
    """Seeds `[B]`."""
    seed = _of_32_bits(seed)
    if len(getattr(seed, "shape", ())) != 1:
        checks.fail("seed", "seeds of rows, int32 [B], as zoo.random.row_seeds gives", seed)
    return seed


def _size(shape):
    """The number of values in a row of `shape`."""
    try:
        sizes = tuple(shape)
    except TypeError:
        checks.fail("shape", "a tuple of integers >= 1", shape)
    if not all(checks.is_integer(size) and size >= 1 for size in sizes):
        checks.fail("shape", "a tuple of integers >= 1", shape)
    return math.prod(sizes)


def _xor_shift(x, bits):
    return ops.bitwise_xor(x, ops.bitwise_right_shift(x, _uint32(bits)))


def _mix(x):
    x = _xor_shift(x, 16) * _uint32(0x21F0AAAD)
    x = _xor_shift(x, 15) * _uint32(0xD35A2D97)
    return _xor_shift(x, 15)


def _hash(seed, counter, constants):
    seed = _mix(_uint32(seed) + _uint32(constants[0]))
    counter = _mix(_uint32(counter) + _uint32(constants[1]))
    return _mix(ops.bitwise_xor(seed, counter))


def fold_in(seed: int | ArrayLike, data: int | ArrayLike) -> Tensor:
    """A new seed from a seed and an integer, for an independent stream.

    For one seed, different `data` give different seeds.

    Args:
        seed: int, or int32 tensor of any shape.
        data: int, or int32 tensor that broadcasts against `seed`.

    Returns:
        int32 tensor of the broadcast shape.

    Example:
        >>> zoo.random.fold_in(seed=7, data=0) == zoo.random.row_seeds(7, 16)[0]
        <tf.Tensor: shape=(), dtype=bool, numpy=True>
    """
    return ops.cast(_hash(seed, data, _FOLD), "int32")


def fresh_seed() -> int:
    """A random int32 seed >= 0, from Python's generator, which `keras.utils.set_random_seed` sets.

    Without that call it differs from process to process.
    """
    return random.getrandbits(31)


def row_seeds(seed: Seeds, num_rows: int | Tensor) -> Tensor:
    """The seeds of `num_rows` rows: `fold_in(seed, i)` for an int; an int32 array `[num_rows]` is returned as it is.

    None gives new seeds at each call, also within a graph.

    Raises:
        ValueError: if `seed` is an array of another shape or not of integers, or needs more than 32 bits.
    """
    if seed is None:
        # A graph would store a Python number as a constant.
        seed = tf.random.uniform((), -(2**31), 2**31 - 1, tf.int32) if tf.inside_function() else fresh_seed()
    if isinstance(seed, numbers.Integral):
        return fold_in(seed, ops.arange(num_rows, dtype="int32"))
    seeds = ops.convert_to_tensor(_of_32_bits(seed))
    is_integer = "int" in seeds.dtype.name
    if len(seeds.shape) == 0 and is_integer:
        return fold_in(ops.cast(seeds, "int32"), ops.arange(num_rows, dtype="int32"))
    fits = len(seeds.shape) == 1 and (not isinstance(num_rows, int) or seeds.shape[0] in (None, num_rows))
    if not fits or not is_integer:
        raise ValueError(
            f"Expected `seed` to be an int or an int32 array of shape [{num_rows}]. "
            f"Received: seed of shape {tuple(seeds.shape)} and dtype {seeds.dtype.name}"
        )
    return ops.cast(seeds, "int32")


def uniform(seed: ArrayLike, shape: Shape) -> Tensor:
    """Uniform numbers in the open interval (0, 1), on a grid of 2**-23.

    The upper 23 bits plus one half are exact in float32. The result is never 0 or 1, and its `log` is always finite.

    Args:
        seed: int32 `[B]`.
        shape: tuple of ints, the shape of one row.

    Returns:
        float32 `[B, *shape]`.

    Example:
        >>> zoo.random.uniform(zoo.random.row_seeds(0, 4), (8,)).shape
        TensorShape([4, 8])
    """
    seed, counter = _of_rows(seed), ops.arange(_size(shape), dtype="int32")
    bits = _hash(ops.expand_dims(seed, 1), ops.expand_dims(counter, 0), _BITS)
    # Cast to int32 first: the shifted value fits, and TFLite casts int32 everywhere.
    top = ops.cast(ops.cast(ops.bitwise_right_shift(bits, _uint32(9)), "int32"), "float32")
    return ops.reshape((top + 0.5) * 2.0**-23, (-1, *shape))


def normal(seed: ArrayLike, shape: Shape) -> Tensor:
    """Standard normal numbers, by Box and Muller (1958): sqrt(-2 ln u) · (cos 2πv, sin 2πv).

    The largest magnitude is sqrt(-2 ln 2**-24) = 5.77.

    Args:
        seed: int32 `[B]`.
        shape: tuple of ints, the shape of one row.

    Returns:
        float32 `[B, *shape]`.
    """
    size = _size(shape)
    half = (size + 1) // 2
    u = uniform(seed, (2, half))
    radius = ops.sqrt(-2.0 * ops.log(u[:, 0]))
    angle = 2.0 * math.pi * u[:, 1]
    pairs = ops.concatenate([radius * ops.cos(angle), radius * ops.sin(angle)], axis=1)
    return ops.reshape(pairs[:, :size], (-1, *shape))


def gumbel(seed: ArrayLike, shape: Shape) -> Tensor:
    """Standard Gumbel numbers, −ln(−ln u): `argmax(logits + gumbel)` is a categorical sample.

    Args:
        seed: int32 `[B]`.
        shape: tuple of ints, the shape of one row.

    Returns:
        float32 `[B, *shape]`.
    """
    return -ops.log(-ops.log(uniform(seed, shape)))
