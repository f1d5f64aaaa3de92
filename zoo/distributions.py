"""Log-likelihoods and KL divergences: pure functions, in nats.

Images `x` are float in [0, 1]; the 8-bit likelihoods expect them on the grid k/255. A `…_log_prob` sums over all axes
but the first and returns float32 `[B]`, nats per example. `normal_kl` keeps the latent axes, as free bits treat
dimensions separately.
"""

import math

import numpy as np
from keras import ops

from zoo._compat.tflite import argmax, softplus
from zoo.runtime import checks
from zoo.runtime.types import Array, Shape, Tensor

LOG_VAR_RANGE = (-14.0, 14.0)
LOG_SCALE_RANGE = (-8.0, 4.0)
_HALF_BIN = 0.5 / 255


def sum_per_example(values: Array) -> Tensor:
    """Sums over all axes but the first: `[B, …]` to `[B]`."""
    return ops.sum(ops.reshape(values, (ops.shape(values)[0], -1)), axis=1)


def _in_float32(value):
    """NumPy's float64 as float32, which TensorFlow does not mix with."""
    return value.astype(np.float32) if isinstance(value, (np.ndarray, np.generic)) else value


def bits_per_dim(elbo: Array, shape: Shape) -> Tensor:
    """−elbo / (ln 2 · number of dims), for likelihoods over 8-bit values: nats `[B]` to bits `[B]`."""
    return -elbo / (math.log(2.0) * math.prod(shape))


def soft_bound(value: Array, low: float, high: float) -> Tensor:
    """A smooth clip of `value` to (low, high): close to the identity inside, and never decreasing.

    A hard clip has no gradient outside, and a value there never returns. Here the gradient fades over some ninety
    units.
    """
    value = high - softplus(high - value)
    return low + softplus(value - low)


def bound_log_var(log_var: Array) -> Tensor:
    """Log-variance bounded to (−14, 14): no finite network output makes a variance 0 or infinite."""
    return soft_bound(log_var, *LOG_VAR_RANGE)


def bound_log_scale(log_scale: Array) -> Tensor:
    """A network's output as the log-scale of a logistic, bounded to `LOG_SCALE_RANGE`; 0 becomes a scale of ½."""
    return soft_bound(log_scale - math.log(2.0), *LOG_SCALE_RANGE)


def normal_kl(
    mean: Array | float,
    log_var: Array | float,
    prior_mean: Array | float = 0.0,
    prior_log_var: Array | float = 0.0,
) -> Tensor:
    """KL( N(mean, e^log_var) ‖ N(prior_mean, e^prior_log_var) ) of each dimension.

        ½ [ log σp² − log σ² + (σ² + (μ − μp)²) / σp² − 1 ]

    (Kingma & Welling 2014, appendix B, for the standard normal prior.)

    Returns:
        float32 of the broadcast shape, nats per dimension; negative only by rounding.

    Example:
        >>> float(zoo.distributions.normal_kl(mean=1.0, log_var=0.0))
        0.5
    """
    mean, log_var, prior_mean, prior_log_var = map(_in_float32, (mean, log_var, prior_mean, prior_log_var))
    difference = log_var - prior_log_var
    squared = ops.square(mean - prior_mean) * ops.exp(-ops.convert_to_tensor(prior_log_var, "float32"))
    return 0.5 * (ops.exp(difference) - 1.0 - difference + squared)


def reparameterize(mean: Array, log_var: Array, noise: Array) -> Tensor:
    """μ + e^(½ log σ²) · ε: a sample from N(μ, σ²) if `noise` ε is one from N(0, 1)."""
    return mean + ops.exp(0.5 * log_var) * noise


def normal_log_prob(x: Array, mean: Array, log_var: Array | float) -> Tensor:
    """log N(x; mean, e^log_var), summed over all axes but the first: nats `[B]`."""
    log_prob = -0.5 * (math.log(2 * math.pi) + log_var + ops.square(x - mean) * ops.exp(-log_var))
    return sum_per_example(ops.broadcast_to(log_prob, ops.shape(x)))


