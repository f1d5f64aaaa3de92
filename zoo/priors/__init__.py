"""Autoregressive priors over the codes of a VQ-VAE."""

from zoo.priors.base import Base
from zoo.priors.pixelcnn import PixelCNN
from zoo.priors.transformer import Transformer

__all__ = ["Base", "PixelCNN", "Transformer"]
