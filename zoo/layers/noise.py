"""Noise in training: streams that resume after loading where they stopped, and differ between replicas."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import layers

from zoo import random
from zoo.runtime import checks, replicas
from zoo.runtime.settings import Fixed
from zoo.runtime.types import Config, Shape, Tensor

_SHARED = -1  # stands for the replica's number where all replicas draw the same


class Noise(Fixed, layers.Layer):
    """Base of layers with random numbers, which depend on a seed, the number of earlier draws, and the replica.

    The number of draws is a weight: it is saved and restored. Two replicas never share their noise. Keras's own
    generators give all replicas the same numbers, and start over when they are loaded.

    Args:
        seed: int, or None for a new random seed at each construction.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = checks.seed("seed", seed)
        self._key = random.fresh_seed() if seed is None else seed
        self.draws = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="draws",
            aggregation="only_first_replica",
        )  # fmt: skip
        self.built = True

    def draw(self, generator: Callable[..., Tensor], shape: Shape | Tensor) -> Tensor:
        """Numbers of `shape` from one of TensorFlow's stateless generators. Raises the counter of draws by one."""
        # Training noise need not agree between runtimes, and TensorFlow's generators are faster than `zoo.random`.
        stream = random.fold_in(self._key, replicas.replica_id())
        noise = generator(shape, seed=tf.stack([stream, self.draws.value]))
        self.draws.assign_add(1)
        return noise

    def row_seeds(self, number: int | Tensor) -> Tensor:
        """Seeds int32 `[number]`, the same on every replica. Raises the counter of draws by one."""
        seeds = random.row_seeds(random.fold_in(random.fold_in(self._key, _SHARED), self.draws.value), number)
        self.draws.assign_add(1)
        return seeds

    def get_config(self) -> Config:
        return {**super().get_config(), "seed": self.seed}
