"""Residual vector quantisation: each codebook quantises the residual of the previous ones."""

from typing import Any, Literal

from keras import ops, saving

from zoo import random
from zoo.quantizers._base import Quantizer
from zoo.quantizers.vector import GRADIENTS, VectorQuantizer
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Config, Tensor, Tensors


@saving.register_keras_serializable("zoo")
class ResidualQuantizer(Quantizer):
    """A vector quantizer of several levels: K codes per level give K^depth vectors.

        r_0 = z_e,   k_d = argmin_k ‖r_{d−1} − e_k^d‖²,   r_d = r_{d−1} − e_{k_d}^d,   z_q = Σ_d e_{k_d}^d

    (Zeghidour et al. 2021, "SoundStream: An End-to-End Neural Audio Codec", algorithm 1; Lee et al. 2022,
    "Autoregressive Image Generation using Residual Quantization", section 3.1; there the levels share one codebook).
    Each level is a `VectorQuantizer` of its residual, with moving averages, data-dependent initialisation and revival.
    The gradient reaches the encoder by one straight-through step, or one rotation, from `z_e` to the sum.

    The codes of a position lie side by side along the last axis of the grid, the coarsest first: with an encoder output
    of `[32, 8, 8, 64]` and a depth of 4, codes are `[32, 8, 32]`, and `[:, i, 4*j + d]` is the code of level d at
    position (i, j). Priors over codes and exports thus see a grid of integers below K, and need no notion of levels.
    Metrics pool the levels: a perplexity of K and a usage of 1 mean that each of the K codes is used at some level, not
    at every level.

    Args:
        num_codes: int >= 1, K, of each level.
        code_dim: int >= 1, the length of a code vector and the last axis of the input.
        depth: int >= 1, the number of levels. With depth 1 and the same seed it equals a `VectorQuantizer`.
        codebook, decay, gradient, initialization, revival: as in `VectorQuantizer`, the same for all levels.
        seed: int or None, for initialisation and revival. Each level derives a seed of its own from it.

    Call arguments:
        z_e: float `[B, …, w, code_dim]`.
        training: bool, whether the codebooks are updated.

    Returns:
        dict of `z_q` float32 `[B, …, w, code_dim]`; `codes` int32 `[B, …, w·depth]`; `codebook` and `commitment`
        float32 `[B]`, both Σ_d ‖r_d‖² summed over the positions, in squared units of the latent space: the gradient
        of the first goes to the codebooks (none under "ema"), of the second to the encoder. The commitment is the one
        of Lee et al., section 3.1, whose Z − Ẑ^(d) is r_d.

    Raises:
        ValueError: for arguments out of range, an input without a grid, or one whose last axis is not `code_dim`.

    Example:
        >>> z_e = keras.random.normal((32, 8, 8, 64))  # an encoder's output
        >>> quantized = zoo.quantizers.ResidualQuantizer(num_codes=256, code_dim=64, depth=4)(z_e)
        >>> quantized["codes"].shape
        TensorShape([32, 8, 32])
    """

    def __init__(
        self,
        num_codes: int = 512,
        code_dim: int = 64,
        depth: int = 4,
        codebook: Literal["ema", "gradient"] = "ema",
        decay: float = 0.99,
        gradient: Literal["straight_through", "rotation"] = "straight_through",
        initialization: Literal["data", "uniform"] = "data",
        revival: float = 0.03,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.depth = checks.positive_int("depth", depth)
        self.gradient = checks.one_of("gradient", gradient, tuple(GRADIENTS))
        self.seed = checks.seed("seed", seed)
        key = random.fresh_seed() if seed is None else seed
        # With one seed for all, each level would start from the same positions of the batch, where the first level
        # leaves no residual.
        seeds = [key, *(int(random.fold_in(key, level)) for level in range(1, self.depth))]
        self.quantizers = [
            VectorQuantizer(
                num_codes, code_dim, codebook, decay, initialization=initialization, revival=revival, seed=seeds[level],
                dtype=self.dtype_policy, name=f"level_{level}",
            )
            for level in range(self.depth)
        ]  # fmt: skip
        first = self.quantizers[0]
        self.num_codes, self.code_dim, self.codebook = first.num_codes, first.code_dim, first.codebook
        self.decay, self.initialization, self.revival = first.decay, first.initialization, first.revival
        self.built = True

    def call(self, z_e: Tensor, training: bool = False) -> Tensors:
        if len(z_e.shape) < 3:
            raise ValueError(
                "Expected the encoder to give a grid of vectors, [B, …, w, code_dim]. "
                f"Received: an output of shape {tuple(z_e.shape)}"
            )
        residual, levels = z_e, []
        for quantizer in self.quantizers:
            levels.append(quantizer.discretize(residual, training))
            residual = residual - levels[-1]["z_q"]
        codes = ops.stack([level["codes"] for level in levels], axis=-1)  # [B, …, w, depth]
        *outer, width = ops.shape(z_e)[:-1]
        return {
            "z_q": GRADIENTS[self.gradient](z_e, sum(level["z_q"] for level in levels)),
            "codes": ops.reshape(codes, (*outer, width * self.depth)),
            "codebook": sum(level["codebook"] for level in levels),
            "commitment": sum(level["commitment"] for level in levels),
        }

    def lookup(self, codes: ArrayLike) -> Tensor:
        """The vectors of `codes`, int32 `[B, …, w·depth]`: float32 `[B, …, w, code_dim]`.

        Raises:
            ValueError: if the last axis of `codes` is no multiple of `depth`.
        """
        *outer, length = ops.shape(codes)
        if isinstance(length, int) and length % self.depth:
            raise ValueError(
                f"Expected the last axis of `codes` to be a multiple of depth={self.depth}. "
                f"Received: codes of shape {tuple(ops.shape(codes))}"
            )
        by_level = ops.reshape(codes, (-1, self.depth))
        vectors = sum(quantizer.lookup(by_level[:, level]) for level, quantizer in enumerate(self.quantizers))
        return ops.reshape(vectors, (*outer, length // self.depth, self.code_dim))

    def distances(self, z_e: Tensor) -> Tensor:
        """Raises ValueError: a vector has several codes, and the distance of each depends on those before it."""
        checks.fail("quantizer", "one with one code for each vector", self)

    def get_config(self) -> Config:
        names = (
            "num_codes", "code_dim", "depth", "codebook", "decay", "gradient", "initialization", "revival", "seed",
        )  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
