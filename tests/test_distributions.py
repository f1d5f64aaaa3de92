"""Log-likelihoods and divergences against closed forms, computed here in float64."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from zoo import distributions as d

RNG = np.random.default_rng
LEVELS = np.arange(256, dtype=np.float32)[:, None] / 255  # [256,1], every value of a pixel
EXTREMES = [-1e30, -1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4, 1e30]


def constant(value):
    return tf.constant(value, tf.float32)


def sigmoid(value):
    return 1 / (1 + np.exp(-np.asarray(value, np.float64)))


def logistic_bin(x, mean, scale):
    """The probability of an 8-bit value, by the logistic's distribution function: float64."""
    x, mean, scale = (np.asarray(value, np.float64) for value in (x, mean, scale))
    upper = np.where(x > 1 - 0.5 / 255, 1.0, sigmoid((x + 0.5 / 255 - mean) / scale))
    lower = np.where(x < 0.5 / 255, 0.0, sigmoid((x - 0.5 / 255 - mean) / scale))
    return upper - lower


def soft_bound(value, low, high):
    value = high - np.logaddexp(0, high - value)
    return low + np.logaddexp(0, value - low)


def value_and_gradients(function, *inputs):
    inputs = [constant(value) for value in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(*inputs)
    return value.numpy(), [gradient.numpy() for gradient in tape.gradient(value, inputs)]


def test_sums_run_over_all_axes_but_the_first():
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert d.sum_per_example(values).numpy().tolist() == [66.0, 210.0]  # 0 + … + 11, 12 + … + 23


def test_bits_per_dim_by_hand():
    elbo = constant([-28 * 28 * 3 * math.log(2), 0.0])
    np.testing.assert_allclose(d.bits_per_dim(elbo, (28, 28, 1)), [3.0, 0.0], rtol=1e-6)


# Softplus, and bounds.


def test_softplus_and_its_gradients_by_hand():
    x = np.array([-80.0, -16.5, -1.0, 0.0, 0.5, 16.5, 89.0, 1e30])
    value, (gradient,) = value_and_gradients(d.softplus, x)
    sigmoid = 1 / (1 + np.exp(-x))
    np.testing.assert_allclose(value, np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), rtol=1e-6)
    np.testing.assert_allclose(gradient, sigmoid, rtol=1e-5, atol=1e-38)
    _, (second,) = value_and_gradients(lambda x: 3.0 * gradient_of_softplus(x), x)
    np.testing.assert_allclose(second, 3 * sigmoid * (1 - sigmoid), rtol=1e-5, atol=1e-6)


def gradient_of_softplus(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = d.softplus(x)
    return tape.gradient(value, x)


def test_soft_bound_never_falls_rises_within_and_holds_its_bounds():
    bounded = d.soft_bound(constant(np.linspace(-1000, 1000, 20_001)), -14.0, 14.0).numpy()
    assert (np.diff(bounded) >= 0).all()
    assert bounded.min() >= -14 and bounded.max() <= 14 + 1e-5
    within = d.soft_bound(constant(np.arange(-20, 20.5, 0.5)), -14.0, 14.0).numpy()
    assert (np.diff(within) > 0).all()


def test_soft_bound_is_about_the_identity_inside():
    inside = np.linspace(-9, 9, 181)
    # The error is softplus(−distance to the bound): ln(1 + e^-5) = 0.0067.
    np.testing.assert_allclose(d.soft_bound(constant(inside), -14.0, 14.0), inside, rtol=0, atol=0.007)


def test_soft_bound_by_hand():
    inner = 3 - math.log1p(math.exp(3 - 2.5))
    expected = -2 + math.log1p(math.exp(inner + 2))
    np.testing.assert_allclose(d.soft_bound(constant(2.5), -2.0, 3.0), expected, rtol=1e-6)


@pytest.mark.parametrize("value", [-60.0, -20.0, 0.0, 20.0, 60.0])
def test_soft_bound_is_not_flat_outside(value):
    _, (gradient,) = value_and_gradients(lambda v: d.soft_bound(v, -14.0, 14.0), value)
    assert 0 < gradient <= 1


def test_bound_log_var_keeps_any_finite_input_within_its_range():
    bounded, (gradient,) = value_and_gradients(d.bound_log_var, EXTREMES)
    assert (bounded >= -14.0).all() and (bounded <= 14.0 + 1e-5).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    "bound, low, high", [(d.bound_log_var, -14.0, 14.0), (d.bound_log_scale, -8.0, 4.0)], ids=["log_var", "log_scale"]
)
def test_the_bounds_are_the_documented_ones(bound, low, high):
    # Far outside, they are reached; within, nothing but softplus of the distance is lost.
    np.testing.assert_allclose(bound(constant([-1e4, 1e4])), [low, high], rtol=1e-5)
    shift = math.log(2) if bound is d.bound_log_scale else 0.0
    inside = np.linspace(low + 1.0, high - 1.0, 9)
    np.testing.assert_allclose(bound(constant(inside + shift)), soft_bound(inside, low, high), rtol=1e-5, atol=1e-5)


