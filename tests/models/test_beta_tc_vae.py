"""The β-TCVAE's three terms: by hand, and on a Gaussian whose total correlation is known."""

import itertools

import by_hand
import numpy as np
import pytest

import zoo
from zoo.models.beta_tc_vae import aggregate_log_prob

VARIANCE = 0.3  # of each posterior, where q(z) is a Gaussian
# Of the means, whose correlations are of several sizes and signs.
COVARIANCE = np.array([[1.0, 0.8, 0.0], [0.8, 1.5, -0.5], [0.0, -0.5, 0.7]])


def make(**kwargs):
    return by_hand.fix_noise(by_hand.shaken(zoo.BetaTCVAE(*by_hand.networks(), **{"dataset_size": 16, **kwargs})))


def log_densities(mean, log_var, z):
    """log q(z_b,j | x_n) of each latent j: `[B,M,D]`."""
    square = (z[:, None] - mean) ** 2 / np.exp(log_var)
    return -0.5 * (np.log(2 * np.pi) + log_var + square)


def log_of_average(mean, log_var, z, dataset_size):
    """log q(z) and log q(z_j) in two loops, the example of each z apart from the others."""
    number = len(z)
    densities = log_densities(mean, log_var, z)
    joint, marginal = np.zeros(number), np.zeros(z.shape)
    for b in range(number):
        share = np.full(number, (dataset_size - 1) / dataset_size / (number - 1))
        share[b] = 1 / dataset_size
        joint[b] = np.log(share @ np.exp(densities[b].sum(axis=1)))
        marginal[b] = np.log(share @ np.exp(densities[b]))
    return joint, marginal


def worked_out(model, x):
    """Reconstruction, KL, and the three terms, `[B]` each."""
    mean, log_var = by_hand.posterior(model, x)
    z = mean + by_hand.NOISE * np.exp(log_var / 2)
    joint, marginal = log_of_average(mean, log_var, z, model.dataset_size)
    product = marginal.sum(axis=1)
    terms = {
        "mutual_information": by_hand.log_normal(z, mean, log_var) - joint,
        "total_correlation": joint - product,
        "dimension_kl": product - by_hand.log_normal(z, 0.0, 0.0),
    }
    reconstruction = -by_hand.log_bernoulli(x, by_hand.dense(model.decoder, z))
    return reconstruction, by_hand.kl(mean, log_var).sum(axis=1), terms


@pytest.mark.parametrize("dataset_size", [16, 1000])
def test_the_loss_weighs_the_three_terms_and_the_figures_do_not(dataset_size):
    model = make(dataset_size=dataset_size, alpha=0.5, beta=6.0, gamma=2.0)
    model.kl_weight.assign(0.3)
    x = by_hand.images()
    received = model.compute_terms(x, training=True)
    reconstruction, kl, terms = worked_out(model, x)
    for name, values in terms.items():
        np.testing.assert_allclose(received[name], values, rtol=1e-4, atol=1e-4)
    penalty = 0.5 * terms["mutual_information"] + 6.0 * terms["total_correlation"] + 2.0 * terms["dimension_kl"]
    np.testing.assert_allclose(received["loss"], reconstruction + 0.3 * penalty, rtol=1e-4)
    np.testing.assert_allclose(received["kl"], kl, rtol=1e-4)
    np.testing.assert_allclose(received["elbo"], -reconstruction - kl, rtol=1e-5)


def test_without_weights_of_their_own_the_three_terms_are_the_kl_in_the_mean():
    """Their sum is log q(z|x) − log p(z), whatever q(z) is, whose mean over z is the KL."""
    model = by_hand.shaken(zoo.BetaTCVAE(*by_hand.networks(), dataset_size=8, alpha=1.0, beta=1.0, gamma=1.0, seed=3))
    x = by_hand.images(8)
    penalties = []
    for _ in range(150):
        terms = model.compute_terms(x)
        penalties.append(np.mean(terms["loss"] - terms["reconstruction"]))
    error = np.std(penalties) / np.sqrt(len(penalties))
    assert abs(np.mean(penalties) - np.mean(terms["kl"])) < 4 * error < 0.2 * np.mean(terms["kl"])


