"""kl_weight="auto": the objective by hand, what it needs, and that it survives saving and resuming."""

import by_hand
import keras
import numpy as np
import pytest

import zoo
from zoo.likelihoods import Bernoulli, DiscretizedLogistic, Gaussian, Masked


def make(cls=zoo.VAE, **kwargs):
    return by_hand.fix_noise(by_hand.shaken(cls(*by_hand.networks(), kl_weight="auto", **kwargs)))


def test_with_a_gaussian_the_loss_is_minus_the_elbo_of_the_best_scale():
    model, x = make(likelihood="gaussian"), by_hand.images()
    terms = model.compute_terms(x, training=True)
    mean, log_var = by_hand.posterior(model, x)
    x = x.reshape(16, 6)
    decoded = by_hand.dense(model.decoder, mean + by_hand.NOISE * np.exp(log_var / 2)) + 0.5  # the middle of the range
    variance = np.mean(np.square(x - decoded))
    kl = by_hand.kl(mean, log_var).sum(axis=1)
    by_example = np.square(x - decoded).sum(axis=1) / (2 * variance) + 6 / 2 * np.log(2 * np.pi * variance)
    np.testing.assert_allclose(terms["loss"], by_example + kl, rtol=1e-4)
    # At the best scale the squared error is worth half a nat a pixel.
    np.testing.assert_allclose(np.mean(terms["reconstruction"]), 3 * np.log(2 * np.pi * variance) + 3, rtol=1e-4)
    for factor in (0.9, 1.1):
        other = np.mean(Gaussian(np.sqrt(variance) * factor).log_prob(x, decoded.astype("float32") - 0.5))
        assert other < -np.mean(terms["reconstruction"])


def test_with_a_bernoulli_the_loss_is_minus_the_elbo():
    model, x = make(likelihood="bernoulli"), by_hand.images()
    terms = model.compute_terms(x, training=True)
    np.testing.assert_array_equal(terms["loss"], -terms["elbo"].numpy())


@pytest.mark.parametrize(
    "likelihood", [Bernoulli(), Gaussian("optimal", 0.9), Gaussian("learned"), Masked(Gaussian("learned"))]
)
def test_likelihoods_whose_scale_is_right_are_taken_as_they_are(likelihood):
    assert zoo.VAE(*by_hand.networks(), likelihood, kl_weight="auto").likelihood is likelihood


@pytest.mark.parametrize(
    ("likelihood", "received"),
    [
        (Gaussian(0.1), r"Received: likelihood='Gaussian\(0.1\)'"),
        (Masked(Gaussian(0.5)), r"Received: likelihood='Gaussian\(0.5\)'"),
        (DiscretizedLogistic(), "a Bernoulli .* Received: likelihood='DiscretizedLogistic'"),
        ("discretized_logistic_mixture", "need kl_weight=None. Received: likelihood='DiscretizedLogisticMixture'"),
        ("poisson", "Received: likelihood='Poisson'"),
    ],
)
def test_other_likelihoods_are_refused(likelihood, received):
    with pytest.raises(ValueError, match=f"Expected `likelihood` to be .*{received}"):
        zoo.VAE(*by_hand.networks(), likelihood, kl_weight="auto")


@pytest.mark.parametrize(
    ("cls", "arguments", "names"),
    [
        (zoo.BetaVAE, {}, "beta, capacity, gamma"),
        (zoo.BetaTCVAE, {"dataset_size": 8}, "beta, alpha, gamma"),
        (zoo.InfoVAE, {}, "alpha, lambda_"),
        (zoo.FactorVAE, {}, "gamma"),
    ],
)
def test_models_that_weigh_the_kl_themselves_refuse_it(cls, arguments, names):
    expected = f"Expected `kl_weight` to be None in a {cls.__name__}, which has weights of its own: {names}. Received: "
    with pytest.raises(ValueError, match=expected):
        cls(*by_hand.networks(), kl_weight="auto", **arguments)


@pytest.mark.parametrize("value", [0.5, "optimal", True])
def test_other_values_are_refused(value):
    with pytest.raises(ValueError, match="Expected `kl_weight` to be None or 'auto'; .* Received: kl_weight="):
        zoo.VAE(*by_hand.networks(), kl_weight=value)


def test_a_hierarchical_model_takes_it_without_kl_balancing():
    def hierarchical(**kwargs):
        encoder = zoo.networks.bottom_up_encoder((8, 8, 1), scales=(4, 2), width=8, hidden=8, blocks=1)
        decoder = zoo.networks.TopDown((8, 8, 1), scales=(4, 2), layers=1, latent_dim=2, width=8, hidden=8)
        return zoo.HierarchicalVAE(encoder, decoder, "gaussian", kl_weight="auto", **kwargs)

    model = hierarchical()
    assert model.likelihood.scale == "optimal" and model.get_config()["kl_weight"] == "auto"
    with pytest.raises(ValueError, match="Expected `kl_balancing` to be False with kl_weight='auto'"):
        hierarchical(kl_balancing=True)


@pytest.mark.parametrize("cls", [pytest.param(zoo.VAE, marks=pytest.mark.slow), zoo.IWAE])
def test_a_run_that_was_saved_and_loaded_goes_on_to_the_bit(cls, tmp_path):
    def compiled():
        keras.utils.set_random_seed(0)
        model = cls(*by_hand.networks(), "gaussian", seed=1, kl_weight="auto")
        model.compile(keras.optimizers.Adam(1e-2))
        return model

    x, whole, stopped = by_hand.images(32), compiled(), compiled()
    settings = {"batch_size": 8, "shuffle": False, "verbose": 0}
    whole.fit(np.concatenate([x, x]), **settings)
    stopped.fit(x, **settings)
    stopped.save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    assert (resumed.kl_weight_rule, resumed.likelihood.scale) == ("auto", "optimal")
    resumed.fit(x, **settings)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(resumed.kl_weight) == 1.0 and int(resumed.likelihood.updates) == 8
