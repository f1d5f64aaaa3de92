"""Imputation against the conditional distributions of a linear Gaussian model."""

import keras
import linear
import numpy as np
import pytest

import zoo
from zoo.applications import impute

MASK = np.array([1, 0, 1, 0])
SEEN = MASK == 1
X = linear.draw(40)
METHODS = {
    "importance": {"steps": 10, "num_samples": 200},
    "gibbs": {"steps": 200, "num_samples": 8},
    "metropolis": {"steps": 200, "num_samples": 8},
    "gradient": {"steps": 100, "num_samples": 2},
}


@pytest.fixture(scope="module")
def model():
    return linear.vae()


@pytest.mark.parametrize("method", METHODS)
def test_a_single_filling_is_the_conditional_mean(model, method):
    filled = impute(model, X, MASK, method=method, **METHODS[method])
    mean, covariance = linear.conditional(X, MASK)
    assert filled.dtype == np.float32
    np.testing.assert_array_equal(filled[:, SEEN], X[:, SEEN])
    error = np.sqrt(np.mean((filled[:, ~SEEN] - mean) ** 2, axis=0))
    # A draw would be off by the standard deviations, of 0.7 and 0.9; the sampling error is a fraction of them.
    assert np.all(error < 0.2 * np.sqrt(np.diag(covariance)))


@pytest.mark.parametrize("method", ["importance", "gibbs", "metropolis"])
def test_draws_have_the_conditional_mean_and_covariance(model, method):
    settings = METHODS[method] | ({"steps": 30} if method != "importance" else {})
    x = np.repeat(X[:1], 50, axis=0)
    draws = impute(model, x, MASK, num_draws=20, method=method, **settings)
    assert draws.shape == (20, 50, 4)
    np.testing.assert_array_equal(draws[:, :, SEEN], np.broadcast_to(X[0, SEEN], (20, 50, 2)))
    mean, covariance = linear.conditional(X[:1], MASK)
    missing = draws[:, :, ~SEEN].reshape(-1, 2)
    # 1,000 draws: a mean has a standard error of 0.03, a variance of 0.05 of itself.
    np.testing.assert_allclose(missing.mean(axis=0), mean[0], atol=0.12)
    np.testing.assert_allclose(np.cov(missing.T), covariance, atol=0.2 * covariance.max())


def of_a_wide_encoder(log_factor):
    """The linear model, with e^log_factor times the posterior's variance in its encoder."""
    model = linear.vae()
    last = [layer for layer in model.encoder.layers if layer.get_weights()][-1]
    kernel, bias = last.get_weights()
    last.set_weights([kernel, bias + [0, 0, log_factor, log_factor]])
    return model


def test_metropolis_rejects_what_a_wide_encoder_proposes():
    """Proposals of e^1.5 times the posterior's variance: without rejections the draws are too far apart."""
    model = of_a_wide_encoder(1.5)
    x = np.repeat(X[:1], 400, axis=0)
    missing = impute(model, x, MASK, num_draws=20, method="metropolis", steps=40)[:, :, ~SEEN].reshape(-1, 2)
    _, covariance = linear.conditional(X[:1], MASK)
    np.testing.assert_allclose(np.diag(np.cov(missing.T)), np.diag(covariance), rtol=0.1)


def test_metropolis_accepts_all_in_the_first_half_of_the_steps():
    """Proposals of e³ times the posterior's deviation, which it would else reject."""
    missing = impute(of_a_wide_encoder(6.0), X, MASK, num_draws=20, method="metropolis", steps=2)[:, :, ~SEEN]
    assert missing.std(axis=0).mean() > 3.0


@pytest.mark.parametrize("method", ["importance", "gibbs", "metropolis"])
def test_draws_without_noise_lack_the_variance_of_the_noise_alone(model, method):
    with_noise, without = (
        impute(model, X, MASK, num_draws=50, method=method, noise=noise)[:, :, ~SEEN].var(axis=0).mean()
        for noise in (True, False)
    )
    np.testing.assert_allclose(with_noise - without, linear.SIGMA**2, rtol=0.2)


