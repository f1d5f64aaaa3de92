"""Measures of a model on held-out images, and what they say about it."""

from zoo.evaluation import features
from zoo.evaluation.code_terms import CodeTerms, code_terms
from zoo.evaluation.criticism import predictive_checks
from zoo.evaluation.diagnosis import FAULTS, Finding, diagnose
from zoo.evaluation.disentanglement import FactorData, dci, factor_vae_score, mig, modularity, sap
from zoo.evaluation.figures import Figure
from zoo.evaluation.latent_terms import LatentLayer, LatentTerms, latent_terms
from zoo.evaluation.likelihood import importance_bound, likelihood_figures, log_prob
from zoo.evaluation.nearest import Nearest, nearest_training
from zoo.evaluation.quality import sample_quality
from zoo.evaluation.rate_distortion import Point, Recommendation, knee, recommend
from zoo.evaluation.reconstruction import reconstruction_error, reconstruction_similarity, similarity
from zoo.evaluation.reports import METRICS, Part, Report, evaluate
from zoo.evaluation.representation import linear_probe, nearest_neighbours
from zoo.evaluation.rows import Examples
from zoo.evaluation.samples import density_coverage, frechet_distance, precision_recall
from zoo.evaluation.video import prediction_errors

__all__ = [
    "FAULTS",
    "METRICS",
    "CodeTerms",
    "Examples",
    "FactorData",
    "Figure",
    "Finding",
    "LatentLayer",
    "LatentTerms",
    "Nearest",
    "Part",
    "Point",
    "Recommendation",
    "Report",
    "code_terms",
    "dci",
    "density_coverage",
    "diagnose",
    "evaluate",
    "factor_vae_score",
    "features",
    "frechet_distance",
    "importance_bound",
    "knee",
    "latent_terms",
    "likelihood_figures",
    "linear_probe",
    "log_prob",
    "mig",
    "modularity",
    "nearest_neighbours",
    "nearest_training",
    "precision_recall",
    "prediction_errors",
    "predictive_checks",
    "recommend",
    "reconstruction_error",
    "reconstruction_similarity",
    "sample_quality",
    "sap",
    "similarity",
]
