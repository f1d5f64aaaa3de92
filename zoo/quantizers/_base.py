"""The protocol of quantizers, the discrete bottleneck of a VQ-VAE."""

from typing import Any

import tensorflow as tf
from keras import layers, ops

from zoo.fitting import inputs
from zoo.runtime import checks
from zoo.runtime.settings import Fixed
from zoo.runtime.types import ArrayLike, Tensor


class Quantizer(Fixed, layers.Layer):
    """Base of the quantizers. They turn the encoder's vectors into integer codes, and codes into vectors.

    A quantizer sets `num_codes` and `code_dim`, and defines `call` and `lookup`. It computes in float32 under any dtype
    policy.

    Attributes:
        num_codes: int >= 1, K.
        code_dim: int >= 1, the length of a vector.
        codebook: str, how the code vectors are learned: "gradient" adds the term `codebook` to the loss; any other
            value, such as "ema" or "fixed", does not.

    Example:
        >>> class Sign(zoo.quantizers.Quantizer):
        ...     num_codes, code_dim = 2, 1
        ...     def call(self, z_e, training=False):
        ...         codes = keras.ops.cast(z_e[..., 0] > 0, "int32")
        ...         z_q = z_e + keras.ops.stop_gradient(self.lookup(codes) - z_e)
        ...         none = keras.ops.zeros(keras.ops.shape(z_e)[:1])
        ...         return {"z_q": z_q, "codes": codes, "codebook": none, "commitment": none}
        ...     def lookup(self, codes):
        ...         return 2.0 * keras.ops.cast(codes, "float32")[..., None] - 1.0
        >>> Sign()(np.float32([[[0.3], [-2.0]]]))["codes"].numpy()
        array([[1, 0]], dtype=int32)
    """

    codebook: str = "fixed"
    num_codes: int
    code_dim: int

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, z_e: Tensor, training: bool = False) -> dict[str, Tensor]:
        """Quantises vectors.

        Args:
            z_e: float `[B, …, code_dim]`, the encoder's output.
            training: bool, whether the codebook may move.

        Returns:
            dict of `z_q` float32 of `z_e`'s shape, through which the gradient passes to `z_e`; `codes` int32 with one
            entry for each vector, or several along the last axis; `codebook` and `commitment` float32 `[B]`, the terms
            of the loss, in squared units of the latent space.
        """
        raise NotImplementedError

    def lookup(self, codes: Tensor) -> Tensor:
        """The vectors of `codes`, which are int32 of the shape that `call` gives: float32 `[B, …, code_dim]`."""
        raise NotImplementedError

    def distances(self, z_e: Tensor) -> Tensor:
        """The squared distances of vectors from the vector of every code, for quantizers with one code a vector.

        Args:
            z_e: float `[B, …, code_dim]`, the encoder's output.

        Returns:
            float32 `[B, …, K]`, in squared units of the latent space. The least is that of the code that `call` gives.
        """
        return squared_distances(z_e, self.lookup(ops.arange(self.num_codes, dtype="int32")))


def require_codes(codes: ArrayLike, num_codes: int) -> None:
    """Raises ValueError for codes that are no integers from 0 to K − 1; within a graph only for another type."""
    codes = inputs.array("codes", codes)
    inputs.require_integers("codes", codes)
    if not isinstance(codes, tf.Tensor) or hasattr(codes, "numpy"):
        inputs.look([inputs.Values("codes", codes, 0, num_codes - 1)])


def squared_distances(vectors: Tensor, codebook: Tensor) -> Tensor:
    """‖v − e‖² of float vectors `[B, …, D]` and each row of a codebook `[K, D]`: float32 `[B, …, K]`."""
    products = ops.matmul(vectors, ops.transpose(codebook))
    norms = ops.sum(ops.square(vectors), axis=-1, keepdims=True) + ops.sum(ops.square(codebook), axis=-1)
    return ops.maximum(norms - 2.0 * products, 0.0)


def require(quantizer: object) -> Quantizer:
    """Returns `quantizer`; raises a ValueError with the members that it lacks."""
    return checks.implements("quantizer", quantizer, Quantizer, ("call", "lookup", "num_codes", "code_dim"))
