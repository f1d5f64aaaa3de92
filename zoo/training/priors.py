"""The priors over codes that the recipes of VQ-VAEs share."""

from zoo import priors


def builder(transformer=(128, 4, 4), pixelcnn=(64, 5), dropout=0.1):
    """The `build` of a `zoo.training.Prior`.

    Args:
        transformer: its width, depth and heads.
        pixelcnn: its width and depth, for as many parameters.
        dropout: float in [0, 1).
    """

    def build(flags, model, grid_shape):
        settings = {"num_codes": model.quantizer.num_codes, "grid_shape": grid_shape}
        settings |= {"dropout": dropout, "seed": flags.seed}
        if flags.prior == "pixelcnn":
            width, depth = (32, 4) if flags.sample else pixelcnn
            return priors.PixelCNN(width=width, depth=depth, **settings)
        width, depth, heads = (64, 2, 4) if flags.sample else transformer
        return priors.Transformer(width=width, depth=depth, heads=heads, **settings)

    return build
