"""The terms of the ELBO over a dataset, by layer and by latent."""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo import distributions, random
from zoo.evaluation.rows import Examples, standard_error
from zoo.fitting.batched import kept_graph
from zoo.models import HierarchicalVAE
from zoo.priors import StandardNormal
from zoo.runtime.types import Array, Tensor

ACTIVE = 0.01  # Burda et al. 2016, section 5.1


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LatentLayer:
    """A layer of latents, measured over a dataset.

    Attributes:
        name: str, "z", or the name of the layer's block in a hierarchical model.
        kl: float, nats per example, the mean KL of the layer.
        kl_error: float, its standard error over the examples.
        kl_by_latent: float `[D]` or `[h,w,D]`, nats, the mean KL of each latent; None for a prior whose dimensions are
            not independent.
        activity: float, of the same shape: the variance over the examples of the posterior's mean, in units of the
            prior's variance. In a hierarchical model the mean is counted from that of the prior at the latents above.
        posterior_share: float, of the same shape: the mean variance of the posterior, in units of the prior's.
    """

    name: str
    kl: float
    kl_error: float
    kl_by_latent: np.ndarray | None
    activity: np.ndarray
    posterior_share: np.ndarray

    @property
    def active(self) -> np.ndarray:
        """Whether each latent is active, Var_x(E_q[z]) > 0.01 (Burda et al. 2016, section 5.1), bool."""
        return self.activity > ACTIVE

    @property
    def size(self) -> int:
        """The number of latents."""
        return self.activity.size


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LatentTerms:
    """The terms of the ELBO of each example, and its layers of latents.

    Attributes:
        distortion: float `[N]`, −log p(x|z) at one z ~ q(z|x), nats.
        rate: float `[N]`, KL( q(z|x) ‖ p(z) ), nats; an estimate at z for a prior without a closed form.
        layers: of `LatentLayer`, top first.
        excess: float, how far the latents of the data lie outside the prior: the mean over the active latents of
            E z² − 1, in the prior's units, for z from the posterior of an example. 0 where q(z) has the prior's scale.
        mismatch: float, nats per active latent: the KL of a Gaussian with the mean and covariance of the active latents
            of all examples to N(0, I). 0 where q(z) has the prior's mean, scale and independence. NaN for another prior
            than `StandardNormal`.
    """

    distortion: np.ndarray
    rate: np.ndarray
    layers: tuple[LatentLayer, ...]
    excess: float
    mismatch: float = float("nan")

    @property
    def elbo(self) -> np.ndarray:
        """The ELBO of each example, `[N]`, nats."""
        return -(self.distortion + self.rate)

    @property
    def latents(self) -> int:
        """The number of latents of all layers."""
        return sum(layer.size for layer in self.layers)

    @property
    def active_units(self) -> int:
        """The number of active latents of all layers."""
        return sum(int(layer.active.sum()) for layer in self.layers)


@dataclasses.dataclass(frozen=True)
class _Layer:
    """One layer in one batch: `[B, …]` each. `mean` and `variance` are in the prior's units."""

    kl: Tensor
    mean: Tensor
    variance: Tensor
    z: Tensor