# The normal distribution.


def test_normal_log_prob_by_hand():
    x, mean, log_var = [[1.0, -2.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]], [[math.log(4), 0.0], [0.0, math.log(9)]]
    expected = [
        -math.log(2 * math.pi) - 0.5 * math.log(4) - 0.5 * (1 / 4 + 9),
        -math.log(2 * math.pi) - 0.5 * math.log(9),
    ]
    log_prob = d.normal_log_prob(constant(x), constant(mean), constant(log_var))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-6)


def test_normal_log_prob_counts_a_common_scale_for_each_dimension():
    x = RNG(0).normal(size=(3, 4, 5))
    expected = -0.5 * (20 * math.log(2 * math.pi * 0.25) + (x**2).sum(axis=(1, 2)) / 0.25)
    log_prob = d.normal_log_prob(constant(x), 0.0, constant(math.log(0.25)))
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("q", "p", "expected"),
    [
        ((0.0, 1.0), (0.0, 1.0), 0.0),
        ((2.0, 1.0), (0.0, 1.0), 2.0),  # μ²/2
        ((0.0, 4.0), (0.0, 1.0), 0.5 * (4 - 1 - math.log(4))),
        ((1.0, 4.0), (-1.0, 9.0), 0.5 * (math.log(9 / 4) + (4 + 4) / 9 - 1)),
        ((0.5, 0.01), (0.7, 0.04), 0.5 * (math.log(4) + (0.01 + 0.04) / 0.04 - 1)),
    ],
)
def test_normal_kl_by_hand(q, p, expected):
    (mean, var), (prior_mean, prior_var) = q, p
    kl = d.normal_kl(constant(mean), constant(math.log(var)), prior_mean, math.log(prior_var))
    np.testing.assert_allclose(kl, expected, rtol=1e-5, atol=1e-7)


def test_normal_kl_has_a_standard_prior_by_default_and_keeps_the_latent_axes():
    kl = d.normal_kl(constant([[2.0, 0.0, -4.0]] * 2), tf.zeros((2, 3)))
    np.testing.assert_allclose(kl, [[2.0, 0.0, 8.0]] * 2)


@pytest.mark.parametrize(("prior_mean", "prior_var"), [(0.0, 1.0), (-0.5, 2.5)])
def test_normal_kl_agrees_with_monte_carlo(prior_mean, prior_var):
    mean, var = 0.8, 0.3
    z = RNG(0).normal(mean, math.sqrt(var), size=200_000)
    log_q = -0.5 * (np.log(var) + (z - mean) ** 2 / var)
    log_p = -0.5 * (np.log(prior_var) + (z - prior_mean) ** 2 / prior_var)
    standard_error = (log_q - log_p).std() / math.sqrt(len(z))
    kl = d.normal_kl(constant(mean), constant(math.log(var)), prior_mean, math.log(prior_var))
    assert abs(float(kl) - (log_q - log_p).mean()) < 4 * standard_error


