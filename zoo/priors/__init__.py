"""Priors: p(z) over the latents of a VAE, and distributions over the codes of a VQ-VAE."""

from zoo.priors.codes import CodePrior, PixelCNN, Transformer
from zoo.priors.latents import LatentPrior, LearnedPrior, StandardNormal

__all__ = ["CodePrior", "LatentPrior", "LearnedPrior", "PixelCNN", "StandardNormal", "Transformer"]
