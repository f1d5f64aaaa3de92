"""Attention: the block of a transformer, for whole sequences and for one place after the other."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
from keras import layers, ops

from zoo.layers.dropout import Dropout
from zoo.runtime.types import Tensor

Cache: TypeAlias = Sequence[tuple[Tensor, ...]]  # of each block: keys [B,H,d,T] and values [B,H,T,d]

FAR = -1e9  # added to the score of a place that must not be seen


def embedding(number: int, width: int, dtype: keras.DTypePolicy, name: str | None = None) -> layers.Embedding:
    """A layer with a vector `[width]` for each of `number` integers, built, with the initial values of GPT-2."""
    layer = layers.Embedding(number, width, keras.initializers.RandomNormal(stddev=0.02), dtype=dtype, name=name)
    layer.build()
    return layer


def blocks(
    depth: int, width: int, heads: int, drop: Dropout, dtype: keras.DTypePolicy
) -> tuple[list["Block"], layers.LayerNormalization]:
    """The blocks of a transformer, and the norm after the last one."""
    norm = layers.LayerNormalization(epsilon=1e-5, dtype=dtype)
    norm.build((None, None, width))
    return [Block(width, heads, depth, drop, dtype=dtype, name=f"block_{i}") for i in range(depth)], norm


def empty_cache(blocks: Sequence["Block"], number: int | Tensor, length: int) -> Cache:
    """What `step` takes at the first place, for `number` sequences of `length` places."""
    return [block.empty_cache(number, length) for block in blocks]


def step(blocks: Sequence["Block"], x: Tensor, place: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
    """Computes one place by all blocks: `[B,1,W]` to `[B,1,W]`, and the next cache.

    Args:
        blocks: of the transformer.
        x: `[B,1,W]`.
        place: int32, t.
        cache: of the places before t.
    """
    places = ops.arange(cache[0][1].shape[2], dtype="int32")
    here = ops.cast(ops.equal(places, place), x.dtype)
    mask = FAR * ops.cast(places > place, "float32")
    caches = []
    for block, kept in zip(blocks, cache):
        x, kept = block.step(x, here, mask, kept)
        caches.append(kept)
    return x, caches


class Block(layers.Layer):
    """x + attention(norm(x)), then x + mlp(norm(x)): a block of GPT-2, in which a place sees itself and those before.

    Args:
        width: int, W, the numbers of a place.
        heads: int, H, a divisor of the width; d = W/H.
        depth: int, the number of blocks. The more blocks, the smaller the initial weights of the layers that add to x.
        drop: layer, the dropout of the terms added to x.
    """

    def __init__(self, width: int, heads: int, depth: int, drop: Dropout, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.drop = heads, drop
        start, added = (keras.initializers.RandomNormal(stddev=0.02 * scale) for scale in (1.0, (2 * depth) ** -0.5))
        self.norm = layers.LayerNormalization(epsilon=1e-5, dtype=self.dtype_policy)
        self.norm_mlp = layers.LayerNormalization(epsilon=1e-5, dtype=self.dtype_policy)
        # Without biases: a key's bias would add the same to all scores of a place.
        self.query_key_value = layers.Dense(
            3 * width, use_bias=False, kernel_initializer=start, dtype=self.dtype_policy
        )
        self.attention_out = layers.Dense(width, kernel_initializer=added, dtype=self.dtype_policy)
        self.hidden = layers.Dense(4 * width, kernel_initializer=start, dtype=self.dtype_policy)
        self.mlp_out = layers.Dense(width, kernel_initializer=added, dtype=self.dtype_policy)
        for layer in (self.norm, self.norm_mlp, self.query_key_value, self.attention_out, self.hidden):
            layer.build((None, None, width))
        self.mlp_out.build((None, None, 4 * width))
        self.built = True

    def call(self, x: Tensor, training: bool = False, unseen: Tensor | None = None) -> Tensor:
        """Computes all places at once: `[B,T,W]` to `[B,T,W]`.

        Args:
            x: `[B,T,W]`.
            training: bool.
            unseen: float32 that broadcasts to `[B,H,T,T]`, 1 where a place (third axis) must not see another (fourth);
                None hides those that come later.
        """
        length = x.shape[1]
        if unseen is None:
            unseen = 1.0 - ops.tril(ops.ones((length, length), "float32"))
        query, key, value = self._split(x)
        mask = FAR * ops.cast(unseen, "float32")  # Keras has cast `unseen` to the dtype in which this layer computes
        return self._add(x, query, ops.transpose(key, (0, 1, 3, 2)), value, mask, training)

    def empty_cache(self, number: int | Tensor, length: int) -> tuple[Tensor, ...]:
        """Keys `[B,H,d,T]` and values `[B,H,T,d]` of 0, for B `number` and T `length`."""
        size = self.attention_out.units // self.heads
        shapes = ((size, length), (length, size))
        return tuple(ops.zeros((number, self.heads, *shape), self.compute_dtype) for shape in shapes)

    def step(
        self, x: Tensor, here: Tensor, mask: Tensor, cache: Sequence[Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Computes place t alone.

        Args:
            x: `[B,1,W]`.
            here: `[T]`, 1 at t and 0 elsewhere.
            mask: float32 `[T]`, added to the scores.
            cache: keys `[B,H,d,T]` and values `[B,H,T,d]` of the places before t, 0 from t on.

        Returns:
            `[B,1,W]`, and the cache with the key and the value of t.
        """
        query, key, value = self._split(x)
        # A sum with zeros, as TFLite has no update in place.
        keys = cache[0] + ops.reshape(key, (-1, *cache[0].shape[1:3], 1)) * here
        values = cache[1] + value * ops.expand_dims(here, 1)
        return self._add(x, query, keys, values, mask, training=False), (keys, values)

    def _split(self, x):
        """Queries, keys and values `[B,H,n,d]`, from `[B,n,W]`."""
        width, length = x.shape[-1], x.shape[1]
        x = ops.reshape(self.query_key_value(self.norm(x)), (-1, length, 3 * self.heads, width // self.heads))
        return ops.split(ops.transpose(x, (0, 2, 1, 3)), 3, axis=1)

    def _add(self, x, query, keys, values, mask, training):
        scores = ops.cast(ops.matmul(query, keys), "float32")  # [B,H,n,T]
        weights = ops.softmax(scores * query.shape[-1] ** -0.5 + mask, axis=-1)
        mixed = ops.matmul(ops.cast(weights, values.dtype), values)
        mixed = ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, *x.shape[1:]))
        x = x + self.drop(self.attention_out(mixed), training=training)
        hidden = ops.gelu(self.hidden(self.norm_mlp(x)), approximate=True)
        return x + self.drop(self.mlp_out(hidden), training=training)
