"""The layers under the models."""

from zoo.layers.finite_scalar_quantizer import FiniteScalarQuantizer
from zoo.layers.likelihoods import (
    Bernoulli,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Gaussian,
    Likelihood,
)
from zoo.layers.quantizer import VectorQuantizer
from zoo.layers.residual_quantizer import ResidualQuantizer
from zoo.layers.sampling import Sampling
from zoo.layers.top_down import TopDown

__all__ = [
    "Bernoulli",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "FiniteScalarQuantizer",
    "Gaussian",
    "Likelihood",
    "ResidualQuantizer",
    "Sampling",
    "TopDown",
    "VectorQuantizer",
]
