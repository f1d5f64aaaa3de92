"""The choice of a quantizer, which the recipes of VQ-VAEs share."""

import dataclasses

from zoo import quantizers
from zoo.training.options import flag

QUANTIZERS = ("vq", "fsq", "residual")


@dataclasses.dataclass(frozen=True)
class QuantizerFlags:
    """The flags of a quantizer; a recipe's own flags inherit them, with defaults of their own."""

    quantizer: str = flag("vq", choices=QUANTIZERS)
    num_codes: int = flag(512, "K, not of fsq")
    code_dim: int = flag(64, "D, not of fsq")
    levels: tuple[int, ...] = flag((8, 8, 8), "of fsq; K is their product")
    depth: int = flag(2, "codes a place, of residual")


def build(flags, seed, **kwargs):
    """The quantizer that the flags ask for; `kwargs` go to the codebooks of those that have any."""
    if flags.quantizer == "fsq":
        return quantizers.FiniteScalarQuantizer(list(flags.levels))
    if flags.quantizer == "residual":
        return quantizers.ResidualQuantizer(flags.num_codes, flags.code_dim, flags.depth, seed=seed, **kwargs)
    return quantizers.VectorQuantizer(flags.num_codes, flags.code_dim, seed=seed, **kwargs)
