"""Discrete bottlenecks: layers that turn a feature map into codes, and codes into vectors."""

from zoo.quantizers._base import Quantizer
from zoo.quantizers.finite_scalar import FiniteScalarQuantizer
from zoo.quantizers.residual import ResidualQuantizer
from zoo.quantizers.vector import VectorQuantizer

__all__ = ["FiniteScalarQuantizer", "Quantizer", "ResidualQuantizer", "VectorQuantizer"]
