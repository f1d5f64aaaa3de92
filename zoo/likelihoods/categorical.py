"""The categorical likelihood, for tokens and other classes."""

from keras import ops, saving

from zoo import distributions
from zoo._compat.tflite import argmax
from zoo.likelihoods import _draws
from zoo.likelihoods._base import Likelihood
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Tensor


@saving.register_keras_serializable("zoo")
class Categorical(Likelihood):
    """One of K classes at each place: softmax(logits) over the last axis.

        log p(x|z) = Σ_places Σ_k x_k log softmax(l)_k

    Data are float32 one-hot vectors, `[B,…,K]`, as an encoder takes them without an embedding of its own; `one_hot`
    makes them from integer classes, and `classes` is its inverse. A place whose K values are all 0, such as padding,
    counts nothing. Sentences of T tokens are `[B,T,K]`. The mean of the data is the probabilities, a sample is one-hot.

    Example:
        >>> tokens = zoo.likelihoods.Categorical.one_hot([[2, 0, 1]], num_classes=4)
        >>> tokens.shape
        TensorShape([1, 3, 4])
        >>> zoo.likelihoods.Categorical.classes(tokens)
        <tf.Tensor: shape=(1, 3), dtype=int32, numpy=array([[2, 0, 1]], dtype=int32)>
    """

    couples_channels = True

    @staticmethod
    def one_hot(classes: ArrayLike, num_classes: int) -> Tensor:
        """Integers `[…]` from 0 to `num_classes` − 1 as float32 `[…,num_classes]`; others become zeros."""
        checks.positive_int("num_classes", num_classes)
        return ops.one_hot(ops.cast(classes, "int32"), num_classes, dtype="float32")

    @staticmethod
    def classes(x: ArrayLike) -> Tensor:
        """The likeliest class of each place: float `[…,K]`, one-hot or probabilities, to int32 `[…]`."""
        return argmax(ops.cast(x, "float32"), axis=-1)

    def log_prob(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        return distributions.categorical_log_prob(x, params)

    def mean(self, params: Tensor) -> Tensor:
        if params.shape[-1] == 1:  # a column of a single value; Keras would warn of its softmax
            return ops.ones_like(params)
        return ops.softmax(params, axis=-1)

    def sample(self, params: Tensor, seeds: Tensor) -> Tensor:
        return _draws.categorical(seeds, params)
