"""Priors p(z) over the latents of a VAE."""

from zoo.priors.latents._base import LatentPrior, LearnedPrior, require
from zoo.priors.latents.conditional import ConditionalGaussian
from zoo.priors.latents.flow import Flow
from zoo.priors.latents.mixture import MixtureOfGaussians
from zoo.priors.latents.standard_normal import StandardNormal
from zoo.priors.latents.vamp import VampPrior

__all__ = [
    "ConditionalGaussian",
    "Flow",
    "LatentPrior",
    "LearnedPrior",
    "MixtureOfGaussians",
    "StandardNormal",
    "VampPrior",
    "require",
]
