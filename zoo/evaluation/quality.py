"""The quality of a model's samples and reconstructions, as a feature network judges them."""

import functools
import time
from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np

from zoo.evaluation.features import Features, require_features_of, require_independent
from zoo.evaluation.figures import Figure
from zoo.evaluation.rows import Told, as_float, samples
from zoo.evaluation.samples import density_coverage, frechet_distance, precision_recall
from zoo.runtime import checks

_ROWS = 500  # images made at once
_NEIGHBOURS = {"precision": 3, "recall": 3, "density": 5, "coverage": 5}  # as the papers use


class _Set(NamedTuple):
    features: np.ndarray
    seconds: float


def sample_quality(
    model: keras.Model,
    training_images: np.ndarray,
    test_images: np.ndarray,
    features: Features,
    num_samples: int = 10_000,
    seed: int = 0,
    training_labels: np.ndarray | None = None,
    test_labels: np.ndarray | None = None,
    card: Mapping[str, object] | None = None,
    progress: Told | None = None,
    training_features: np.ndarray | None = None,
) -> list[Figure]:
    """Fréchet distances, precision, recall, density and coverage of a model, in the features of a named network.

    Fréchet distances are those to all training images, of three sets of equal size: samples, reconstructions of test
    images, and test images. The last shows the value that a perfect model would get. The other figures compare the
    samples with as many training images, drawn at random.

    The features of all images are in memory at once, the images are not: 60,000 images in 160 features take 38 MB.

    Args:
        model: a model of the zoo.
        training_images, test_images: `[N,H,W,C]`, uint8 or float in [0, 1]; in memory or `zoo.runtime.disk.DiskArray`.
        features: `zoo.evaluation.features.Features`.
        num_samples: int >= 6; at most as many test images are used as there are.
        seed: int, of samples, labels, and the choice of training images.
        training_labels: `[N]`, for a model whose samples take labels: they are drawn from these.
        test_labels: for a conditional model.
        card: dict, the model's card. A network that took part in its training is refused as a judge.
        progress: function of (description, images done, images in all), called after each part; or None.
        training_features: `[N,F]`, of `features.embed(training_images)`; None computes them.

    Returns:
        list of `Figure`. Their names end in the label of `features`: "frechet_distance (mnist_classifier features)".

    Raises:
        ValueError: for labels that are missing, images of another shape, or a network that is no independent judge.

    Example:
        >>> judge = zoo.evaluation.features.load("mnist_classifier")
        >>> print(zoo.evaluation.sample_quality(model, images[:20], images[20:], judge, num_samples=12)[0])
        frechet_distance (mnist_classifier features) … (12 sampled examples)
    """
    require_independent(card or {}, features)
    checks.integer("num_samples", num_samples, max(_NEIGHBOURS.values()) + 1)
    labels = _labels(model, training_labels, num_samples, seed)
    number = min(num_samples, len(test_images))
    collect = functools.partial(_collect, features, progress or (lambda *_: None))
    if training_features is None:
        training = collect("training images", len(training_images), _slices(training_images, len(training_images)))
    else:
        require_features_of(training_images, training_features)
        training = _Set(training_features, 0.0)
    # Of a Gaussian likelihood the mean of p(x|z) can lie outside of the range of images.
    drawn = (np.clip(images, 0.0, 1.0) for images in samples(model, num_samples, seed, labels, _ROWS))
    sampled = collect("samples", num_samples, drawn)
    rebuilt = collect("reconstructions", number, _reconstructed(model, test_images, test_labels, number))
    test = collect("test images", number, _slices(test_images, number))
    sets = {"": (sampled, "sampled"), " of reconstructions": (rebuilt, "test"), " of test images": (test, "test")}
    return [
        *(_distance(name, each, training, split, features, seed) for name, (each, split) in sets.items()),
        *_neighbourhoods(sampled, training, features, seed),
    ]


def _labels(model, training_labels, num_samples, seed):
    """Labels `[num_samples]` for samples, as frequent as in training; None for a model that takes none."""
    if model.label_source() is None:
        return None
    if training_labels is None:
        checks.fail("training_labels", "the labels of the training images, as samples of this model take labels", None)
    return np.random.default_rng(seed).choice(training_labels, num_samples)


def _slices(images, number):
    return (images[start : min(start + _ROWS, number)] for start in range(0, number, _ROWS))


def _reconstructed(model, images, labels, number):
    """Yields the reconstructions of the first images."""
    if model.conditional and labels is None:
        checks.fail("test_labels", "the labels of the test images, as the model is conditional", None)
    for start in range(0, number, _ROWS):
        rows = slice(start, min(start + _ROWS, number))
        yield np.clip(model.reconstruct(as_float(images[rows]), labels[rows] if model.conditional else None), 0.0, 1.0)


def _collect(features, progress, description, total, parts):
    """The features of all parts, and the seconds that it took to make and embed them."""
    started, found, done = time.monotonic(), [], 0
    for images in parts:
        found.append(features.embed(images))
        done += len(images)
        progress(description, done, total)
    return _Set(np.concatenate(found), time.monotonic() - started)


def _distance(name, each, training, split, features, seed):
    started = time.monotonic()
    measured = frechet_distance(each.features, training.features)
    return Figure(
        name=f"frechet_distance{name} ({features.label})",
        value=measured["frechet_distance"],
        error=measured["standard_error"],
        split=split,
        num_examples=len(each.features),
        seed=seed,
        seconds=each.seconds + time.monotonic() - started,
        about=f"to {len(training.features)} training images; the error is a jackknife's, of 20 groups of examples",
    )


def _neighbourhoods(sampled, training, features, seed):
    """Precision, recall, density and coverage of the samples and as many training images."""
    number = min(len(sampled.features), len(training.features))
    rows = np.random.default_rng(abs(seed)).choice(len(training.features), number, replace=False)
    real, figures = training.features[np.sort(rows)], []
    for measure, names in ((precision_recall, ("precision", "recall")), (density_coverage, ("density", "coverage"))):
        started = time.monotonic()
        measured = measure(real, sampled.features)
        seconds = time.monotonic() - started
        figures += [
            Figure(
                name=f"{name} ({features.label})",
                value=measured[name],
                error=measured[f"{name}_error"],
                split="sampled",
                num_examples=len(sampled.features),
                seed=seed,
                seconds=seconds,
                about=f"k = {_NEIGHBOURS[name]}, with {number} training images",
            )
            for name in names
        ]
    return figures
