"""The flags that choose a quantizer in the recipes of VQ-VAEs."""

import dataclasses
from typing import Any

from zoo import quantizers
from zoo.training.options import flag

QUANTIZERS = ("vq", "fsq", "residual")
WITH_CODEBOOK = {"quantizer": ("vq", "residual")}


@dataclasses.dataclass(frozen=True)
class QuantizerFlags:
    """The flags of a quantizer. The flags of a recipe inherit them, and may change the defaults."""

    quantizer: str = flag("vq", choices=QUANTIZERS)
    num_codes: int = flag(512, "K, for vq and residual", only=WITH_CODEBOOK)
    code_dim: int = flag(64, "D, for vq and residual", only=WITH_CODEBOOK)
    levels: tuple[int, ...] = flag((8, 8, 8), "levels of fsq; K is their product", only={"quantizer": ("fsq",)})
    depth: int = flag(2, "codes per position, for residual", only={"quantizer": ("residual",)})


def build(flags: QuantizerFlags, seed: int, **kwargs: Any) -> quantizers.Quantizer:
    """Builds the quantizer that the flags choose. `kwargs` go to quantizers with learned codebooks."""
    if flags.quantizer == "fsq":
        return quantizers.FiniteScalarQuantizer(list(flags.levels))
    if flags.quantizer == "residual":
        return quantizers.ResidualQuantizer(flags.num_codes, flags.code_dim, flags.depth, seed=seed, **kwargs)
    return quantizers.VectorQuantizer(flags.num_codes, flags.code_dim, seed=seed, **kwargs)
