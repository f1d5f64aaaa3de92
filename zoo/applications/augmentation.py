"""Augmentation: more labelled examples for a small set, sampled from a conditional model or moved in latent space."""

import keras
import numpy as np

from zoo import random
from zoo.applications._latents import own_labels
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Labels


def sample_labelled(
    model: keras.Model,
    num_per_class: int,
    classes: ArrayLike | None = None,
    seed: int | None = None,
    temperature: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Labelled samples of a conditional model.

    Args:
        model: a model that samples classes, such as a `zoo.CVAE` with `num_classes`.
        num_per_class: int >= 1.
        classes: ints, the classes to sample; None for all.
        seed, temperature: as in `zoo.VAE.sample`.

    Returns:
        (images, labels): float32 array `[N,H,W,C]` and int32 array `[N]`, the classes in order.

    Raises:
        ValueError: for a model that does not sample classes, or a class that it does not have.

    Example:
        >>> encoder = zoo.networks.mlp_encoder((28, 28, 11), latent_dim=8, hidden=(32,))
        >>> decoder = zoo.networks.mlp_decoder((28, 28, 1), latent_dim=18, hidden=(32,))
        >>> model = zoo.CVAE(encoder, decoder, num_classes=10)
        >>> images, labels = zoo.applications.sample_labelled(model, 2, classes=[3, 7], seed=0)
        >>> labels
        array([3, 3, 7, 7], dtype=int32)
    """
    checks.zoo_model(model)
    source = model.label_source()
    if source is None or source.num_classes is None:
        checks.fail("model", "a model that samples classes, such as a zoo.CVAE", type(model).__name__)
    chosen = np.arange(source.num_classes) if classes is None else np.asarray(classes)
    if chosen.ndim != 1 or not chosen.size or chosen.dtype.kind not in "iu":
        checks.fail("classes", "a list of integers", classes)
    labels = np.repeat(chosen, checks.positive_int("num_per_class", num_per_class))
    return np.asarray(model.sample(len(labels), seed, temperature, labels)), labels.astype(np.int32)


def jitter(
    model: keras.Model,
    images: ArrayLike,
    labels: Labels = None,
    num_copies: int = 1,
    scale: float = 0.3,
    seed: int | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Decodes embeddings of examples with noise added: e + scale · s · ε, where s is the standard deviation of each
    latent over the examples, and ε is standard normal.

    Args:
        model: a model of the zoo.
        images: float `[N,H,W,C]` in [0, 1], two at least.
        labels: of the examples; a conditional model needs them, and others only repeat them.
        num_copies: int >= 1, for each example.
        scale: float >= 0; 0 gives reconstructions.
        seed: int; None draws afresh.

    Returns:
        (images, labels): float32 array `[N · num_copies,H,W,C]`, all copies of the first example first, and their
        labels, None without `labels`.

    Raises:
        ValueError: for an argument of another kind, shape or range.

    Example:
        >>> more, their_labels = zoo.applications.jitter(model, images, labels, num_copies=3, seed=0)
        >>> more.shape, their_labels.shape
        ((96, 28, 28, 1), (96,))
    """
    checks.zoo_model(model)
    images = checks.numpy_array("images", images)
    if len(images) < 2:
        checks.fail("images", "two examples at least, as their spread sets the noise", f"{len(images)} examples")
    copies, scale = checks.positive_int("num_copies", num_copies), checks.number("scale", scale, 0.0)
    labels = None if labels is None else np.asarray(labels)
    if labels is not None and len(labels) != len(images):
        checks.fail("labels", f"one for each of {len(images)} examples", f"{len(labels)} labels")
    embedded = np.asarray(model.embed(images, own_labels(model, labels)))
    if not np.ptp(embedded, axis=0).any():
        checks.fail("images", "different examples, as their spread sets the noise", f"{len(images)} equal ones")
    moved = np.repeat(embedded, copies, axis=0)
    noise = np.asarray(random.normal(random.row_seeds(seed, len(moved)), (moved.shape[1],)))
    moved = moved + np.float32(scale) * embedded.std(axis=0) * noise
    labels = None if labels is None else np.repeat(labels, copies, axis=0)
    return np.asarray(model.decode_embedding(moved, own_labels(model, labels))), labels
