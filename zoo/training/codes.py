"""The codes that a prior is trained on, and the cross entropy of their frequencies as a baseline."""

import hashlib
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from zoo.runtime import disk
from zoo.runtime.types import PathLike


def encode(
    model: keras.Model,
    datasets: Iterable[tf.data.Dataset],
    sizes: Iterable[int],
    disk_folder: PathLike | None = None,
) -> list[np.ndarray | disk.DiskArray]:
    """The codes of each dataset of images, in the order of the images.

    Args:
        model: a `zoo.VQVAE`.
        datasets: iterable of datasets of images `[B,H,W,C]`.
        sizes: ints, the number of images in each dataset.
        disk_folder: path of a folder to keep the codes on disk; None keeps them in memory.

    Returns:
        list of int32 `[N,h,w]`, one for each dataset.

    Raises:
        zoo.runtime.disk.NoRoom: if the disk cannot hold the codes.
    """
    encode_batch = tf.function(model.encode, autograph=False, reduce_retracing=True)
    return [_encode(encode_batch, *pair, disk_folder) for pair in zip(datasets, sizes)]


def _encode(encode_batch, dataset, size, disk_folder):
    codes, start = None, 0
    for x in dataset:
        part = encode_batch(x).numpy()
        if codes is None:
            codes = disk.empty((size, *part.shape[1:]), np.int32, disk_folder)
        codes[start : start + len(part)] = part
        start += len(part)
    # Records of shards may have become unreadable since they were counted.
    return codes if codes is None or start == size else disk.take(codes, slice(start))


def unigram_nats_per_code(
    training: np.ndarray | disk.DiskArray, test: np.ndarray | disk.DiskArray, num_codes: int
) -> float:
    """The cross entropy of the test codes under the frequencies of the training codes, in nats per code.

    Each code's count in training is raised by one, or a code that is new in the test split would cost infinitely much.

    Args:
        training, test: ints of any shape, from 0 to `num_codes` − 1; in memory or a `zoo.runtime.disk.DiskArray`.
        num_codes: int >= 1, K.
    """
    counts = _count(training, num_codes) + 1.0
    return float(-np.sum(_count(test, num_codes) * np.log(counts / counts.sum())) / test.size)


def _count(codes, num_codes):
    """How often each code occurs: `[num_codes]`."""
    return sum(np.bincount(codes[part].ravel(), minlength=num_codes) for part in disk.chunks(codes))


def fingerprint(model: keras.Model) -> str:
    """A hash of the weights of a model: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()[:16]