def test_normal_kl_is_positive_wherever_the_posterior_is_not_the_prior():
    means, log_vars = np.meshgrid(np.linspace(-3, 3, 25), np.linspace(-6, 6, 25))
    kl = d.normal_kl(constant(means), constant(log_vars)).numpy()
    apart = np.abs(means) + np.abs(log_vars) > 1e-6
    assert (kl[apart] > 0).all() and kl[~apart] == 0


KL_AND_LOG_PROB = {
    "kl": lambda m, v: d.normal_kl(m, d.bound_log_var(v)),
    "kl_of_a_prior": lambda m, v: d.normal_kl(m, d.bound_log_var(v), 0.5, d.bound_log_var(-v)),
    "log_prob": lambda m, v: d.normal_log_prob(0.3 * tf.ones_like(m), m, d.bound_log_var(v)),
}


@pytest.mark.parametrize("name", KL_AND_LOG_PROB)
def test_kl_and_normal_log_prob_stay_finite_for_any_log_variance(name):
    """Means up to 1e15, beyond which their square over e^-14 leaves float32."""
    mean, log_var = (grid.reshape(-1, 1) for grid in np.meshgrid([-1e15, -1.0, 0.0, 1e15], EXTREMES))
    value, gradients = value_and_gradients(KL_AND_LOG_PROB[name], mean, log_var)
    assert np.isfinite(value).all() and np.isfinite(gradients).all()


@pytest.mark.parametrize("name", KL_AND_LOG_PROB)
def test_a_mean_whose_square_overflows_gives_no_nan(name):
    mean, log_var = (grid.reshape(-1, 1) for grid in np.meshgrid([-1e30, 1e30], [-14.0, -1.0, 0.0, 1.0, 14.0]))
    value, gradients = value_and_gradients(KL_AND_LOG_PROB[name], mean, log_var)
    assert not np.isnan(value).any() and not np.isnan(gradients).any()


def test_optimal_log_var_is_the_log_of_the_mean_squared_error_of_the_batch():
    x, mean = RNG(0).normal(size=(2, 5, 3))
    expected = math.log(((x - mean) ** 2).mean())
    optimal = d.optimal_log_var(constant(x), constant(mean))
    assert optimal.shape == ()
    np.testing.assert_allclose(optimal, expected, rtol=1e-5)


def test_optimal_log_var_beats_every_other_scale():
    x, mean = constant(RNG(1).normal(size=(5, 6))), constant(RNG(2).normal(size=(5, 6)))
    optimal = d.optimal_log_var(x, mean)

    def total(log_var):
        return float(tf.reduce_sum(d.normal_log_prob(x, mean, log_var)))

    others = [total(optimal + offset) for offset in np.linspace(-2, 2, 81, dtype=np.float32) if abs(offset) > 0.02]
    assert len(others) == 80 and max(others) < total(optimal)


# Bernoulli.


def test_bernoulli_log_prob_by_hand():
    x, logits = [[1.0, 0.0], [0.25, 1.0]], [[0.3, -1.2], [2.0, 0.0]]

    def term(x, logit):
        p = 1 / (1 + math.exp(-logit))
        return x * math.log(p) + (1 - x) * math.log(1 - p)

    expected = [sum(map(term, *row)) for row in zip(x, logits)]
    np.testing.assert_allclose(d.bernoulli_log_prob(constant(x), constant(logits)), expected, rtol=1e-6)


@pytest.mark.parametrize("logit", [-1e30, -1e4, -3.0, 0.0, 3.0, 1e4, 1e30])
def test_bernoulli_sums_to_one_and_stays_finite(logit):
    x = constant([[0.0], [1.0]])
    value, (gradient,) = value_and_gradients(lambda p: d.bernoulli_log_prob(x, p), [[logit]] * 2)
    assert np.isfinite(value).all() and np.isfinite(gradient).all()
    np.testing.assert_allclose(np.exp(value.astype(np.float64)).sum(), 1.0, rtol=1e-6)


# The discretised logistic.


