"""A training policy: gradients that are too large are left out."""

import math

import keras
from keras import ops

from zoo.runtime import checks, replicas


class SkipLargeGradients:
    """Leaves out the gradient of a training step where its norm, over all weights and replicas, is above a threshold.

    The optimizer then gets a gradient of 0, and only its momentum goes on (Child 2021, "Very Deep VAEs", appendix A;
    there the whole step is skipped). A gradient that is no number is always left out. `skipped`, a metric, is the share
    of steps left out.

    Under loss scaling, as for float16, nothing is left out here: the optimizer that scales the loss skips steps that
    overflow itself, and must see them.

    Args:
        threshold: float > 0, in nats per unit of weight; infinity leaves out what is no number alone.

    Raises:
        ValueError: for another threshold.
    """

    def __init__(self, threshold):
        if threshold != math.inf:
            threshold = checks.number("skip_threshold", threshold, 0.0, open_low=True)
        self.threshold = threshold
        self.skipped = keras.metrics.Mean(name="skipped")

    def __call__(self, gradients, optimizer):
        """The gradients of this replica, a list of tensors or None, as the optimizer is to have them."""
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return gradients
        known = [gradient for gradient in gradients if gradient is not None]  # a user's network may hold idle weights
        squared = sum(ops.sum(ops.square(replicas.all_sum(gradient))) for gradient in known)
        keep = ops.isfinite(squared) & (ops.sqrt(squared) < self.threshold)
        self.skipped.update_state(1.0 - ops.cast(keep, "float32"))
        return [None if gradient is None else ops.where(keep, gradient, 0.0) for gradient in gradients]
