"""Interpolation between images through the latent space."""

import keras
import numpy as np
from keras import ops

from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Tensor


def interpolate(
    model: keras.Model,
    start: np.ndarray | Tensor,
    end: np.ndarray | Tensor,
    num_steps: int = 8,
    labels: ArrayLike | None = None,
) -> np.ndarray:
    """Images on the straight line between two images' embeddings.

    An embedding is the posterior mean, of all layers for a hierarchical VAE. For a VQ-VAE it is the encoder's output,
    and each point of the line is quantised.

    Args:
        model: a model of the zoo.
        start, end: float `[B,H,W,C]` in [0, 1].
        num_steps: int >= 2, including the two ends.
        labels: int32 `[B]`, for a conditional model.

    Returns:
        float32 array `[B,num_steps,H,W,C]`.

    Raises:
        ValueError: if `num_steps` is below 2, or the shapes of `start` and `end` differ.

    Example:
        >>> zoo.applications.interpolate(model, images[:4], images[4:8], num_steps=5).shape
        (4, 5, 28, 28, 1)
    """
    if checks.positive_int("num_steps", num_steps) < 2:
        checks.fail("num_steps", "an integer >= 2", num_steps)
    if tuple(start.shape) != tuple(end.shape):
        checks.fail("end", f"of start's shape {tuple(start.shape)}", tuple(end.shape))
    a, b = model.embed(start, labels), model.embed(end, labels)
    weights = np.linspace(0.0, 1.0, num_steps, dtype=np.float32)
    frames = [model.decode_embedding((1.0 - weight) * a + weight * b, labels) for weight in weights]
    return ops.convert_to_numpy(ops.stack(frames, axis=1))