@pytest.mark.parametrize("level", [0, 1, 100, 128, 254, 255])
def test_discretized_logistic_log_prob_is_the_logistics_probability_of_the_bin(level):
    mean, scale = 0.45, 0.1
    expected = math.log(logistic_bin(level / 255, mean, scale))
    x = constant([[level / 255]])
    log_prob = d.discretized_logistic_log_prob(x, constant([[mean]]), constant([[math.log(scale)]]))
    np.testing.assert_allclose(log_prob, [expected], rtol=1e-4)


@pytest.mark.parametrize("log_scale", [*d.LOG_SCALE_RANGE, -2.0])
@pytest.mark.parametrize("mean", [0.0, 0.5, 100.3 / 255, -50.0, 50.0, 1e6])
def test_discretized_logistic_sums_to_one_over_the_256_values(mean, log_scale):
    log_prob = d.discretized_logistic_log_prob(
        constant(LEVELS), constant(np.full((256, 1), mean)), constant(np.full((256, 1), log_scale))
    ).numpy()
    assert np.isfinite(log_prob).all()
    np.testing.assert_allclose(np.exp(log_prob.astype(np.float64)).sum(), 1.0, rtol=0, atol=2e-4)


@pytest.mark.parametrize("level", [0, 100, 255])
def test_discretized_logistic_and_its_gradients_stay_finite(level):
    def log_prob(mean, log_scale):
        x = tf.fill(mean.shape, level / 255)
        return d.discretized_logistic_log_prob(x, mean, d.soft_bound(log_scale, *d.LOG_SCALE_RANGE))

    grids = (grid.reshape(-1, 1) for grid in np.meshgrid(EXTREMES, EXTREMES))
    value, gradients = value_and_gradients(log_prob, *grids)
    assert np.isfinite(value).all() and (value <= 1e-6).all() and np.isfinite(gradients).all()


# The mixture.


def mixture_params(rng, batch, channels, components, log_scale=-2.0):
    """Random parameters [B,1,1,P] in the layout of the library, and the same by name in float64."""
    pairs = channels * (channels - 1) // 2
    logits = rng.normal(size=(batch, components))
    means = rng.uniform(-1, 1, size=(batch, channels, components))
    log_scales = log_scale + 0.3 * rng.normal(size=(batch, channels, components))
    couplings = rng.normal(size=(batch, pairs, components))
    flat = [logits, *(part.reshape(batch, -1) for part in (means, log_scales, couplings))]
    params = constant(np.concatenate(flat, axis=1)[:, None, None, :])
    # Log-scales are those of the [−1, 1] range: ln 2 less in that of [0, 1].
    scales = np.exp(soft_bound(log_scales - math.log(2), -8.0, 4.0))
    return params, (logits, 0.5 + 0.5 * means, scales, np.tanh(couplings))


def mixture_by_loops(x, b, logits, means, scales, couplings):
    """log p of one pixel x [C] under row b, component by component and channel by channel."""
    total = 0.0
    weights = np.exp(logits[b]) / np.exp(logits[b]).sum()
    for k, weight in enumerate(weights):
        probability, pair = weight, 0
        for c in range(len(x)):
            mean = means[b, c, k]
            for j in range(c):
                mean += couplings[b, pair, k] * (x[j] - 0.5)
                pair += 1
            probability *= logistic_bin(x[c], mean, scales[b, c, k])
        total += probability
    return math.log(total)


def mixture_log_prob(pixels, params, components):
    """log p of each pixel [N,C] under one row of parameters."""
    params = tf.repeat(params, len(pixels), axis=0)
    return d.discretized_logistic_mixture_log_prob(constant(pixels)[:, None, None, :], params, components).numpy()


