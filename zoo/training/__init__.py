"""Training runs for the recipes: flags, data, strategy, stages, resuming, plots."""

from zoo.training import perceptual, priors, quantizers
from zoo.training.options import flag
from zoo.training.recipe import Examples, Prior, Recipe, Sharp
from zoo.training.run import Main, main, script

__all__ = [
    "Examples",
    "Main",
    "Prior",
    "Recipe",
    "Sharp",
    "flag",
    "main",
    "perceptual",
    "priors",
    "quantizers",
    "script",
]
