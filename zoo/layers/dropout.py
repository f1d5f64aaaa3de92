"""Dropout that goes on after loading where it stopped, and differs between replicas."""

from typing import Any

import tensorflow as tf
from keras import saving

from zoo.layers.noise import Noise
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor


@saving.register_keras_serializable("zoo")
class Dropout(Noise):
    """Sets each number to 0 with probability `rate` in training, and divides the others by 1 − rate.

    Keras's own gives every replica the same mask, and forgets when it is loaded which masks it drew. Here a mask
    depends on the seed, on how many were drawn (a weight), and on the replica, as the noise of `zoo.layers.Sampling`.

    Args:
        rate: float in [0, 1).
        seed: int, or None for one drawn afresh at each construction.

    Call arguments:
        x: float of any shape.
        training: bool; False gives `x` as it is.

    Returns:
        of `x`'s shape and dtype.

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
