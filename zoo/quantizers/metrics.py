"""Metrics of codebook use, counted over all codes since the last reset."""

from typing import Any

import tensorflow as tf
from keras import metrics, ops

from zoo.runtime.types import Tensor


def count(codes: Tensor, num_codes: int, weights: Tensor | None = None) -> Tensor:
    """Counts each code in `codes`, int32 `[B, …]`, weighted by the weights `[B]`: float32 `[num_codes]`."""
    ones = tf.ones_like(codes, tf.float32)
    if weights is not None:
        ones *= tf.reshape(weights, (-1, *[1] * (len(codes.shape) - 1)))
    # Not with one-hot rows: for a batch of CIFAR-10 they take 16 MB to write and sum.
    return tf.math.unsorted_segment_sum(tf.reshape(ones, [-1]), tf.reshape(codes, [-1]), num_codes)


class _CodeUse(metrics.Metric):
    """Counts how often each of `num_codes` codes occurs."""

    def __init__(self, num_codes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.counts = self.add_variable((num_codes,), "zeros", name="counts")

    def update_state(self, codes: Tensor, sample_weight: Tensor | None = None) -> None:
        self.counts.assign_add(count(codes, self.counts.shape[0], sample_weight))


class Perplexity(_CodeUse):
    """e^H of the codes' frequencies, with the entropy H in nats: 1 for a single code, K if all are equally frequent."""

    def result(self) -> Tensor:
        share = self.counts / ops.maximum(ops.sum(self.counts), 1.0)
        return ops.exp(-ops.sum(share * ops.log(ops.maximum(share, 1e-20))))


class CodebookUsage(_CodeUse):
    """The share of codes that occurred at all, in [0, 1]."""

    def result(self) -> Tensor:
        return ops.mean(ops.cast(self.counts > 0, "float32"))