def test_intervals_of_draws_with_noise_cover_as_often_as_they_say(model):
    x = linear.draw(400, seed=1)
    draws = impute(model, x, MASK, num_draws=99, num_samples=50)[:, :, ~SEEN]
    low, high = np.sort(draws, axis=0)[[4, 94]]  # the truth falls between with chance 90 / 100
    covered = np.mean((low < x[:, ~SEEN]) & (x[:, ~SEEN] < high))
    assert abs(covered - 0.9) < 0.04  # 400 examples: a standard error of 0.015
    without = impute(model, x, MASK, num_draws=99, num_samples=50, noise=False)[:, :, ~SEEN]
    assert np.all(without.std(axis=0).mean(axis=0) < 0.9 * draws.std(axis=0).mean(axis=0))


def test_intervals_are_calibrated_even_where_the_model_is_wrong():
    """A model that thinks the noise half as large gives quantiles that are too narrow; complete examples mend them."""
    wrong = linear.vae()
    wrong.likelihood = zoo.likelihoods.Gaussian(0.5 * linear.SIGMA, range=None)
    x, complete = linear.draw(800, seed=1), linear.draw(800, seed=2)
    settings = {"num_samples": 20, "steps": 2}
    draws = impute(wrong, x, MASK, num_draws=39, **settings)
    narrow = np.mean((np.quantile(draws, 0.05, axis=0) < x) & (x < np.quantile(draws, 0.95, axis=0)), axis=0)
    assert narrow[~SEEN].mean() < 0.82
    low, high = zoo.applications.impute_interval(wrong, x, MASK, complete, **settings)
    covered = np.mean((low <= x) & (x <= high), axis=0)
    np.testing.assert_array_equal(low[:, SEEN], x[:, SEEN])
    # The two missing values of an example are correlated: standard errors of 0.009 each, of 800 examples and of 800.
    assert abs(covered[~SEEN].mean() - 0.9) < 0.04
    with pytest.raises(ValueError, match="Expected `calibration` to be examples with more missing values"):
        zoo.applications.impute_interval(wrong, x, MASK, complete[:2], coverage=0.95, **settings)


def test_residuals_of_a_model_that_says_nothing_are_a_gaussian_of_the_data():
    constant = linear.vae()
    constant.decoder.set_weights([np.zeros((2, 4)), np.zeros(4)])
    few = {"steps": 0, "num_samples": 1}
    x, complete = linear.draw(40), linear.draw(20000, seed=3)
    masks = np.tile([MASK, 1 - MASK], (20, 1))
    filled = zoo.applications.impute_with_residuals(constant, x, masks, complete, ridge=1e-6, **few)
    for mask in (MASK, 1 - MASK):
        rows = masks[:, 0] == mask[0]
        mean, _ = linear.conditional(x[rows], mask)
        np.testing.assert_allclose(filled[rows][:, mask == 0], mean, atol=0.1)
        np.testing.assert_array_equal(filled[rows][:, mask == 1], x[rows][:, mask == 1])


def test_a_large_ridge_leaves_the_mean_of_the_residuals():
    constant = linear.vae()
    constant.decoder.set_weights([np.zeros((2, 4)), np.zeros(4)])
    complete, few = linear.draw(50, seed=3), {"steps": 0, "num_samples": 1}
    filled = zoo.applications.impute_with_residuals(constant, X, MASK, complete, ridge=1e9, **few)
    expected = np.broadcast_to(complete.mean(axis=0)[~SEEN], (40, 2))
    np.testing.assert_allclose(filled[:, ~SEEN], expected, atol=1e-5)


def test_missing_values_do_not_matter_and_nan_needs_no_mask(model):
    spoilt = np.where(MASK, X, 1e6)
    missing = np.where(MASK, X, np.nan)
    filled = impute(model, X, MASK)
    np.testing.assert_array_equal(impute(model, spoilt, MASK), filled)
    np.testing.assert_array_equal(impute(model, missing), filled)


