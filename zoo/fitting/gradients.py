"""A training policy that leaves out gradients that are too large."""

import math

import keras
from keras import ops

from zoo.runtime import checks, replicas
from zoo.runtime.types import Tensor


class SkipLargeGradients:
    """Leaves out the gradient of a training step where its norm, over all weights and replicas, reaches a threshold.

    The optimizer then receives a gradient of 0, and only its momentum moves the weights (Child 2021, "Very Deep VAEs",
    appendix A; there the whole step is skipped). A gradient with a NaN or infinite value is always left out. `skipped`,
    a metric, is the share of steps left out. The scale `Gaussian("optimal")` and codebooks pass over values that are
    NaN or infinite; what a user's own layers keep of a batch, such as its statistics, is not protected.

    Under loss scaling, as for float16, nothing is left out here: the optimizer that scales the loss itself skips steps
    that overflow, and must see them.

    Args:
        threshold: float > 0, in nats per unit of weight; infinity leaves out only gradients that are NaN or infinite.

    Raises:
        ValueError: for another threshold.
    """

    def __init__(self, threshold: float) -> None:
        if threshold != math.inf:
            threshold = checks.number("skip_threshold", threshold, 0.0, open_low=True)
        self.threshold = threshold
        self.skipped = keras.metrics.Mean(name="skipped")

    def __call__(self, gradients: list[Tensor | None], optimizer: keras.optimizers.Optimizer) -> list[Tensor | None]:
        """Returns the gradients of this replica for the optimizer: unchanged, or 0 where the step is left out.

        An entry is None where a weight has no gradient.
        """
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            return gradients
        keep = _is_below(self.threshold, gradients, optimizer)
        self.skipped.update_state(1.0 - ops.cast(keep, "float32"))
        return _kept(gradients, keep)


def only_finite(gradients: list[Tensor | None], optimizer: keras.optimizers.Optimizer) -> list[Tensor | None]:
    """As `SkipLargeGradients` with infinity, but nothing is counted: for an optimizer beside the model's own."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return gradients
    return _kept(gradients, _is_below(math.inf, gradients, optimizer))


def _is_below(threshold, gradients, optimizer):
    """Whether the norm of the gradient over all replicas is finite, and below the threshold."""
    known = [gradient for gradient in gradients if gradient is not None]  # a user's network may hold unused weights
    squared = sum(ops.sum(ops.square(replicas.all_sum(gradient))) for gradient in known)
    scale = getattr(optimizer, "loss_scale_factor", None) or 1.0  # of the loss, and so of its gradients
    return ops.isfinite(squared) & (ops.sqrt(squared) < threshold * scale)


def _kept(gradients, keep):
    return [None if gradient is None else ops.where(keep, gradient, 0.0) for gradient in gradients]
