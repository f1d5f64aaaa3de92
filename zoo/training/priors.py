"""The priors that recipes share: over codes, of VQ-VAEs, and over latents."""

from zoo import priors


def builder(transformer=(128, 4, 4), pixelcnn=(64, 5), dropout=0.1):
    """The `build` of a `zoo.training.Prior`; smaller priors, of one size for all recipes, for a bundled sample.

    Args:
        transformer: its width, depth and heads.
        pixelcnn: its width and depth, for as many parameters.
        dropout: float in [0, 1).
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


def of_latents(kind, latent_dim, data_shape, seed):
    """A prior p(z) by its name, one of `OF_LATENTS`."""
    if kind == "mixture":
        return priors.MixtureOfGaussians(latent_dim, components=100, seed=seed)
    if kind == "vamp":
        return priors.VampPrior(latent_dim, data_shape, components=100, seed=seed)
    if kind == "flow":
        return priors.Flow(latent_dim, seed=seed)
    return priors.StandardNormal(latent_dim)
