"""Interpolation between images through the latent space."""

from typing import Literal

import keras
import numpy as np

from zoo.fitting import inputs
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike

PATHS = ("linear", "spherical")


def interpolate(
    model: keras.Model,
    start: ArrayLike,
    end: ArrayLike,
    num_steps: int = 8,
    labels: ArrayLike | None = None,
    path: Literal["linear", "spherical"] = "linear",
) -> np.ndarray:
    """Images on the path between two images' embeddings.

    An embedding is the posterior mean, of all layers for a hierarchical VAE. For a VQ-VAE it is the encoder's output,
    and each point of the path is quantised.

    Args:
        model: a model of the zoo.
        start, end: float `[B,H,W,C]` in [0, 1].
        num_steps: int >= 2, including the two ends.
        labels: int32 `[B]`, for a conditional model.
        path: "linear", the straight line; or "spherical", along which the norm does not shrink between the ends; see
            `between`.

    Returns:
        float32 array `[B,num_steps,H,W,C]`.

    Raises:
        ValueError: if `num_steps` is below 2, the shapes of `start` and `end` differ, or `path` is another one.

    Example:
        >>> zoo.applications.interpolate(model, images[:4], images[4:8], num_steps=5).shape
        (4, 5, 28, 28, 1)
    """
    checks.zoo_model(model)
    checks.integer("num_steps", num_steps, 2)
    start, end = inputs.array("start", start), inputs.array("end", end)
    if tuple(start.shape) != tuple(end.shape):
        checks.fail("end", f"of start's shape {tuple(start.shape)}", tuple(end.shape))
    checks.one_of("path", path, PATHS)
    a, b = (np.asarray(model.embed(x, labels)) for x in (start, end))
    weights = np.linspace(0.0, 1.0, num_steps, dtype=np.float32)
    points = np.stack([between(a, b, weight, path) for weight in weights], axis=1)
    repeated = None if labels is None else np.repeat(np.asarray(labels), num_steps, axis=0)
    frames = np.asarray(model.decode_embedding(points.reshape(-1, points.shape[-1]), repeated))
    return frames.reshape(*points.shape[:2], *frames.shape[1:])


def between(a: np.ndarray, b: np.ndarray, weight: float, path: Literal["linear", "spherical"] = "linear") -> np.ndarray:
    """Points between vectors.

    "linear" is (1 − t) a + t b. "spherical" is

        sin((1 − t) θ) / sin θ · a + sin(t θ) / sin θ · b,   θ the angle between a and b

    (Shoemake 1985, "Animating Rotation with Quaternion Curves", section 3.3; White 2016, "Sampling Generative
    Networks", section 2.1). Samples of a standard normal prior in many dimensions have nearly the same norm, which
    this path keeps. Vectors that are parallel, opposite or 0 have no such path and take the linear one.

    Args:
        a, b: float arrays `[B,E]`, of finite numbers.
        weight: float in [0, 1], t.
        path: "linear" or "spherical".

    Returns:
        float32 array `[B,E]`.

    Example:
        >>> zoo.applications.between(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), 0.5, "spherical").round(3)
        array([[0.707, 0.707]], dtype=float32)
    """
    checks.one_of("path", path, PATHS)
    weight = checks.number("weight", weight, 0.0, 1.0)
    a, b = _numbers("a", a), _numbers("b", b)
    if a.shape != b.shape:
        checks.fail("b", f"of a's shape {a.shape}", b.shape)
    first, second = np.full((len(a), 1), 1.0 - weight), np.full((len(a), 1), float(weight))
    if path == "spherical":
        norms = np.linalg.norm(a, axis=1, keepdims=True) * np.linalg.norm(b, axis=1, keepdims=True)
        cosine = np.sum(a * b, axis=1, keepdims=True, dtype=np.float64) / np.maximum(norms, 1e-12)
        angle = np.arccos(np.clip(cosine, -1.0, 1.0))
        sine = np.sin(angle)
        curved = (sine > 1e-4) & (norms > 1e-12)
        safe = np.where(curved, sine, 1.0)
        first = np.where(curved, np.sin((1.0 - weight) * angle) / safe, first)
        second = np.where(curved, np.sin(weight * angle) / safe, second)
    return (first * a + second * b).astype(np.float32)


def _numbers(name, value):
    value = checks.numpy_array(name, value)
    if value.ndim != 2 or value.dtype.kind not in "fiu" or not np.isfinite(value).all():
        checks.fail(name, "finite numbers of shape [B, E]", f"{value.dtype} of shape {value.shape}")
    return value if value.dtype.kind == "f" else value.astype(np.float64)
