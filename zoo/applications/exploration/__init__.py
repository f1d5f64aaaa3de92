"""Exploration: maps of the latent space, the manifold of a 2-D latent, and a page to look around in a browser."""

from zoo.applications.exploration.maps import Map, latent_map, manifold, plot_map
from zoo.applications.exploration.page import explore
from zoo.applications.exploration.serving import site

__all__ = ["Map", "explore", "latent_map", "manifold", "plot_map", "site"]