def test_seeds_decide_and_rows_do_not_depend_on_each_other(model):
    one, again, other = (impute(model, X, MASK, num_draws=2, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other)[:, :, ~SEEN].mean() > 0.1
    np.testing.assert_allclose(impute(model, X[:3], MASK, num_draws=2), one[:, :3], atol=1e-4)
    assert np.abs(one[0] - one[1])[:, ~SEEN].mean() > 0.1


def test_a_model_that_sees_the_mask_takes_values_of_their_own_shape():
    # Its encoder's posterior is that of x with 0 for missing values: a poor proposal, which the weights mend.
    filled = impute(linear.vae(masked=True), X, MASK, num_samples=1000)
    mean, _ = linear.conditional(X, MASK)
    assert np.sqrt(np.mean((filled[:, ~SEEN] - mean) ** 2)) < 0.2


def test_a_hierarchical_model_and_a_vq_vae_impute():
    x = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype(np.float32)
    mask = np.ones((8, 8, 1))
    mask[:, 4:] = 0
    encoder = zoo.networks.bottom_up_encoder((8, 8, 1), scales=(4,), width=4)
    hierarchical = zoo.HierarchicalVAE(encoder, zoo.networks.TopDown((8, 8, 1), scales=(4,), width=4))
    encoder = zoo.networks.residual_encoder((8, 8, 1), 2, filters=4, blocks=0)
    decoder = zoo.networks.residual_decoder((2, 2, 2), 1, filters=4, blocks=0)
    for model in (hierarchical, zoo.VQVAE(encoder, decoder, zoo.quantizers.VectorQuantizer(4, 2))):
        for method in ("importance", "gibbs"):
            filled = impute(model, x, mask, method=method, steps=1, num_samples=2)
            np.testing.assert_array_equal(filled[:, :, :4], x[:, :, :4])
            assert np.all((filled >= 0) & (filled <= 1)) and not np.array_equal(filled, x)
        with pytest.raises(ValueError, match="Expected `model` to be a zoo.VAE or a subclass for method='gradient'"):
            impute(model, x, mask, method="gradient")


def test_a_conditional_model_takes_labels():
    networks = zoo.networks
    model = zoo.CVAE(networks.mlp_encoder((4, 4, 3), 2, ()), networks.mlp_decoder((4, 4, 1), 4, ()), num_classes=2)
    x = np.random.default_rng(0).uniform(size=(2, 4, 4, 1)).astype(np.float32)
    mask = np.zeros((4, 4, 1))
    by_label = [impute(model, x, mask, labels=[label] * 2, num_samples=4) for label in (0, 1)]
    assert not np.allclose(*by_label)
    with pytest.raises(ValueError, match="Expected `labels`, as CVAE is conditional"):
        impute(model, x, mask)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "mean"}, "Expected `method` to be one of 'importance', 'gibbs'"),
        ({"mask": np.full(4, 2)}, "Expected `mask` to be of 1 for observed and 0 for missing values"),
        ({"mask": np.ones(3)}, "Expected `mask` to be of a shape that broadcasts to"),
        ({"x": X[:, :3], "mask": np.ones(3)}, r"Expected `x` to be of shape \('N', 4\)"),
        ({"x": np.full((2, 4), np.nan, np.float32)}, "Expected `mask` to be 0 where x is NaN or infinite"),
        ({"x": np.full((2, 4), np.inf, np.float32), "mask": None}, "NaN for missing ones. Received: .*8 infinite val"),
        ({"x": X.astype(int)}, "Expected `x` to be floats"),
        ({"num_draws": 0}, "Expected `num_draws` to be an integer >= 1"),
        ({"method": "gibbs", "steps": 0}, "Expected `steps` to be an integer >= 1"),
    ],
)
def test_bad_arguments_are_named(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        impute(model, **{"x": X, "mask": np.ones(4), **arguments})


PIXELS = np.random.default_rng(0).uniform(size=(4, 3, 3, 1)).astype(np.float32)
HOLED = np.where(PIXELS > 0.9, np.nan, PIXELS)


@pytest.fixture(scope="module")
def of_pixels():
    return zoo.VAE(zoo.networks.mlp_encoder((3, 3, 1), 2, ()), zoo.networks.mlp_decoder((3, 3, 1), 2, ()))


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("x", 255 * PIXELS, r"`x` to lie in \[0, 1\].* Divide by 255"),
        ("x", PIXELS.repeat(2, axis=3), r"`x` to be of shape \('N', 3, 3, 1\)"),
        ("other", 255 * PIXELS, r"`other` to lie in \[0, 1\].* Divide by 255"),
        ("other", (255 * PIXELS).astype("uint8"), "`other` to be floats"),
        ("other", PIXELS.repeat(2, axis=3), r"`other` to be of shape \('N', 3, 3, 1\)"),
        ("other", PIXELS[:0], "`other` to be floats .*, of one example or more"),
        ("other", HOLED, "`other` to be complete examples"),
        ("seed", "7", "`seed` to be None or an integer of 32 bits"),
    ],
)
@pytest.mark.parametrize(
    ("function", "other"),
    [(zoo.applications.impute_interval, "calibration"), (zoo.applications.impute_with_residuals, "complete")],
)
def test_examples_that_improve_a_filling_are_checked_as_those_that_are_filled(
    of_pixels, function, other, argument, value, message
):
    given = {"x": PIXELS, "mask": np.tile([[[1], [1], [0]]], (3, 1, 1)), other: PIXELS, "steps": 0, "num_samples": 1}
    given[other if argument == "other" else argument] = value
    with pytest.raises(ValueError, match=message.replace("other", other)):
        function(of_pixels, **given)


