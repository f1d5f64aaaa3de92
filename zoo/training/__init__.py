"""Training as the recipes do it: flags, data, strategy, resume, pictures."""

from zoo.training.recipe import Recipe
from zoo.training.run import main

__all__ = ["Recipe", "main"]
