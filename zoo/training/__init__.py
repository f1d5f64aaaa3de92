"""Training runs for the recipes: flags, data, strategy, stages, resuming, plots."""

from zoo.training import priors, quantizers
from zoo.training.options import flag
from zoo.training.recipe import Examples, Prior, Recipe
from zoo.training.run import Main, main, script

__all__ = ["Examples", "Main", "Prior", "Recipe", "flag", "main", "priors", "quantizers", "script"]
