"""The objective and the sampling loop of all priors over codes."""

import functools
from collections.abc import Sequence
from typing import Any, TypeAlias

import tensorflow as tf
from keras import ops

from zoo import random
from zoo._compat import tflite
from zoo.fitting import inputs
from zoo.fitting.batched import batched
from zoo.fitting.model import ObjectiveModel
from zoo.layers.dropout import Dropout
from zoo.runtime import checks, cores
from zoo.runtime.settings import Fixed
from zoo.runtime.types import Array, ArrayLike, Batches, Config, Labels, Seeds, Shape, Tensor, Tensors

# The state that sampling passes from place to place: tensors whose shapes do not change.
Cache: TypeAlias = Sequence[tuple[Tensor, ...]]


class CodePrior(Fixed, ObjectiveModel):
    """An autoregressive distribution over a grid of codes, in the order of rows:

        log p(c) = Σ_t log p(c_t | c_0, …, c_{t−1}),   p(c_t = k | …) = softmax(logits_t)_k,   loss = −log p(c)

    A prior computes the logits of a whole grid in `call`, and those of one place after the other in `step`. `fit`,
    `log_prob` and `sample` follow from these.

    Args:
        num_codes: int >= 1, K.
        grid_shape: pair of ints (h, w), the codes of an image. T = h·w.
        num_classes: int >= 1 for a prior of log p(c|y), whose labels `fit` takes as `y`; or None.
        dropout: float in [0, 1), in training.
        seed: int or None, of the dropout.
    """

    data_argument = "codes"
    term_names = ("loss", "nats_per_code")
    reconstructs = False

    def __init__(
        self,
        num_codes: int,
        grid_shape: Shape,
        num_classes: int | None = None,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_codes = checks.positive_int("num_codes", num_codes)
        self.grid_shape = tuple(checks.positive_int("grid_shape", size) for size in grid_shape)
        if len(self.grid_shape) != 2:
            checks.fail("grid_shape", "a pair of integers (h, w)", grid_shape)
        self._set_conditions(num_classes)
        self.dropout = checks.number("dropout", dropout, 0.0, 1.0, open_high=True)
        self.seed = checks.seed("seed", seed)
        self.drop = Dropout(dropout, seed, dtype=self.dtype_policy)

    @property
    def length(self) -> int:
        """T, the number of codes of an image."""
        return self.grid_shape[0] * self.grid_shape[1]

    # A prior defines these.

    def call(self, codes: Tensor, labels: Tensor | None = None, training: bool = False) -> Tensor:
        """`logits` without its checks."""
        raise NotImplementedError

    def start(self, batch_size: int | Tensor) -> Cache:
        """The cache of `step` at place 0, a structure of tensors whose shapes do not change."""
        return ()

    def step(self, place: Tensor, codes: Tensor, labels: Tensor | None, cache: Cache) -> tuple[Tensor, Cache]:
        """Computes the logits of one place, for sampling.

        Args:
            place: int32 scalar t, from 0 to T − 1; calls go through the places in order.
            codes: int32 `[B,T]`. The logits depend on the codes before t alone.
            labels: int32 `[B]`, or None for a prior that is not conditional.
            cache: from `start` at place 0, then from the step before.

        Returns:
            logits of place t, float32 `[B,K]`, equal to those of `logits` up to rounding; the cache of the next step.
        """
        raise NotImplementedError

    # The rest follows from them.

    @batched
    def logits(
        self,
        codes: ArrayLike | Batches,
        labels: Labels = None,
        training: bool = False,
        batch_size: int | None = None,
    ) -> Tensor:
        """The logits of every place, given the codes before it in the order of rows.

        Args:
            codes: int32 `[B,h,w]`.
            labels: int32 `[B]`, for a conditional prior.
            training: bool, whether dropout is applied.
            batch_size: int >= 1, rows at once; None for a number that suits their size.

        Returns:
            float32 `[B,h,w,K]`.

        Raises:
            ValueError: for codes or labels of another kind, shape or range.
        """
        return self(*self._inputs(codes, labels), training=training)

    @batched
    def log_prob(self, codes: ArrayLike | Batches, labels: Labels = None, batch_size: int | None = None) -> Tensor:
        """The exact log p(codes), or log p(codes|labels) of a conditional prior.

        Args:
            codes: int32 `[B,h,w]`.
            labels: int32 `[B]`, for a conditional prior.
            batch_size: int >= 1, rows at once; None for a number that suits their size.

        Returns:
            float32 `[B]`, nats.

        Raises:
            ValueError: for codes or labels of another kind, shape or range.
        """
        return -self.compute_terms(*self._inputs(codes, labels))["loss"]

    def compute_terms(
        self, x: Tensor, labels: Tensor | None = None, training: bool = False, target: Tensor | None = None
    ) -> Tensors:
        statistics = training and bool(self.non_trainable_weights)
        loss = cores.spread(functools.partial(self._cross_entropy, training=training), x, labels, statistics=statistics)
        return {"loss": loss, "nats_per_code": loss / self.length}

    def _cross_entropy(self, codes, labels, training):
        logits = self(codes, labels, training=training)
        # One-hot rows and sums convert to TFLite, for the log-probability that a VQ-VAE exports.
        chosen = ops.sum(logits * ops.one_hot(codes, self.num_codes, dtype="float32"), axis=-1)
        return ops.sum(ops.logsumexp(logits, axis=-1) - chosen, axis=(1, 2))

    def sample(
        self,
        num_samples: int,
        seed: Seeds = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        labels: Labels = None,
        batch_size: int | None = None,
        given: ArrayLike | None = None,
    ) -> Tensor:
        """Samples codes from the prior, one place after the other.

        Args:
            num_samples: int >= 1.
            seed: int: row i has the seed `zoo.random.fold_in(seed, i)`. An int32 array `[num_samples]`: the rows' own
                seeds. None: a fresh seed.
            temperature: float >= 0: codes are sampled from softmax(logits / temperature); 0 takes the likeliest code at
                each place.
            top_k: int from 1 to K: only the k likeliest codes of a place can be sampled, and those that tie with the
                last of them; or None, for all.
            labels: int32 `[num_samples]`, for a conditional prior.
            batch_size: int >= 1, rows at once; None for a number that suits their size.
            given: int32 `[num_samples,r,w]`, the first r <= h rows of the grid, which the samples continue: they are
                samples of p(c | first rows). A prior samples in the order of rows.

        Returns:
            int32 `[num_samples,h,w]`. A row depends on its own seed, and label, alone.

        Raises:
            ValueError: for an argument of another kind, shape or range.
        """
        self.check_top_k(top_k)
        rows = self._rows(num_samples, seed, temperature)
        return self.draw(*rows, labels, top_k=top_k, batch_size=batch_size, given=given)

    @batched
    def draw(
        self,
        seeds: Tensor,
        temperature: Tensor,
        labels: Labels = None,
        top_k: int | None = None,
        batch_size: int | None = None,
        given: ArrayLike | None = None,
    ) -> Tensor:
        """Samples codes within a graph, by a loop that is not unrolled and converts to TFLite's operators.

        The code of place t is argmax(logits + temperature · Gumbel noise); the noise comes from the seed
        `zoo.random.fold_in(seed, t)`.

        Args:
            seeds: int32 `[B]`.
            temperature: float32 `[B]`, not below 0.
            labels, top_k, batch_size, given: as in `sample`.

        Returns:
            int32 `[B,h,w]`.
        """
        self.check_top_k(top_k)
        seeds, temperature = ops.convert_to_tensor(seeds, "int32"), ops.convert_to_tensor(temperature, "float32")
        labels = self._cast_labels(self._check_labels(labels, seeds.shape[0]))
        batch_size = ops.shape(seeds)[0]
        places = tf.range(self.length)
        first, known = self._known(given, batch_size)
        # For all places at once, outside the loop: on a device the number of its operators sets its time.
        seeds = random.fold_in(seeds, places[:, None])  # [T,B]

        def body(place, codes, cache):
            logits, cache = self.step(place, codes, labels, cache)
            noise = random.gumbel(seeds[place], (self.num_codes,))
            noisy = logits + temperature[:, None] * noise
            if top_k is not None:
                least = tf.math.top_k(logits, top_k).values[:, -1:]
                noisy = tf.where(logits < least, noisy.dtype.min, noisy)
            chosen = tflite.argmax(noisy, axis=-1)
            if first:
                chosen = tf.where(place < first, tf.gather(known, place, axis=1), chosen)
            return place + 1, tf.where(tf.equal(places, place), chosen[:, None], codes), cache

        codes = tf.zeros((batch_size, self.length), tf.int32)
        _, codes, _ = tf.while_loop(
            lambda place, codes, cache: place < self.length,
            body,
            (tf.constant(0), codes, self.start(batch_size)),
            maximum_iterations=self.length,
        )
        return ops.reshape(codes, (-1, *self.grid_shape))

    def _known(self, given, batch_size):
        """The number of places that `given` fills, and its codes at all places, int32 `[B,T]`."""
        if given is None:
            return 0, None
        rows, width = given.shape[1:]
        rest = tf.zeros((batch_size, (self.grid_shape[0] - rows) * width), tf.int32)
        known = tf.concat([tf.reshape(tf.cast(given, tf.int32), (-1, rows * width)), rest], 1)
        return rows * width, known

    def check_top_k(self, top_k: int | None) -> None:
        """Raises ValueError unless `top_k` is None or an integer from 1 to K."""
        if top_k is not None and checks.positive_int("top_k", top_k) > self.num_codes:
            checks.fail("top_k", f"at most num_codes={self.num_codes}", top_k)

    # Inputs.

    def _row_argument(self, name, value, num_rows=None):
        if name != "given" or value is None:
            return super()._row_argument(name, value, num_rows)
        given, (height, width) = inputs.array("given", value), self.grid_shape
        inputs.require_integers("given", given)
        if len(given.shape) != 3 or given.shape[2] != width or not 1 <= given.shape[1] <= height:
            checks.fail("given", f"int32 [B, r, {width}], at most {height} rows", f"shape {tuple(given.shape)}")
        return given

    @property
    def example_shape(self) -> tuple[int, ...]:
        return (*self.grid_shape, self.num_codes)  # of the logits, which need more memory than the codes

    def _check_data(self, name, x):
        codes = inputs.array("codes", x)
        inputs.require_integers("codes", codes)
        if tuple(codes.shape[1:]) != self.grid_shape:
            height, width = self.grid_shape
            raise ValueError(
                f"Expected `codes` to have the shape [B, {height}, {width}]. Received: shape {tuple(codes.shape)}"
            )
        return codes

    def _inputs(self, x, labels=None):
        codes = ops.cast(ops.convert_to_tensor(self._check_data("codes", x)), "int32")
        return codes, self._cast_labels(self._check_labels(labels, codes.shape[0]))

    def _values(self, batch, judged=True):
        if batch.target is not None:
            checks.fail("y", "labels, as a prior's codes are their own target", f"shape {tuple(batch.target.shape)}")
        return [*self.values_of("codes", batch.x), *super()._values(batch, judged)]

    def values_of(self, name: str, value: Array | None) -> list[inputs.Values]:
        if name in ("codes", "given") and value is not None:
            return [inputs.Values(name, value, 0, self.num_codes - 1)]
        return super().values_of(name, value)

    def get_config(self) -> Config:
        names = ("num_codes", "grid_shape", "num_classes", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def require(prior: object) -> CodePrior:
    """Returns `prior`; raises ValueError that names a method it lacks."""
    return checks.implements("prior", prior, CodePrior, ("call", "step"))
