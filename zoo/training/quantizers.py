"""The choice of a quantizer, which the recipes of VQ-VAEs share."""

from zoo import quantizers

QUANTIZERS = ("vq", "fsq", "residual")


def add_flags(parser, num_codes, code_dim, levels):
    add = parser.add_argument
    add("--quantizer", choices=QUANTIZERS, default="vq", help="default: %(default)s")
    add("--num-codes", type=int, default=num_codes, help="K, not of fsq (default: %(default)s)")
    add("--code-dim", type=int, default=code_dim, help="D, not of fsq (default: %(default)s)")
    # A list, as one on the command line becomes: settings are compared by their text.
    add("--levels", type=int, nargs="+", default=list(levels), help="of fsq; K is their product (default: %(default)s)")
    add("--depth", type=int, default=2, help="codes a place, of residual (default: %(default)s)")


def build(flags, **kwargs):
    """The quantizer that the flags ask for; `kwargs` go to the codebooks of those that have any."""
    if flags.quantizer == "fsq":
        return quantizers.FiniteScalarQuantizer(flags.levels)
    if flags.quantizer == "residual":
        return quantizers.ResidualQuantizer(flags.num_codes, flags.code_dim, flags.depth, seed=flags.seed, **kwargs)
    return quantizers.VectorQuantizer(flags.num_codes, flags.code_dim, seed=flags.seed, **kwargs)