@pytest.mark.parametrize(("channels", "size"), [(1, 3), (2, 6), (3, 10), (4, 15)])
def test_mixture_size(channels, size):
    assert d.mixture_size(channels, 1) == size
    assert d.mixture_size(channels, 7) == 7 * size


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_mixture_log_prob_is_the_sum_over_components_and_the_product_over_channels(channels):
    rng = RNG(channels)
    params, named = mixture_params(rng, 12, channels, components=4)
    x = rng.integers(0, 256, size=(12, channels)) / 255
    x[0], x[1] = 0.0, 1.0
    expected = [mixture_by_loops(x[b], b, *named) for b in range(12)]
    log_prob = d.discretized_logistic_mixture_log_prob(constant(x)[:, None, None, :], params, 4)
    np.testing.assert_allclose(log_prob, expected, rtol=2e-4)


def test_mixture_sums_over_pixels():
    params, _ = mixture_params(RNG(0), 6, 3, components=2)
    x = constant(RNG(1).integers(0, 256, size=(6, 1, 1, 3)) / 255)
    apart = d.discretized_logistic_mixture_log_prob(x, params, 2).numpy()
    together = d.discretized_logistic_mixture_log_prob(
        tf.reshape(x, (1, 2, 3, 3)), tf.reshape(params, (1, 2, 3, 20)), 2
    )
    np.testing.assert_allclose(together, [apart.sum()], rtol=1e-5)


@pytest.mark.parametrize("log_scale", [-1e30, -7.0, -2.0, 1e30])
@pytest.mark.parametrize("mean", [-1e30, 0.1, 100.0])
def test_grey_mixture_sums_to_one_over_the_256_values(mean, log_scale):
    params = constant([[[[0.3, -0.8, mean, 0.2, log_scale, -1.0]]]])  # 2 logits, 2 means, 2 log-scales
    log_prob = mixture_log_prob(LEVELS, params, 2)
    assert np.isfinite(log_prob).all()
    np.testing.assert_allclose(np.exp(log_prob.astype(np.float64)).sum(), 1.0, rtol=0, atol=2e-4)


def test_two_channel_mixture_sums_to_one_over_all_65536_values():
    params, _ = mixture_params(RNG(5), 1, 2, components=3)
    pixels = np.array(list(itertools.product(range(256), repeat=2))) / 255
    total = np.exp(mixture_log_prob(pixels, params, 3).astype(np.float64)).sum()
    np.testing.assert_allclose(total, 1.0, rtol=0, atol=2e-4)


def test_colour_mixture_sums_to_one():
    """At the least scale, e^-8, a level is 12 scales wide: all of the mass lies within 4 levels of the mean, which
    the couplings, below 1 each, move by 4 levels for green and by 4 + 8 for blue."""
    centre = np.array([100, 140, 60])
    means = 2 * (centre / 255) - 1
    # The coupled mean is k (previous − ½) more: taken off again, so that the centre stays the centre.
    coupling = np.array([0.9, -0.7, 0.5])
    k, v = np.tanh(coupling), centre / 255 - 0.5
    means[1] -= 2 * k[0] * v[0]
    means[2] -= 2 * (k[1] * v[0] + k[2] * v[1])
    # Two components of the same place: their weights have to add up to one as well.
    params = np.repeat(np.concatenate([means, [-1e30] * 3, coupling]), 2)
    params = constant(np.concatenate([[0.4, -1.3], params])[None, None, None])
    windows = [range(centre[c] - reach, centre[c] + reach + 1) for c, reach in enumerate((4, 8, 16))]
    pixels = np.array(list(itertools.product(*windows))) / 255
    total = np.exp(mixture_log_prob(pixels, params, 2).astype(np.float64)).sum()
    np.testing.assert_allclose(total, 1.0, rtol=0, atol=1e-3)


@pytest.mark.parametrize("red_green", [(0, 255), (30, 200), (255, 128)])
def test_blue_given_red_and_green_sums_to_one(red_green):
    """Summed over blue, the three-channel mixture is the two-channel one of its red and green parameters."""
    params, (logits, means, scales, couplings) = mixture_params(RNG(8), 1, 3, components=4)
    x = np.array(red_green) / 255
    pixels = np.concatenate([np.tile(x, (256, 1)), LEVELS], axis=1)
    summed = np.exp(mixture_log_prob(pixels, params, 4).astype(np.float64)).sum()
    expected = mixture_by_loops(x, 0, logits, means[:, :2], scales[:, :2], couplings[:, :1])
    np.testing.assert_allclose(math.log(summed), expected, rtol=0, atol=5e-4)


