"""Generation: an animated walk through the latent space. `sample` gives single images, `grid` puts them together."""

import keras
import numpy as np

from zoo.applications._latents import own_labels, prior_embeddings
from zoo.applications.interpolation import between
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Labels, Seeds


def walk(
    model: keras.Model,
    num_points: int = 6,
    num_steps: int = 12,
    seed: Seeds = None,
    temperature: float = 1.0,
    labels: Labels = None,
    images: ArrayLike | None = None,
) -> np.ndarray:
    """Frames along a closed path through the latent space, each part of it an arc (`between`, "spherical").

    Args:
        model: a model of the zoo.
        num_points: int >= 2, samples of the prior that the path passes. Not used with `images`.
        num_steps: int >= 1, frames from one point to the next.
        seed, temperature: as in `zoo.VAE.sample`. Not used with `images`.
        labels: for a conditional model, one for all frames or one for each point; a frame takes that of the nearer
            point.
        images: float `[num_points,H,W,C]` in [0, 1], examples that the path passes instead; or None.

    Returns:
        float32 array `[num_points · num_steps,H,W,C]`. The first frame follows the last one.

    Raises:
        ValueError: for an argument of another kind, shape or range, or a model that cannot sample.

    Example:
        >>> frames = zoo.applications.walk(model, num_points=3, num_steps=4, seed=7)
        >>> zoo.applications.save_animation("walk.gif", frames, scale=4)
        PosixPath('walk.gif')
    """
    checks.zoo_model(model)
    images = None if images is None else checks.numpy_array("images", images)
    number = checks.positive_int("num_points", num_points if images is None else len(images))
    if number < 2:
        checks.fail("num_points", "an integer >= 2", number)
    steps = checks.positive_int("num_steps", num_steps)
    labels = None if labels is None else _for_each(labels, number)
    if images is None:
        points = prior_embeddings(model, number, seed, temperature, labels)
    else:
        points = np.asarray(model.embed(images, own_labels(model, labels)))
    following = np.roll(points, -1, axis=0)
    frames = np.stack([between(points, following, step / steps, "spherical") for step in range(steps)], axis=1)
    if labels is not None:
        nearer = (np.arange(number)[:, None] + (np.arange(steps) / steps > 0.5)) % number
        labels = labels[nearer.ravel()]
    return np.asarray(model.decode_embedding(frames.reshape(number * steps, -1), own_labels(model, labels)))


def _for_each(labels, number):
    """The label of each point; one label is that of all."""
    labels = np.asarray(labels)
    if labels.ndim == 0 or (len(labels) == 1 and number > 1):
        labels = np.repeat(labels.reshape(1, *labels.shape[1:]), number, axis=0)
    if len(labels) != number:
        checks.fail("labels", f"one label, or {number}, one for each point", labels.tolist())
    return labels
