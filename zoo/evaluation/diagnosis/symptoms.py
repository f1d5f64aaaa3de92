"""Measurements of a trained model, from which `zoo.evaluation.diagnose` concludes."""

import dataclasses

import keras
import numpy as np

from zoo.evaluation.code_terms import CodeTerms, code_terms
from zoo.evaluation.diagnosis.data_range import DataRange, data_range, is_out_of_range
from zoo.evaluation.diagnosis.decoder_scale import gaussian_scale, scale_misfit
from zoo.evaluation.latent_terms import LatentTerms, latent_terms, no_shift, shifted_terms
from zoo.evaluation.rows import Examples
from zoo.models import HierarchicalVAE
from zoo.runtime import checks

_STEP = 0.2  # of the posterior's log-variance, in the estimate of the KL's weight
_MOST_SHIFTED = 512  # examples of that estimate, of the decoder's scale and of the principal components
_MOST_COMPONENTS = 16


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


@dataclasses.dataclass(frozen=True)
class Gap:
    """The bound of the training data minus that of the validation data, nats per example.

    Differences between examples that have nothing to do with the model, such as the number of bright pixels, are
    removed first: the bounds of both are regressed on each example's mean, mean square, and squared distance from the
    mean of the training data.

    Attributes:
        value: float.
        error: float, its standard error.
        spread: float, the standard deviation of what remains, over the examples.
    """

    value: float
    error: float
    spread: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Symptoms:
    """The measurements.

    Attributes:
        data: `DataRange`.
        fit: `Fit` of the training data; None where the data lie outside of the likelihood's range, as nothing else is
            measured then.
        validation: `Fit` of the validation data, or None.
        gap: `Gap` between the two, or None.
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
    gap: Gap | None = None
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
    fit = _fit(model, data, terms or codes, seed)
    other = None if validation is None else _fit(model, validation, None, seed)
    return Symptoms(
        data=values,
        fit=fit,
        validation=other,
        gap=None if validation is None or other is None else _gap(fit, data, other, validation),
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


def implied_kl_weight(
    model: keras.Model, examples: Examples, terms: LatentTerms, seed: int = 0
) -> tuple[float, float] | None:
    """The weight of the KL for which the variances of the posterior are optimal, and its standard error.

    At the minimum of D + w · KL a common factor e^a of the posterior's variances changes nothing to first order:
    w = −(dD/da) / (dKL/da). The derivatives are differences over a = ±0.2, with the same noise. Latents with a KL below
    0.02 nats, or below the free bits, are left out, as the loss does not weigh them.

    Returns:
        (weight, standard error); None where there is no such latent, or where the error is half of the weight.
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
    error = float((distortion + weight * kl).std() / abs(kl.mean()) / np.sqrt(len(kl)))
    return None if error > 0.5 * max(weight, 0.5) else (float(weight), error)


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
            weighed = layer.kl_by_latent > max(0.02, 1.5 * free)
        found.append((none + 1.0) * weighed.astype(np.float32))
    return found


def settings_of(model: keras.Model) -> dict[str, float]:
    """The settings that weigh the KL, as far as the model has them."""
    found = {}
    for name in ("kl_weight", "beta", "free_bits", "capacity", "gamma", "alpha", "lambda_"):
        value = getattr(model, name, None)
        if value is not None:
            found[name] = float(np.asarray(value))
    if "beta" in found and getattr(model, "capacity", 0.0) is None:  # γ is the capacity's
        found.pop("gamma", None)
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


def _gap(fit, data, other, validation):
    if min(len(data), len(validation)) < 8:
        return None
    total = sum(x.astype(np.float64).sum(axis=0) for _, x, _, _ in data.batches())
    covariates = [_covariates(examples, total / len(data)) for examples in (data, validation)]
    return adjusted_gap(fit.bound, other.bound, *covariates)


def _covariates(examples, mean):
    """Mean, mean square and squared distance from `mean` of each example: `[N,3]`."""
    found = []
    for _, x, _, _ in examples.batches():
        rows, centred = x.reshape(len(x), -1), (x - mean).reshape(len(x), -1)
        found.append(np.stack([rows.mean(axis=1), np.square(rows).mean(axis=1), np.square(centred).mean(axis=1)], 1))
    return np.concatenate(found)


def adjusted_gap(own: np.ndarray, other: np.ndarray, own_covariates: np.ndarray, other_covariates: np.ndarray) -> Gap:
    """The difference of the means of `own` `[N]` and `other` `[M]` at equal covariates, by least squares.

    Args:
        own, other: floats `[N]` and `[M]`.
        own_covariates, other_covariates: floats `[N,C]` and `[M,C]`.
    """
    values = np.concatenate([own, other])
    covariates = np.concatenate([own_covariates, other_covariates])
    covariates = (covariates - covariates.mean(axis=0)) / np.maximum(covariates.std(axis=0), 1e-12)
    group = np.repeat([0.5, -0.5], [len(own), len(other)])
    columns = np.column_stack([group, np.ones(len(values)), covariates])
    solution, *_ = np.linalg.lstsq(columns, values, rcond=None)
    spread = np.sqrt(np.square(values - columns @ solution).sum() / max(1, len(values) - columns.shape[1]))
    error = spread * np.sqrt(np.linalg.pinv(columns.T @ columns)[0, 0])
    return Gap(float(solution[0]), float(error), float(spread))


def _reconstruction_share(model, examples):
    """The squared error of the reconstructions over the squared distances from the mean example."""
    means, group = _means(model, examples)
    error, spread = 0.0, 0.0
    for rows, x, labels, _ in examples.batches():
        known = np.asarray(model.likelihood.known(x))
        difference = model.reconstruct(x, labels if model.conditional else None).numpy() - x
        error += float((known * np.square(difference, dtype=np.float64)).sum())
        spread += float((known * np.square(x - means[group[rows]])).sum())
    return error / max(spread, 1e-12)


def _means(model, examples):
    """The mean example of each group, and the group of each example: its class, if the model takes classes."""
    groups = model.num_classes if model.num_classes and examples.labels is not None else 1
    group = np.zeros(len(examples), int) if groups == 1 else np.asarray(examples.labels, int)
    if not 0 <= group.min() <= group.max() < groups:
        checks.fail("labels", f"from 0 to {groups - 1}", int(group.max() if group.max() >= groups else group.min()))
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
