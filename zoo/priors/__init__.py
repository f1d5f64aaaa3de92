"""p(z), and distributions over codes."""

from zoo.priors.codes import CodePrior, PixelCNN, Transformer

__all__ = ["CodePrior", "PixelCNN", "Transformer"]
