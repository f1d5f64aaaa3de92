"""Measures of a model on held-out images."""

from zoo.evaluation.disentanglement import FactorData, dci, factor_vae_score, mig, modularity, sap
from zoo.evaluation.figures import Figure
from zoo.evaluation.likelihood import log_prob
from zoo.evaluation.reconstruction import reconstruction_error

__all__ = [
    "FactorData",
    "Figure",
    "dci",
    "factor_vae_score",
    "log_prob",
    "mig",
    "modularity",
    "reconstruction_error",
    "sap",
]
