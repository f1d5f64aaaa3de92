"""The InfoVAE's maximum mean discrepancy and its loss, by hand."""

import by_hand
import numpy as np
import pytest

import zoo
from zoo.models.info_vae import maximum_mean_discrepancy


def make(**kwargs):
    return by_hand.fix_noise(by_hand.shaken(zoo.InfoVAE(*by_hand.networks(), seed=3, **kwargs)))


def by_loops(a, b):
    """MMD² of two samples of one size, each pair within a sample being of two different ones."""

    def kernel(p, q):
        return np.exp(-np.sum((p - q) ** 2) / (2 * a.shape[1]))

    number, total = len(a), 0.0
    for i in range(number):
        for j in range(number):
            if i != j:
                total += (kernel(a[i], a[j]) + kernel(b[i], b[j])) / (number * (number - 1))
            total -= 2 * kernel(a[i], b[j]) / number**2
    return total


def pair(number=7, shift=0.0, seed=0):
    draw = np.random.default_rng(seed)
    return (draw.normal(each, 1, (number, 3)).astype("float32") for each in (shift, 0.0))


@pytest.mark.parametrize("shift", [0.0, 1.0, 30.0])
def test_mmd_is_that_of_two_loops(shift):
    a, b = pair(shift=shift)
    np.testing.assert_allclose(maximum_mean_discrepancy(a, b), by_loops(a, b), rtol=1e-4, atol=1e-5)


def test_mmd_is_zero_in_the_mean_where_both_are_of_one_distribution_and_positive_elsewhere():
    def estimates(shift):
        return np.array([maximum_mean_discrepancy(*pair(20, shift, seed)) for seed in range(200)])

    same, other = estimates(0.0), estimates(0.7)
    error = same.std() / np.sqrt(len(same))
    assert abs(same.mean()) < 4 * error and 0.3 < np.mean(same < 0) < 0.9
    assert other.mean() > 20 * error


def test_mmd_of_a_shifted_normal_is_the_integral():
    """E k(a, b) of a − b ~ N(δ, 2) in D dimensions is (1 + 2/D)^(−D/2) e^(−‖δ‖² / (2 (D + 2)))."""
    size, shift = 3, 0.8
    equal = (1 + 2 / size) ** (-size / 2)
    expected = 2 * equal * (1 - np.exp(-size * shift**2 / (2 * (size + 2))))
    found = [maximum_mean_discrepancy(*pair(100, shift, seed)) for seed in range(100)]
    assert abs(np.mean(found) - expected) < 4 * np.std(found) / 10 < 0.1 * expected


def parts(model, x):
    """Reconstruction `[B]`, KL of each latent `[B,D]`, and MMD, with the samples of the prior that the step drew."""
    mean, log_var = by_hand.posterior(model, x)
    z = mean + by_hand.NOISE * np.exp(log_var / 2)
    drawn = zoo.random.normal(model.sampling.row_seeds(len(x)), (by_hand.LATENTS,)).numpy()
    reconstruction = -by_hand.log_bernoulli(x, by_hand.dense(model.decoder, z))
    return reconstruction, by_hand.kl(mean, log_var), by_loops(z, drawn)


@pytest.mark.parametrize(("alpha", "lambda_"), [(0.0, 1.0), (0.3, 50.0), (1.0, 50.0), (-1.0, 7.0)])
def test_the_loss_has_the_kl_by_one_minus_alpha_and_mmd_by_alpha_plus_lambda_minus_one(alpha, lambda_):
    model, x = make(alpha=alpha, lambda_=lambda_, free_bits=0.4), by_hand.images()
    model.kl_weight.assign(0.6)
    reconstruction, kl, mmd = parts(model, x)
    model.sampling.draws.assign(0)
    terms = model.compute_terms(x, training=True)
    paid = np.maximum(kl, 0.4).sum(axis=1)
    expected = reconstruction + 0.6 * ((1 - alpha) * paid + (alpha + lambda_ - 1) * mmd)
    np.testing.assert_allclose(terms["mmd"], np.full(len(x), mmd), atol=1e-5)
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(terms["elbo"], -reconstruction - kl.sum(axis=1), rtol=1e-5)


def test_with_alpha_0_and_lambda_1_it_is_a_vae():
    model, x = make(alpha=0.0, lambda_=1.0), by_hand.images()
    terms = model.compute_terms(x)
    np.testing.assert_allclose(terms["loss"], -terms["elbo"], rtol=1e-6)


def test_each_step_draws_other_samples_of_the_prior():
    model, x = make(), by_hand.images()
    assert abs(model.compute_terms(x)["mmd"][0] - model.compute_terms(x)["mmd"][0]) > 1e-4


@pytest.mark.long
def test_two_replicas_with_unequal_shares_have_the_discrepancy_of_the_whole_batch():
    by_hand.check_two_replicas(lambda: make(alpha=0.5, lambda_=100.0))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("alpha", {"alpha": 1.5}), ("lambda_", {"lambda_": 0.5}), ("lambda_", {"alpha": -2.0, "lambda_": 2.0})],
)
def test_arguments_out_of_range_are_refused(name, arguments):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be "):
        make(**arguments)


def test_a_single_example_has_no_discrepancy():
    model = make()
    model.compile("adam")
    logs = model.evaluate(by_hand.images(1), verbose=0, return_dict=True)
    assert logs["mmd"] == 0.0 and logs["loss"] > 1.0
