"""Sampling from the posterior, reparameterised."""

import tensorflow as tf
from keras import ops, saving

from zoo import distributions
from zoo.layers.noise import Noise
from zoo.runtime.types import ArrayLike, Shape, Tensor


@saving.register_keras_serializable("zoo")
class Sampling(Noise):
    """z = μ + e^(½ log σ²) · ε with ε ~ N(0, I): a sample with a gradient.

    Kingma & Welling 2014, eq. (10). The noise depends on the seed, on the number of earlier draws (a weight, which is
    saved and restored), and on the replica: two replicas never share it.

    Args:
        seed: int, or None for a new random seed at each construction.

    Call arguments:
        mean, log_var: `[B, …]`.

    Returns:
        float32 `[B, …]`.

    Example:
        >>> posterior = model.encode(images)
        >>> zoo.layers.Sampling(seed=0)(posterior["mean"], posterior["log_var"]).shape
        TensorShape([32, 16])
    """

    def call(self, mean: ArrayLike, log_var: ArrayLike) -> Tensor:
        mean, log_var = ops.cast(mean, "float32"), ops.cast(log_var, "float32")
        return distributions.reparameterize(mean, log_var, self.noise(ops.shape(mean)))

    def noise(self, shape: Shape | Tensor) -> Tensor:
        """Standard normal noise of `shape`. Raises the counter of draws by one."""
        return self.draw(tf.random.stateless_normal, shape)