def test_only_observed_values_must_lie_in_the_range_of_the_data(of_pixels):
    mask = np.tile([[[1], [1], [0]]], (3, 1, 1))
    spoilt = np.where(mask == 1, PIXELS, 1e6)
    filled = [impute(of_pixels, x, mask, steps=1, num_samples=2) for x in (PIXELS, spoilt)]
    np.testing.assert_array_equal(*filled)
    with pytest.raises(ValueError, match=r"`x` to lie in \[0, 1\]"):
        impute(of_pixels, np.where(mask == 0, PIXELS, -1.0), mask)


def test_a_saved_masked_model_is_loaded(tmp_path):
    model = linear.vae(masked=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(impute(loaded, X[:4], MASK), impute(model, X[:4], MASK), atol=1e-6)


def test_residuals_of_a_single_example_are_refused():
    x = linear.draw(4)
    with pytest.raises(ValueError, match="Expected `complete` to be at least two examples, whose covariance counts"):
        zoo.applications.impute_with_residuals(linear.vae(), x, MASK, x[:1], steps=1, num_samples=2)


@pytest.mark.parametrize("method", ["metropolis", "gradient"])
def test_fillings_do_not_depend_on_the_zero_of_the_units(method):
    series = zoo.data.Series(np.sin(0.4 * np.arange(60.0)) + 0.1 * np.random.default_rng(0).normal(size=60))
    moved = zoo.data.Series(series.values + 1000.0)
    mask = np.ones((4, 8, 1))
    mask[:, 2:5] = 0
    filled = []
    for each in (series, moved):
        keras.utils.set_random_seed(0)
        model = zoo.applications.series_vae(each, 8, latent_dim=2, filters=(4,), dense=8, seed=0)
        x = each.windows(8)[0][:4]
        filled.append(impute(model, x, mask, method=method, steps=1, num_samples=2))
    np.testing.assert_allclose(filled[1], filled[0] + 1000.0, atol=2e-3)


def test_labels_are_checked_and_of_any_integer_type():
    keras.utils.set_random_seed(0)
    networks = zoo.networks.mlp_encoder((2, 2, 4), 2, ()), zoo.networks.mlp_decoder((2, 2, 1), 5, ())
    model = zoo.CVAE(*networks, num_classes=3, seed=0)
    x = np.full((3, 2, 2, 1), np.nan, np.float32)
    filled = [impute(model, x, labels=np.array([0, 1, 2], kind), steps=1, num_samples=2) for kind in ("int64", "int32")]
    np.testing.assert_array_equal(*filled)
    with pytest.raises(ValueError, match="Expected `labels` to be from 0 to 2. Received: labels=7"):
        impute(model, x, labels=np.array([0, 1, 7]))