def optimal_log_var(x: Array, mean: Array) -> Tensor:
    """The log-variance that maximises `normal_log_prob` over the whole batch: log MSE.

    Rybkin et al. 2021, "Simple and Effective VAE Training with Calibrated Decoders", eq. (6).

    Returns:
        float32 scalar.
    """
    return ops.log(ops.mean(ops.square(x - mean)))


def bernoulli_log_prob(x: Array, logits: Array) -> Tensor:
    """x·log σ(l) + (1 − x)·log(1 − σ(l)), summed over all axes but the first: nats `[B]`.

    A log-probability if `x` is 0 or 1. On grey levels it is the usual cross-entropy, which is not a normalised density:
    compare its values only with other cross-entropies.
    """
    checks.parameters("logits", logits, x.shape[1:])
    return sum_per_example(x * logits - softplus(logits))


def _logistic_bin_log_prob(x, mean, log_scale):
    """log P(x) of an 8-bit value under a logistic; the outer bins extend to infinity.

    With a and b the standardised upper and lower edges of the bin,
    σ(a) − σ(b) = σ(a) · σ(−b) · (1 − e^(b − a)), and a − b does not depend on x. This form never
    subtracts two nearly equal numbers, which other implementations guard with thresholds.
    """
    inverse_scale = ops.exp(-log_scale)
    upper = -softplus(-(x - mean + _HALF_BIN) * inverse_scale)
    lower = -softplus((x - mean - _HALF_BIN) * inverse_scale)
    width = ops.log(-ops.expm1(-2 * _HALF_BIN * inverse_scale))
    inside = upper + lower + width
    return ops.where(x < _HALF_BIN, upper, ops.where(x > 1 - _HALF_BIN, lower, inside))


def discretized_logistic_log_prob(x: Array, mean: Array, log_scale: Array) -> Tensor:
    """Logistic over 8-bit values (Kingma et al. 2016, IAF, section 5.2), summed: nats `[B]`.

    Args:
        x: `[B, …]`, on the grid k/255.
        mean, log_scale: of `x`'s shape, in units of `x`; `log_scale` within `LOG_SCALE_RANGE`.

    Returns:
        float32 `[B]`, the log of a probability: over the 256 values of a pixel it sums to one.
    """
    return sum_per_example(_logistic_bin_log_prob(x, mean, log_scale))


def discretized_logistic_sample(mean: Array, log_scale: Array, uniform: Array) -> Tensor:
    """Samples of `discretized_logistic_log_prob`, on the grid k/255; `uniform` in (0, 1), of `mean`'s shape."""
    x = mean + ops.exp(log_scale) * (ops.log(uniform) - ops.log(1.0 - uniform))
    return ops.clip(ops.round(255.0 * x), 0.0, 255.0) / 255.0


