"""Applications of VAEs: functions that work with any model."""

from zoo.applications._latents import LatentStatistics, latent_statistics, require_sampling
from zoo.applications.arithmetic import add_attribute, attribute_direction
from zoo.applications.augmentation import jitter, sample_labelled
from zoo.applications.exploration import Map, explore, latent_map, manifold, plot_map, site
from zoo.applications.generation import walk
from zoo.applications.interpolation import between, interpolate
from zoo.applications.pictures import grid, save_animation, save_image, save_images
from zoo.applications.style_transfer import mix_levels, num_levels, relabel, vary_levels
from zoo.applications.traversal import Traversal, traverse

__all__ = [
    "LatentStatistics",
    "Map",
    "Traversal",
    "add_attribute",
    "attribute_direction",
    "between",
    "explore",
    "grid",
    "interpolate",
    "jitter",
    "latent_map",
    "latent_statistics",
    "manifold",
    "mix_levels",
    "num_levels",
    "plot_map",
    "relabel",
    "require_sampling",
    "sample_labelled",
    "save_animation",
    "save_image",
    "save_images",
    "site",
    "traverse",
    "vary_levels",
    "walk",
]
