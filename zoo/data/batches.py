"""Batches for training and evaluation.

Images are uint8 and become float32 in [0, 1] in the batch. The content of a batch depends only on the seed and on the
number of the training step: a run that resumes in the middle of an epoch sees the batches that it would have seen.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from zoo.data.shards import ShardedImages, streaming
from zoo.data.splits import Images
from zoo.runtime import checks, disk

Uniform: TypeAlias = Callable[[Sequence[int]], tf.Tensor]


def batches(
    images: Images | ShardedImages,
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool = False,
    dynamic: bool = False,
    labels: bool = False,
    first_step: int = 0,
    epochs: int | None = 1,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """A `tf.data.Dataset` of float32 images in [0, 1], with int32 labels where asked for.

    Args:
        images: `Images`, or the `ShardedImages` of `load_shards`.
        batch_size: int >= 1; the last batch of an epoch may be smaller.
        seed: int, for the order and the binarisation.
        shuffle: bool, whether to shuffle the whole set anew for each epoch.
        dynamic: bool, whether to sample each pixel as 0 or 1 at each step, with its grey level as the probability of 1.
        labels: bool, whether to give pairs (images, labels).
        first_step: int >= 0, the number of batches to skip.
        epochs: int >= 1, counted from step 0, or None for no end.
        context: the `tf.distribute.InputContext` of a worker, or None. The dataset of a worker holds, instead of each
            batch, the shards of the worker's replicas, one after the other; see `zoo.runtime.replicas.distribute`.

    Returns:
        dataset of `[B,H,W,C]`, or of (`[B,H,W,C]`, `[B]`).

    Raises:
        ValueError: for arguments out of range, and for `labels=True` with images that have none.
    """
    batch_size = checks.positive_int("batch_size", batch_size)
    _require_order(seed, first_step, epochs)
    if not len(images):
        raise ValueError("Expected `images` to hold at least one. Received: none")
    labelled = images.labelled if isinstance(images, ShardedImages) else images.labels is not None
    if labels and not labelled:
        raise ValueError("Expected labelled images, as labels=True. Received: images without labels")
    if isinstance(images, ShardedImages):
        how: dict[str, Any] = {"seed": seed, "shuffle": shuffle, "dynamic": dynamic, "labels": labels}
        dataset = streaming.stream(images, batch_size, **how, first_step=first_step, epochs=epochs, context=context)
        return _prefetched(dataset)
    pixels = _reader(images.images, tf.uint8)
    with tf.device("CPU"):
        classes = tf.constant(images.labels, tf.int32) if labels else None

    def batch(rows, uniform):
        x = tf.cast(pixels(rows), tf.float32) / 255.0
        if dynamic:
            x = tf.cast(uniform(images.images.shape[1:]) < x, tf.float32)
        x = tf.ensure_shape(x, (None, *images.images.shape[1:]))
        return (x, tf.gather(classes, rows)) if labels else x

    return _by_step(batch, len(images), batch_size, seed, shuffle, first_step, epochs, context)


def example_batches(
    examples: np.ndarray | disk.DiskArray,
    batch_size: int,
    *,
    change: Callable[[tf.Tensor, Uniform], Any] | None = None,
    seed: int = 0,
    shuffle: bool = False,
    first_step: int = 0,
    epochs: int | None = 1,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """A `tf.data.Dataset` of examples of any kind, such as waveforms, windows or clips.

    Args:
        examples: numbers `[N,…]`, in memory or a `zoo.runtime.disk.DiskArray`.
        change: function of (examples `[B,…]`, `uniform`) that gives the content of the batch, a tensor or a pair of
            tensors, in a graph; None for the examples as they are. `uniform(shape)` gives random numbers in [0, 1),
            float32 `[B, *shape]`. They depend only on the seed and on the number of the training step, so a run that
            resumes sees those that it would have seen.
        batch_size, seed, shuffle, first_step, epochs, context: as in `batches`.

    Returns:
        dataset of `[B,…]` in the dtype of the examples, or of what `change` gives.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> noisy = zoo.data.example_batches(images, 32, change=lambda x, uniform: (x + uniform(x.shape[1:]), x))
        >>> [part.shape for part in next(iter(noisy))]
        [TensorShape([32, 28, 28, 1]), TensorShape([32, 28, 28, 1])]
    """
    batch_size = checks.positive_int("batch_size", batch_size)
    examples = examples if isinstance(examples, disk.DiskArray) else checks.numpy_array("examples", examples)
    if not len(examples.shape) or not len(examples):
        checks.fail("examples", "an array [N, …] of one or more", f"an array of shape {examples.shape}")
    if examples.dtype.kind not in "biuf":
        checks.fail("examples", "an array of numbers", f"dtype {examples.dtype}")
    if change is not None and not callable(change):
        checks.fail("change", "a function of a batch and `uniform`, or None", change)
    table = _reader(examples, examples.dtype)

    def batch(rows, uniform):
        x = tf.ensure_shape(table(rows), (None, *examples.shape[1:]))
        return x if change is None else change(x, uniform)

    return _by_step(batch, len(examples), batch_size, seed, shuffle, first_step, epochs, context)


def code_batches(
    codes: np.ndarray | disk.DiskArray,
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool = False,
    first_step: int = 0,
    epochs: int | None = 1,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """A `tf.data.Dataset` of codes.

    Args:
        codes: integers `[N,h,w]`, in memory or a `zoo.runtime.disk.DiskArray`.
        batch_size, seed, shuffle, first_step, epochs, context: as in `batches`.

    Returns:
        dataset of int32 `[B,h,w]`.

    Raises:
        ValueError: for arguments out of range.
    """
    batch_size = checks.positive_int("batch_size", batch_size)
    if not len(codes):
        raise ValueError("Expected `codes` to hold at least those of one image. Received: none")
    table = _reader(codes, tf.int32)

    def batch(rows, _):
        return tf.ensure_shape(table(rows), (None, *codes.shape[1:]))

    return _by_step(batch, len(codes), batch_size, seed, shuffle, first_step, epochs, context)


def _reader(array, dtype):
    """A function that reads rows of an array, given by number as int64 `[B]`, in a graph."""
    if isinstance(array, disk.DiskArray):
        return lambda rows: tf.cast(tf.numpy_function(array.__getitem__, [rows], array.dtype, stateful=False), dtype)
    with tf.device("CPU"):
        # A variable, as tf.data copies a captured constant several times.
        table = tf.Variable(array, trainable=False, dtype=dtype)
    return lambda rows: tf.gather(table, rows)


def _by_step(batch, number, batch_size, seed, shuffle, first_step, epochs, context):
    """The dataset of `batch(rows, uniform)` for all steps.

    `rows` are the row numbers, below `number`, of a step's batch or of a replica's shard of it. `uniform(shape)` gives
    random numbers in [0, 1) for these rows, `[B, *shape]`.
    """
    _require_order(seed, first_step, epochs)
    per_epoch = steps_per_epoch(number, batch_size)
    replicas, first_replica, local_replicas = _replicas(context)

    @tf.autograph.experimental.do_not_convert  # which takes longer than to trace it
    def of_share(share):
        step, replica = share // local_replicas, first_replica + share % local_replicas
        epoch, position = step // per_epoch, step % per_epoch * batch_size
        size = tf.minimum(tf.cast(batch_size, tf.int64), number - position)
        places = size * replica // replicas, size * (replica + 1) // replicas
        rows = tf.range(position, position + size)
        if shuffle:
            key = tf.stack([tf.cast(seed, tf.int64), epoch])
            rows = tf.random.experimental.index_shuffle(rows, seed=key, max_index=number - 1)

        def uniform(shape):
            key = tf.stack([tf.cast(seed, tf.int64), step])
            # Drawn for the whole batch, as the result must not depend on how the batch is sharded.
            draws = tf.random.stateless_uniform([tf.cast(size, tf.int32), *shape], seed=key)
            return draws[places[0] : places[1]]

        return batch(rows[places[0] : places[1]], uniform)

    end = np.iinfo(np.int64).max // local_replicas if epochs is None else epochs * per_epoch
    shares = tf.data.Dataset.range(first_step * local_replicas, end * local_replicas)
    dataset = shares.map(of_share, num_parallel_calls=2, deterministic=True)
    return _prefetched(dataset)


def _require_order(seed, first_step, epochs):
    """Raises ValueError for numbers that set the order of examples and are out of range."""
    if not checks.is_integer(seed):
        checks.fail("seed", "an integer", seed)
    checks.integer("first_step", first_step, 0)
    if epochs is not None:
        checks.positive_int("epochs", epochs)


def _prefetched(dataset):
    options = tf.data.Options()
    # The elements here are shards already: a strategy must not split the range of their numbers.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    # There is nothing to tune, and the tuning thread can delay the end of a `fit` by a second.
    options.autotune.enabled = False
    return dataset.with_options(options).prefetch(4)


def _replicas(context):
    """The number of replicas, the first replica of this worker, and the number of this worker's replicas."""
    if context is None:
        return 1, 0, 1
    local = context.num_replicas_in_sync // context.num_input_pipelines
    return context.num_replicas_in_sync, context.input_pipeline_id * local, local


def steps_per_epoch(number: int, batch_size: int) -> int:
    """The number of batches in one pass over `number` examples."""
    return -(-number // batch_size)
