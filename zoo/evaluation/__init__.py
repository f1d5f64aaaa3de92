"""Measures of a model on held-out images, and what they say about it."""

from zoo.evaluation import features
from zoo.evaluation.code_terms import CodeTerms, code_terms
from zoo.evaluation.criticism import predictive_checks
from zoo.evaluation.diagnosis import diagnose
from zoo.evaluation.faults import FAULTS, Finding
from zoo.evaluation.figures import Figure
from zoo.evaluation.latent_terms import LatentLayer, LatentTerms, latent_terms
from zoo.evaluation.likelihood import importance_bound, likelihood_figures, log_prob
from zoo.evaluation.nearest import Nearest, nearest_training
from zoo.evaluation.quality import sample_quality
from zoo.evaluation.reconstruction import reconstruction_error, reconstruction_similarity, similarity
from zoo.evaluation.rows import Examples
from zoo.evaluation.samples import density_coverage, frechet_distance, precision_recall

__all__ = [
    "FAULTS",
    "CodeTerms",
    "Examples",
    "Figure",
    "Finding",
    "LatentLayer",
    "LatentTerms",
    "Nearest",
    "code_terms",
    "density_coverage",
    "diagnose",
    "features",
    "frechet_distance",
    "importance_bound",
    "latent_terms",
    "likelihood_figures",
    "log_prob",
    "nearest_training",
    "precision_recall",
    "predictive_checks",
    "reconstruction_error",
    "reconstruction_similarity",
    "sample_quality",
    "similarity",
]
