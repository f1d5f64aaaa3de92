"""Vector quantisation: each vector of a feature map becomes the nearest of K learned ones."""

from typing import Any, Literal

import tensorflow as tf
from keras import ops, saving

from zoo import random
from zoo._compat import tflite
from zoo.distributions import sum_per_example
from zoo.quantizers import metrics
from zoo.quantizers._base import Quantizer, require_codes
from zoo.runtime import checks, cores, replicas
from zoo.runtime.types import ArrayLike, Config, Tensor, Tensors


def straight_through(z_e: Tensor, z_q: Tensor) -> Tensor:
    """Returns `z_q`; the gradient passes to `z_e` unchanged (van den Oord et al. 2017, section 3.2)."""
    return z_e + ops.stop_gradient(z_q - z_e)


def rotation_trick(z_e: Tensor, z_q: Tensor) -> Tensor:
    """Returns `z_q`; the gradient passes to `z_e` by the rotation and scaling that take `z_e` to `z_q`.

    Fifty et al. 2024, "Restructuring Vector Quantization with the Rotation Trick", eq. (4): the Householder form
    λ (e − 2 r rᵀe + 2 q̂ êᵀe), with r the unit vector along ê + q̂, and λ, r, ê, q̂ held constant.
    """
    tiny = 1e-6
    norm_e = ops.norm(z_e, axis=-1, keepdims=True) + tiny
    norm_q = ops.norm(z_q, axis=-1, keepdims=True) + tiny
    unit_e, unit_q = ops.stop_gradient(z_e / norm_e), ops.stop_gradient(z_q / norm_q)
    middle = unit_e + unit_q
    middle = middle / (ops.norm(middle, axis=-1, keepdims=True) + tiny)
    scale = ops.stop_gradient(norm_q / norm_e)

    def along(direction):
        return ops.sum(z_e * direction, axis=-1, keepdims=True)

    rotated = scale * (z_e - 2.0 * along(middle) * middle + 2.0 * along(unit_e) * unit_q)
    # The rotation is undefined for vectors of almost no length, or of opposite directions; `z_q` is still exact.
    return rotated + ops.stop_gradient(z_q - rotated)


GRADIENTS = {"straight_through": straight_through, "rotation": rotation_trick}


