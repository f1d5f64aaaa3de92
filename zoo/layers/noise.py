"""What draws noise in training: streams that go on after loading where they stopped, and differ between replicas."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import layers

from zoo import random
from zoo.runtime import checks, replicas
from zoo.runtime.types import Config, Shape, Tensor

_SHARED = -1  # in the place of a replica's number


class Noise(layers.Layer):
    """A layer with random numbers of its own, which depend on a seed, on how many draws it made, and on the replica.

    The number of draws is a weight, so that it is saved and restored; two replicas never share their noise. Keras's own
    generators give every replica the same, and forget when they are loaded what they drew.

    Args:
        seed: int, or None for one drawn afresh at each construction.
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
        """Numbers of `shape` from one of TensorFlow's stateless generators, and one draw more on the counter."""
        # TensorFlow's, as training noise need not agree between runtimes and they are faster.
        stream = random.fold_in(self._key, replicas.replica_id())
        noise = generator(shape, seed=tf.stack([stream, self.draws.value]))
        self.draws.assign_add(1)
        return noise

    def row_seeds(self, number: int | Tensor) -> Tensor:
        """Seeds int32 `[number]`, the same on every replica, and one draw more on the counter."""
        seeds = random.row_seeds(random.fold_in(random.fold_in(self._key, _SHARED), self.draws.value), number)
        self.draws.assign_add(1)
        return seeds

    def get_config(self) -> Config:
        return {**super().get_config(), "seed": self.seed}
