"""Measurements of a trained model, from which `zoo.evaluation.diagnose` concludes."""

import dataclasses

import keras
import numpy as np

from zoo.evaluation.code_terms import CodeTerms, code_terms
from zoo.evaluation.decoder_scale import gaussian_scale, scale_misfit
from zoo.evaluation.latent_terms import LatentTerms, latent_terms, no_shift, shifted_terms
from zoo.evaluation.rows import Examples
from zoo.models import HierarchicalVAE

_STEP = 0.2  # of the posterior's log-variance, in the estimate of the KL's weight
_MOST_SHIFTED = 512  # examples of that estimate, of the decoder's scale and of the principal components
_MOST_COMPONENTS = 16


@dataclasses.dataclass(frozen=True)
class DataRange:
    """The values of a dataset beside the range of the likelihood.

    Attributes:
        low, high: floats, the smallest and the largest finite value.
        support: the likelihood's range, or None for the real line.
        outside: float, the share of the values outside of it.
        invalid: float, the share that is NaN or infinite.
        eight_bit: bool, whether the likelihood is one of 8-bit values.
        off_grid: float, the share of the values that are no multiple of 1/255.
    """

    low: float
    high: float
    support: tuple[float, float] | None
    outside: float = 0.0
    invalid: float = 0.0
    eight_bit: bool = False
    off_grid: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """How well a model fits one dataset.

    Attributes:
        bound: float `[N]`, the ELBO of each example in nats; without a prior over codes, −distortion.
        error: float, the MSE of the reconstructions over the variance of the data around their mean example, or that
            of their class: 1 for a model that always gives the mean example.
    """

    bound: np.ndarray
    error: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Symptoms:
    """The measurements.

    Attributes:
        data: `DataRange`.
        fit: `Fit` of the training data; None where the data lie outside of the likelihood's range, as nothing else is
            measured then.
        validation: `Fit` of the validation data, or None.
        terms: `LatentTerms` of the training data; None for codes.
        codes: `CodeTerms` of the training data; None for continuous latents.
        kl_weight: float, how many nats of distortion the model pays for a nat of KL, from the response of both to a
            common factor of the posterior's variances: 1 for a model trained on the ELBO, β for a β-VAE. None where the
            KL is too small to tell.
        kl_weight_error: float, its standard error over the examples.
        scale_factor, scale_gain: from `scale_misfit`; None for a likelihood without a scale.
        scale: the standard deviation of a Gaussian likelihood; None for others.
        scale_kind: "fixed", "learned", "optimal" or "by value"; empty for a likelihood without a scale.
        settings: dict of the model's own settings: `beta`, `kl_weight`, `free_bits` and the like.
        linear: float, the share of the variance that as many principal components as there are latents explain, at
            most 16; 0 for codes. The model itself explains 1 − fit.error.
        prior: str, the class of the prior.
        hierarchical: bool.
    """

    data: DataRange
    fit: Fit | None = None
    validation: Fit | None = None
    terms: LatentTerms | None = None
    codes: CodeTerms | None = None
    kl_weight: float | None = None
    kl_weight_error: float = 0.0
    scale_factor: float | None = None
    scale_gain: float = 0.0
    scale: float | None = None
    scale_kind: str = ""
    settings: dict[str, float] = dataclasses.field(default_factory=dict)
    linear: float = 0.0
    prior: str = "StandardNormal"
    hierarchical: bool = False


def measure(model: keras.Model, data: Examples, validation: Examples | None = None, seed: int = 0) -> Symptoms:
    """Measures a trained model.

    Args:
        model: a model of the zoo.
        data: `Examples` of the training data.
        validation: `Examples` that it was not trained on, or None.
        seed: int, of the samples of the posterior.

    Returns:
        `Symptoms`.
    """
    values = data_range(model, data)
    if validation is not None and not is_out_of_range(values):
        others = data_range(model, validation)
        values = others if is_out_of_range(others) else values
    if is_out_of_range(values):
        return Symptoms(data=values)
    few = data.take(_MOST_SHIFTED)
    terms = codes = weight = None
    if model.num_codes is None:
        terms = latent_terms(model, data, seed)
        weight = implied_kl_weight(model, few, terms, seed)
    else:
        codes = code_terms(model, data)
    scale = scale_misfit(model, few, seed)
    return Symptoms(
        data=values,
        fit=_fit(model, data, terms or codes, seed),
        validation=None if validation is None else _fit(model, validation, None, seed),
        terms=terms,
        codes=codes,
        kl_weight=None if weight is None else weight[0],
        kl_weight_error=0.0 if weight is None else weight[1],
        scale_factor=None if scale is None else scale[0],
        scale_gain=0.0 if scale is None else scale[1],
        scale=gaussian_scale(model.likelihood),
        scale_kind="" if scale is None else _scale_kind(model.likelihood),
        settings=settings_of(model),
        linear=0.0 if terms is None else linear_share(_centred(model, few), min(terms.latents, _MOST_COMPONENTS)),
        prior=type(model.prior).__name__,
        hierarchical=isinstance(model, HierarchicalVAE),
    )


def data_range(model: keras.Model, examples: Examples) -> DataRange:
    """Compares the values of the examples with the likelihood's range."""
    support = model.likelihood.support
    low, high, outside, invalid, off_grid = np.inf, -np.inf, 0, 0, 0
    for _, x, _, _ in examples.batches():
        finite = np.isfinite(x)
        invalid += int(x.size - finite.sum())
        x = x[finite]
        if not x.size:
            continue
        low, high = min(low, float(x.min())), max(high, float(x.max()))
        if support is not None:
            outside += int(((x < support[0] - 1e-3) | (x > support[1] + 1e-3)).sum())
        if model.likelihood.eight_bit:
            off_grid += int((np.abs(x * 255.0 - np.round(x * 255.0)) > 0.02).sum())
    number = len(examples) * examples.dims
    shares = [count / number for count in (outside, invalid, off_grid)]
    return DataRange(low, high, support, shares[0], shares[1], bool(model.likelihood.eight_bit), shares[2])


