"""Training as the recipes do it: flags, data, strategy, stages, resume, pictures."""

from zoo.training import priors, quantizers
from zoo.training.recipe import Prior, Recipe, disk_folder
from zoo.training.run import main

__all__ = ["Prior", "Recipe", "disk_folder", "main", "priors", "quantizers"]
