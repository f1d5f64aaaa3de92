"""What holds for every prior over latents."""

import latent_entries as entries
import numpy as np
import pytest

import zoo

every_kind = pytest.mark.parametrize("kind", entries.KINDS)
every_conditional = pytest.mark.parametrize("kind", entries.CONDITIONAL)


def log_density(prior, points, label=None):
    """log p of many points, for one label."""
    if label is None:
        return prior.log_prob(points).numpy()
    labels = (
        np.full(len(points), label, np.int32) if prior.num_classes else np.tile(np.float32(label), (len(points), 1))
    )
    return prior.log_prob(points, labels).numpy()


def check_density(prior, label=None):
    """The density integrates to 1, and samples have its moments and its entropy."""
    points, area = entries.grid()
    log_prob = log_density(prior, points, label).astype(np.float64)
    weights = np.exp(log_prob) * area
    assert np.sum(weights) == pytest.approx(1, abs=2e-3)
    mean = weights @ points
    covariance = np.einsum("n,ni,nj->ij", weights, points - mean, points - mean)
    number = 40_000
    labels = {} if label is None else {"labels": np.repeat([label], number, axis=0)}
    samples = prior.sample(number, seed=5, **labels).numpy()
    error = np.sqrt(np.diag(covariance) / number)
    assert np.all(np.abs(samples.mean(axis=0) - mean) < 5 * error)
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.06 * np.max(covariance))
    nats = -log_density(prior, samples, label)
    entropy = -np.sum(weights * log_prob)
    assert abs(nats.mean() - entropy) < 5 * nats.std() / np.sqrt(number)


@every_kind
def test_an_example_is_a_vector_of_latents(kind):
    prior = entries.make(kind)
    assert prior.example_shape == prior.sample(1, seed=0).shape[1:] == (entries.LATENTS,)


@every_kind
def test_the_density_integrates_to_one_and_samples_are_of_it(kind):
    check_density(entries.make(kind))


@every_conditional
def test_each_class_has_a_density_of_its_own(kind):
    prior = entries.make(kind, num_classes=entries.CLASSES)
    for label in (0, 2):
        check_density(prior, label)
    z = np.random.default_rng(0).normal(size=(2, 2)).astype(np.float32)
    one, other = (prior.log_prob(z, np.int32([label] * 2)).numpy() for label in (0, 2))
    assert np.abs(one - other).max() > 0.01


@every_conditional
def test_attributes_move_the_density(kind):
    prior = entries.make(kind, num_attributes=2)
    check_density(prior, np.float32([0.2, -0.5]))
    z = np.random.default_rng(0).normal(size=(2, 2)).astype(np.float32)
    one, other = (prior.log_prob(z, np.float32([label] * 2)).numpy() for label in ([0.2, -0.5], [0.5, 0.0]))
    assert np.abs(one - other).max() > 0.01


