"""Arithmetic with embeddings: the direction of an attribute, added to images or taken away."""

import keras
import numpy as np

from zoo.applications._latents import vectors
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Labels


def attribute_direction(
    model: keras.Model, images: ArrayLike, has_attribute: ArrayLike, labels: Labels = None
) -> np.ndarray:
    """The mean embedding of the examples with an attribute, minus the mean of those without it.

    (Larsen et al. 2016, "Autoencoding beyond pixels using a learned similarity metric", section 4.2.)

    Args:
        model: a model of the zoo.
        images: float `[N,H,W,C]` in [0, 1].
        has_attribute: bool `[N]`, or integers 0 and 1: `labels == 3`, `wears_glasses`. Both kinds must be there.
        labels: for a conditional model.

    Returns:
        float32 array `[E]`.

    Raises:
        ValueError: for an attribute of another length or type, or one that all examples have or none has.

    Example:
        >>> direction = zoo.applications.attribute_direction(model, images, labels == 3)
        >>> zoo.applications.add_attribute(model, images[:4], direction, strength=0.5).shape
        (4, 28, 28, 1)
    """
    checks.zoo_model(model)
    images, has = checks.numpy_array("images", images), np.asarray(has_attribute)
    if has.shape != (len(images),) or has.dtype.kind not in "biu" or not set(np.unique(has)) <= {0, 1}:
        received = f"shape {has.shape} and dtype {has.dtype}, with the values {np.unique(has)[:5].tolist()}"
        checks.fail("has_attribute", f"of shape [{len(images)}], True or False for each example", received)
    has = has.astype(bool)
    if has.all() or not has.any():
        checks.fail("has_attribute", "True for some examples and False for others", f"{has.sum()} of {len(has)} True")
    embedded = np.asarray(model.embed(images, labels))
    return embedded[has].mean(axis=0) - embedded[~has].mean(axis=0)


def add_attribute(
    model: keras.Model, images: ArrayLike, direction: ArrayLike, strength: float = 1.0, labels: Labels = None
) -> np.ndarray:
    """Images whose embeddings are moved along a direction.

    Args:
        model: a model of the zoo.
        images: float `[B,H,W,C]` in [0, 1].
        direction: float `[E]`, from `attribute_direction`.
        strength: float, the multiple of it that is added; a negative one takes the attribute away.
        labels: for a conditional model.

    Returns:
        float32 array `[B,H,W,C]`.

    Raises:
        ValueError: for a direction of another length, or a strength that is not finite.

    Example:
        >>> direction = zoo.applications.attribute_direction(model, images, labels < 5)
        >>> without = zoo.applications.add_attribute(model, images[:4], direction, strength=-1.0)
    """
    checks.zoo_model(model)
    moved = vectors("direction", np.asarray(direction)[None], model.embedding_dim)
    embedded = np.asarray(model.embed(images, labels)) + checks.number("strength", strength) * moved
    return np.asarray(model.decode_embedding(embedded.astype(np.float32), labels))
