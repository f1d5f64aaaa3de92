"""Splits a batch into sub-batches, one for each CPU core. TensorFlow itself splits each operation over all cores.

An operation on a batch of 128 small images takes tens of microseconds, and spreading it over several cores takes as
long. Sub-batches synchronise once per step.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import tensorflow as tf

from zoo._compat import tensorflow as tf_compat
from zoo.runtime import checks, replicas
from zoo.runtime.types import Tensor

Structure = TypeVar("Structure")
_LEAST = 8  # examples in a sub-batch
_open: dict[object, int] = {}  # the contexts of `sub_batches` that have begun, in any thread; the latest is in force
_current = threading.local()  # each replica is traced in a thread of its own, one after the other


def available() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sub_batches_for(batch_size: int) -> int:
    """The number of sub-batches that suits a batch on this machine: one per core, or 1 if they would be too small."""
    cores = available()
    return cores if batch_size >= cores * _LEAST else 1


def number() -> int:
    """The number of sub-batches that is in force."""
    return [1, *_open.values()][-1]


@contextlib.contextmanager
def sub_batches(number: int) -> Iterator[None]:
    """A context in which models split each batch into `number` sub-batches and compute them in parallel.

    The weights after training equal those of unsplit batches, except for rounding and for the noise of the networks.
    It acts on all threads. For the rest of the process TensorFlow uses one thread per operation and runs `number`
    operations at once. If it has computed something before, it keeps its threads, and the gain is smaller.

    Args:
        number: int >= 1; 1 changes nothing.

    Raises:
        ValueError: if `number` is not an integer >= 1.

    Example:
        >>> with zoo.cores.sub_batches(2):
        ...     model.fit(images, epochs=10, batch_size=128)
    """
    number = checks.positive_int("number", number)
    if number > 1:
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(number)
    context = object()
    _open[context] = number
    try:
        yield
    finally:
        del _open[context]


parts = sub_batches  # its name in 0.1.0


def spread(
    function: Callable[..., Structure],
    *values: object,
    statistics: bool = False,
    whole: Callable[[], bool] = lambda: False,
) -> Structure:
    """Computes `function(*values)` in parallel sub-batches.

    Where a sub-batch, or the share of one of several replicas, would be empty, it gets an example of zeros, whose
    result is dropped.

    Args:
        function: takes and returns structures of tensors `[B, …]`. Its result for an example must not depend on the
            other examples of the batch.
        values: structures of tensors `[B, …]`, or None.
        statistics: whether `function` keeps statistics of the batch, such as those of batch normalisation. The batch
            then stays whole, and an empty share gets an example of another replica in the place of zeros: each call
            gathers one of each of `values` from every replica.
        whole: called after the first of several sub-batches was traced; True means that the batch must stay whole.
    """
    if statistics:
        return _with_an_example(function, values)
    count = number()
    may_be_empty = replicas.num_replicas() > 1
    if getattr(_current, "in_sub_batch", False) or (count == 1 and not may_be_empty):
        return function(*values)
    size = tf.shape(tf.nest.flatten(values)[0])[0]
    rows = tf_compat.rows_for(count, size)  # each sub-batch gets an example, of zeros if need be
    ends = [rows * part // count for part in range(count + 1)]
    sizes = tf.stack([end - start for start, end in zip(ends, ends[1:])])

    def split(value):
        if value is None:
            return [None] * count
        filled = tf.pad(value, [[0, rows - size], *[[0, 0]] * (len(value.shape) - 1)])
        return tf.split(filled, sizes, num=count)

    flat = [split(value) for value in tf.nest.flatten(values)]
    _current.in_sub_batch = True  # a sub-batch is not split again
    results = []
    try:
        for sub_batch in zip(*flat):
            results.append(function(*tf.nest.pack_sequence_as(values, sub_batch)))
            if count > 1 and whole():
                return function(*values)
    finally:
        _current.in_sub_batch = False
    return tf.nest.map_structure(lambda *shares: tf.concat(shares, axis=0)[:size], *results)


def _with_an_example(function, values):
    """Computes `function(*values)`; a replica without an example has one of another, and drops its result."""
    if replicas.num_replicas() == 1 or getattr(_current, "in_sub_batch", False):
        return function(*values)
    size = tf.shape(tf.nest.flatten(values)[0])[0]

    def filled(value):
        if value is None:
            return None
        example = replicas.concat(tf.stop_gradient(value[:1]))[:1]
        return tf.concat([value, example[: 1 - tf.minimum(size, 1)]], axis=0)

    results = function(*tf.nest.map_structure(filled, values))
    return tf.nest.map_structure(lambda tensor: tensor[:size], results)


def together(tensors: list[Tensor | None]) -> list[Tensor | None]:
    """Returns the tensors; with sub-batches, only after all of them are computed.

    Otherwise work that needs only some of the tensors starts early, and slows the other sub-batches down.
    """
    return tensors if number() == 1 else tf.tuple(tensors)
