"""The factor of a decoder's scale, where the errors are known."""

import math

import numpy as np
import pytest

import zoo
from zoo.evaluation import Examples
from zoo.evaluation.diagnosis.decoder_scale import gaussian_scale, scale_misfit

PROJECTION, LOG_VAR = np.zeros((16, 1), "float32"), np.full(1, -10.0, "float32")


def constant(linear_vae, likelihood, bias, params=1):
    """A VAE whose decoder always gives `bias`."""
    return linear_vae(PROJECTION, LOG_VAR, np.zeros((1, 16 * params)), bias, likelihood=likelihood)


@pytest.mark.parametrize("scale", [0.1, 0.2, 1.0])
def test_factor_and_gain_of_a_gaussian(linear_vae, scale):
    model = constant(linear_vae, zoo.likelihoods.Gaussian(scale), 0.0)
    x = np.full((10, 4, 4, 1), 0.7, "float32")  # errors of 0.2 everywhere
    factor, gain = scale_misfit(model, Examples(model, x))
    np.testing.assert_allclose(factor, 0.2 / scale, rtol=1e-5)

    def log_density(sigma):
        return -math.log(sigma) - 0.5 * (0.2 / sigma) ** 2

    np.testing.assert_allclose(gain, log_density(0.2) - log_density(scale), rtol=1e-4, atol=1e-6)


def test_the_factor_of_eight_bit_values_is_that_of_their_spread(linear_vae):
    draw = np.random.default_rng(0)
    x = np.clip(0.5 + 0.05 * draw.logistic(size=(200, 16)), 0, 1)
    x = (np.round(255 * x) / 255).astype("float32").reshape(-1, 4, 4, 1)
    log_scale = math.log(2) + math.log(0.05)  # an output of 0 is a scale of ½
    likelihood = zoo.likelihoods.DiscretizedLogistic()

    def log_prob_of_a_value(shift):
        params = np.broadcast_to(np.float32([0.0, log_scale + shift]), (200, 4, 4, 2))
        return np.mean(likelihood.log_prob(x, params)) / 16

    for shift in (0.0, 1.5, -1.0):
        bias = np.tile([0.0, log_scale + shift], 16)
        model = constant(linear_vae, likelihood, bias, 2)
        factor, gain = scale_misfit(model, Examples(model, x))
        np.testing.assert_allclose(factor, math.exp(-shift))
        np.testing.assert_allclose(gain, log_prob_of_a_value(0.0) - log_prob_of_a_value(shift), rtol=1e-3, atol=1e-6)
        assert (gain > 0.05) == (shift != 0.0) and gain >= 0.0


def test_the_factor_of_a_mixture_moves_its_scales_alone(linear_vae):
    draw = np.random.default_rng(0)
    x = np.clip(0.5 + 0.05 * draw.logistic(size=(200, 16)), 0, 1)
    x = (np.round(255 * x) / 255).astype("float32").reshape(-1, 4, 4, 1)
    likelihood = zoo.likelihoods.DiscretizedLogisticMixture(2, channels=1)
    # Logits, means and log-scales of two equal components.
    bias = np.tile([0.3, 0.3, 0.0, 0.0, math.log(0.1) + 1.0, math.log(0.1) + 1.0], 16)
    model = constant(linear_vae, likelihood, bias, 6)
    np.testing.assert_allclose(scale_misfit(model, Examples(model, x))[0], math.exp(-1.0))


def test_a_bernoulli_has_no_scale(linear_vae):
    model = constant(linear_vae, zoo.likelihoods.Bernoulli(), 0.0)
    assert scale_misfit(model, Examples(model, np.zeros((2, 4, 4, 1), "float32"))) is None
    assert gaussian_scale(model.likelihood) is None


def test_the_scale_of_codes_and_of_layers(sign_vae, hierarchical):
    x = np.full((3, 4, 4, 1), 0.75, "float32")
    x[:, 0, 0] = 0.35  # the code 0 gives 0.25: an error of 0.1 at a sixteenth of the pixels
    factor, _ = scale_misfit(sign_vae, Examples(sign_vae, x))
    np.testing.assert_allclose(factor, 0.1 / 4 / 0.5, rtol=1e-4)
    hierarchical.likelihood = zoo.likelihoods.Gaussian("learned")
    factor, _ = scale_misfit(hierarchical, Examples(hierarchical, x))
    assert gaussian_scale(hierarchical.likelihood) == 1.0 and 0.05 < factor < 1.0
