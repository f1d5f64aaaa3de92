"""Measures of a model on held-out images."""

from zoo.evaluation.disentanglement import FactorData, dci, factor_vae_score, mig, modularity, sap
from zoo.evaluation.figures import Figure
from zoo.evaluation.likelihood import log_prob
from zoo.evaluation.reconstruction import reconstruction_error
from zoo.evaluation.representation import linear_probe, nearest_neighbours

__all__ = [
    "FactorData",
    "Figure",
    "dci",
    "factor_vae_score",
    "linear_probe",
    "log_prob",
    "mig",
    "modularity",
    "nearest_neighbours",
    "reconstruction_error",
    "sap",
]
