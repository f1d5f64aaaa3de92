"""The groups of figures of a report: each function measures a model, and says which figures it leaves out."""

import math
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from zoo.evaluation import features as feature_networks
from zoo.evaluation.criticism import default_statistics, predictive_checks
from zoo.evaluation.disentanglement import dci, factor_vae_score, mig, modularity, sap
from zoo.evaluation.figures import Figure
from zoo.evaluation.likelihood import likelihood_figures
from zoo.evaluation.quality import sample_quality
from zoo.evaluation.reconstruction import similarity
from zoo.evaluation.reports.task import Task
from zoo.evaluation.representation import linear_probe, nearest_neighbours
from zoo.evaluation.rows import Examples, as_float, evenly_spaced, standard_error

# Figures, and the reason for each figure or group that is left out.
Measured: TypeAlias = tuple[list[Figure], dict[str, str]]

_MOST_SAMPLES = 10_000
_MOST_EMBEDDED = 10_000  # training examples of the probes
_MOST_VALUES = 2**25  # of all embeddings
_ROWS = 2048
# Function, settings, images, and what a reader must know to compare.
_SCORES: tuple[tuple[Callable[..., dict[str, float]], dict[str, Any], int, str], ...] = (
    (mig, {}, 10_000, "of embeddings, 20 bins"),
    (sap, {}, 15_000, "linear SVM, C = 0.01"),
    (modularity, {}, 10_000, "of embeddings, 20 bins"),
    (factor_vae_score, {"num_examples": 2000, "num_test": 1000}, 192_000, "2,000 votes to fit, 1,000 to test"),
    (dci, {"trees": "forest"}, 15_000, "random forests"),
)
_SCORE_NAMES = (
    *("mig", "sap", "modularity", "factor_vae_score"),
    *("dci_disentanglement", "dci_completeness", "dci_informativeness"),
)


def likelihood(task: Task) -> Measured:
    """The ELBO and its parts, and the bound with `num_samples` samples."""
    found = likelihood_figures(
        task.model, task.test.images, task.labels, task.num_samples, task.seed, task.test.split,
        lambda done, total: task.progress("importance samples", done, total),
    )  # fmt: skip
    left_out = {}
    if not task.model.likelihood.eight_bit:
        kind = type(task.model.likelihood).__name__
        left_out["bits_per_dim"] = f"{kind} is no distribution over 8-bit values"
    if task.model.num_codes is not None and not task.model.can_sample:
        left_out["elbo, rate, code_cross_entropy"] = "the model has no prior over its codes"
    return found, left_out


def reconstruction(task: Task) -> Measured:
    """The squared error of reconstructions, and their similarity to the images."""
    start, errors, shares, alike = time.perf_counter(), [], [], []
    examples = Examples(task.model, task.test.images, task.labels)
    given = task.model.conditional
    for rows, x, labels, _ in examples.batches():
        rebuilt = np.asarray(task.model.reconstruct(x, labels if given else None))
        known = np.asarray(task.model.likelihood.known(x), np.float64)
        errors.append((known * np.square(rebuilt.astype(np.float64) - x)).reshape(len(x), -1, x.shape[-1]).mean(axis=1))
        shares.append(known.reshape(len(x), -1).mean(axis=1))
        if x.ndim == 4 and known.all():
            alike.append(similarity(x, np.clip(rebuilt, 0.0, 1.0)))
        task.progress("reconstructions", rows.stop, len(examples))
    seconds, of_channels, share = time.perf_counter() - start, np.concatenate(errors), np.concatenate(shares)
    complete, seen, left_out = share.min() == 1.0, share > 0.0, {}
    squared = of_channels.mean(axis=1)[seen] / share[seen]
    of_what = "mean over values" if complete else "mean over known values"
    found = [task.figure("mse", squared.mean(), standard_error(squared), seconds, about=of_what)]
    ratio, about = _over_variance(task, of_channels) if complete else (None, "some values are missing")
    if ratio is None:
        left_out["mse_over_variance"] = about
    else:
        found.append(task.figure("mse_over_variance", ratio.mean(), standard_error(ratio), 0.0, about=about))
    units = {"psnr": "dB", "ssim": "", "ms_ssim": ""}
    for name, unit in units.items():
        if not alike or name not in alike[0]:
            shape = task.test.images.shape[1:]
            left_out[name] = f"it is not defined for examples of shape {shape}, or with missing values"
            continue
        values = np.concatenate([each[name] for each in alike]).astype(np.float64)
        if not np.isfinite(values).all():
            left_out[name] = "some reconstructions equal their image"
            continue
        about = "mean over images; that of the mean squared error is lower" if name == "psnr" else ""
        found.append(task.figure(name, values.mean(), standard_error(values), 0.0, unit=unit, about=about))
    return found, left_out


