"""Traversals: one latent changes, the others stay."""

from typing import NamedTuple

import keras
import numpy as np

from zoo.applications._latents import latent_statistics, own_labels, prior_embeddings
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Labels


class Traversal(NamedTuple):
    """Images along latents, the latents with the largest KL first.

    Attributes:
        images: float32 array `[K,S,H,W,C]`, a row for each latent.
        latents: int array `[K]`, the positions of the latents in an embedding.
        kl: float32 array `[K]`, nats per example; None for a VQ-VAE.
        steps: float32 array `[S]`, in standard deviations of the latent over the examples.
    """

    images: np.ndarray
    latents: np.ndarray
    kl: np.ndarray | None
    steps: np.ndarray


def traverse(
    model: keras.Model,
    images: ArrayLike,
    labels: Labels = None,
    start: ArrayLike | None = None,
    start_label: ArrayLike | None = None,
    num_latents: int = 8,
    num_steps: int = 9,
    span: float = 3.0,
) -> Traversal:
    """Moves each latent from −span to +span standard deviations, around an example or a point of the prior.

    Args:
        model: a model of the zoo.
        images: float `[N,H,W,C]` in [0, 1], examples that rank the latents and give their standard deviations.
        labels: of the examples, for a conditional model.
        start: float `[H,W,C]`, an example; None for what `sample` decodes at temperature 0, the mean of a
            standard normal prior, or for the mean embedding of `images` if the latents are codes.
        start_label: the label of the start, for a conditional model; None for that of the first example, whatever
            `start` is.
        num_latents: int >= 1, the latents that are shown; those with the largest KL, all if there are fewer.
        num_steps: int >= 2. With an odd number the middle is the start itself.
        span: float > 0.

    Returns:
        `Traversal`.

    Raises:
        ValueError: for an argument of another kind, shape or range.

    Example:
        >>> result = zoo.applications.traverse(model, images, start=images[0], num_latents=3, num_steps=5)
        >>> result.images.shape, result.latents.shape
        ((3, 5, 28, 28, 1), (3,))
    """
    checks.zoo_model(model)
    number = min(checks.positive_int("num_latents", num_latents), model.embedding_dim)
    checks.integer("num_steps", num_steps, 2)
    statistics = latent_statistics(model, images, labels)
    if start_label is None and labels is not None:
        start_label = np.asarray(labels)[0]
    label = None if start_label is None else np.asarray(start_label)[None]
    base = starting_point(model, statistics.mean, start, label)
    chosen = statistics.order[:number]
    steps = np.linspace(-1.0, 1.0, num_steps, dtype=np.float32) * checks.number("span", span, 0.0, open_low=True)
    points = np.broadcast_to(base, (number, num_steps, base.size)).copy()
    for row, latent in enumerate(chosen):
        points[row, :, latent] += steps * statistics.std[latent]
    repeated = None if label is None else np.repeat(label, number * num_steps, axis=0)
    decoded = np.asarray(model.decode_embedding(points.reshape(-1, base.size), own_labels(model, repeated)))
    kl = None if statistics.kl is None else statistics.kl[chosen]
    return Traversal(decoded.reshape(number, num_steps, *decoded.shape[1:]), chosen, kl, steps)


def starting_point(
    model: keras.Model, mean: np.ndarray, start: ArrayLike | None = None, label: ArrayLike | None = None
) -> np.ndarray:
    """The embedding of an example, of a sample at temperature 0, or `mean` if the latents are codes: float32 `[E]`.

    Args:
        model: a model of the zoo.
        mean: float `[E]`.
        start: float `[H,W,C]`, or None.
        label: `[1]` or `[1,d]`, for a conditional model.
    """
    if start is not None:
        return np.asarray(model.embed(np.asarray(start)[None], own_labels(model, label)))[0]
    if model.num_codes is not None:
        return np.asarray(mean, np.float32)
    return prior_embeddings(model, 1, seed=0, temperature=0.0, labels=label)[0]
