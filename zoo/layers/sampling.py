"""The reparameterised draw."""

import tensorflow as tf
from keras import layers, ops, saving

from zoo import random, replica


@saving.register_keras_serializable("zoo")
class Sampling(layers.Layer):
    """z = μ + e^(½ log σ²) · ε with ε ~ N(0, I), so that the draw has a gradient.

    Kingma & Welling 2014, eq. (10). The noise depends on the seed, on how many draws the layer has made
    (a weight, so that it is saved and restored), and on the replica: two replicas never share it.

    Args:
        seed: int, or None for one drawn afresh at each construction.

    Call arguments:
        mean, log_var: `[B, …]`.

    Returns:
        float32 `[B, …]`.

    Example:
        >>> zoo.layers.Sampling(seed=0)(mean, log_var)
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self._key = random.fresh_seed() if seed is None else seed
        self.draws = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="draws",
            aggregation="only_first_replica",
        )  # fmt: skip
        self.built = True

    def call(self, mean, log_var):
        mean, log_var = ops.cast(mean, "float32"), ops.cast(log_var, "float32")
        return mean + ops.exp(0.5 * log_var) * self.noise(ops.shape(mean))

    def noise(self, shape):
        """Standard normal noise of `shape`, and one draw more on the counter."""
        # TensorFlow's generator, as training noise need not agree between runtimes and it is faster.
        stream = random.fold_in(self._key, replica.replica_id())
        noise = tf.random.stateless_normal(shape, seed=tf.stack([stream, self.draws.value]))
        self.draws.assign_add(1)
        return noise

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
