"""Variational autoencoders for Keras: train them, trust them, ship them."""

import importlib

from zoo import _startup

_startup.require_tensorflow_backend()
_startup.turn_onednn_on()
with _startup.quiet():
    import keras  # noqa: F401  (and TensorFlow under it)

from zoo import callbacks, cores, distributions, export, layers, networks, optimizers, priors, random  # noqa: E402
from zoo.models import CVAE, VAE, VQVAE, BetaVAE, HierarchicalVAE  # noqa: E402

__version__ = "0.1.0"
_LAZY = ("applications", "data", "evaluation", "training")  # imported where they are used first


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"zoo.{name}")
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


__all__ = [
    "VAE",
    "BetaVAE",
    "CVAE",
    "VQVAE",
    "HierarchicalVAE",
    "callbacks",
    "cores",
    "distributions",
    "export",
    "layers",
    "networks",
    "optimizers",
    "priors",
    "random",
]
