"""Layers that draw random numbers in training, log-mel spectrograms of sounds, and a distance of images.

The first are seeded, saved with their state, and differ between replicas.
"""

import importlib
import warnings

from zoo.layers.dropout import Dropout
from zoo.layers.masks import RandomMasks
from zoo.layers.noise import Noise
from zoo.layers.perceptual import PerceptualDistance
from zoo.layers.sampling import Sampling
from zoo.layers.sound import LogMel

__all__ = ["Dropout", "LogMel", "Noise", "PerceptualDistance", "RandomMasks", "Sampling"]

_MOVED = {
    "zoo.likelihoods": ("Bernoulli", "DiscretizedLogistic", "DiscretizedLogisticMixture", "Gaussian", "Likelihood"),
    "zoo.quantizers": ("FiniteScalarQuantizer", "ResidualQuantizer", "VectorQuantizer"),
    "zoo.networks": ("TopDown",),
}


def __getattr__(name: str) -> type:
    for module, names in _MOVED.items():
        if name in names:
            warnings.warn(f"zoo.layers.{name} is now {module}.{name}", DeprecationWarning, stacklevel=2)
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'zoo.layers' has no attribute {name!r}")
