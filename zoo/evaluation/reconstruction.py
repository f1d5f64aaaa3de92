"""The error of reconstructions, and their similarity to the images."""

import math
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from zoo.evaluation.rows import pair, standard_error
from zoo.fitting import inputs
from zoo.fitting.batched import kept_graph
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike

# Of the five scales, from the finest (Wang et al. 2003).
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW = 11  # pixels, the Gaussian window of SSIM


def reconstruction_error(
    model: keras.Model, batches: Iterable[ArrayLike | tuple[ArrayLike, ArrayLike]], variance: float | None = None
) -> dict[str, float]:
    """The mean squared error of `model.reconstruct` over all values of all images, but for missing values.

    Args:
        model: a model of the zoo.
        batches: iterable of float images `[B,H,W,C]`, or of (images, labels) for a conditional model.
        variance: float, the variance of all values of the training data; None leaves the ratio out.

    Returns:
        dict of floats: `mse`, in squared units of the [0, 1] range; `mse_over_variance`, 1 for a model that always
        gives the mean value; `psnr`, −10 log10 mse, in dB.

    Raises:
        ValueError: for images of another shape or range than those of the model, and for no batch.

    Example:
        >>> zoo.evaluation.reconstruction_error(model, [images], variance=images.var())
        {'mse': …, 'mse_over_variance': …, 'psnr': …}
    """
    checks.zoo_model(model)
    if variance is not None:
        variance = checks.number("variance", variance, 0.0, open_low=True)
    squared, number = 0.0, 0
    for batch in batches:
        x, labels = pair(model, batch)
        known = np.asarray(model.likelihood.known(x), np.float64)
        squared += (known * np.square(np.asarray(model.reconstruct(x, labels) - x, np.float64))).sum()
        number += known.sum()
    if not number:
        checks.fail("batches", "one batch or more", "none")
    mse = squared / number
    ratio = {} if variance is None else {"mse_over_variance": mse / variance}
    return {"mse": mse, **ratio, "psnr": -10.0 * math.log10(mse) if mse else math.inf}


def reconstruction_similarity(
    model: keras.Model, batches: Iterable[ArrayLike | tuple[ArrayLike, ArrayLike]]
) -> dict[str, float]:
    """PSNR, SSIM and MS-SSIM of `model.reconstruct`: means over images, with standard errors.

    Args:
        model: a model of the zoo, of images.
        batches: iterable of float images `[B,H,W,C]` in [0, 1], or of (images, labels) for a conditional model.

    Returns:
        dict of floats: `psnr`, `ssim`, `ms_ssim`, and for each the standard error over images: `psnr_error`, … (NaN for
        a single image). The measures are those of `similarity`; a measure that is not defined for the size of the
        images is left out. The mean of the images' own PSNR is at least the PSNR of the mean squared error, which
        `reconstruction_error` gives.

    Raises:
        ValueError: for a model of data in another range, for images or labels that it does not take, and for no batch.

    Example:
        >>> zoo.evaluation.reconstruction_similarity(model, [images])
        {'psnr': …, 'psnr_error': …, 'ssim': …, 'ssim_error': …, 'ms_ssim': …, 'ms_ssim_error': …}
    """
    checks.zoo_model(model)
    compare = kept_graph(model, "zoo.evaluation.similarity", _similarity)
    parts = []
    if model.data_range != (0.0, 1.0):
        checks.fail("model", "one of images in [0, 1], on which the measures rest", f"data in {model.data_range}")
    for batch in batches:
        x, labels = pair(model, batch)
        made = tf.clip_by_value(model.reconstruct(x, labels), 0.0, 1.0)
        parts.append({name: value.numpy() for name, value in compare(x, made).items()})
    if not parts:
        checks.fail("batches", "one batch or more", "none")
    result: dict[str, float] = {}
    for name in parts[0]:
        values = np.concatenate([part[name] for part in parts]).astype(np.float64)
        error = standard_error(values) if np.isfinite(values).all() else float("nan")
        result |= {name: float(values.mean()), f"{name}_error": error}
    return result


def similarity(images: ArrayLike, others: ArrayLike) -> dict[str, np.ndarray]:
    """PSNR, SSIM and MS-SSIM of pairs of images.

    Args:
        images, others: float `[B,H,W,C]` in [0, 1].

    Returns:
        dict of float32 arrays `[B]`: `psnr`, in dB, infinite for equal images; `ssim`, for sides of at least 11 pixels;
        `ms_ssim`, for sides of at least 22. The latter two are 1 for equal images.

    Raises:
        ValueError: for arrays of different shapes, of another rank, of integers, or out of [0, 1].

    Example:
        >>> result = zoo.evaluation.similarity(images, images)
        >>> result["ssim"][0], result["ms_ssim"][0]
        (np.float32(1.0), np.float32(1.0))

    Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity", and Wang et al. 2003,
    "Multiscale Structural Similarity for Image Quality Assessment", with their constants: a Gaussian window of 11
    pixels and deviation 1.5, K1 = 0.01, K2 = 0.03. Colours are compared channel by channel, and averaged.
    Deviation: the published five scales need sides of 176 pixels, as the window must fit the coarsest. Smaller images
    get as many scales as fit, with the first of the published weights divided by their sum: 2 scales for 28 and 32
    pixels (0.136, 0.864), 3 for 64. Compare figures of images of one size only.
    """
    for name, each in (("images", images), ("others", others)):
        values = inputs.array(name, each)
        inputs.require_floating(name, values)
        inputs.look([inputs.Values(name, values, 0.0, 1.0)])
    images, others = tf.convert_to_tensor(images, tf.float32), tf.convert_to_tensor(others, tf.float32)
    if images.shape.rank != 4 or images.shape != others.shape:
        checks.fail("others", f"images [B,H,W,C] as `images`, {tuple(images.shape)}", tuple(others.shape))
    return {name: value.numpy() for name, value in _similarity(images, others).items()}


def _similarity(images, others):
    smallest = min(images.shape[1:3])
    result = {"psnr": tf.image.psnr(images, others, 1.0)}
    if smallest >= _WINDOW:
        result["ssim"] = tf.image.ssim(images, others, 1.0)
    scales = min(len(_SCALE_WEIGHTS), 1 + math.floor(math.log2(max(1.0, smallest / _WINDOW))))
    if scales > 1:
        weights = np.array(_SCALE_WEIGHTS[:scales]) / sum(_SCALE_WEIGHTS[:scales])
        result["ms_ssim"] = tf.image.ssim_multiscale(images, others, 1.0, power_factors=weights.tolist())
    return result
