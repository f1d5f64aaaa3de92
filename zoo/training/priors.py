"""The priors that recipes offer: over the codes of a VQ-VAE, and over latents."""

from collections.abc import Callable

from zoo import priors
from zoo.runtime.types import Shape


def builder(
    transformer: tuple[int, int, int] = (128, 4, 4), pixelcnn: tuple[int, int] = (64, 5), dropout: float = 0.1
) -> Callable[..., priors.CodePrior]:
    """The `build` of a `zoo.training.Prior`. With `--sample` it gives smaller priors, the same for all recipes.

    Args:
        transformer: (width, depth, heads) of the transformer.
        pixelcnn: (width, depth) of the PixelCNN; choose them for as many parameters as the transformer has.
        dropout: float in [0, 1).

    Returns:
        function of (kind, number of codes, grid shape, seed, sample); see `zoo.training.Prior`.
    """

    def build(kind, num_codes, grid_shape, seed, sample):
        settings = {"num_codes": num_codes, "grid_shape": grid_shape, "dropout": dropout, "seed": seed}
        if kind == "pixelcnn":
            width, depth = (32, 4) if sample else pixelcnn
            return priors.PixelCNN(width=width, depth=depth, **settings)
        width, depth, heads = (64, 2, 4) if sample else transformer
        return priors.Transformer(width=width, depth=depth, heads=heads, **settings)

    return build


OF_LATENTS = ("standard_normal", "mixture", "vamp", "flow")


def of_latents(kind: str, latent_dim: int, data_shape: Shape, seed: int) -> priors.LatentPrior:
    """Builds a prior p(z) from its name, one of `OF_LATENTS`.

    Args:
        kind: str, the name.
        latent_dim: int >= 1, D.
        data_shape: the shape of an example, for the pseudo-inputs of a VampPrior.
        seed: int.
    """
    if kind == "mixture":
        return priors.MixtureOfGaussians(latent_dim, components=100, seed=seed)
    if kind == "vamp":
        return priors.VampPrior(latent_dim, data_shape, components=100, seed=seed)
    if kind == "flow":
        return priors.Flow(latent_dim, seed=seed)
    return priors.StandardNormal(latent_dim)