def _over_variance(task, of_channels):
    """Squared errors `[B,C]` over variances, `[B]` or None, and what that is, or why there is none."""
    if task.training is None:
        return None, "it needs the training images, whose variance it is divided by"
    images = task.training.images
    if images.ndim == 4:
        binary = "" if task.training.grey is None else "binarised "
        about = f"over the variance of the {binary}training images: 1 for a model that always gives their mean"
        return of_channels.mean(axis=1) / pixel_variance(images), about
    # Channels have units of their own, and a mean over all would be that of the largest.
    variances = as_float(images[:]).astype(np.float64).reshape(-1, images.shape[-1]).var(axis=0)
    varying = variances > 0.0
    if not varying.any():
        return None, "no channel of the training data varies"
    about = "of each channel over its variance in the training data: 1 for a model that always gives the means"
    return (of_channels[:, varying] / variances[varying]).mean(axis=1), about


def pixel_variance(images: np.ndarray) -> float:
    """The variance of all values of images in [0, 1], in chunks."""
    total = squares = 0.0
    for start in range(0, len(images), _ROWS):
        part = as_float(images[start : start + _ROWS]).astype(np.float64)
        total, squares = total + part.sum(), squares + np.square(part).sum()
    number = math.prod(images.shape)
    return max(float(squares / number - (total / number) ** 2), 1e-12)


def samples(task: Task) -> Measured:
    """Fréchet distances, precision, recall, density and coverage, and the nearest training images."""
    reason = _no_samples(task)
    if reason:
        return [], {"samples": reason}
    assert task.training is not None and task.judge is not None
    number = min(len(task.test), _MOST_SAMPLES)
    found = sample_quality(
        task.model, task.training.natural, task.test.natural, task.judge, number, task.seed,
        task.training.labels, task.test.labels, task.card, task.progress, task.training_features,
    )  # fmt: skip
    return [*found, *_nearest(task)], {}


def _no_samples(task):
    """The reason why the samples cannot be judged; None if they can."""
    if not task.model.can_sample:
        return "the model has no prior over its codes, and cannot sample"
    if task.training is None:
        return "they are compared with training images, and none are given"
    if task.judge is None:
        known = ", ".join(feature_networks.CLASSIFIERS)
        return f"no feature network is given that suits these images; there are {known}"
    shape = tuple(task.judge.image_shape)
    if tuple(task.test.images.shape[1:]) != shape:
        return f"{task.judge.name} takes images of shape {shape}"
    if task.model.label_source() is not None and task.training.labels is None:
        return "the model takes labels, and the training images have none"
    if min(len(task.test), len(task.training)) < 10:
        return "they need at least 10 test images and 10 training images"
    return None


def _nearest(task):
    start = time.perf_counter()
    drawn, near = task.nearest
    number, seconds = len(drawn), (time.perf_counter() - start) / len(near)
    found = []
    for space, each in near.items():
        share = each.summary()["share_nearer"]
        about = (
            "share of samples that are nearer to a training image than 99 % of the test images are; 0.01 is expected"
        )
        error = math.sqrt(share * (1.0 - share) / number)
        name = f"share_nearer ({space})"
        found.append(
            task.figure(name, share, error, seconds, about=about, split="sampled", num_examples=number, seed=task.seed)
        )
    return found


