"""Applications of VAEs: functions that work with any model."""

import importlib
from typing import TYPE_CHECKING

from zoo.applications._latents import LatentStatistics, latent_statistics, require_sampling
from zoo.applications.arithmetic import add_attribute, attribute_direction
from zoo.applications.augmentation import jitter, sample_labelled
from zoo.applications.denoising import add_noise, denoise
from zoo.applications.exploration import Map, explore, latent_map, manifold, plot_map, site
from zoo.applications.generation import walk
from zoo.applications.imputation import impute, impute_interval, impute_with_residuals
from zoo.applications.interpolation import between, interpolate
from zoo.applications.pictures import grid, save_animation, save_image, save_images
from zoo.applications.sounds import bits_per_second, log_spectral_distance, sound_vae, sound_vqvae
from zoo.applications.style_transfer import mix_levels, num_levels, relabel, vary_levels
from zoo.applications.tables import TableModel
from zoo.applications.texts import TextModel
from zoo.applications.tiling import decode_tiled, encode_tiled, reconstruct_tiled
from zoo.applications.traversal import Traversal, traverse
from zoo.applications.video import futures, side_by_side

if TYPE_CHECKING:
    from zoo.applications.anomaly import AnomalyDetector
    from zoo.applications.representation import FeatureExtractor, cluster, few_label_accuracy
    from zoo.applications.series import SeriesDetector, series_vae

# By module: they need scikit-learn, which takes a second to import.
_LAZY = {
    "AnomalyDetector": "anomaly",
    "FeatureExtractor": "representation",
    "SeriesDetector": "series",
    "cluster": "representation",
    "few_label_accuracy": "representation",
    "series_vae": "series",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(f"zoo.applications.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'zoo.applications' has no attribute {name!r}")


__all__ = [
    "AnomalyDetector",
    "FeatureExtractor",
    "LatentStatistics",
    "Map",
    "SeriesDetector",
    "TableModel",
    "TextModel",
    "Traversal",
    "add_attribute",
    "add_noise",
    "attribute_direction",
    "between",
    "bits_per_second",
    "cluster",
    "decode_tiled",
    "denoise",
    "encode_tiled",
    "explore",
    "few_label_accuracy",
    "futures",
    "grid",
    "impute",
    "impute_interval",
    "impute_with_residuals",
    "interpolate",
    "jitter",
    "latent_map",
    "latent_statistics",
    "log_spectral_distance",
    "manifold",
    "mix_levels",
    "num_levels",
    "plot_map",
    "reconstruct_tiled",
    "relabel",
    "require_sampling",
    "sample_labelled",
    "save_animation",
    "save_image",
    "save_images",
    "series_vae",
    "side_by_side",
    "site",
    "sound_vae",
    "sound_vqvae",
    "traverse",
    "vary_levels",
    "walk",
]
