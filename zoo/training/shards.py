"""The data of a run with `--shards`."""

import dataclasses
import re

import keras
import tensorflow as tf

from zoo import data
from zoo.data import shards
from zoo.runtime import replicas
from zoo.training.flags import RunFlags
from zoo.training.recipe import ImageShape


def load(
    flags: RunFlags, image_shape: ImageShape, model: keras.Model, strategy: tf.distribute.Strategy
) -> tuple[data.StreamedSplits, RunFlags]:
    """The splits of the shards, and the flags with settings that the shards and the workers must match to resume.

    The chief counts the records, where there is no index beside the shards, and leaves the counts to the other workers
    in `shards.json` in the folder of the run.

    Raises:
        DataError: if the shards cannot be trained on by this model and these workers.
    """
    pattern = flags.shards or ""
    shards.find(pattern)  # in all workers, before they wait for the chief
    splits = _splits(pattern, flags, image_shape) if replicas.is_chief(strategy) else None
    replicas.gather(strategy, 0)
    splits = splits or _splits(pattern, flags, image_shape)
    train, workers = splits.train, replicas.num_workers(strategy)
    _require_labels(model, train)
    train.of_worker(0, workers)
    train.require_shares(flags.batch_size, workers, strategy.num_replicas_in_sync)
    if train.skipped:
        print(f"records that cannot be read and are left out: {len(train.skipped)}")
    settings = {**flags.records.settings, "shards": train.fingerprint, "workers": str(workers)}
    settings["shuffle_buffer"] = str(train.buffer)
    return splits, dataclasses.replace(flags, records=dataclasses.replace(flags.records, settings=settings))


def _splits(pattern, flags, image_shape):
    return shards.load_shards(
        pattern,
        image_shape,
        **({} if flags.shuffle_buffer is None else {"buffer": flags.shuffle_buffer}),
        static_seed=flags.seed if flags.binarization == "static" else None,
        disk_folder=flags.output,
        cache=flags.output / "shards.json",
    )


def _require_labels(model, train):
    """Raises `DataError` unless a conditional model finds its labels."""
    if not model.conditional:
        return
    if not train.labelled:
        raise data.DataError("Expected a label in each record of the shards, of 32 bits, as the model is conditional.")
    least, largest = train.label_range
    classes = getattr(model, "num_classes", None)
    if classes is not None and not 0 <= least <= largest < classes:
        raise data.DataError(f"Expected labels from 0 to {classes - 1} in the shards. Received: {least} to {largest}")


def pixel_variance(splits: data.Splits | data.StreamedSplits, binarization: str) -> float:
    """The variance of the values of the training images, scaled to [0, 1], or of their binary draws.

    For shards it is that of the validation images, which the same hash draws, as the others are not in memory.
    """
    images = splits.validation if isinstance(splits, data.StreamedSplits) else splits.train
    return data.pixel_variance(images, binarized=binarization != "none")


def data_error(error: tf.errors.OpError) -> str | None:
    """The message of the `DataError` that ended a dataset, or None if TensorFlow's error has another cause."""
    found = re.search(r"DataError: (.*)", error.message)
    return found[1] if found else None
