"""Dropout that resumes after loading where it stopped, and differs between replicas."""

from typing import Any

import tensorflow as tf
from keras import saving

from zoo.layers.noise import Noise
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor


@saving.register_keras_serializable("zoo")
class Dropout(Noise):
    """Sets each number to 0 with probability `rate` in training, and divides the others by 1 − rate.

    Keras's layer gives all replicas the same mask, and starts over when it is loaded. This one derives a mask from the
    seed, the number of earlier draws (a weight) and the replica, as `zoo.layers.Sampling` does with its noise.

    Args:
        rate: float in [0, 1).
        seed: int, or None for a new random seed at each construction.

    Call arguments:
        x: float of any shape.
        training: bool; False returns `x` unchanged.

    Returns:
        a tensor of `x`'s shape and dtype.

    Raises:
        ValueError: if `rate` is out of range.
    """

    def __init__(self, rate: float = 0.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = checks.number("rate", rate, 0.0, 1.0, open_high=True)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if not training or self.rate == 0.0:
            return x
        noise = self.draw(tf.random.stateless_uniform, tf.shape(x))
        return tf.where(noise < self.rate, tf.zeros_like(x), x / (1.0 - self.rate))

    def get_config(self) -> Config:
        return {**super().get_config(), "rate": self.rate}
