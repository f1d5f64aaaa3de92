"""Bounds of the log-likelihood of a dataset."""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from zoo.runtime.types import ArrayLike


def log_prob(
    model: keras.Model, batches: Iterable[ArrayLike | tuple[ArrayLike, ArrayLike]], num_samples: int = 1, seed: int = 0
) -> dict[str, float]:
    """The mean of `model.log_prob` over a dataset: nats per example.

    Args:
        model: a model of the zoo.
        batches: iterable of float images `[B,H,W,C]`, or of (images, labels) for a conditional model.
        num_samples: int >= 1, importance samples per image.
        seed: int.

    Returns:
        dict of floats: `log_prob`, and the `standard_error` of this mean over the images (NaN for a single image).

    Example:
        >>> batches = [images[:16], images[16:]]
        >>> zoo.evaluation.log_prob(model, batches, num_samples=10)
        {'log_prob': …, 'standard_error': …}
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def evaluate(x, labels, seed):
        return model.log_prob(x, num_samples, seed, labels)

    values = []
    for number, batch in enumerate(batches):
        x, labels = batch if model.conditional else (batch, None)
        # Another seed for each batch, or the i-th images of all batches would share their noise.
        values.append(evaluate(x, labels, tf.constant(seed + number)).numpy())
    examples = np.concatenate(values).astype(np.float64)
    spread = examples.std(ddof=1) if len(examples) > 1 else np.nan
    return {"log_prob": float(examples.mean()), "standard_error": float(spread / np.sqrt(len(examples)))}
