"""The transformer as a prior over codes."""

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops

from zoo.networks import attention
from zoo.priors.codes._base import Cache, CodePrior
from zoo.runtime import checks
from zoo.runtime.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable("zoo")
class Transformer(CodePrior):
    """A causal transformer over a grid of codes.

        x_t = code(c_{t−1}) + row(t div w) + column(t mod w),   logits_t = head(norm(blocks(x_0, …, x_t)))

    with learned vectors for codes, rows and columns. The first place has no code before it: it takes one more learned
    vector, or that of the label. (Vaswani et al. 2017, "Attention Is All You Need", eq. (1), for the attention; Radford
    et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3, for norms before each part and for
    the initial weights; deviation: queries, keys and values have no biases. Child et al. 2019, "Generating Long
    Sequences with Sparse Transformers", section 5.3, for positions by row and column.)

    Example: a grid of 64 places, 512 codes, width 192, 4 blocks and 6 heads make 2.0 million parameters; in sampling,
    each block caches keys `[B,6,32,64]` and values `[B,6,64,32]`.

    Args:
        num_codes: int >= 1, K.
        grid_shape: pair of ints (h, w), the codes of an image.
        num_classes: int >= 1 for a prior of log p(c|y), whose labels `fit` takes as `y`; or None.
        width: int, the numbers of a place; a multiple of `heads`.
        depth: int >= 1, blocks.
        heads: int >= 1, of the attention.
        dropout: float in [0, 1), in training, of the sum of vectors and of the terms that a block adds to it.
        seed: int or None, of the dropout.

    Call arguments:
        codes: int32 `[B,h,w]`.
        labels: int32 `[B]`, for a conditional prior.
        training: bool.

    Returns:
        logits, float32 `[B,h,w,K]`.

    Reports:
        `loss`, −log p(codes) in nats per example, and `nats_per_code`.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> codes = model.encode(images)  # of a trained VQ-VAE: int32 [N,8,8]
        >>> prior = zoo.priors.Transformer(num_codes=512, grid_shape=(8, 8))
        >>> prior.compile("adam")
        >>> prior.fit(codes, batch_size=64, epochs=20)
        >>> prior.sample(16, seed=0).shape
        TensorShape([16, 8, 8])
    """

    def __init__(
        self,
        num_codes: int,
        grid_shape: Shape,
        num_classes: int | None = None,
        width: int = 128,
        depth: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_codes, grid_shape, num_classes, dropout, seed, **kwargs)
        self.heads = checks.positive_int("heads", heads)
        self.width = checks.multiple("width", checks.positive_int("width", width), self.heads)
        self.depth = checks.positive_int("depth", depth)
        self.code_vectors = attention.embedding(self.num_codes, width, self.dtype_policy, "codes")
        self.first_vectors = attention.embedding(self.num_classes or 1, width, self.dtype_policy, "first")
        self.row_vectors = attention.embedding(self.grid_shape[0], width, self.dtype_policy, "rows")
        self.column_vectors = attention.embedding(self.grid_shape[1], width, self.dtype_policy, "columns")
        self.blocks, self.norm = attention.blocks(depth, width, heads, self.drop, self.dtype_policy)
        # The eight bits of bfloat16 logits are too coarse to sample from.
        self.head = layers.Dense(
            self.num_codes, kernel_initializer=keras.initializers.RandomNormal(stddev=0.02), dtype="float32"
        )
        self.head.build((None, None, width))
        self.built = True

    def call(self, codes: Tensor, labels: Tensor | None = None, training: bool = False) -> Tensor:
        before = ops.reshape(codes, (-1, self.length))[:, :-1]
        vectors = self.code_vectors(ops.reshape(before, (-1,)))  # flat, as TFLite's GATHER needs it
        batch_size = ops.shape(codes)[0]
        vectors = ops.reshape(vectors, (batch_size, self.length - 1, self.width))
        x = ops.concatenate([ops.expand_dims(self._first(labels, batch_size), 1), vectors], axis=1)
        x = self.drop(x + self._positions(ops.arange(self.length, dtype="int32")), training=training)
        for block in self.blocks:
            x = block(x, training=training)
        return ops.reshape(self.head(self.norm(x)), (-1, *self.grid_shape, self.num_codes))

    def start(self, batch_size: int | Tensor) -> Cache:
        return attention.empty_cache(self.blocks, batch_size, self.length)

    def step(self, place: Tensor, codes: Tensor, labels: Tensor | None, cache: Cache) -> tuple[Tensor, Cache]:
        before = tf.gather(codes, tf.maximum(place - 1, 0), axis=1)
        first = self._first(labels, ops.shape(codes)[0])
        positions = tf.gather(self._positions(ops.arange(self.length, dtype="int32")), ops.reshape(place, (1,)))
        x = ops.where(ops.equal(place, 0), first, self.code_vectors(before)) + positions
        x, cache = attention.step(self.blocks, ops.expand_dims(x, 1), place, cache)
        return self.head(self.norm(x))[:, 0], cache

    def _first(self, labels, batch_size):
        """The vectors that the first place takes instead of a code, `[B,W]`."""
        return self.first_vectors(ops.zeros((batch_size,), "int32") if labels is None else labels)

    def _positions(self, places):
        """The vectors of rows and columns, `[n,W]`, of places `[n]`."""
        width = self.grid_shape[1]
        return self.row_vectors(places // width) + self.column_vectors(places % width)

    def get_config(self) -> Config:
        return {**super().get_config(), "width": self.width, "depth": self.depth, "heads": self.heads}