def quadrature(prior, mean, log_var, number=60):
    """KL( N(mean, e^log_var) ‖ p ) in two dimensions, by Gauss and Hermite."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(number)
    pairs = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    weights = np.outer(weights, weights).ravel() / (2 * np.pi)
    z = mean + np.exp(0.5 * log_var) * pairs
    return weights @ (entries.log_normal(z, mean, log_var) - prior.log_prob(z.astype(np.float32)).numpy())


@every_kind
def test_the_estimates_mean_is_the_kl(kind):
    prior = entries.make(kind)
    mean, log_var = np.float32([0.7, -1.2]), np.float32([-1.0, 0.3])
    number = 20_000
    z = mean + np.exp(0.5 * log_var) * np.random.default_rng(0).normal(size=(number, 2)).astype(np.float32)
    of_rows = [np.tile(value, (number, 1)) for value in (mean, log_var)]
    kl = prior.kl(*of_rows, z).numpy()
    assert kl.shape == (number, 1)
    assert abs(kl.mean() - quadrature(prior, mean, log_var)) < 5 * kl.std() / np.sqrt(number)


@pytest.mark.parametrize("kind", (zoo.priors.MixtureOfGaussians, zoo.priors.VampPrior))
def test_one_component_has_the_kl_of_a_gaussian(kind):
    prior = entries.make(kind, components=1)
    mean, log_var = np.float32([[0.7, -1.2], [0.0, 0.5]]), np.float32([[-1.0, 0.3], [0.2, 0.0]])
    _, prior_mean, prior_log_var = (value.numpy()[:, 0] for value in prior.mixture()[:1] + prior.mixture()[1:])
    expected = 0.5 * (
        prior_log_var - log_var + (np.exp(log_var) + (mean - prior_mean) ** 2) / np.exp(prior_log_var) - 1
    )
    received = prior.kl(mean, log_var, np.zeros_like(mean)).numpy()  # whatever the sample is
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)
    assert received.shape == (2, 2)
    for row in range(2):
        assert received[row].sum() == pytest.approx(quadrature(prior, mean[row], log_var[row]), rel=1e-3)


@every_kind
def test_a_row_depends_on_its_own_seed_and_temperature_scales_about_its_modes(kind):
    prior = entries.make(kind)
    samples = prior.sample(6, seed=11).numpy()
    seeds = zoo.random.fold_in(11, np.arange(6, dtype=np.int32)).numpy()
    np.testing.assert_allclose(prior.sample(2, seed=seeds[[4, 1]]), samples[[4, 1]], atol=1e-6)
    np.testing.assert_array_equal(prior.sample(6, seed=11), samples)
    assert np.abs(samples - prior.sample(6, seed=12)).max() > 0.1
    cold, half = (prior.sample(6, seed=11, temperature=each).numpy() for each in (0.0, 0.5))
    if kind is not zoo.priors.Flow:  # halfway between a component's mean and the sample
        np.testing.assert_allclose(half, (cold + samples) / 2, atol=1e-5)


@every_kind
def test_get_config_makes_the_same_prior(kind):
    labels = {} if kind is zoo.priors.VampPrior else {"num_classes": entries.CLASSES}
    prior = kind(2, **entries.OPTIONS[kind], seed=7, name="other", **labels)
    again = kind.from_config(prior.get_config())
    assert again.get_config() == prior.get_config()
    for one, other in zip(prior.weights, again.weights, strict=True):  # the seed is that of the first weights
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    another = kind(2, **entries.OPTIONS[kind], seed=8, **labels)
    assert any(np.any(a.numpy() != b.numpy()) for a, b in zip(prior.weights, another.weights, strict=True))


@pytest.mark.parametrize(
    "kind, arguments, message",
    [
        (
            "MixtureOfGaussians",
            {"components": 0},
            "Expected `components` to be an integer >= 1. Received: components=0",
        ),
        ("MixtureOfGaussians", {"latent_dim": 0}, "Expected `latent_dim` to be an integer >= 1"),
        ("MixtureOfGaussians", {"num_classes": 2, "num_attributes": 2}, "Expected `num_attributes` to be None beside"),
        ("MixtureOfGaussians", {"seed": 0.5}, "Expected `seed` to be None or an integer"),
        ("Flow", {"latent_dim": 1}, "Expected `latent_dim` to be an integer >= 2.* Received: latent_dim=1"),
        ("Flow", {"couplings": 0}, "Expected `couplings` to be an integer >= 1. Received: couplings=0"),
        ("Flow", {"hidden": (8,)}, r"Expected `hidden` to be an integer >= 1. Received: hidden=\(8,\)"),
        (
            "VampPrior",
            {"data_shape": 28},
            "Expected `data_shape` to be a tuple of integers >= 1.* Received: data_shape=28",
        ),
        ("VampPrior", {"data_shape": (28, 0)}, "Expected `data_shape` to be an integer >= 1. Received: data_shape=0"),
        ("VampPrior", {"data_shape": (2,), "components": 0}, "Expected `components` to be an integer >= 1"),
    ],
)
def test_arguments_out_of_range_are_refused(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(zoo.priors, kind)(**{"latent_dim": 2, **arguments})


@every_kind
def test_latents_that_do_not_fit_are_refused(kind):
    prior = entries.make(kind)
    for z, message in (
        (np.zeros((4, 3), np.float32), r"Expected `z` to be of shape \[B, 2\]. Received: z=.*\(4, 3\)"),
        (np.zeros((4, 2), np.int32), "Expected `z` to be floating-point"),
        (np.full((4, 2), np.nan, np.float32), "Expected `z` to be finite numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            prior.log_prob(z)
    with pytest.raises(ValueError, match="Expected no `labels`"):
        prior.log_prob(np.zeros((4, 2), np.float32), np.zeros(4, np.int32))
