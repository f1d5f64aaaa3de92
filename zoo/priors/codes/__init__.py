"""Autoregressive distributions over the codes of a VQ-VAE."""

from zoo.priors.codes._base import CodePrior, require
from zoo.priors.codes.pixelcnn import PixelCNN
from zoo.priors.codes.transformer import Transformer

__all__ = ["CodePrior", "PixelCNN", "Transformer", "require"]