def is_out_of_range(values: DataRange) -> bool:
    """Whether the data do not suit the likelihood: values outside, NaN, off the 8-bit grid, or scaled down twice."""
    empty = values.low > values.high  # no finite value
    return bool(values.outside or values.invalid or values.off_grid > 0.01 or is_scaled_twice(values) or empty)


def is_scaled_twice(values: DataRange) -> bool:
    """Whether the data fill so little of [0, 1] that they were probably divided by 255 twice."""
    return values.support == (0.0, 1.0) and values.low >= 0.0 and 0.0 < values.high <= 1.5 / 255.0


def implied_kl_weight(
    model: keras.Model, examples: Examples, terms: LatentTerms, seed: int = 0
) -> tuple[float, float] | None:
    """The weight of the KL for which the variances of the posterior are optimal, and its standard error.

    At the minimum of D + w · KL a common factor e^a of the posterior's variances changes nothing to first order:
    w = −(dD/da) / (dKL/da). The derivatives are differences over a = ±0.2, with the same noise. Latents with a KL below
    0.1 nats, or below the free bits, are left out, as the loss does not weigh them.

    Returns:
        (weight, standard error); None where there is no such latent.
    """
    shifts = [shift * _STEP for shift in _weighed(model, terms)]
    if not any(shift.any() for shift in shifts):
        return None
    upper = shifted_terms(model, examples, shifts, seed)
    lower = shifted_terms(model, examples, [-shift for shift in shifts], seed)
    distortion, kl = ((above - below) / (2 * _STEP) for above, below in zip(upper, lower))
    if kl.mean() >= 0.0:  # the posterior is as wide as the prior
        return None
    weight = -distortion.mean() / kl.mean()
    return float(weight), float((distortion + weight * kl).std() / abs(kl.mean()) / np.sqrt(len(kl)))


def _weighed(model, terms):
    """1 for each latent whose KL the loss weighs, 0 for the others: a list by layer."""
    free = float(getattr(model, "free_bits", 0.0))
    found = []
    for layer, none in zip(terms.layers, no_shift(model)):
        if layer.kl_by_latent is None:  # the free bits are those of all latents together
            weighed = layer.active & (layer.kl > 1.5 * free)
        elif isinstance(model, HierarchicalVAE):
            weighed = (layer.kl_by_latent > 0.05) & (layer.kl > 1.5 * free)
        else:
            weighed = layer.kl_by_latent > max(0.1, 1.5 * free)
        found.append((none + 1.0) * weighed.astype(np.float32))
    return found


def settings_of(model: keras.Model) -> dict[str, float]:
    """The settings that weigh the KL, as far as the model has them."""
    found = {}
    for name in ("kl_weight", "beta", "free_bits", "capacity", "gamma", "alpha", "lambda_"):
        value = getattr(model, name, None)
        if value is not None:
            found[name] = float(np.asarray(value))
    return found


def _scale_kind(likelihood):
    kind = getattr(likelihood, "scale", None)
    if kind is None:
        return "by value"
    return kind if isinstance(kind, str) else "fixed"


def _fit(model, examples, terms, seed):
    if terms is None:
        terms = latent_terms(model, examples, seed) if model.num_codes is None else code_terms(model, examples)
    if isinstance(terms, LatentTerms):
        bound = terms.elbo
    else:
        bound = -terms.distortion - (0.0 if terms.rate is None else terms.rate)
    return Fit(bound=bound, error=_reconstruction_share(model, examples))


def _reconstruction_share(model, examples):
    """The squared error of the reconstructions over the squared distances from the mean example."""
    means, group = _means(model, examples)
    error, spread = 0.0, 0.0
    for rows, x, labels, _ in examples.batches():
        difference = model.reconstruct(x, labels if model.conditional else None).numpy() - x
        error += float(np.square(difference, dtype=np.float64).sum())
        spread += float(np.square(x - means[group[rows]]).sum())
    return error / max(spread, 1e-12)


def _means(model, examples):
    """The mean example of each group, and the group of each example: its class, if the model takes classes."""
    groups = model.num_classes if model.num_classes and examples.labels is not None else 1
    group = np.zeros(len(examples), int) if groups == 1 else np.asarray(examples.labels, int)
    totals = np.zeros((groups, *examples.images.shape[1:]))
    for rows, x, _, _ in examples.batches():
        np.add.at(totals, group[rows], x)
    counts = np.maximum(np.bincount(group, minlength=groups), 1)
    return totals / counts.reshape(-1, *[1] * (totals.ndim - 1)), group


def _centred(model, examples):
    """The examples without their mean, `[N, values]`."""
    means, group = _means(model, examples)
    return (examples.float_images() - means[group]).reshape(len(examples), -1)


def linear_share(centred: np.ndarray, components: int) -> float:
    """The share of the variance of `centred` `[N, values]` in its first principal components."""
    rows, columns = centred.shape
    product = centred @ centred.T if rows <= columns else centred.T @ centred
    variances = np.maximum(np.linalg.eigvalsh(product)[::-1], 0.0)
    return float(variances[:components].sum() / max(variances.sum(), 1e-12))
