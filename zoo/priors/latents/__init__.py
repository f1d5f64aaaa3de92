"""Priors p(z) over the latents of a VAE."""

from zoo.priors.latents._base import LatentPrior, LearnedPrior, require
from zoo.priors.latents.standard_normal import StandardNormal

__all__ = ["LatentPrior", "LearnedPrior", "StandardNormal", "require"]
