"""Applications of VAEs: functions that work with any model."""

import importlib
from typing import TYPE_CHECKING

from zoo.applications.denoising import add_noise, denoise
from zoo.applications.imputation import impute
from zoo.applications.interpolation import interpolate

if TYPE_CHECKING:
    from zoo.applications.anomaly import AnomalyDetector
    from zoo.applications.representation import FeatureExtractor, cluster, few_label_accuracy

# By module: estimators derive from scikit-learn's classes, which take a second to import.
_LAZY = {
    "AnomalyDetector": "anomaly",
    "FeatureExtractor": "representation",
    "cluster": "representation",
    "few_label_accuracy": "representation",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(f"zoo.applications.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'zoo.applications' has no attribute {name!r}")


__all__ = [
    "AnomalyDetector",
    "FeatureExtractor",
    "add_noise",
    "cluster",
    "denoise",
    "few_label_accuracy",
    "impute",
    "interpolate",
]
