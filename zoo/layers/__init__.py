"""The layers under the models."""

from zoo.layers.likelihoods import (
    Bernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Gaussian,
    Likelihood,
)
from zoo.layers.quantizer import VectorQuantizer
from zoo.layers.sampling import Sampling

__all__ = [
    "Bernoulli",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Gaussian",
    "Likelihood",
    "Sampling",
    "VectorQuantizer",
]
