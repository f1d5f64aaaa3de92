"""Gradient ascent on latents, in a graph."""

from collections.abc import Callable

import tensorflow as tf
from keras import ops

from zoo.runtime.types import Tensor

_RATE = 0.05  # the step size


def ascend(objective: Callable[[Tensor], Tensor], first: Tensor, steps: int | Tensor) -> Tensor:
    """Adam (Kingma & Ba 2015, algorithm 1), each row on its own.

    Args:
        objective: function of z `[B,D]` that gives the values to maximise, `[B]`.
        first: float32 `[B,D]`, where it begins.
        steps: int >= 0, or an int32 scalar.

    Returns:
        float32 `[B,D]`.
    """

    def step(t, state):
        z, slope, square = state
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = objective(z)
        gradient = tape.gradient(value, z)
        slope, square = 0.9 * slope + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        steps = ops.cast(t + 1, "float32")
        scale = _RATE * ops.sqrt(1.0 - 0.999**steps) / (1.0 - 0.9**steps)
        return z + scale * slope / (ops.sqrt(square) + 1e-8), slope, square

    return ops.fori_loop(0, steps, step, (first, ops.zeros_like(first), ops.zeros_like(first)))[0]
