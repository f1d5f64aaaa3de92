"""The terms of the ELBO, against closed forms of a linear model and of the KL."""

import importlib
import types

import numpy as np
import pytest

import zoo
from zoo.evaluation import Examples, latent_terms
from zoo.evaluation.latent_terms import no_shift, shifted_terms

module = importlib.import_module("zoo.evaluation.latent_terms")  # the package has a function of this name

X = np.random.default_rng(0).uniform(size=(400, 4, 4, 1)).astype("float32")
PROJECTION = np.zeros((16, 3), "float32")
PROJECTION[0, 0], PROJECTION[5, 1] = 2.0, 0.1  # activities 4/12 and 0.01/12, and a latent that is always 0
LOG_VAR = np.log([0.25, 0.9, 1.0]).astype("float32")
LOADINGS = np.random.default_rng(1).normal(size=(3, 16)).astype("float32")


def means():
    return (X.reshape(-1, 16).astype("float64") - 0.5) @ PROJECTION


def test_kl_and_activity_by_latent_are_those_of_the_closed_form(linear_vae):
    model = linear_vae(PROJECTION, LOG_VAR, LOADINGS)
    terms = latent_terms(model, Examples(model, X))
    (layer,) = terms.layers
    kls = 0.5 * (np.exp(LOG_VAR) + means() ** 2 - 1.0 - LOG_VAR)
    np.testing.assert_allclose(layer.kl_by_latent, kls.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.kl, kls.sum(axis=1).mean(), rtol=1e-4)
    np.testing.assert_allclose(terms.rate, kls.sum(axis=1), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(layer.activity, means().var(axis=0), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(layer.posterior_share, np.exp(LOG_VAR), rtol=1e-5)
    assert layer.active.tolist() == [True, False, False]
    assert (terms.active_units, terms.latents) == (1, 3)


def test_distortion_and_elbo_have_the_means_of_the_closed_form(linear_vae):
    model = linear_vae(PROJECTION, LOG_VAR, LOADINGS, bias=0.5)
    terms = latent_terms(model, Examples(model, X))
    residual = X.reshape(-1, 16) - 0.5 - means() @ LOADINGS
    squared = (residual**2).sum(axis=1) + (LOADINGS**2).sum(axis=1) @ np.exp(LOG_VAR)
    expected = 0.5 * (16 * np.log(2 * np.pi * 0.25) + squared / 0.25)
    error = (terms.distortion - expected).std() / 20
    assert abs((terms.distortion - expected).mean()) < 4 * error and error < 0.06 * expected.mean()
    np.testing.assert_allclose(terms.elbo, -terms.distortion - terms.rate)


def test_excess_is_the_second_moment_of_active_latents_beyond_that_of_the_prior(linear_vae):
    wide = 10.0 * PROJECTION
    model = linear_vae(wide, LOG_VAR, LOADINGS)
    second = (100 * means() ** 2 + np.exp(LOG_VAR)).mean(axis=0)
    terms = latent_terms(model, Examples(model, X))
    assert terms.layers[0].active.tolist() == [True, True, False]
    np.testing.assert_allclose(terms.excess, second[:2].mean() - 1.0, rtol=0.1)


def test_the_mismatch_is_the_kl_of_a_gaussian_with_the_moments_of_the_active_latents(linear_vae):
    model = linear_vae(10.0 * PROJECTION, LOG_VAR, LOADINGS)
    terms = latent_terms(model, Examples(model, X))
    assert terms.active_units == 2
    mean = 10.0 * means()[:, :2].mean(axis=0)
    covariance = 100.0 * np.cov(means()[:, :2], rowvar=False, bias=True) + np.diag(np.exp(LOG_VAR[:2]))
    kl = 0.5 * (np.trace(covariance) + mean @ mean - 2 - np.log(np.linalg.det(covariance)))
    np.testing.assert_allclose(terms.mismatch, kl / 2, rtol=0.1)


def test_the_units_of_another_prior_are_those_of_many_draws_though_examples_are_few(linear_vae):
    prior = zoo.priors.MixtureOfGaussians(3, components=1, seed=0)
    prior.means.bias.assign(np.zeros((1, 3)))
    prior.log_vars.bias.assign(np.zeros((1, 3)))
    model = linear_vae(PROJECTION, LOG_VAR, LOADINGS, prior=prior)
    (layer,) = latent_terms(model, Examples(model, X[:5])).layers
    np.testing.assert_allclose(layer.posterior_share, np.exp(LOG_VAR), rtol=0.15)


def test_under_another_prior_activity_and_variance_are_in_its_units(linear_vae):
    prior = zoo.priors.MixtureOfGaussians(3, components=1, seed=0)
    prior.means.bias.assign(np.zeros((1, 3)))
    prior.log_vars.bias.assign(np.full((1, 3), np.log(100.0)))
    model = linear_vae(PROJECTION, LOG_VAR, LOADINGS, prior=prior)
    (layer,) = latent_terms(model, Examples(model, X)).layers
    np.testing.assert_allclose(layer.activity[0], means().var(axis=0)[0] / 100.0, rtol=0.15)
    np.testing.assert_allclose(layer.posterior_share, np.exp(LOG_VAR) / 100.0, rtol=0.15)
    assert layer.active.tolist() == [False, False, False]


def test_a_prior_that_fits_the_latents_leaves_no_excess(linear_vae):
    prior = zoo.priors.MixtureOfGaussians(3, components=2, seed=0)
    samples = np.asarray(prior.sample(2000, seed=1))
    projection = np.zeros((16, 3), "float32")
    projection[:3] = np.eye(3)
    model = linear_vae(projection, np.full(3, -10.0, "float32"), LOADINGS, prior=prior)
    x = np.zeros((2000, 16), "float32")
    x[:, :3] = samples + 0.5  # so that the posterior means are samples of the prior
    fitting = latent_terms(model, Examples(model, x.reshape(-1, 4, 4, 1)))
    assert abs(fitting.excess) < 0.15
    x[:, :3] = 3.0 * samples + 0.5
    assert latent_terms(model, Examples(model, x.reshape(-1, 4, 4, 1))).excess > 2.0


def test_the_excess_of_a_prior_is_per_active_latent(linear_vae):
    """Latents of three times the deviation of a normal prior: 2 (E_p log p − E_q log p) = 9 − 1 for each."""
    prior = zoo.priors.MixtureOfGaussians(3, components=1, seed=0)
    prior.means.bias.assign(np.zeros((1, 3)))
    prior.log_vars.bias.assign(np.zeros((1, 3)))
    projection = np.zeros((16, 3), "float32")
    projection[:3] = np.eye(3)
    model = linear_vae(projection, np.full(3, -10.0, "float32"), LOADINGS, prior=prior)
    x = np.full((4000, 16), 0.5, "float32")
    x[:, :3] += 3.0 * np.random.default_rng(0).normal(size=(4000, 3))
    found = latent_terms(model, Examples(model, x.reshape(-1, 4, 4, 1)))
    np.testing.assert_allclose(found.excess, 8.0, rtol=0.06)


def test_the_seed_decides(linear_vae):
    model = linear_vae(PROJECTION, LOG_VAR, LOADINGS)
    few = Examples(model, X[:8])
    first, again, other = (latent_terms(model, few, seed).distortion for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).min() > 0.0


def test_a_hierarchical_model_has_a_layer_for_each_block(hierarchical):
    x = X[:30]
    terms = latent_terms(hierarchical, Examples(hierarchical, x))
    assert [layer.name for layer in terms.layers] == [block.name for block in hierarchical.decoder.blocks]
    assert [layer.kl_by_latent.shape for layer in terms.layers] == [(1, 1, 2), (4, 4, 2)]
    np.testing.assert_allclose(sum(layer.kl for layer in terms.layers), terms.rate.mean(), rtol=1e-4)
    # The KL of the top layer does not depend on a sample: it is that of `evaluate`.
    hierarchical.compile("adam")
    reported = hierarchical.evaluate(x, verbose=0, return_dict=True, batch_size=30)
    np.testing.assert_allclose(terms.layers[0].kl, reported[f"kl_{terms.layers[0].name}"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shift", [-0.5, 0.7])
def test_shifts_change_the_variance_alone(linear_vae, shift):
    model = linear_vae(PROJECTION, LOG_VAR, LOADINGS)
    examples = Examples(model, X[:50])
    _, rate = shifted_terms(model, examples, [np.full(3, shift, "float32")])
    other = linear_vae(PROJECTION, LOG_VAR + np.float32(shift), LOADINGS)
    np.testing.assert_allclose(rate, shifted_terms(other, examples, no_shift(other))[1], rtol=1e-4, atol=1e-5)


def test_a_shift_of_the_last_layer_of_a_hierarchical_model_changes_its_kl_as_in_the_closed_form(hierarchical):
    examples, shifts = Examples(hierarchical, X[:20]), no_shift(hierarchical)
    share = latent_terms(hierarchical, examples).layers[-1].posterior_share
    before = shifted_terms(hierarchical, examples, shifts)[1].mean()
    shifts[-1] += np.float32(0.7)
    after = shifted_terms(hierarchical, examples, shifts)[1].mean()
    np.testing.assert_allclose(after - before, 0.5 * np.sum((np.exp(0.7) - 1.0) * share - 0.7), rtol=1e-3)


def test_labels_of_a_conditional_model_are_used_and_required():
    encoder = zoo.networks.mlp_encoder((4, 4, 1 + 3), 2, hidden=())
    model = zoo.CVAE(encoder, zoo.networks.mlp_decoder((4, 4, 1), 2 + 3, hidden=()), num_classes=3)
    labels = np.arange(9, dtype="int32") % 3
    first = latent_terms(model, Examples(model, X[:9], labels)).rate
    other = latent_terms(model, Examples(model, X[:9], (labels + 1) % 3)).rate
    assert np.abs(first - other).max() > 1e-4
    with pytest.raises(ValueError, match="Expected `labels`, as CVAE is conditional. Received: None"):
        Examples(model, X[:9])


def test_draws_of_a_conditional_prior_take_the_labels_of_the_examples_in_turn():
    prior = types.SimpleNamespace(conditional=True, sample=lambda number, seed, labels: labels)
    model = types.SimpleNamespace(prior=prior, prior_labels=lambda labels: labels)

    class Two:
        labels = np.array([1, 2], np.int32)

        def __len__(self):
            return 2

    _, labels = module._draws(model, Two(), 0)
    assert np.bincount(labels).tolist() == [0, 500, 500]


def test_too_few_examples_for_a_covariance_have_no_mismatch():
    z = np.random.default_rng(0).normal(size=(8, 2))
    assert module._mismatch(z[:7]) == 0.0 < module._mismatch(z)
