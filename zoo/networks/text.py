"""Transformers of sentences: an encoder to a Gaussian posterior, and an autoregressive decoder."""

from typing import Any

import keras
import tensorflow as tf
from keras import layers, ops, saving

from zoo import random
from zoo._compat import tflite
from zoo.layers.dropout import Dropout
from zoo.networks import attention
from zoo.runtime import checks
from zoo.runtime.settings import Fixed
from zoo.runtime.tokens import BEGIN, END, PADDING, SPECIAL
from zoo.runtime.types import Config, Tensor


class _Transformer(Fixed, layers.Layer):
    """What both networks share: vectors of tokens and places, blocks, and a last norm.

    Args:
        length: int >= 1, T, the tokens of an example.
        num_tokens: int > 3, K; 0 is padding, 1 begins and 2 ends a sentence (`zoo.data.Vocabulary`).
        latent_dim: int >= 1, D.
        width: int, W, the numbers of a place; a multiple of `heads`.
        depth: int >= 1, blocks.
        heads: int >= 1, of the attention.
        dropout: float in [0, 1), in training, of the sum of vectors and of the terms that a block adds to it.
        seed: int or None, of the dropout.
    """

    def __init__(
        self,
        length: int,
        num_tokens: int,
        latent_dim: int,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.length = checks.positive_int("length", length)
        self.num_tokens = checks.integer("num_tokens", num_tokens, SPECIAL + 1)
        self.latent_dim = checks.positive_int("latent_dim", latent_dim)
        self.heads = checks.positive_int("heads", heads)
        self.width = checks.multiple("width", checks.positive_int("width", width), self.heads)
        self.depth = checks.positive_int("depth", depth)
        self.dropout = checks.number("dropout", dropout, 0.0, 1.0, open_high=True)
        self.seed = checks.seed("seed", seed)
        self.drop = Dropout(dropout, seed, dtype=self.dtype_policy)
        self.token_vectors = attention.embedding(self.num_tokens, width, self.dtype_policy)
        self.place_vectors = attention.embedding(self.length, width, self.dtype_policy)
        self.blocks, self.norm = attention.blocks(depth, width, heads, self.drop, self.dtype_policy)

    def _dense(self, inputs, units, **kwargs):
        layer = layers.Dense(units, **kwargs)
        layer.build((None, inputs))
        return layer

    def _of_tokens(self, tokens):
        """The vectors of tokens and of their places: int32 `[B,T]` to `[B,T,W]`."""
        # Flat, as TFLite's GATHER needs it.
        vectors = ops.reshape(self.token_vectors(ops.reshape(tokens, (-1,))), (-1, self.length, self.width))
        return vectors + self.place_vectors(ops.arange(self.length, dtype="int32"))

    def get_config(self) -> Config:
        names = ("length", "num_tokens", "latent_dim", "width", "depth", "heads", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@saving.register_keras_serializable("zoo")
class TextEncoder(_Transformer):
    """A transformer in which all places see each other, and the mean of its places: tokens to a Gaussian posterior.

        h = norm(blocks(token(x_t) + place(t))),   (means, log-variances) = dense(Σ_t k_t h_t / Σ_t k_t)

    where k_t is 0 for padding and 1 else.

    Padding is not seen: a sentence has the same posterior whatever the length of its padding.

    Args:
        length, num_tokens, latent_dim, width, depth, heads, dropout, seed: T, K, D, W and the rest of the transformer;
            see `TextDecoder`.

    Call arguments:
        x: int32 `[B,T]`.
        training: bool.

    Returns:
        float32 `[B,2D]`, means, then log-variances.

    Raises:
        ValueError: for arguments out of range.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.posterior = self._dense(self.width, 2 * self.latent_dim, dtype="float32")
        self.built = True

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """As that of a functional model: (None, T)."""
        return (None, self.length)

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """As that of a functional model: (None, 2D)."""
        return (None, 2 * self.latent_dim)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        known = ops.cast(ops.not_equal(x, PADDING), "float32")  # [B,T]
        unseen = ops.reshape(1.0 - known, (-1, 1, 1, self.length))
        h = self.drop(self._of_tokens(x), training=training)
        for block in self.blocks:
            h = block(h, training=training, unseen=unseen)
        h = ops.cast(self.norm(h), "float32") * ops.expand_dims(known, -1)
        number = ops.maximum(ops.sum(known, axis=1, keepdims=True), 1.0)
        return self.posterior(ops.sum(h, axis=1) / number)


@saving.register_keras_serializable("zoo")
class TextDecoder(_Transformer):
    """An autoregressive transformer over tokens, with the latents at every place:

        log p(x|z) = Σ_t log p(x_t | x_0, …, x_{t−1}, z),   p(x_t = k | …) = softmax(logits_t)_k
        logits_t = head(norm(h_t) + output(z)),   h = blocks(token(x_{t−1}) + place(t) + input(z))

    The token before the first place is 1, begin. Padding and begin have a probability of 0, and after the end there is
    padding alone: sentences of any number of tokens up to T have a probability together of 1.

    With `word_dropout`, the decoder sees padding in training in place of some of the tokens before, and must take from
    z what they were (Bowman et al. 2016, "Generating Sentences from a Continuous Space", section 3.1; deviation: the
    number of the unknown word is that of padding here).

    Example: 32 tokens of 2,003 kinds, 32 latents, width 128, 2 blocks and 4 heads make 0.9 million parameters; in
    sampling, each block caches keys `[B,4,32,32]` and values `[B,4,32,32]`.

    Args:
        length: int >= 1, T, the tokens of an example.
        num_tokens: int > 3, K; 0 is padding, 1 begins and 2 ends a sentence (`zoo.data.Vocabulary`).
        latent_dim: int >= 1, D.
        word_dropout: float in [0, 1), the share of tokens that the decoder does not see in training.
        width: int, W, the numbers of a place; a multiple of `heads`.
        depth: int >= 1, blocks.
        heads: int >= 1, of the attention.
        dropout: float in [0, 1), in training, of the sum of vectors and of the terms that a block adds to it.
        seed: int or None, of dropout and word dropout.

    Call arguments:
        z: float `[B,D]`.
        tokens: int32 `[B,T]`, the sentence whose probability is asked for.
        training: bool.

    Returns:
        logits, float32 `[B,T,K]`; those of place t depend on z and the tokens before t.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> decoder = zoo.networks.TextDecoder(length=8, num_tokens=259, latent_dim=4, width=32, depth=1)
        >>> decoder.generate(tf.zeros((2, 4))).shape
        TensorShape([2, 8])
    """

    def __init__(
        self, length: int, num_tokens: int, latent_dim: int, word_dropout: float = 0.0, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(length, num_tokens, latent_dim, *args, **kwargs)
        self.word_dropout = checks.number("word_dropout", word_dropout, 0.0, 1.0, open_high=True)
        self.drop_words = Dropout(word_dropout, self.seed, dtype="float32")
        # At first z adds as much as the vector of a token does: more would be noise that the decoder has to unlearn.
        start, start_of_z = (keras.initializers.RandomNormal(stddev=0.02 * scale) for scale in (1.0, latent_dim**-0.5))
        of_z: dict[str, Any] = {"kernel_initializer": start_of_z, "dtype": self.dtype_policy}
        self.input_of_z = self._dense(self.latent_dim, self.width, **of_z)
        self.output_of_z = self._dense(self.latent_dim, self.width, use_bias=False, **of_z)
        # The eight bits of bfloat16 logits are too coarse to sample from.
        self.head = self._dense(self.width, self.num_tokens, kernel_initializer=start, dtype="float32")
        self.built = True

    def call(self, z: Tensor, tokens: Tensor, training: bool = False) -> Tensor:
        before = tokens[:, :-1]
        if training and self.word_dropout:
            seen = self.drop_words(ops.ones(ops.shape(before), "float32"), training=True) > 0.0
            before = ops.where(seen, before, PADDING)
        before = ops.concatenate([ops.full_like(tokens[:, :1], BEGIN), before], axis=1)
        h = self._of_tokens(before) + ops.expand_dims(self.input_of_z(z), 1)
        h = self.drop(h, training=training)
        for block in self.blocks:
            h = block(h, training=training)
        return self._logits(h, z)

    def _logits(self, h, z):
        impossible = ops.cast(ops.arange(self.num_tokens, dtype="int32") < END, "float32")  # padding and begin
        return self.head(self.norm(h) + ops.expand_dims(self.output_of_z(z), 1)) + attention.FAR * impossible

    def generate(self, z: Tensor, seeds: Tensor | None = None) -> Tensor:
        """Decodes latents by a loop that is not unrolled and converts to TFLite's operators.

        Args:
            z: float `[B,D]`.
            seeds: int32 `[B]`, to sample from p(x|z): the token of place t is argmax(logits + Gumbel noise), with the
                noise of the seed `zoo.random.fold_in(seed, t)`; None for the likeliest token at each place (greedy).

        Returns:
            int32 `[B,T]`, padding after the end.
        """
        places = tf.range(self.length)
        shift = self.input_of_z(z)
        if seeds is not None:
            seeds = random.fold_in(seeds, places[:, None])  # [T,B], outside the loop

        def body(place, token, going, tokens, cache):
            logits, cache = self._step(place, token, z, shift, cache)
            if seeds is not None:
                logits = logits + random.gumbel(seeds[place], (self.num_tokens,))
            token = tf.where(going, tflite.argmax(logits, axis=-1), PADDING)
            tokens = tf.where(tf.equal(places, place), token[:, None], tokens)
            return place + 1, token, going & tf.not_equal(token, END), tokens, cache

        number = ops.shape(z)[0]
        start = (tf.constant(0), tf.fill((number,), BEGIN), tf.fill((number,), True))
        _, _, _, tokens, _ = tf.while_loop(
            lambda place, token, going, tokens, cache: (place < self.length) & tf.reduce_any(going),
            body,
            (
                *start,
                tf.zeros((number, self.length), tf.int32),
                attention.empty_cache(self.blocks, number, self.length),
            ),
            maximum_iterations=self.length,
        )
        return tf.ensure_shape(tokens, (None, self.length))

    def _step(self, place, token, z, shift, cache):
        """The logits of one place, float32 `[B,K]`, from the token before it, int32 `[B]`; and the next cache."""
        position = tf.gather(self.place_vectors(tf.range(self.length)), ops.reshape(place, (1,)))
        h = ops.expand_dims(self.token_vectors(token) + position + shift, 1)
        h, cache = attention.step(self.blocks, h, place, cache)
        return self._logits(h, z)[:, 0], cache

    def get_config(self) -> Config:
        return {**super().get_config(), "word_dropout": self.word_dropout}
