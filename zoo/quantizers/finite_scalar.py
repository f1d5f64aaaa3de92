"""Finite scalar quantisation: rounds each number of a vector to one of a few levels, without learned weights."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops, saving

from zoo.quantizers._base import Quantizer, require_codes
from zoo.quantizers.vector import straight_through
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Config, Tensor, Tensors

_MARGIN = 1e-3  # distance of the bound from the outermost level, as a share of half the span
_MOST_LEVELS = 1000  # with more, the margin would exceed half a level, and the outermost levels would be out of reach


@saving.register_keras_serializable("zoo")
class FiniteScalarQuantizer(Quantizer):
    """A codebook that is a fixed grid: number i of a vector takes one of L_i evenly spaced values in [−1, 1].

        z_q = round(f(z_e)) / ⌊L/2⌋,   f(z) = h tanh(z + tan(o/h)) − o,   h = (L − 1)(1 − ε)/2

    for each number, with o = 0 for odd L and ½ for even L, and ε = 10⁻³ (Mentzer et al. 2023, "Finite Scalar
    Quantization: VQ-VAE Made Simple", section 3.1 and the code in appendix A.1). Odd L gives the values −1 to 1. Even L
    includes 0 and has one value fewer above it: four levels are −1, −½, 0 and ½. A code is a number in mixed radix: its
    digit i, the first the least significant, is the level of number i of the vector, counted from 0.

    With levels (8, 5, 5, 5), an encoder output of `[32, 8, 8, 4]` becomes codes of `[32, 8, 8]` below 1,000.

    The gradient passes through the rounding unchanged, and through f exactly. As no codebook is learned, no code can
    die, and there is neither a codebook loss nor a commitment.

    Args:
        levels: sequence of ints from 2 to 1000, L, one for each number of a vector; their product is below 2³¹. The
            paper uses at least 5 for each: (8, 6, 5) for about 2⁸ codes, (8, 5, 5, 5) for 2¹⁰, (7, 5, 5, 5, 5) for 2¹².

    Attributes:
        num_codes: the product of `levels`.
        code_dim: the number of `levels`.
        codebook: "fixed".

    Call arguments:
        z_e: float `[B, …, code_dim]`.
        training: bool, has no effect.

    Returns:
        dict of `z_q` float32 `[B, …, code_dim]` in [−1, 1]; `codes` int32 `[B, …]`; `codebook` and `commitment`
        float32 `[B]`, zeros.

    Raises:
        ValueError: for arguments out of range, or an input whose last axis is not `code_dim`.

    Example:
        >>> z_e = keras.random.normal((32, 8, 8, 4))  # an encoder's output
        >>> quantized = zoo.quantizers.FiniteScalarQuantizer(levels=(8, 5, 5, 5))(z_e)
        >>> quantized["codes"].shape
        TensorShape([32, 8, 8])
    """

    codebook = "fixed"

    def __init__(self, levels: Sequence[int] = (8, 5, 5, 5), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = _checked(levels)
        self.num_codes = math.prod(self.levels)
        self.code_dim = len(self.levels)
        number = np.array(self.levels)
        half_span = (number - 1) * (1.0 - _MARGIN) / 2
        offset = np.where(number % 2 == 0, 0.5, 0.0)
        self._half_span, self._offset = half_span.astype("float32"), offset.astype("float32")
        self._shift = np.tan(offset / half_span).astype("float32")
        self._half = (number // 2).astype("int32")
        self._place_values = np.cumprod([1, *self.levels[:-1]]).astype("int32")
        self.built = True

    def call(self, z_e: Tensor, training: bool = False) -> Tensors:
        if z_e.shape[-1] != self.code_dim:
            raise ValueError(
                f"Expected the encoder to give vectors of {self.code_dim} numbers, one for each of "
                f"levels={self.levels}. Received: an output of shape {tuple(z_e.shape)}"
            )
        bounded = self._bounded(z_e)
        # Exact despite the subtraction inside: a number above ½ and its rounding are within a factor of two.
        rounded = straight_through(bounded, ops.round(bounded))
        digits = ops.cast(rounded, "int32") + self._half
        none = ops.zeros(ops.shape(z_e)[:1], "float32")
        return {
            "z_q": rounded / self._half.astype("float32"),
            "codes": ops.sum(digits * self._place_values, axis=-1),
            "codebook": none,
            "commitment": none,
        }

    def _bounded(self, z_e):
        return self._half_span * ops.tanh(z_e + self._shift) - self._offset

    def distances(self, z_e: Tensor) -> Tensor:
        """As in `Quantizer`, of the bounded vectors: those that the decoder would get without rounding."""
        return super().distances(self._bounded(z_e) / self._half.astype("float32"))

    def lookup(self, codes: ArrayLike) -> Tensor:
        """The vectors of `codes`, int32 `[B, …]`: float32 `[B, …, code_dim]`, equal to `z_q` to the last bit."""
        require_codes(codes, self.num_codes)
        # Flattened first, as TFLite broadcasts over few axes.
        rows = ops.reshape(ops.cast(codes, "int32"), (-1, 1))
        digits = ops.mod(ops.floor_divide(rows, self._place_values), np.array(self.levels, "int32"))
        vectors = ops.cast(digits - self._half, "float32") / self._half.astype("float32")
        return ops.reshape(vectors, (*ops.shape(codes), self.code_dim))

    def get_config(self) -> Config:
        return {**super().get_config(), "levels": self.levels}


def _checked(levels):
    is_sequence = isinstance(levels, (list, tuple)) and len(levels) > 0
    fit = is_sequence and all(checks.is_integer(level) and 2 <= level <= _MOST_LEVELS for level in levels)
    if not fit or math.prod(map(int, levels)) >= 2**31:
        checks.fail("levels", f"a sequence of integers from 2 to {_MOST_LEVELS} with a product below 2**31", levels)
    return tuple(int(level) for level in levels)
