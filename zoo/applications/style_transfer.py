"""Style transfer: another label with the style kept, and the coarse levels of one image with the fine ones of another.

Which part of an image a level holds is learned, not chosen: coarse levels usually hold shape and layout, fine ones
texture and detail.
"""

import keras
import numpy as np

from zoo.quantizers import ResidualQuantizer
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Seeds


def relabel(model: keras.Model, images: ArrayLike, labels: ArrayLike, new_labels: ArrayLike) -> np.ndarray:
    """Images with other labels in the style of the given ones: the latents are kept, the label is exchanged.

    Args:
        model: a conditional model, such as a `zoo.CVAE`.
        images: float `[B,H,W,C]` in [0, 1].
        labels: the labels of the images.
        new_labels: the labels to decode with; one for each image.

    Returns:
        float32 array `[B,H,W,C]`.

    Raises:
        ValueError: for a model without labels, or labels that do not fit it.

    Example:
        >>> encoder = zoo.networks.mlp_encoder((28, 28, 11), latent_dim=8, hidden=(32,))
        >>> decoder = zoo.networks.mlp_decoder((28, 28, 1), latent_dim=18, hidden=(32,))
        >>> model = zoo.CVAE(encoder, decoder, num_classes=10)
        >>> zoo.applications.relabel(model, images, labels, (labels + 1) % 10).shape
        (32, 28, 28, 1)
    """
    checks.zoo_model(model)
    if not model.conditional:
        checks.fail("model", "a conditional model, such as a zoo.CVAE", type(model).__name__)
    return np.asarray(model.decode_embedding(model.embed(images, labels), new_labels))


def num_levels(model: keras.Model) -> int:
    """The number of levels that `mix_levels` can separate: layers of latents, or levels of residual codes; else 1."""
    checks.zoo_model(model)
    if isinstance(getattr(model, "quantizer", None), ResidualQuantizer):
        return model.quantizer.depth
    return model.num_layers


def mix_levels(model: keras.Model, content: ArrayLike, style: ArrayLike, num_top: int) -> np.ndarray:
    """Images with the top levels of `content` and the lower ones of `style`.

    For a hierarchical VAE the levels are its layers of latents, at their posterior means. For a VQ-VAE with a
    `zoo.quantizers.ResidualQuantizer` they are the levels of its codes, the coarsest first.

    Args:
        model: a hierarchical VAE, or a VQ-VAE with residual codes.
        content, style: float `[B,H,W,C]` in [0, 1].
        num_top: int from 0 to `num_levels(model)`: 0 reconstructs `style`, and all levels reconstruct `content`.

    Returns:
        float32 array `[B,H,W,C]`.

    Raises:
        ValueError: for a model with a single level, a number out of range, or images of different shapes.

    Example:
        >>> encoder = zoo.networks.bottom_up_encoder((28, 28, 1), scales=(28, 4, 2), width=8, blocks=1)
        >>> decoder = zoo.networks.TopDown((28, 28, 1), scales=(28, 4, 2), layers=1, latent_dim=2, width=8, hidden=8)
        >>> model = zoo.HierarchicalVAE(encoder, decoder)
        >>> zoo.applications.mix_levels(model, images[:4], images[4:8], num_top=1).shape
        (4, 28, 28, 1)
    """
    top, levels = _require_levels(model, num_top)
    content, style = checks.numpy_array("content", content), checks.numpy_array("style", style)
    if np.shape(content) != np.shape(style):
        checks.fail("style", f"of content's shape {np.shape(content)}", np.shape(style))
    upper, lower = model.encode(content), model.encode(style)
    if model.num_codes is None:
        means = [layer["mean"] for layer in (*upper[:top], *lower[top:])]
        return np.asarray(model.decode(means))
    codes = np.where(np.arange(upper.shape[-1]) % levels < top, upper, lower)
    return np.asarray(model.decode(codes))


def vary_levels(
    model: keras.Model,
    images: ArrayLike,
    num_top: int,
    num_samples: int = 8,
    seed: Seeds = None,
    temperature: float = 1.0,
) -> np.ndarray:
    """Variations of images: the top layers of latents are kept, and the layers below are sampled.

    Args:
        model: a hierarchical VAE.
        images: float `[B,H,W,C]` in [0, 1].
        num_top: int from 0 to the number of layers; with 0 nothing of the image is kept.
        num_samples: int >= 1, for each image.
        seed, temperature: as in `zoo.VAE.sample`; the rows are the samples of the first image, then of the second, …

    Returns:
        float32 array `[B,num_samples,H,W,C]`.

    Raises:
        ValueError: for a model without layers, or a number out of range.

    Example:
        >>> encoder = zoo.networks.bottom_up_encoder((28, 28, 1), scales=(28, 4, 2), width=8, blocks=1)
        >>> decoder = zoo.networks.TopDown((28, 28, 1), scales=(28, 4, 2), layers=1, latent_dim=2, width=8, hidden=8)
        >>> model = zoo.HierarchicalVAE(encoder, decoder)
        >>> zoo.applications.vary_levels(model, images[:2], num_top=1, num_samples=3, seed=0).shape
        (2, 3, 28, 28, 1)
    """
    checks.zoo_model(model)
    if model.num_codes is not None:
        checks.fail("model", "a hierarchical VAE", type(model).__name__)
    images = checks.numpy_array("images", images)
    top, _ = _require_levels(model, num_top)
    number = checks.positive_int("num_samples", num_samples)
    given = [np.repeat(layer["mean"], number, axis=0) for layer in model.encode(images)[:top]]
    rows = np.asarray(model.sample(len(images) * number, seed, temperature, given=given))
    return rows.reshape(-1, number, *rows.shape[1:])


def _require_levels(model, num_top):
    levels = num_levels(model)
    if levels < 2:
        name = type(model).__name__
        checks.fail("model", "a hierarchical VAE or a VQ-VAE with residual codes, of several levels", name)
    if checks.integer("num_top", num_top, 0) > levels:
        checks.fail("num_top", f"an integer from 0 to {levels}, the number of levels", num_top)
    return num_top, levels
