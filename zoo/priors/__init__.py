"""Priors: p(z) over the latents of a VAE, and distributions over the codes of a VQ-VAE."""

from zoo.priors.codes import CodePrior, PixelCNN, Transformer
from zoo.priors.latents import (
    ConditionalGaussian,
    Flow,
    LatentPrior,
    LearnedPrior,
    MixtureOfGaussians,
    StandardNormal,
    VampPrior,
)

__all__ = [
    "CodePrior",
    "ConditionalGaussian",
    "Flow",
    "LatentPrior",
    "LearnedPrior",
    "MixtureOfGaussians",
    "PixelCNN",
    "StandardNormal",
    "Transformer",
    "VampPrior",
]
