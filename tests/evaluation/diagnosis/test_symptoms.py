"""The measurements behind a diagnosis, where their values are known."""

import numpy as np
import pytest

import zoo
from zoo.evaluation import Examples, latent_terms
from zoo.evaluation.diagnosis.symptoms import adjusted_gap, implied_kl_weight, linear_share, measure, settings_of

X = np.random.default_rng(0).uniform(size=(256, 4, 4, 1)).astype("float32")
DIRECTIONS = np.linalg.qr(np.random.default_rng(1).normal(size=(16, 2)))[0].astype("float32")
SIZES = np.float32([3.0, 1.5])
LOADINGS = (DIRECTIONS * SIZES).T


def posterior_for(weight):
    """The mean's projection and the log-variance that minimise D + weight · KL, for σ = ½: a matrix and a vector."""
    variance = 1.0 / (1.0 + SIZES**2 / (0.25 * weight))
    return DIRECTIONS * SIZES * variance / (0.25 * weight), np.log(variance)


@pytest.mark.parametrize("weight", [0.1, 1.0, 4.0])
def test_the_implied_weight_is_that_for_which_the_posterior_is_optimal(linear_vae, weight):
    model = linear_vae(*posterior_for(weight), LOADINGS, bias=0.5)
    examples = Examples(model, X)
    found, error = implied_kl_weight(model, examples, latent_terms(model, examples))
    assert abs(found - weight) < 4 * error + 0.03 * weight and error < 0.2 * weight


def test_without_information_no_weight_is_implied(linear_vae):
    model = linear_vae(np.zeros((16, 2)), np.zeros(2), LOADINGS)
    examples = Examples(model, X)
    assert implied_kl_weight(model, examples, latent_terms(model, examples)) is None


def test_latents_within_their_free_bits_are_left_out(linear_vae):
    projection, log_var = posterior_for(1.0)
    model = linear_vae(projection, log_var - np.float32([0.0, 0.5]), LOADINGS, bias=0.5, free_bits=0.8)
    examples = Examples(model, X)
    terms = latent_terms(model, examples)
    wide, narrow = terms.layers[0].kl_by_latent
    assert narrow < 1.2 < wide  # 1.5 times the free bits
    assert abs(implied_kl_weight(model, examples, terms)[0] - 1.0) < 0.1


def test_shares_of_principal_components():
    draw = np.random.default_rng(0)
    basis = np.linalg.qr(draw.normal(size=(30, 30)))[0]
    for rows in (20, 100):  # fewer and more than columns
        scores = np.linalg.qr(draw.normal(size=(rows, 3)))[0] * np.sqrt([6.0, 3.0, 1.0])
        np.testing.assert_allclose([linear_share(scores @ basis[:3], n) for n in (1, 2, 3)], [0.6, 0.9, 1.0], rtol=1e-6)


def test_the_gap_is_that_at_equal_covariates():
    draw = np.random.default_rng(0)
    own, other = draw.normal(size=(300, 2)), draw.normal(size=(200, 2)) + 1.0
    bounds = [10.0 * each[:, 0] - 5.0 * each[:, 1] + 0.5 * draw.normal(size=len(each)) for each in (own, other)]
    gap = adjusted_gap(bounds[0] + 2.0, bounds[1], own, other)
    assert abs(gap.value - 2.0) < 4 * gap.error < 0.5
    np.testing.assert_allclose(gap.spread, 0.5, rtol=0.1)


def test_the_spread_of_a_gap_of_few_examples_is_that_of_many():
    """Five numbers are fitted to sixteen: over many draws, the variance of what remains is that of the noise."""
    draw, found = np.random.default_rng(0), []
    for _ in range(400):
        values, covariates = draw.normal(size=(2, 8)), draw.normal(size=(2, 8, 3))
        found.append(adjusted_gap(*values, *covariates).spread ** 2)
    np.testing.assert_allclose(np.mean(found), 1.0, rtol=0.08)  # a standard error of 0.02


