"""Batches of the training images of shards: the same from any step on, whether or not a run began there."""

import functools
import itertools
import os
from concurrent import futures

import numpy as np
import tensorflow as tf

from zoo.data.errors import DataError
from zoo.data.shards import reading
from zoo.data.shards.images import ShardedImages, binary
from zoo.data.shards.order import Order
from zoo.data.shards.records import leading_zeros

_CHUNK = 32  # records that are decoded together


class _Worker:
    """The batches of one worker."""

    def __init__(self, images, batch_size, seed, shuffle, context):
        workers = context.num_input_pipelines if context else 1
        replicas = context.num_replicas_in_sync if context else 1
        self._images, self._batch_size, self._seed, self._shuffle = images, batch_size, seed, shuffle
        self._number, self._workers = context.input_pipeline_id if context else 0, workers
        self.replicas = replicas // workers
        images.require_shares(batch_size, workers, replicas)
        self._shards = images.of_worker(self._number, workers)
        self._sizes = [index.number(images.level) for index in self._shards]
        self._total = sum(self._sizes)
        self.steps = -(-len(images) // batch_size)

    def shares(self, first_step, epochs, dynamic):
        """(uint8 `[B,H,W,C]`, int32 `[B]`) of each replica in each step."""
        epoch, first = divmod(first_step, self.steps)
        with futures.ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            while epochs is None or epoch < epochs:
                pictures = self._pictures(epoch, self._place(first), pool)
                for step in range(first, self.steps):
                    size = self._place(step + 1) - self._place(step)
                    for replica in range(self.replicas):
                        count = size * (replica + 1) // self.replicas - size * replica // self.replicas
                        x, labels = self._stacked(itertools.islice(pictures, count))
                        if dynamic:
                            number = self._number * self.replicas + replica
                            key = (self._seed, epoch * self.steps + step, number)
                            x = binary(x, np.random.default_rng(key))
                        yield x, labels
                pictures.close()
                epoch, first = epoch + 1, 0

    def _place(self, step):
        """The number of images before a step. Those of several workers are spread over the steps: none is empty."""
        if self._workers == 1:
            return min(step * self._batch_size, self._total)
        return self._total * step // self.steps

    def _stacked(self, pictures):
        found = [picture for picture in pictures if picture is not None] or [self._first]
        return np.stack([pixels for pixels, _ in found]), np.array([label for _, label in found], np.int32)

    @functools.cached_property
    def _first(self):
        """The first training picture, which stands in for a batch of which none can be read: a step needs one."""
        for index, number in zip(self._shards, self._sizes):
            for record in self._training(index, number):
                if record and (picture := self._images.pixels(index.path, record)):
                    return picture
        raise DataError("None of the training records of the shards can be read.")

    def _pictures(self, epoch, first, pool):
        """The decoded pictures of an epoch from the place `first` on; None for one that cannot be read."""
        key = (self._seed, epoch, self._number) if self._shuffle else None
        order = Order(self._sizes, self._images.buffer if self._shuffle else _CHUNK, key)
        begin = first // order.buffer * order.buffer
        wanted = order.sources(first) if first < order.number else set()
        stream = self._stream(order, begin)
        waiting: dict[int, tuple[np.ndarray, int] | None] = {}
        place, read = first, begin
        while place < order.number:
            # Reads as far ahead as the buffer is long, and no faster than the pictures are used.
            while read < min(order.number, place + order.buffer):
                chunk = [
                    (position, path, record)
                    for position, path, record in itertools.islice(stream, _CHUNK)
                    if position in wanted or position >= begin + order.buffer
                ]
                decoded = pool.map(lambda each: each[2] and self._images.pixels(each[1], each[2]), chunk)
                waiting.update(zip((position for position, *_ in chunk), decoded))
                read = min(order.number, read + _CHUNK)
            yield waiting.pop(order.source(place))
            place += 1

    def _stream(self, order, begin):
        """(position, path, `Record` or None) of the training records from the position `begin` of the stream on."""
        position = 0
        for shard in order.shards:
            index, number = self._shards[shard], self._sizes[shard]
            if position + number > begin:
                for within, record in enumerate(self._training(index, number)):
                    if position + within >= begin:
                        yield position + within, index.path, record
            position += number

    def _training(self, index, number):
        """`number` training records of a shard; None for each that has become unreadable since they were counted."""
        found = 0
        for record in reading.read(index.path, index.kind):
            if record.broken:
                self._images.skip(index.path, record.index, record.broken)
            elif leading_zeros(record.image) < self._images.level - 1:
                yield record
                found += 1
                if found == number:
                    return
        yield from itertools.repeat(None, number - found)


def stream(
    images: ShardedImages,
    batch_size: int,
    *,
    seed: int,
    shuffle: bool,
    dynamic: bool,
    labels: bool,
    first_step: int,
    epochs: int | None,
    context: tf.distribute.InputContext | None,
) -> tf.data.Dataset:
    """The dataset of `zoo.data.batches` for images in shards."""
    worker = _Worker(images, batch_size, seed, shuffle, context)
    signature = (
        tf.TensorSpec((None, *images.image_shape), tf.uint8),
        tf.TensorSpec((None,), tf.int32),
    )
    dataset = tf.data.Dataset.from_generator(
        lambda: worker.shares(first_step, epochs, dynamic), output_signature=signature
    )
    number = tf.data.INFINITE_CARDINALITY
    if epochs is not None:
        number = max(0, epochs * worker.steps - first_step) * worker.replicas
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(number))

    def scaled(x, classes):
        x = tf.cast(x, tf.float32) / 255.0
        return (x, classes) if labels else x

    return dataset.map(scaled)
