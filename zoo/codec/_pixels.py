"""Scripts of pixels: the distribution of 8-bit or binary values under each likelihood, in the order of decoding.

All tables are computed in NumPy, element by element: there is no sum whose order depends on the number of threads.
"""

from collections.abc import Iterator

import numpy as np

from zoo import distributions, likelihoods
from zoo.codec._coder import Script, constriction
from zoo.runtime import checks

_ROWS = 1 << 13  # of a table of 256 columns: 8 MiB
_EDGES = (np.arange(1, 256, dtype=np.float32) - np.float32(0.5)) / np.float32(255.0)


def levels(likelihood: likelihoods.Likelihood) -> int:
    """The values of a pixel that the likelihood has probabilities for: 2 or 256.

    Raises:
        ValueError: for a likelihood without probabilities of pixels.
    """
    if isinstance(likelihood, likelihoods.Bernoulli):
        return 2
    if isinstance(likelihood, likelihoods.Gaussian):
        if likelihood.range != (0.0, 1.0):
            checks.fail("model", "one of images in [0, 1]", f"a Gaussian likelihood of range {likelihood.range}")
        return 256
    if isinstance(likelihood, (likelihoods.DiscretizedLogistic, likelihoods.DiscretizedLogisticMixture)):
        return 256
    kinds = "Bernoulli, Gaussian, DiscretizedLogistic or DiscretizedLogisticMixture"
    return checks.fail("model", f"one with a likelihood of pixels ({kinds})", type(likelihood).__name__)


def script(likelihood: likelihoods.Likelihood, params: np.ndarray, channels: int) -> Script:
    """The script of images under p(x|z). Its symbols are those of `symbols`; it returns uint8 `[B,H,W,C]`.

    Args:
        params: float32 `[B,H,W,params_size]`.
        channels: int, C.
    """
    if isinstance(likelihood, likelihoods.Bernoulli):
        return _bernoulli(params)
    if isinstance(likelihood, likelihoods.Gaussian):
        return _gaussian(likelihood, params)
    if isinstance(likelihood, likelihoods.DiscretizedLogistic):
        return _mixture(np.concatenate([np.zeros_like(params[..., :1]), params], axis=-1), channels, 1, coupled=False)
    return _mixture(params, channels, likelihood.components)


def symbols(likelihood: likelihoods.Likelihood, x: np.ndarray) -> list[np.ndarray]:
    """The arrays that `script` expects, of images uint8 `[B,H,W,C]`."""
    if isinstance(likelihood, (likelihoods.Bernoulli, likelihoods.Gaussian)):
        return [x.reshape(-1)]
    rows = x.reshape(-1, x.shape[-1])
    return [rows[part, channel] for part in _parts(len(rows)) for channel in range(x.shape[-1])]


def _bernoulli(params):
    probabilities = 1.0 / (1.0 + np.exp(-params.astype(np.float64).reshape(-1)))
    values = yield constriction().model.Bernoulli(perfect=False), probabilities.astype(np.float32)
    return values.reshape(params.shape).astype(np.uint8)


def _gaussian(likelihood, params):
    log_var = float(np.asarray(likelihood._log_var(None, None, training=False)))
    mean = 255.0 * (params.astype(np.float64).reshape(-1) + 0.5)
    scale = np.full_like(mean, 255.0 * np.exp(0.5 * log_var))
    values = yield constriction().model.QuantizedGaussian(0, 255), mean, scale
    return values.reshape(params.shape).astype(np.uint8)


def _mixture(params, channels, components, coupled=True):
    """R from the mixture, then G from it with weights ∝ π p(R), then B with those ∝ π p(R) p(G)."""
    rows = params.reshape(-1, params.shape[-1])
    x = np.empty((len(rows), channels), np.uint8)
    for part in _parts(len(rows)):
        weights, means, log_scales, couplings = _split(rows[part], channels, components)
        for channel in range(channels):
            mean = means[:, channel]
            for before in range(channel) if coupled else ():
                pair = channel * (channel - 1) // 2 + before
                value = x[part, before, None].astype(np.float32) / np.float32(255.0) - np.float32(0.5)
                mean = mean + couplings[:, pair] * value
            tables = _tables(mean, log_scales[:, channel])
            table = _sum_of_products(weights, tables)
            x[part, channel] = yield constriction().model.Categorical(perfect=False), table
            # p(components | channels so far)
            chosen = np.take_along_axis(tables, x[part, channel].astype(np.int64)[:, None, None], axis=2)[..., 0]
            weights = weights * np.maximum(chosen, np.float32(1e-30))
            weights = weights / _sum(weights)[:, None]
    return x.reshape(*params.shape[:-1], channels)


def _parts(number: int) -> Iterator[slice]:
    return (slice(start, min(start + _ROWS, number)) for start in range(0, number, _ROWS))


def _split(params, channels, components):
    """Weights `[N,K]`, means and log-scales `[N,C,K]`, couplings `[N,P,K]`; see `zoo.distributions`."""
    ends = components * np.cumsum([1, channels, channels])
    logits, means, log_scales, couplings = np.split(params.astype(np.float32), ends, axis=-1)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights = weights / _sum(weights)[:, None]
    shape = (len(params), channels, components)
    log_scales = np.asarray(distributions.bound_log_scale(log_scales.reshape(shape)))
    means = np.float32(0.5) + np.float32(0.5) * means.reshape(shape)
    return weights, means, log_scales, np.tanh(couplings).reshape(len(params), -1, components)


def _tables(mean, log_scale):
    """P(v) of the 256 values under logistics with means and log-scales `[N,K]`: `[N,K,256]`."""
    slope = np.exp(-log_scale)[..., None]
    cdf = _EDGES - mean[..., None]
    cdf *= -slope
    np.clip(cdf, -80.0, 80.0, out=cdf)
    np.exp(cdf, out=cdf)
    cdf += np.float32(1.0)
    np.reciprocal(cdf, out=cdf)
    table = np.empty((*mean.shape, 256), np.float32)
    table[..., 0] = cdf[..., 0]
    np.subtract(cdf[..., 1:], cdf[..., :-1], out=table[..., 1:-1])
    table[..., -1] = np.float32(1.0) - cdf[..., -1]
    return table


def _sum(values):
    """The sum over the last axis, from left to right."""
    total = values[..., 0].copy()
    for number in range(1, values.shape[-1]):
        total += values[..., number]
    return total


def _sum_of_products(weights, tables):
    total = weights[:, 0, None] * tables[:, 0]
    for number in range(1, weights.shape[1]):
        total += weights[:, number, None] * tables[:, number]
    return total
