"""Denoising: noise of three kinds, and its removal by a model trained on pairs or by a plain VAE."""

import functools
import math
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from zoo import random
from zoo.applications._ascent import ascend
from zoo.fitting import inputs
from zoo.fitting.batched import kept_graph
from zoo.models import VAE
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Labels

KINDS = ("gaussian", "salt_and_pepper", "blur")
_ROWS_AT_ONCE = 256


def add_noise(
    x: ArrayLike, kind: Literal["gaussian", "salt_and_pepper", "blur"], level: float, seed: int = 0
) -> np.ndarray:
    """Images with noise, clipped to [0, 1].

    Args:
        x: float `[N,H,W,C]` in [0, 1]; of any rank for all but "blur".
        kind: "gaussian": adds noise of the standard deviation `level`. "salt_and_pepper": sets a share `level` of the
            pixels to 0 or 1, with equal chance, all channels of a pixel alike. "blur": a Gaussian blur whose standard
            deviation is `level` pixels, with mirrored edges.
        level: float >= 0; at most 1 for "salt_and_pepper".
        seed: int; row i has the noise of the seed `zoo.random.fold_in(seed, i)`.

    Returns:
        float32, of x's shape.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> noisy = zoo.applications.add_noise(images, "salt_and_pepper", 0.2)
        >>> noisy.shape
        (32, 28, 28, 1)
    """
    checks.one_of("kind", kind, KINDS)
    level = checks.number("level", level, 0.0, 1.0 if kind == "salt_and_pepper" else math.inf)
    x = checks.numpy_array("x", x)
    if x.dtype.kind != "f" or not len(x) or x.ndim < (4 if kind == "blur" else 2):
        checks.fail("x", "floats [N,H,W,C] of one image or more", f"{x.dtype} of shape {x.shape}")
    x = x.astype(np.float32)
    inputs.look([inputs.Values("x", x, 0.0, 1.0)])
    if kind == "blur":
        return np.clip(_blurred(x, level), 0.0, 1.0)
    seeds = random.row_seeds(checks.fixed_seed("seed", seed), len(x))
    if kind == "gaussian":
        noise = np.concatenate([random.normal(part, x.shape[1:]) for part in _parts(seeds)])
        return np.clip(x + np.float32(level) * noise, 0.0, 1.0)
    uniform = np.concatenate([random.uniform(part, (*x.shape[1:-1], 1)) for part in _parts(seeds)])
    salt = (uniform < level / 2).astype(np.float32)
    return np.where(uniform < level, salt, x)


def _parts(values):
    return (values[i : i + _ROWS_AT_ONCE] for i in range(0, len(values), _ROWS_AT_ONCE))


def _blurred(x, deviation):
    """Convolution with a Gaussian along height and width, cut off at four standard deviations."""
    radius = math.ceil(4 * deviation)
    if not radius:
        return x
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (1, 2):
        widths = [(radius, radius) if each == axis else (0, 0) for each in range(x.ndim)]
        padded, size = np.pad(x, widths, mode="symmetric"), x.shape[axis]
        x = sum(weight * padded.take(np.arange(i, i + size), axis) for i, weight in enumerate(kernel))
    return x


def denoise(
    model: keras.Model, x: ArrayLike, deviation: float | None = None, steps: int = 100, labels: Labels = None
) -> np.ndarray:
    """Removes noise.

    A model trained on pairs, `fit(noisy, clean)`, does so by its reconstruction. A plain VAE reconstructs something
    close to its training data, and also takes noise away; with `deviation`, its latents are then improved by `steps`
    steps of Adam on log N(x; decode(z), deviation²) + log p(z), the posterior of z under Gaussian noise.

    Args:
        model: a model of the zoo.
        x: float `[N,…]`, noisy; for a plain model it is clipped to the range of its data, beyond which it may lie by
            ten times the width of the range.
        deviation: float >= 1e-6, the standard deviation of the noise, in the units of x, for a plain `zoo.VAE` or a
            subclass; or None.
        steps: int >= 0.
        labels: int32 `[N]`, for a conditional model.

    Returns:
        float32, of x's shape.

    Raises:
        ValueError: for arguments out of range, or a model that `deviation` does not suit.

    Example:
        >>> noisy = zoo.applications.add_noise(images, "gaussian", 0.2)
        >>> zoo.applications.denoise(model, noisy, deviation=0.2, steps=2).shape
        (32, 28, 28, 1)
    """
    checks.zoo_model(model)
    x = checks.numpy_array("x", x)
    if x.dtype.kind == "f" and not model.denoises:
        x = _clipped(x.astype(np.float32), model.likelihood.support)
    if deviation is None:
        return np.asarray(model.reconstruct(x, labels))
    support = model.likelihood.support
    most = 1e15 if support is None else inputs.FARTHEST * (support[1] - support[0])
    deviation = checks.number("deviation", deviation, 1e-6, most)
    checks.integer("steps", steps, 0)
    if not isinstance(model, VAE) or model.denoises:
        checks.fail("deviation", "None, but for a zoo.VAE that was not trained on pairs", deviation)
    first = model.embed(x, labels)
    labels = model._cast_labels(labels)
    improved = kept_graph(model, "zoo.applications.denoise", functools.partial(_improved, model))
    settings = tf.constant(0.5 / deviation**2, tf.float32), tf.constant(steps)
    parts = []
    for i in range(0, len(x), _ROWS_AT_ONCE):
        rows = slice(i, i + _ROWS_AT_ONCE)
        its_labels = None if labels is None else labels[rows]
        parts.append(improved(tf.convert_to_tensor(x[rows]), first[rows], its_labels, *settings))
    return np.concatenate(parts)


def _clipped(x, support):
    """Noisy values within the range of the data; values that noise does not explain are refused."""
    if support is None:
        return x
    inputs.look([inputs.noisy("x", x, support)])
    return np.clip(x, *support)


def _improved(model, x, first, labels, scale, steps):
    """The reconstruction of x from latents that `steps` steps have improved, as `denoise` says."""
    density = model.prior.density(model.prior_labels(labels))

    def objective(z):
        mean = model.likelihood.mean(model.likelihood_params(model.decoder_inputs(z, labels)))
        return density(z) - scale * tf.reduce_sum(tf.square(mean - x), axis=range(1, len(x.shape)))

    return model.decode(ascend(objective, first, steps), labels)