def test_all_is_measured_for_each_kind_of_model(linear_vae, sign_vae, hierarchical):
    model = linear_vae(*posterior_for(1.0), LOADINGS, bias=0.5)
    found = measure(model, Examples(model, X), Examples(model, X[:100]))
    residual = X.reshape(-1, 16) - np.asarray(model.reconstruct(X)).reshape(-1, 16)
    np.testing.assert_allclose(found.fit.error, (residual**2).sum() / (X - X.mean(axis=0)).var() / X.size, rtol=1e-4)
    assert found.validation.bound.shape == (100,) and abs(found.gap.value) < 4 * found.gap.error
    assert (found.scale, found.scale_kind, found.prior, found.hierarchical) == (0.5, "fixed", "StandardNormal", False)
    assert 2 / 16 < found.linear < 0.3  # of 16 equal directions, and 256 examples

    codes = measure(sign_vae, Examples(sign_vae, X))
    assert codes.terms is None and codes.codes.usage == 1.0 and codes.kl_weight is None and codes.gap is None
    layers = measure(hierarchical, Examples(hierarchical, X[:20]))
    assert layers.hierarchical and len(layers.terms.layers) == 2 and np.isfinite(layers.fit.bound).all()


def test_many_latents_are_compared_with_the_first_components():
    x = np.random.default_rng(0).uniform(size=(100, 8, 8, 1)).astype("float32")
    networks = zoo.networks.mlp_encoder((8, 8, 1), 32, ()), zoo.networks.mlp_decoder((8, 8, 1), 32, ())
    model = zoo.VAE(*networks, zoo.likelihoods.Gaussian(0.3), seed=0)
    centred = (x - x.mean(axis=0)).reshape(100, -1)
    np.testing.assert_allclose(measure(model, Examples(model, x)).linear, linear_share(centred, 16), rtol=1e-4)


def test_nothing_is_measured_of_data_out_of_range(linear_vae):
    model = linear_vae(*posterior_for(1.0), LOADINGS, likelihood=zoo.likelihoods.Gaussian())
    for data, validation in ((255 * X, X), (X, 255 * X)):
        found = measure(model, Examples(model, data), Examples(model, validation))
        assert found.fit is None and found.data.high > 200


def test_settings_are_those_that_weigh_the_kl(linear_vae):
    parts = (*posterior_for(1.0), LOADINGS)
    assert settings_of(linear_vae(*parts, free_bits=0.5)) == {"kl_weight": 1.0, "free_bits": 0.5}
    assert settings_of(linear_vae(*parts, make=zoo.BetaVAE)) == {"kl_weight": 1.0, "beta": 4.0, "free_bits": 0.0}
    held = settings_of(linear_vae(*parts, make=zoo.BetaVAE, capacity=2.0))
    assert (held["capacity"], held["gamma"]) == (2.0, 1000.0)


def test_the_mean_of_its_class_is_what_a_conditional_model_must_beat():
    encoder = zoo.networks.mlp_encoder((4, 4, 1 + 2), 1, hidden=())
    z = np.zeros((1 + 2, 16), "float32")
    z[1], z[2] = -4.0, 4.0
    decoder = zoo.networks.mlp_decoder((4, 4, 1), 1 + 2, hidden=())
    decoder.layers[-2].set_weights([z, np.zeros(16)])
    model = zoo.CVAE(encoder, decoder, num_classes=2)  # gives the mean of each class
    labels = np.arange(40, dtype="int32") % 2
    draw = np.random.default_rng(0)
    means = 1 / (1 + np.exp([4.0, -4.0]))
    x = (means[labels, None] + draw.uniform(-0.01, 0.01, (40, 16))).astype("float32").reshape(-1, 4, 4, 1)
    found = measure(model, Examples(model, x, labels))
    np.testing.assert_allclose(found.fit.error, 1.0, rtol=0.15)
