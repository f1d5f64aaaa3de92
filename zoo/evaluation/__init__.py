"""How good a model is, on images that it was not trained on."""

from zoo.evaluation.likelihood import log_prob
from zoo.evaluation.reconstruction import reconstruction_error

__all__ = ["log_prob", "reconstruction_error"]
