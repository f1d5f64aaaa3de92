"""Measures of a model on held-out images."""

from zoo.evaluation.figures import Figure
from zoo.evaluation.likelihood import log_prob
from zoo.evaluation.reconstruction import reconstruction_error

__all__ = ["Figure", "log_prob", "reconstruction_error"]