@pytest.mark.parametrize("x", [(0.0, 100 / 255, 1.0), (1.0, 0.0, 0.2)])
def test_mixture_and_its_gradients_stay_finite(x):
    # Each of the twenty parameters in turn takes each extreme value, the others being nought.
    params = np.concatenate([value * np.eye(20) for value in EXTREMES])[:, None, None, :]
    x = tf.tile(constant(x)[None, None, None], (len(params), 1, 1, 1))
    value, (gradient,) = value_and_gradients(lambda p: d.discretized_logistic_mixture_log_prob(x, p, 2), params)
    assert np.isfinite(value).all() and np.isfinite(gradient).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_mixture_mean_is_the_weighted_mean_of_the_locations(channels):
    params, (logits, means, _, couplings) = mixture_params(RNG(3), 5, channels, components=4)
    expected = np.zeros((5, channels))
    for b, k in itertools.product(range(5), range(4)):
        weight = np.exp(logits[b, k]) / np.exp(logits[b]).sum()
        locations, pair = [], 0
        for c in range(channels):
            location = means[b, c, k]
            for j in range(c):
                location += couplings[b, pair, k] * (locations[j] - 0.5)
                pair += 1
            locations.append(min(max(location, 0.0), 1.0))
        expected[b] += weight * np.array(locations)
    image = d.discretized_logistic_mixture_mean(params, channels, 4)
    assert image.shape == (5, 1, 1, channels)
    np.testing.assert_allclose(image[:, 0, 0], expected, rtol=1e-5, atol=1e-6)


# All of them.

IMAGES = RNG(0).integers(0, 256, size=(4, 3, 2, 3)) / 255
LOG_PROBS = {
    "normal": (lambda x, p: d.normal_log_prob(x, p[..., :3], p[..., 3:6]), 6),
    "bernoulli": (lambda x, p: d.bernoulli_log_prob(x, p), 3),
    "discretized_logistic": (lambda x, p: d.discretized_logistic_log_prob(x, p[..., :3], p[..., 3:6]), 6),
    "mixture": (lambda x, p: d.discretized_logistic_mixture_log_prob(x, p, 2), 20),
}


@pytest.mark.parametrize("name", LOG_PROBS)
def test_log_probs_are_one_number_an_example_and_examples_are_independent(name):
    log_prob, size = LOG_PROBS[name]
    x, params = constant(IMAGES), constant(RNG(1).normal(size=(4, 3, 2, size)))
    together = log_prob(x, params)
    assert together.shape == (4,) and together.dtype == tf.float32
    apart = [float(log_prob(x[i : i + 1], params[i : i + 1])[0]) for i in range(4)]
    np.testing.assert_allclose(together, apart, rtol=1e-6)
    assert len(set(apart)) == 4


def test_parameters_that_would_be_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"Expected `logits` to be of shape \[B, 1\]. Received: logits=\(2, 5\)"):
        d.bernoulli_log_prob(np.zeros((2, 1), np.float32), np.zeros((2, 5), np.float32))
    with pytest.raises(ValueError, match=r"Expected `params` to be of shape \[B, 4, 4, 6\]. Received: .*12"):
        d.discretized_logistic_mixture_log_prob(
            np.zeros((2, 4, 4, 1), np.float32), np.zeros((2, 4, 4, 12), np.float32), 2
        )


def test_one_logit_may_stand_for_all():
    x = np.random.default_rng(0).integers(0, 2, (3, 4)).astype(np.float32)
    np.testing.assert_allclose(d.bernoulli_log_prob(x, 0.0), np.full(3, -4 * math.log(2)), rtol=1e-6)


def test_a_kl_of_float64_is_that_of_float32():
    assert d.normal_kl(np.ones(3), np.zeros(3)).numpy().tolist() == [0.5, 0.5, 0.5]