@saving.register_keras_serializable("zoo")
class VectorQuantizer(Quantizer):
    """The discrete bottleneck of a VQ-VAE: the nearest code of each vector, and the code's vector.

        codes = argmin_k ‖z_e − e_k‖²,   z_q = e_codes

    (van den Oord et al. 2017, eqs. (1) and (2)). With an encoder output of `[32, 8, 8, 64]` and 512 codes: 2,048
    vectors of 64 numbers, each becoming one of 512, and codes of `[32, 8, 8]`.

    In training, a code used less than `revival` times the uniform share is *dead*: its vector and moving averages are
    replaced by those of a random encoder output of the batch. Before the first batch all codes count as dead, which
    gives the data-dependent initialisation.

    Args:
        num_codes: int >= 1, K.
        code_dim: int >= 1, the length of a code vector and the last axis of the input.
        codebook: "ema", the codebook follows moving averages of the vectors assigned to each code (van den Oord et
            al. 2017, appendix A.1, eqs. (6) to (8)); or "gradient", it is trained by the codebook loss.
        decay: float in [0, 1), of the moving averages.
        gradient: "straight_through" or "rotation", how the decoder's gradient reaches the encoder.
        initialization: "data" or "uniform" (in ±√(3/code_dim)).
        revival: float in [0, 1), the threshold of dead codes; 0 turns revival off.
        seed: int or None, for initialisation and revival.

    Call arguments:
        z_e: float `[B, …, code_dim]`.
        training: bool, whether the codebook is updated.

    Returns:
        dict of `z_q` float32 `[B, …, code_dim]`; `codes` int32 `[B, …]`; `codebook` and `commitment` float32 `[B]`,
        both Σ‖z_e − e‖² over the positions, in squared units of the latent space: the gradient of the first goes to
        the codebook (none under "ema"), of the second to the encoder.

    Raises:
        ValueError: for arguments out of range, or an input whose last axis is not `code_dim`.

    Example:
        >>> z_e = keras.random.normal((32, 8, 8, 64))  # an encoder's output
        >>> quantized = zoo.quantizers.VectorQuantizer(num_codes=512, code_dim=64)(z_e)
        >>> quantized["codes"].shape
        TensorShape([32, 8, 8])
    """

    def __init__(
        self,
        num_codes: int = 512,
        code_dim: int = 64,
        codebook: Literal["ema", "gradient"] = "ema",
        decay: float = 0.99,
        gradient: Literal["straight_through", "rotation"] = "straight_through",
        initialization: Literal["data", "uniform"] = "data",
        revival: float = 0.03,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_codes = checks.positive_int("num_codes", num_codes)
        self.code_dim = checks.positive_int("code_dim", code_dim)
        self.codebook = checks.one_of("codebook", codebook, ("ema", "gradient"))
        self.decay = checks.number("decay", decay, 0.0, 1.0, open_high=True)
        self.gradient = checks.one_of("gradient", gradient, tuple(GRADIENTS))
        self.initialization = checks.one_of("initialization", initialization, ("data", "uniform"))
        self.revival = checks.number("revival", revival, 0.0, 1.0, open_high=True)
        self.seed = checks.seed("seed", seed)
        self._key = random.fresh_seed() if seed is None else seed
        self._add_state()

    def _add_state(self):
        bound = (3.0 / self.code_dim) ** 0.5

        def initial(shape, dtype):
            seeds = random.row_seeds(self._key, self.num_codes)
            return ops.cast(bound * (2.0 * random.uniform(seeds, (self.code_dim,)) - 1.0), dtype)

        def state(name, shape, initializer):
            return self.add_weight(
                name=name, shape=shape, initializer=initializer, trainable=False, aggregation="only_first_replica"
            )

        trainable = self.codebook == "gradient"
        self.embeddings = self.add_weight(
            name="embeddings", shape=(self.num_codes, self.code_dim), initializer=initial, trainable=trainable,
            aggregation="mean" if trainable else "only_first_replica",
        )  # fmt: skip
        # The number of vectors per step that each code takes, and their sum: moving averages since the first batch.
        self.counts = state("counts", (self.num_codes,), "zeros")
        self.sums = state("sums", (self.num_codes, self.code_dim), "zeros")
        self.updates = self.add_weight(
            name="updates", shape=(), dtype="int32", initializer="zeros", trainable=False,
            aggregation="only_first_replica",
        )  # fmt: skip
        self.built = True

    def call(self, z_e: Tensor, training: bool = False) -> Tensors:
        quantized = self.discretize(z_e, training)
        return {**quantized, "z_q": GRADIENTS[self.gradient](z_e, quantized["z_q"])}

    def discretize(self, z_e: Tensor, training: bool = False) -> Tensors:
        """As `call`, but without a gradient through `z_q`. `ResidualQuantizer` passes the gradient itself."""
        if z_e.shape[-1] != self.code_dim:
            raise ValueError(
                f"Expected the encoder to give vectors of code_dim={self.code_dim} numbers. "
                f"Received: an output of shape {tuple(z_e.shape)}"
            )
        vectors = ops.reshape(z_e, (-1, self.code_dim))
        training = training and self.trainable  # a frozen codebook stays as it is
        if training:
            known = ops.all(ops.isfinite(vectors), axis=1, keepdims=True)  # a NaN would stay in the codebook for ever
            seen = ops.stop_gradient(ops.where(known, vectors, 0.0))
            self._revive(seen)
        codes = cores.spread(self._nearest, vectors)
        nearest = ops.reshape(ops.take(self.embeddings, codes, axis=0), ops.shape(z_e))
        if training:
            self._follow(seen, tf.where(known[:, 0], codes, -1))
        fixed = ops.stop_gradient(nearest)
        return {
            "z_q": fixed,
            "codes": ops.reshape(codes, ops.shape(z_e)[:-1]),
            "codebook": sum_per_example(ops.square(ops.stop_gradient(z_e) - nearest)),
            "commitment": sum_per_example(ops.square(z_e - fixed)),
        }

    def lookup(self, codes: ArrayLike) -> Tensor:
        """The vectors of `codes`, int32 `[B, …]`: float32 `[B, …, code_dim]`."""
        require_codes(codes, self.num_codes)
        # Flattened first, as TFLite's GATHER requires it.
        vectors = ops.take(self.embeddings, ops.reshape(codes, (-1,)), axis=0)
        return ops.reshape(vectors, (*ops.shape(codes), self.code_dim))

    def _nearest(self, vectors):
        # ‖z‖² is the same for all codes.
        products = ops.matmul(vectors, ops.transpose(self.embeddings))
        distances = ops.sum(ops.square(self.embeddings), axis=1) - 2.0 * products  # [N, K]
        return tflite.argmin(distances, axis=1)

    def _revive(self, vectors):
        vectors = replicas.concat(vectors)  # all replicas must choose the same, as a single one would
        number = tf.shape(vectors)[0]
        share = tf.cast(number, tf.float32) / self.num_codes
        first = tf.equal(self.updates, 0)
        counts = tf.where(first, share, self.counts)
        sums = tf.where(first, self.embeddings * share, self.sums)
        dead = counts < self.revival * share
        if self.initialization == "data":
            dead = dead | first
        seed = tf.stack([random.fold_in(self._key, 0), self.updates.value])
        order = tf.argsort(tf.random.stateless_uniform([number], seed))
        candidates = tf.gather(vectors, tf.gather(order, tf.range(self.num_codes) % number))
        row = dead[:, None]
        self.embeddings.assign(tf.where(row, candidates, self.embeddings))
        self.sums.assign(tf.where(row, candidates * share, sums))
        self.counts.assign(tf.where(dead, share, counts))

    def _follow(self, vectors, codes):
        """Updates the moving averages and, under "ema", the codebook. A code of −1 is left out."""
        counts = replicas.all_sum(metrics.count(codes, self.num_codes))
        sums = replicas.all_sum(tf.math.unsorted_segment_sum(vectors, codes, self.num_codes))
        self.counts.assign(self.decay * self.counts + (1.0 - self.decay) * counts)
        self.sums.assign(self.decay * self.sums + (1.0 - self.decay) * sums)
        self.updates.assign_add(1)
        if self.codebook == "ema":
            # The floor only matters without revival: codes that are unused for very long keep their vectors.
            means = self.sums / tf.maximum(self.counts, 1e-20)[:, None]
            self.embeddings.assign(tf.where(tf.convert_to_tensor(self.counts)[:, None] > 1e-20, means, self.embeddings))

    def get_config(self) -> Config:
        names = ("num_codes", "code_dim", "codebook", "decay", "gradient", "initialization", "revival", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
