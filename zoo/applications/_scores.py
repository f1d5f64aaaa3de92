"""The scores of anomaly detection: functions of a model and of examples, higher for anomalies."""

import io
import math

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo import random
from zoo.fitting.batched import kept_graph
from zoo.runtime import checks
from zoo.runtime.types import Tensor

_PNG_FRAME = 57  # bytes of a PNG that hold no image: signature, header, end, and the frame of the data


def elbo_terms(model: keras.Model, x: np.ndarray, num_samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """−log p(x|z) and KL( q(z|x) ‖ p(z) ), means over `num_samples` of z: float64 `[N]` each, nats.

    All rows have the same seed: a row's terms depend on its values alone.
    """

    def terms(x, seeds):
        return sampled_terms(model, x, seeds, num_samples)

    specs = [tf.TensorSpec((None, *x.shape[1:])), tf.TensorSpec((None,), tf.int32)]
    function = kept_graph(model, ("elbo_terms", num_samples), terms, specs)
    results = [function(tf.constant(batch), same_seeds(seed, len(batch))) for batch in _batches(x)]
    reconstruction, kl = (np.concatenate(each).astype(np.float64) for each in zip(*results))
    return reconstruction, kl


def sampled_terms(model: keras.Model, x: Tensor, seeds: Tensor, num_samples: int) -> tuple[Tensor, Tensor]:
    """The terms of `elbo_terms` of tensors, with a seed for each row: float32 `[N]` each."""

    def step(k, sums):
        proposal = model.propose(x, random.fold_in(seeds, k))
        return sums[0] - model.judge(x, proposal.params), sums[1] + proposal.kl

    zero = ops.zeros_like(ops.cast(seeds, "float32"))
    reconstruction, kl = ops.fori_loop(0, num_samples, step, (zero, zero))
    return reconstruction / num_samples, kl / num_samples


def same_seeds(seed: int, number: int | Tensor) -> Tensor:
    """One seed for all rows: int32 `[number]`."""
    return tf.fill((number,), random.fold_in(seed, 0))


def _batches(x, rows=256):
    return (x[i : i + rows] for i in range(0, len(x), rows))


def log_prob(model: keras.Model, x: np.ndarray, num_samples: int, seed: int) -> np.ndarray:
    """The importance-weighted bound of log p(x): float64 `[N]`, nats."""
    return np.asarray(model.log_prob(x, num_samples, same_seeds(seed, len(x))), np.float64)


def squared_error(model: keras.Model, x: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """(x − reconstruction)², of x's shape, and 0 for missing values.

    Of images the difference is first smoothed by `smoothing_matrices`.
    """
    difference = (np.asarray(model.reconstruct(x), np.float64) - x) * np.asarray(model.likelihood.known(x))
    if smoothing:
        rows, columns = smoothing_matrices(x.shape[1:], smoothing)
        difference = np.einsum("ih,nhwc,jw->nijc", rows, difference, columns, optimize=True)
    return np.square(difference)


def smoothing_matrices(shape: tuple[int, ...], deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """The matrices R `[H,H]` and C `[W,W]` of a Gaussian filter, R x Cᵀ for an image x; mirrored at the edges.

    Args:
        shape: (H, W, channels) of the images.
        deviation: float > 0, the filter's standard deviation, pixels.
    """
    require_image(shape, deviation)
    rows, columns = (_filter(size, deviation) for size in shape[:2])
    return rows, columns


def require_image(shape: tuple[int | None, ...], smoothing: float) -> None:
    """Raises ValueError unless examples of `shape` are images, which alone can be smoothed."""
    if len(shape) != 3:
        checks.fail("smoothing", "0 for data that is not an image", smoothing)


def _filter(size, deviation):
    offsets = np.arange(-math.ceil(4 * deviation), math.ceil(4 * deviation) + 1)
    weights = np.exp(-0.5 * np.square(offsets / deviation))
    sources = (np.arange(size)[:, None] + offsets) % (2 * size)
    mirrored = np.minimum(sources, 2 * size - 1 - sources)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], mirrored), weights / weights.sum())
    return matrix


def is_image(x: np.ndarray) -> bool:
    """Whether `x` holds examples that a PNG can hold, `[N,H,W,C]` of one, three or four channels."""
    return x.ndim == 4 and x.shape[-1] in (1, 3, 4)


def compressed_nats(x: np.ndarray) -> np.ndarray:
    """The size of each image as a PNG of 8 bits a value, without the file's frame: float64 `[N]`, nats."""
    from PIL import Image

    if not is_image(x):
        checks.fail("score", "one that compresses nothing, as only images have a compressed size", x.shape[1:])
    sizes = []
    for levels in np.clip(np.round(255.0 * x), 0, 255).astype(np.uint8):
        file = io.BytesIO()
        Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels).save(file, "png", optimize=True)
        sizes.append(len(file.getvalue()) - _PNG_FRAME)
    return np.array(sizes) * 8.0 * np.log(2.0)