def representation(task: Task) -> Measured:
    """The accuracies of a linear probe and of a vote of neighbours on `embed`."""
    reason = _no_representation(task)
    if reason:
        return [], {"representation": reason}
    assert task.training is not None
    start = time.perf_counter()
    most = min(_MOST_EMBEDDED, max(500, _MOST_VALUES // task.model.embedding_dim))
    training, test = (_embedded(task, part, most) for part in (task.training, task.test))
    embedding = time.perf_counter() - start
    found = []
    for name, measure in (("linear_probe", linear_probe), ("nearest_neighbours", nearest_neighbours)):
        task.progress(name, 0, 1)
        start = time.perf_counter()
        scores = measure(*training, *test)
        about = f"accuracy, on embeddings of {len(training[0])} training examples"
        seconds = embedding + time.perf_counter() - start
        about += ", k = 5" if name == "nearest_neighbours" else ""
        accuracy, error = scores["accuracy"], scores["standard_error"]
        found.append(task.figure(name, accuracy, error, seconds, about=about, num_examples=len(test[0])))
    return found, {}


def _no_representation(task):
    if task.model.conditional:
        return "the encoder is given the labels that a probe would have to find"
    if task.training is None:
        return "the probes are trained on training images, and none are given"
    if task.training.labels is None or task.test.labels is None:
        return "the data has no labels"
    if task.test.labels.ndim != 1 or len(np.unique(task.training.labels)) < 2 or len(task.training) < 5:
        return "it needs labels of two classes or more"
    return None


def _embedded(task, part, most):
    """Embeddings and labels of at most `most` examples, evenly spaced."""
    rows = evenly_spaced(len(part), most)
    found = []
    for start in range(0, len(rows), _ROWS):
        found.append(np.asarray(task.model.embed(as_float(part.images[rows[start : start + _ROWS]]))))
        task.progress(f"embeddings of {part.split} images", min(start + _ROWS, len(rows)), len(rows))
    return np.concatenate(found), part.labels[rows]


def criticism(task: Task) -> Measured:
    """Simple statistics of samples beside those of the data."""
    if not task.model.can_sample:
        return [], {"criticism": "the model has no prior over its codes, and cannot sample"}
    if len(task.test) < 2:
        return [], {"criticism": "it needs at least two images"}
    number = min(len(task.test), 1000)
    labels = None if task.labels is None else task.labels[:number]
    task.progress("predictive checks", 0, 1)
    images = task.test.natural[:number]
    found = predictive_checks(task.model, images, labels, task.seed, task.test.split)
    wanted = [f"check_{name}" for name in default_statistics(task.model, Examples(task.model, images, labels))]
    missing = [name for name in wanted if name not in {figure.name for figure in found}]
    return found, {name: "it is the same for all images, and another for samples" for name in missing}


def disentanglement(task: Task) -> Measured:
    """The scores of disentanglement, on images whose factors are known."""
    if task.factors is None:
        return [], {"disentanglement": "it needs images with known factors, such as sprites or dsprites"}
    if task.model.conditional or task.model.embedding_dim < 2:
        return [], {"disentanglement": "it needs a model of two latents or more that takes no labels"}
    found: list[Figure] = []
    for measure, settings, number, about in _SCORES:
        task.progress("scores of disentanglement", len(found), 7)
        start = time.perf_counter()
        scores = measure(task.model.embed, task.factors, seed=task.seed, **settings)
        seconds = time.perf_counter() - start
        for name in (name for name in scores if name in _SCORE_NAMES):
            found.append(
                task.figure(
                    name, scores[name], None, seconds, about=about, split="all factors", num_examples=number,
                    seed=task.seed,
                )
            )  # fmt: skip
    return found, {}
