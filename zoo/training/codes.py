"""The codes of images: what a prior is trained on, and what it costs to know no more than how frequent each code is."""

import hashlib

import numpy as np
import tensorflow as tf

from zoo.runtime import disk


def encode(model, datasets, sizes, disk_folder=None):
    """The codes of images, each dataset's in its order.

    Args:
        model: a `zoo.VQVAE`.
        datasets: iterable of datasets of images `[B,H,W,C]`.
        sizes: ints, how many images each dataset holds.
        disk_folder: path of a folder on whose disk the codes are kept rather than in memory.

    Returns:
        list of int32 `[N,h,w]`.

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
    return codes


def unigram_nats_per_code(training, test, num_codes):
    """The cross entropy of codes under the frequencies of the training codes, one added to each: nats a code.

    Args:
        training, test: ints of any shape, from 0 to `num_codes` − 1; in memory or a `zoo.runtime.disk.DiskArray`.
        num_codes: int >= 1, K.
    """
    counts = _count(training, num_codes) + 1.0
    return float(-np.sum(_count(test, num_codes) * np.log(counts / counts.sum())) / test.size)


def _count(codes, num_codes):
    """How often each code occurs: `[num_codes]`."""
    return sum(np.bincount(codes[part].ravel(), minlength=num_codes) for part in disk.chunks(codes))


def fingerprint(model):
    """A text that stands for the weights of a model: str of 16 digits."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight))
    return digest.hexdigest()[:16]