def mixture_size(channels: int, components: int) -> int:
    """Parameters per pixel of `discretized_logistic_mixture_*`: 3 per component for grey, 10 for colour."""
    return components * (1 + 2 * channels + channels * (channels - 1) // 2)


def _mixture_parameters(params, channels, components):
    """Splits `[B,H,W,K(1+2C+C(C−1)/2)]` into logits, means, log-scales and couplings.

    For C = 3 and K = 10, the 100 numbers of a pixel are 10 logits, 30 means, 30 log-scales and 30 couplings
    (green on red, blue on red, blue on green).
    """
    pairs = channels * (channels - 1) // 2
    sizes = [1, channels, channels, pairs]
    ends = [components * sum(sizes[: i + 1]) for i in range(3)]
    logits, means, log_scales, coupling = ops.split(params, ends, axis=-1)
    grid = ops.shape(params)[:-1]
    means = 0.5 + 0.5 * ops.reshape(means, (*grid, channels, components))  # [B,H,W,C,K]
    log_scales = ops.reshape(log_scales, (*grid, channels, components))
    log_scales = bound_log_scale(log_scales)
    coupling = ops.tanh(ops.reshape(coupling, (*grid, pairs, components))) if pairs else None
    return logits, means, log_scales, coupling


def _coupled_mean(means, coupling, previous, channel):
    """μ_c + Σ_{j<c} k_cj (previous_j − ½): a channel's mean given those before it (eq. 3)."""
    mean = means[..., channel, :]
    first = channel * (channel - 1) // 2
    for j in range(channel):
        mean = mean + coupling[..., first + j, :] * (previous[j] - 0.5)
    return mean


def discretized_logistic_mixture_log_prob(x: Array, params: Array, components: int) -> Tensor:
    """Mixture of discretised logistics with linear couplings between the channels of a pixel, summed: nats `[B]`.

    Salimans et al. 2017, PixelCNN++, eqs. (1) to (3). Deviations: any number of channels, and the couplings act on
    x − ½.

    Args:
        x: `[B,H,W,C]`, on the grid k/255.
        params: `[B,H,W,mixture_size(C, components)]`, the unbounded output of a network.
        components: int, the size of the mixture.

    Returns:
        float32 `[B]`, the log of a probability.
    """
    channels = x.shape[-1]
    checks.parameters("params", params, (*x.shape[1:-1], mixture_size(channels, components)))
    logits, means, log_scales, coupling = _mixture_parameters(params, channels, components)
    values = [x[..., c : c + 1] for c in range(channels)]  # each [B,H,W,1], against K components
    log_prob = ops.log_softmax(logits, axis=-1)
    for c in range(channels):
        mean = _coupled_mean(means, coupling, values, c)
        log_prob = log_prob + _logistic_bin_log_prob(values[c], mean, log_scales[..., c, :])
    return sum_per_example(ops.logsumexp(log_prob, axis=-1))


def discretized_logistic_mixture_mean(params: Array, channels: int, components: int) -> Tensor:
    """The mean image of the mixture, with the location of each component clipped to [0, 1]: `[B,H,W,C]`."""
    logits, means, _, coupling = _mixture_parameters(params, channels, components)
    weights = ops.softmax(logits, axis=-1)
    locations: list[Tensor] = []
    for c in range(channels):
        locations.append(ops.clip(_coupled_mean(means, coupling, locations, c), 0.0, 1.0))
    return ops.stack([ops.sum(weights * location, axis=-1) for location in locations], axis=-1)


def discretized_logistic_mixture_sample(params: Array, channels: int, components: int, uniform: Array) -> Tensor:
    """Samples of the mixture, on the grid k/255: `[B,H,W,C]`.

    Args:
        params: as in `discretized_logistic_mixture_log_prob`.
        uniform: float32 `[B,H,W,K+C]` in (0, 1): K numbers choose a component, and one draws each channel.
    """
    logits, means, log_scales, coupling = _mixture_parameters(params, channels, components)
    gumbel = -ops.log(-ops.log(uniform[..., :components]))
    chosen = ops.one_hot(argmax(logits + gumbel, axis=-1), components, dtype="float32")
    x: list[Tensor] = []
    for c in range(channels):
        mean = ops.sum(chosen * _coupled_mean(means, coupling, [each[..., None] for each in x], c), axis=-1)
        log_scale = ops.sum(chosen * log_scales[..., c, :], axis=-1)
        x.append(discretized_logistic_sample(mean, log_scale, uniform[..., components + c]))
    return ops.stack(x, axis=-1)


def categorical_log_prob(x: Array, logits: Array) -> Tensor:
    """Σ_k x_k log softmax(l)_k over the last axis, summed over the other axes but the first: nats `[B]`.

    A log-probability if each `x` along the last axis is one-hot; a row of zeros counts nothing.
    """
    return sum_per_example(x * ops.log_softmax(logits, axis=-1))
