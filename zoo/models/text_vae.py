"""The sentence VAE."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo import networks
from zoo.fitting import inputs
from zoo.fitting.batched import batched
from zoo.likelihoods import Categorical
from zoo.models._protocol import observed_seeds
from zoo.models.vae import VAE
from zoo.priors import LatentPrior
from zoo.runtime import checks
from zoo.runtime.tokens import BEGIN, END, PADDING
from zoo.runtime.types import Array, ArrayLike, Batches, Config, Labels, Tensor


@dataclasses.dataclass(frozen=True)
class Sentences(inputs.Values):
    """Tokens `[B,T]` of sentences: tokens other than padding and begin, then nothing but padding after the end."""

    def hold(self) -> Tensor:
        return tf.reduce_all(self.hold_rows())

    def hold_rows(self) -> Tensor:
        tokens = tf.convert_to_tensor(self.array)
        return super().hold_rows() & tf.reduce_all(_fit(tokens), axis=1)

    def require(self, values: np.ndarray) -> None:
        super().require(values)
        wrong = np.argwhere(~np.asarray(_fit(tf.constant(values))))
        if len(wrong):
            row, place = wrong[0].tolist()
            expected = f"sentences: tokens from {END} on, with padding {PADDING} after the end {END} and only there"
            checks.fail(self.name, expected, f"{values[row, place]} at place {place} of row {row}")


def _fit(tokens):
    """Whether each token may stand where it does, bool `[B,T]`."""
    before = tf.concat([tf.fill(tf.shape(tokens[:, :1]), tf.cast(BEGIN, tokens.dtype)), tokens[:, :-1]], axis=1)
    over = tf.equal(before, PADDING) | tf.equal(before, END)
    return tf.equal(tf.equal(tokens, PADDING), over) & tf.not_equal(tokens, BEGIN)


@keras.saving.register_keras_serializable("zoo")
class TextVAE(VAE):
    """A VAE of sentences, whose decoder gives one token after the other:

        loss = −log p(x|z) + w · KL( q(z|x) ‖ p(z) ),   log p(x|z) = Σ_t log p(x_t | x_0, …, x_{t−1}, z)

    where the sum goes up to the end token, which counts; padding does not. (Bowman et al. 2016, "Generating Sentences
    from a Continuous Space", section 3, with transformers for the recurrent networks, and z at each place.) The terms
    are in nats per sentence.

    A decoder that predicts well without z leaves the KL at 0. Against this help the decoder's `word_dropout`,
    `free_bits`, and a weight of the KL that rises from 0, in cycles too: `zoo.callbacks.KLWarmup(steps, cycles=4,
    ratio=0.5)` (Fu et al. 2019, "Cyclical Annealing Schedule").

    `decode`, `reconstruct` and `sample` give tokens: the likeliest at each place, given those before it (greedy);
    `sample(…, observe=True)` samples them from p(x|z). `zoo.applications.TextModel` takes and gives lines.

    Args:
        encoder: layer from int32 `[B,T]` to `[B,2D]`, means, then log-variances, such as `zoo.networks.TextEncoder`.
        decoder: `zoo.networks.TextDecoder`.
        free_bits, seed, prior: as in `zoo.VAE`.
        vocabulary: dict that JSON can hold, kept with the model: `get_config()` of its `zoo.data.Vocabulary`; or None.

    Call arguments:
        x: int32 `[B,T]`, tokens from 2 to K − 1, with padding 0 after the end 2. One of T tokens may lack the end.

    Returns:
        reconstructions, int32 `[B,T]`.

    Raises:
        ValueError: for arguments out of range, a decoder of another kind, networks that do not fit each other, and
            tokens of another type, shape or range, or that are no sentences.

    Example:
        >>> vocabulary = zoo.data.Vocabulary(length=16)
        >>> encoder = zoo.networks.TextEncoder(16, vocabulary.size, latent_dim=4, width=32, depth=1)
        >>> decoder = zoo.networks.TextDecoder(16, vocabulary.size, latent_dim=4, width=32, depth=1, word_dropout=0.3)
        >>> model = zoo.TextVAE(encoder, decoder, free_bits=0.1)
        >>> model.compile("adam")
        >>> model.fit(vocabulary.encode(["One line.", "Another one."]), epochs=1)
        >>> model.sample(2, seed=0).shape
        TensorShape([2, 16])
    """

    data_dtype = "int32"

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: networks.TextDecoder,
        free_bits: float = 0.0,
        seed: int | None = None,
        prior: LatentPrior | None = None,
        vocabulary: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(decoder, networks.TextDecoder):
            checks.fail("decoder", "a zoo.networks.TextDecoder", decoder)
        for name in ("length", "num_tokens", "latent_dim"):
            own, other = getattr(decoder, name), getattr(encoder, name, None)
            if other not in (None, own):
                checks.fail("encoder", f"one of the decoder's {name}, {own}", other)
        super().__init__(encoder, decoder, Categorical(), free_bits, seed, prior, **kwargs)
        object.__setattr__(self, "vocabulary", vocabulary)  # plain, as JSON takes it

    # p(x|z): its parameters are z, as the decoder needs the tokens before each place too.

    def likelihood_params(self, inputs: Tensor, training: bool = False) -> Tensor:
        return ops.cast(inputs, "float32")

    def judge(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        logits = self.decoder(params, x, training=training)
        self.note_added(self.decoder)
        known = ops.cast(ops.not_equal(x, PADDING), "float32")
        tokens = Categorical.one_hot(x, self.decoder.num_tokens) * ops.expand_dims(known, -1)
        return self.likelihood.log_prob(tokens, logits, training=training)

    def data_of(self, params: Tensor, seeds: Tensor | None = None, observe: bool = False) -> Tensor:
        return self.decoder.generate(params, observed_seeds(seeds) if observe else None)

    @batched
    def decode(self, z: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """The tokens of latents, the likeliest at each place: float `[B,D]` to int32 `[B,T]`, padding after the end."""
        return self.data_of(self.decoded(z, labels))

    # The data.

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(T,), the shape of an example."""
        return (self.decoder.length,)

    @property
    def known_shape(self) -> tuple[int | None, ...]:
        return self.image_shape

    @property
    def example_shape(self) -> tuple[int, ...]:
        return (self.decoder.length, self.decoder.num_tokens)  # of the logits, which need more memory than the tokens

    @property
    def data_range(self) -> tuple[float, float]:
        return (0, self.decoder.num_tokens - 1)

    def data_values(self, name: str, x: Array, judged: bool = False) -> inputs.Values:
        return Sentences(name, x, *self.data_range)

    def _values(self, batch: Any, judged: bool = True) -> list[inputs.Values | inputs.Target]:
        if batch.target is not None:
            checks.fail("y", "None, as a sentence is its own target", f"shape {tuple(batch.target.shape)}")
        return super()._values(batch, judged)

    def get_config(self) -> Config:
        config = super().get_config()
        del config["likelihood"], config["kl_weight"]
        return {**config, "vocabulary": self.vocabulary}