def latent_terms(model: keras.Model, examples: Examples, seed: int = 0) -> LatentTerms:
    """Measures the terms of the ELBO with one sample of the posterior for each example.

    Args:
        model: a model of the zoo with continuous latents.
        examples: `Examples`.
        seed: int, of the samples.

    Returns:
        `LatentTerms`.
    """
    scale = _prior_scale(model, examples, seed)
    run = _compiled(model, scale)
    shifts = no_shift(model)
    distortion, rate, log_prior = [], [], []
    sums: list[list[np.ndarray]] = []
    drawn = []
    layer_kls: list[list[np.ndarray]] = []
    for _, x, labels, seeds in examples.batches(seed):
        log_likelihood, total, density, layers = run(x, labels, seeds, shifts)
        distortion.append(-log_likelihood.numpy())
        rate.append(total.numpy())
        log_prior.append(density.numpy())
        parts = [[np.asarray(part, np.float64) for part in layer] for layer in layers]
        batch = [[kl.sum(0), m.sum(0), (m**2).sum(0), v.sum(0), (z**2).sum(0)] for kl, m, v, z in parts]
        if len(parts) == 1:
            drawn.append(parts[0][-1])
        sums = [[a + b for a, b in zip(*each)] for each in zip(sums, batch)] if sums else batch
        layer_kls.append([kl.reshape(len(kl), -1).sum(axis=1) for kl, *_ in parts])
    kls = [np.concatenate(each) for each in zip(*layer_kls)]
    layers = tuple(
        _layer(name, each, kl, len(examples)) for name, each, kl in zip(layer_names(model), sums, kls, strict=True)
    )
    second_moments = np.concatenate([np.ravel(each[4] / len(examples))[np.ravel(layer.active)]
                                     for each, layer in zip(sums, layers)])  # fmt: skip
    excess = float(np.mean(second_moments) - 1.0) if second_moments.size else 0.0
    return LatentTerms(
        distortion=np.concatenate(distortion).astype(np.float64),
        rate=np.concatenate(rate).astype(np.float64),
        layers=layers,
        mismatch=_mismatch(np.concatenate(drawn)[:, layers[0].active]) if drawn and scale is None else float("nan"),
        excess=excess if scale is None else _density_excess(model, examples, np.concatenate(log_prior), layers, seed),
    )


def layer_names(model: keras.Model) -> list[str]:
    """The names of a model's layers of latents, top first."""
    if isinstance(model, HierarchicalVAE):
        return [block.name for block in model.decoder.blocks]
    return ["z"]


def no_shift(model: keras.Model) -> list[np.ndarray]:
    """Zero for each latent of each layer, in the layer's shape."""
    if isinstance(model, HierarchicalVAE):
        return [np.zeros(block.latent_shape, np.float32) for block in model.decoder.blocks]
    return [np.zeros(model.latent_dim, np.float32)]


