"""The codes of images: what a prior is trained on, and what it costs to know no more than how frequent each code is."""

import hashlib

import numpy as np
import tensorflow as tf


def encode(model, datasets):
    """The codes of datasets of images `[B,H,W,C]`, each in its order: a list of int32 `[N,h,w]`."""
    encode_batch = tf.function(model.encode, reduce_retracing=True)
    return [np.concatenate([encode_batch(x).numpy() for x in dataset]) for dataset in datasets]


def unigram_nats_per_code(training, test, num_codes):
    """The cross entropy of codes under the frequencies of the training codes, one added to each: nats a code.

    Args:
        training, test: ints of any shape, from 0 to `num_codes` − 1.
        num_codes: int >= 1, K.
    """
    counts = np.bincount(training.ravel(), minlength=num_codes) + 1.0
    return float(-np.log(counts / counts.sum())[test].mean())


def fingerprint(model):
    """A text that stands for the weights of a model: str of 16 digits."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight))
    return digest.hexdigest()[:16]
