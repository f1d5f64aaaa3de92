"""Bounds of the log-likelihood of a dataset, and the terms that they consist of."""

import math
import time
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from zoo import random
from zoo.evaluation.code_terms import CodeTerms, code_terms
from zoo.evaluation.figures import Figure
from zoo.evaluation.latent_terms import LatentTerms, latent_terms
from zoo.evaluation.rows import Examples, Progress, pair, standard_error
from zoo.fitting import inputs
from zoo.fitting.batched import kept_graph
from zoo.models import VAEAC
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Labels

_SAMPLES_AT_ONCE = 250  # between two reports of progress


def log_prob(
    model: keras.Model, batches: Iterable[ArrayLike | tuple[ArrayLike, ArrayLike]], num_samples: int = 1, seed: int = 0
) -> dict[str, float]:
    """The mean of `model.log_prob` over a dataset: nats per example.

    Args:
        model: a model of the zoo.
        batches: iterable of float images `[B,H,W,C]`, or of (images, labels) for a conditional model.
        num_samples: int >= 1, importance samples per image.
        seed: int.

    Returns:
        dict of floats: `log_prob`, and the `standard_error` of this mean over the images (NaN for a single image).

    Raises:
        ValueError: for data or labels that the model does not take, and for no batch.

    Example:
        >>> batches = [images[:16], images[16:]]
        >>> zoo.evaluation.log_prob(model, batches, num_samples=10)
        {'log_prob': …, 'standard_error': …}
    """

    checks.zoo_model(model)
    checks.positive_int("num_samples", num_samples)
    seed = checks.fixed_seed("seed", seed)

    def evaluate(x, labels, seed):
        return model.log_prob(x, num_samples, seed, labels)

    evaluate = kept_graph(model, ("zoo.evaluation.log_prob", num_samples), evaluate)
    values = []
    for number, batch in enumerate(batches):
        x, labels = pair(model, batch)
        inputs.look([*model.values_of("x", x), *model.values_of("labels", labels)])
        # Another seed for each batch, or the i-th images of all batches would share their noise.
        values.append(evaluate(x, labels, tf.constant(seed + number)).numpy())
    examples = np.concatenate([np.zeros(0), *values])
    if not len(examples):
        checks.fail("batches", "one batch or more", "none")
    return {"log_prob": float(examples.mean()), "standard_error": standard_error(examples)}


def importance_bound(
    model: keras.Model,
    images: ArrayLike,
    labels: Labels = None,
    num_samples: int = 100,
    seed: int = 0,
    progress: Progress | None = None,
) -> np.ndarray:
    """The importance-weighted bound of log p(x), as `model.log_prob`, for many samples.

        log (1/K) Σ_k p(x, z_k) / q(z_k|x),   z_k ~ q(z|x)

    (Burda et al. 2016, "Importance Weighted Autoencoders", eq. (8).) A batch of images takes its samples one after the
    other, in chunks of 250 that report their progress: memory does not grow with K. Each chunk draws its own noise.

    Args:
        model: a model of the zoo.
        images: float `[N,…]`, or uint8, which is divided by 255.
        labels: one for each image, for a conditional model or prior.
        num_samples: int >= 1, K.
        seed: int.
        progress: function of (steps done, all steps), or None.

    Returns:
        float64 `[N]`, nats.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> zoo.evaluation.importance_bound(model, images, num_samples=5).shape
        (32,)
    """
    num_samples = checks.positive_int("num_samples", num_samples)
    seed = checks.fixed_seed("seed", seed)
    examples = Examples(model, images, labels)
    sizes = [min(_SAMPLES_AT_ONCE, num_samples - k) for k in range(0, num_samples, _SAMPLES_AT_ONCE)]
    result, done = np.full(len(examples), -np.inf), 0
    for rows, x, batch_labels, seeds in examples.batches(seed):
        for number, size in enumerate(sizes):
            part = model.bound(x, random.fold_in(seeds, number), batch_labels, num_samples=size).numpy()
            result[rows] = np.logaddexp(result[rows], part.astype(np.float64) + math.log(size))
            done += len(x) * size
            if progress is not None:
                progress(done, len(examples) * num_samples)
    return result - math.log(num_samples)


