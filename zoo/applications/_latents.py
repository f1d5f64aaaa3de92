"""Embeddings as applications use them: samples of the prior, and statistics of the posteriors of examples."""

from typing import NamedTuple

import keras
import numpy as np

from zoo import distributions, priors, random
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Labels, Seeds


class LatentStatistics(NamedTuple):
    """The latents of a model over some examples.

    Attributes:
        order: int array `[E]`, the latents with the largest KL first; for a model without a posterior, those with the
            largest standard deviation first.
        kl: float32 array `[E]`, nats, mean over the examples; None for a model without a posterior, a VQ-VAE.
        mean, std: float32 arrays `[E]`, of the embeddings of the examples; `std` includes the posterior's variance.
    """

    order: np.ndarray
    kl: np.ndarray | None
    mean: np.ndarray
    std: np.ndarray


def latent_statistics(model: keras.Model, images: ArrayLike, labels: Labels = None) -> LatentStatistics:
    """Ranks the latents of a model by their KL over examples.

    For a standard normal prior this is the KL to it. Other priors do not treat latents one by one; there it is the KL
    to the normal distribution with the mean and variance of the latent over all examples and their posteriors, which is
    ½ (ln s² − mean of ln σ²).

    Args:
        model: a model of the zoo.
        images: float `[N,…]`, examples.
        labels: of the examples, for a conditional model.

    Returns:
        `LatentStatistics`.

    Example:
        >>> statistics = zoo.applications.latent_statistics(model, images)
        >>> statistics.order.shape, statistics.kl.shape
        ((16,), (16,))
    """
    checks.zoo_model(model)
    if model.num_codes is not None:
        embedded = np.asarray(model.embed(images, labels))
        std = embedded.std(axis=0)
        if not std.any():
            checks.fail("images", "two different examples at least, whose spread scales the steps", len(embedded))
        return LatentStatistics(np.argsort(-std, kind="stable"), None, embedded.mean(axis=0), std)
    posterior = model.flat_posterior(images, labels)
    mean, log_var = np.asarray(posterior["mean"]), np.asarray(posterior["log_var"])
    variance = mean.var(axis=0) + np.exp(log_var).mean(axis=0)
    if isinstance(model.prior, priors.StandardNormal):
        kl = np.asarray(distributions.normal_kl(mean, log_var)).mean(axis=0)
    else:
        kl = (np.log(variance) - log_var.mean(axis=0)) / 2
    return LatentStatistics(np.argsort(-kl, kind="stable"), kl, mean.mean(axis=0), np.sqrt(variance))


def prior_embeddings(
    model: keras.Model, num_samples: int, seed: Seeds = None, temperature: float = 1.0, labels: Labels = None
) -> np.ndarray:
    """Samples of the prior as `decode_embedding` takes them: float32 `[num_samples,E]`; arguments as in `sample`."""
    require_sampling(model)
    number = checks.positive_int("num_samples", num_samples)
    temperatures = np.full(number, checks.number("temperature", temperature, 0.0), np.float32)
    _, latents = model.generate(random.row_seeds(seed, number), temperatures, labels)
    if model.num_codes is not None:
        return np.asarray(model.quantizer.lookup(latents)).reshape(number, -1)
    return np.asarray(model.flatten(latents))


def require_sampling(model: keras.Model) -> None:
    """Raises a ValueError unless the model can sample."""
    if not model.can_sample:
        raise ValueError(
            f"Expected a model that can sample. Received: a {type(model).__name__} without a prior over its codes"
        )


def own_labels(model: keras.Model, labels: Labels) -> Labels:
    """The labels that the networks take; None where only the prior takes labels."""
    return labels if model.conditional else None


def vectors(name: str, value: ArrayLike, size: int) -> np.ndarray:
    """`value` as a float32 array `[B,size]`."""
    array = checks.numpy_array(name, value).astype(np.float32)
    if array.ndim != 2 or array.shape[1] != size:
        checks.fail(name, f"of shape [B, {size}]", f"shape {array.shape}")
    return array
