"""The cores of a CPU: each works on a part of the batch, where TensorFlow lets all of them work on each operation.

An operation on a batch of 128 small images takes tens of microseconds, and so does it to bring several cores together
for it; parts of a batch meet once a step.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import tensorflow as tf

from zoo._compat import tensorflow as tf_compat
from zoo.runtime import checks
from zoo.runtime.types import Tensor

Structure = TypeVar("Structure")
_LEAST = 8  # images in a part
_number = 1
_current = threading.local()  # replicas are traced in threads of their own, by turns


def available() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parts_of(batch_size: int) -> int:
    """The number of parts that suits a batch on this machine: one for each core, or 1 where they would be too small."""
    cores = available()
    return cores if batch_size >= cores * _LEAST else 1


def number() -> int:
    """In how many parts a batch is computed where this is called."""
    return _number


@contextlib.contextmanager
def parts(number: int) -> Iterator[None]:
    """Within, what is traced computes a batch in `number` parts side by side, wherever a model can.

    The weights that a model ends with are those of one part, but for rounding, and for noise that its networks draw.
    TensorFlow is told to use one thread for each operation, and as many operations at once as there are parts, for
    good; where it has begun to work already, its threads stay as they are, and parts gain less.

    Args:
        number: int >= 1; 1 leaves all as it is.

    Raises:
        ValueError: for another number.

    Example:
        >>> with zoo.cores.parts(2):
        ...     model.fit(images, epochs=10, batch_size=128)
    """
    global _number
    number = checks.positive_int("number", number)
    if number > 1:
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(number)
    before, _number = _number, number
    try:
        yield
    finally:
        _number = before


def spread(function: Callable[..., Structure], *values: object, whole: Callable[[], bool] = lambda: False) -> Structure:
    """`function(*values)`, computed in parts of the batch side by side.

    Args:
        function: of structures of tensors, gives such a structure; what it gives for an example must not depend on the
            others in the batch.
        values: structures of tensors `[B, …]`, or None.
        whole: function that says, once the first part was traced, whether the batch must stay whole after all.
    """
    if _number == 1 or getattr(_current, "in_part", False):
        return function(*values)
    size = tf.shape(tf.nest.flatten(values)[0])[0]
    rows = tf_compat.rows_for(_number, size)  # a part has an image, if one of zeros
    ends = [rows * number // _number for number in range(_number + 1)]
    sizes = tf.stack([end - start for start, end in zip(ends, ends[1:])])

    def split(value):
        if value is None:
            return [None] * _number
        filled = tf.pad(value, [[0, rows - size], *[[0, 0]] * (len(value.shape) - 1)])
        return tf.split(filled, sizes, num=_number)

    flat = [split(value) for value in tf.nest.flatten(values)]
    _current.in_part = True  # parts are not split once more
    results = []
    try:
        for part in zip(*flat):
            results.append(function(*tf.nest.pack_sequence_as(values, part)))
            if whole():
                return function(*values)
    finally:
        _current.in_part = False
    return tf.nest.map_structure(lambda *shares: tf.concat(shares, axis=0)[:size], *results)


def together(tensors: list[Tensor | None]) -> list[Tensor | None]:
    """A list of tensors, or None, of which in parts none is there before all are.

    So parts stay in step: else one waits where the other is held up by what the first of the tensors are for.
    """
    return tensors if _number == 1 else tf.tuple(tensors)