def likelihood_figures(
    model: keras.Model,
    images: ArrayLike,
    labels: Labels = None,
    num_samples: int = 100,
    seed: int = 0,
    split: str = "test",
    progress: Progress | None = None,
) -> list[Figure]:
    """Measures the likelihood of a model and its terms, with standard errors over the examples.

    For a model with continuous latents: `elbo`, `rate` (the KL) and `distortion` (−log p(x|z)), all with one sample of
    the posterior; `log_prob`, the bound with `num_samples` samples; the KL of each layer of a hierarchical model, as
    `kl_<layer>`; `active_units`, the number of latents with Var_x(E_q[z]) > 0.01 (Burda et al. 2016), in units of the
    prior's variance. `latent_terms` gives the same by latent.

    For a `zoo.VQVAE`: `codebook_usage`, `perplexity` and `code_entropy` of the codes, `distortion`; and with a prior,
    `code_cross_entropy`, `rate`, and their sum with the distortion as `elbo`.

    `bits_per_dim` is −elbo / (ln 2 · dims), and `log_prob_bits_per_dim` the same of `log_prob`, for likelihoods over
    8-bit values.

    Args:
        model, images, labels, num_samples, seed, progress: as in `importance_bound`.
        split: str, the name of the data, as the figures hold it.

    Returns:
        list of `Figure`.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> for figure in zoo.evaluation.likelihood_figures(model, images, num_samples=5):
        ...     print(figure)
        elbo … nats (32 test examples)
        …
    """
    seed = checks.fixed_seed("seed", seed)
    examples = Examples(model, images, labels)
    record = _Record(len(examples), seed, split)
    if model.num_codes is not None:
        _of_codes(record, model, code_terms(model, examples), examples)
        return record.figures
    _of_latents(record, model, latent_terms(model, examples, seed), examples)
    bound = importance_bound(model, examples.images, examples.labels, num_samples, seed, progress)
    about = f"{num_samples} importance sample{'s' if num_samples > 1 else ''}"
    record.mean("log_prob", bound, "nats", about)
    if model.likelihood.eight_bit:
        record.mean("log_prob_bits_per_dim", _bits(bound, examples), "bits per dim", about)
    return record.figures


class _Record:
    """Collects figures, each with the time since the one before."""

    def __init__(self, num_examples, seed, split):
        self.origin = {"num_examples": num_examples, "seed": seed, "split": split}
        self.figures: list[Figure] = []
        self.start = time.perf_counter()

    def add(self, name, value, unit="", error=None, about="", **origin):
        seconds = time.perf_counter() - self.start
        self.start += seconds
        fields = {**self.origin, **origin}
        error = None if error is None or math.isnan(error) else error
        self.figures.append(
            Figure(name=name, value=float(value), unit=unit, error=error, seconds=seconds, about=about, **fields)
        )

    def mean(self, name, values, unit, about="", **origin):
        self.add(name, values.mean(), unit, standard_error(values), about, **origin)


def _bits(bound, examples):
    return -bound / (math.log(2.0) * examples.dims)


def _of_latents(record: _Record, model: keras.Model, terms: LatentTerms, examples: Examples) -> None:
    given = "nothing observed, all values judged" if isinstance(model, VAEAC) else ""
    record.mean("elbo", terms.elbo, "nats", given)
    record.mean("rate", terms.rate, "nats", given)
    record.mean("distortion", terms.distortion, "nats", given)
    if model.likelihood.eight_bit:
        record.mean("bits_per_dim", _bits(terms.elbo, examples), "bits per dim")
    if len(terms.layers) > 1:
        for layer in terms.layers:
            about = f"{int(layer.active.sum())} of {layer.size} latents active"
            record.add(f"kl_{layer.name}", layer.kl, "nats", layer.kl_error, about)
    if len(examples) > 1:  # a single one has no variance
        record.add("active_units", terms.active_units, about=f"of {terms.latents} latents")


def _of_codes(record: _Record, model: keras.Model, codes: CodeTerms, examples: Examples) -> None:
    exact = {"seed": None}  # nothing is sampled
    record.mean("distortion", codes.distortion, "nats", **exact)
    record.add("codebook_usage", codes.usage, about=f"of {codes.num_codes} codes", **exact)
    error = codes.perplexity * standard_error(codes.surprise)
    record.add("perplexity", codes.perplexity, "", error, f"of {codes.num_codes} codes", **exact)
    record.mean("code_entropy", codes.surprise, "nats per code", **exact)
    if codes.cross_entropy is None or codes.rate is None:
        return
    record.mean("code_cross_entropy", codes.cross_entropy, "nats per code", **exact)
    record.mean("rate", codes.rate, "nats", f"{codes.codes_per_example} codes", **exact)
    elbo = -(codes.rate + codes.distortion)
    record.mean("elbo", elbo, "nats", **exact)
    if model.likelihood.eight_bit:
        record.mean("bits_per_dim", _bits(elbo, examples), "bits per dim", **exact)