def shifted_terms(
    model: keras.Model, examples: Examples, shifts: Sequence[np.ndarray], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Distortion and rate of each example, with `shifts` added to the log-variances of the posterior: `[N]` each, nats.

    The noise is that of `seed`, whatever the shifts are.
    """
    run = _compiled(model, None)
    found = [run(x, labels, seeds, list(shifts))[:2] for _, x, labels, seeds in examples.batches(seed)]
    log_likelihood, rate = (np.concatenate(each).astype(np.float64) for each in zip(*found))
    return -log_likelihood, rate


def _compiled(model, scale):
    """Function of (x, labels, seeds, shifts) that gives log p(x|z), the KL, log p(z), and the parts of each layer."""
    run = _hierarchical if isinstance(model, HierarchicalVAE) else _flat
    none = model.label_source() is None

    def call(x, labels, seeds, shifts, mean, deviation):
        log_likelihood, kl, density, layers = run(model, x, None if none else labels, seeds, shifts, mean, deviation)
        return log_likelihood, kl, density, [(each.kl, each.mean, each.variance, each.z) for each in layers]

    function = kept_graph(model, "zoo.evaluation.latent_terms", call)
    mean, deviation = (np.float32(0.0), np.float32(1.0)) if scale is None else map(np.float32, scale)
    mean, deviation = tf.constant(mean), tf.constant(deviation)

    def run_batch(x, labels, seeds, shifts):
        labels = tf.zeros((0,), "int32") if labels is None else tf.constant(labels)
        return function(tf.constant(x), labels, tf.constant(seeds), [*map(tf.constant, shifts)], mean, deviation)

    return run_batch


def _flat(model, x, labels, seeds, shifts, prior_mean, prior_deviation):
    x, labels = model._inputs(x, labels)
    mean, log_var = model.posterior(x, labels)
    log_var = log_var + shifts[0]
    z = distributions.reparameterize(mean, log_var, random.normal(seeds, (mean.shape[-1],)))
    kl = model.prior.kl(mean, log_var, z, model.prior_labels(labels))
    log_likelihood = model.log_likelihood(x, model.decoder_inputs(z, labels))
    log_prior = model.prior.log_density(z, model.prior_labels(labels))
    parts = _Layer(kl, *_scaled(mean, ops.exp(log_var), z, prior_mean, prior_deviation))
    return log_likelihood, ops.sum(kl, axis=1), log_prior, [parts]


def _hierarchical(model, x, labels, seeds, shifts, *_):
    x, _ = model._inputs(x, None)
    layers: list[_Layer] = []
    added, log_prior = iter(shifts), []

    def choose(block, prior, posterior):
        mean, log_var = posterior
        log_var = log_var + next(added)
        noise = random.normal(random.fold_in(seeds, len(layers)), block.latent_shape)
        z = distributions.reparameterize(mean, log_var, noise)
        kl = distributions.normal_kl(mean, log_var, *prior)
        log_prior.append(distributions.normal_log_prob(z, *prior))
        layers.append(_Layer(kl, *_scaled(mean, ops.exp(log_var), z, prior[0], ops.exp(0.5 * prior[1]))))
        return z

    params, _ = model.top_down(choose, model.features(x))
    rate = sum(distributions.sum_per_example(each.kl) for each in layers)
    return model.judge(x, params), rate, sum(log_prior), layers


def _scaled(mean, variance, z, prior_mean, prior_deviation):
    """Mean, variance and z, in the prior's units."""
    variance = variance / ops.square(prior_deviation)
    return (mean - prior_mean) / prior_deviation, variance, (z - prior_mean) / prior_deviation


def _draws(model: keras.Model, examples: Examples, seed: int) -> tuple[np.ndarray, Array | None]:
    """Samples of the prior, with the labels of the examples: as many as there are examples, at least 1,000."""
    number = max(1000, len(examples))
    labels = None
    if model.prior.conditional:
        labels = np.asarray(model.prior_labels(examples.labels))
        labels = np.resize(labels, (number, *labels.shape[1:]))
    return np.asarray(model.prior.sample(number, seed=seed, labels=labels)), labels


def _prior_scale(model, examples, seed):
    """Mean and standard deviation of the prior's latents, `[D]` each; None for N(0, I) and hierarchical models."""
    if isinstance(model, HierarchicalVAE) or isinstance(model.prior, StandardNormal):
        return None
    draws, _ = _draws(model, examples, seed)
    return draws.mean(axis=0), np.maximum(draws.std(axis=0), 1e-6)


def _density_excess(model, examples, log_prior, layers, seed):
    """The excess of a prior of any form: 2 (E_p log p(z) − E_q log p(z)) per active latent."""
    draws, labels = _draws(model, examples, seed)
    expected = np.mean(model.prior.log_prob(draws, labels))
    return float(2.0 * (expected - np.mean(log_prior)) / max(1, sum(int(each.active.sum()) for each in layers)))


def _mismatch(z):
    """KL( N(m, S) ‖ N(0, I) ) per column, for the mean m and the covariance S of the rows of `z` `[N,D]`, nats."""
    number, size = z.shape
    if not size or number < 4 * size:  # too few for a covariance
        return 0.0
    mean, covariance = z.mean(axis=0), np.atleast_2d(np.cov(z, rowvar=False, bias=True)) + 1e-9 * np.eye(size)
    _, log_determinant = np.linalg.slogdet(covariance)
    return float(0.5 * (np.trace(covariance) + mean @ mean - size - log_determinant) / size)


def _layer(name, sums, kls, number):
    kl, mean, squared, variance, _ = (each / number for each in sums)
    return LatentLayer(
        name=name,
        kl=float(kls.mean()),
        kl_error=standard_error(kls),
        kl_by_latent=kl if kl.shape == mean.shape else None,
        activity=np.maximum(squared - mean**2, 0.0),
        posterior_share=variance,
    )
