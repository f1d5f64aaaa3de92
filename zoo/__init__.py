"""Variational autoencoders for Keras: train them, trust them, ship them."""

__version__ = "0.2.0.dev0"

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from zoo.runtime import startup

startup.require_tensorflow_backend()
startup.turn_onednn_on()
with startup.quiet():
    import keras  # noqa: F401  (also imports TensorFlow)

from zoo import callbacks, distributions, export, layers, likelihoods, networks, priors, quantizers, random  # noqa: E402
from zoo.models import (  # noqa: E402
    CVAE,
    IWAE,
    VAE,
    VQVAE,
    BetaTCVAE,
    BetaVAE,
    FactorVAE,
    HierarchicalVAE,
    InfoVAE,
)
from zoo.runtime import cores, optimizers  # noqa: E402

if TYPE_CHECKING:
    from zoo import applications, data, evaluation, training  # noqa: F401

_LAZY = ("applications", "data", "evaluation", "training")  # imported at their first use


def __getattr__(name: str) -> ModuleType:
    if name in _LAZY:
        return importlib.import_module(f"zoo.{name}")
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


__all__ = [
    "VAE",
    "BetaTCVAE",
    "BetaVAE",
    "CVAE",
    "FactorVAE",
    "HierarchicalVAE",
    "IWAE",
    "InfoVAE",
    "VQVAE",
    "callbacks",
    "cores",
    "distributions",
    "export",
    "layers",
    "likelihoods",
    "networks",
    "optimizers",
    "priors",
    "quantizers",
    "random",
]
