"""Measures of a model on held-out images."""

from zoo.evaluation import features
from zoo.evaluation.figures import Figure
from zoo.evaluation.likelihood import log_prob
from zoo.evaluation.nearest import Nearest, nearest_training
from zoo.evaluation.quality import sample_quality
from zoo.evaluation.reconstruction import reconstruction_error, reconstruction_similarity, similarity
from zoo.evaluation.samples import density_coverage, frechet_distance, precision_recall

__all__ = [
    "Figure",
    "Nearest",
    "density_coverage",
    "features",
    "frechet_distance",
    "log_prob",
    "nearest_training",
    "precision_recall",
    "reconstruction_error",
    "reconstruction_similarity",
    "sample_quality",
    "similarity",
]