def gaussian(number, seed=0):
    """Posteriors whose average is N(0, COVARIANCE + VARIANCE), and a sample of each."""
    draw = np.random.default_rng(seed)
    mean = draw.multivariate_normal(np.zeros(3), COVARIANCE, number)
    z = mean + np.sqrt(VARIANCE) * draw.normal(size=mean.shape)
    log_var = np.full(mean.shape, np.log(VARIANCE))
    return [each.astype("float32") for each in (mean, log_var, z)]


def known():
    """The total correlation of z, −½ log det R, its covariance, and log q(z) as a function."""
    covariance = COVARIANCE + VARIANCE * np.eye(3)
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    return -0.5 * np.log(np.linalg.det(correlation)), covariance


def test_the_estimate_from_all_examples_is_the_known_total_correlation_of_a_gaussian():
    expected, covariance = known()
    number = 4000
    mean, log_var, z = gaussian(number)
    joint, marginal = (each.numpy() for each in aggregate_log_prob(mean, log_var, z, number))
    estimate = joint - marginal.sum(axis=1)
    error = estimate.std() / np.sqrt(number)
    assert expected > 0.25 and error < 0.02
    assert abs(estimate.mean() - expected) < 4 * error
    inverse = np.linalg.inv(covariance)
    log_q = -0.5 * (np.einsum("bi,ij,bj->b", z, inverse, z) + np.log(np.linalg.det(2 * np.pi * covariance)))
    assert np.abs(joint - log_q).mean() < 0.1  # one by one too


@pytest.mark.parametrize("batch_size", [2, 5])
def test_q_of_z_is_unbiased_over_the_batches_that_an_example_may_be_in(batch_size):
    """For the z of example 0, over all batches of a dataset of 6."""
    mean, log_var, z = gaussian(6)
    densities = log_densities(mean, log_var, z[:1])[0]
    found = []
    for others in itertools.combinations(range(1, 6), batch_size - 1):
        rows = [0, *others]
        joint, marginal = aggregate_log_prob(mean[rows], log_var[rows], z[rows], 6)
        found.append(np.exp([joint[0], *marginal[0]]))
    expected = [np.exp(densities.sum(axis=1)).mean(), *np.exp(densities).mean(axis=0)]
    np.testing.assert_allclose(np.mean(found, axis=0), expected, rtol=1e-4)
    assert np.std(found, axis=0).max() > 1e-3  # the batches differ


def test_a_batch_of_one_example_is_a_number():
    model = make(dataset_size=100)
    assert np.all(np.isfinite(model.compute_terms(by_hand.images(1))["loss"]))


@pytest.mark.long
def test_two_replicas_with_unequal_shares_see_the_examples_of_each_other():
    by_hand.check_two_replicas(lambda: make(dataset_size=500, beta=6.0))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset_size", None), ("dataset_size", 0), ("beta", -1.0), ("alpha", -1.0), ("gamma", -1.0),
        ("free_bits", 0.5), ("prior", zoo.priors.LatentPrior(by_hand.LATENTS)),
    ],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be "):
        make(**{name: value})


def test_a_single_example_has_its_kl_alone():
    model = make()
    model.compile("adam")
    logs = model.evaluate(by_hand.images(1), verbose=0, return_dict=True)
    assert logs["mutual_information"] == pytest.approx(0.0, abs=1e-5)
    assert logs["total_correlation"] == pytest.approx(0.0, abs=1e-5)


def test_a_batch_larger_than_the_dataset_is_refused():
    model = make(dataset_size=3)
    model.compile("adam")
    with pytest.raises(ValueError, match="Expected `dataset_size` to be at least 4, the examples of a batch"):
        model.fit(by_hand.images(4), batch_size=4, verbose=0)
    model.evaluate(by_hand.images(4), batch_size=4, verbose=0)
