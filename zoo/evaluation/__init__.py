"""Measures of a model on held-out images, and what they say about it."""

from zoo.evaluation.code_terms import CodeTerms, code_terms
from zoo.evaluation.criticism import predictive_checks
from zoo.evaluation.diagnosis import diagnose
from zoo.evaluation.figures import Figure
from zoo.evaluation.findings import FAULTS, Finding
from zoo.evaluation.latent_terms import LatentLayer, LatentTerms, latent_terms
from zoo.evaluation.likelihood import importance_bound, likelihood_figures, log_prob
from zoo.evaluation.reconstruction import reconstruction_error
from zoo.evaluation.rows import Examples

__all__ = [
    "FAULTS",
    "CodeTerms",
    "Examples",
    "Figure",
    "Finding",
    "LatentLayer",
    "LatentTerms",
    "code_terms",
    "diagnose",
    "importance_bound",
    "latent_terms",
    "likelihood_figures",
    "log_prob",
    "predictive_checks",
    "reconstruction_error",
]
