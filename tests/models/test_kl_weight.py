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


# The warm-up with a Bernoulli.


class Seen(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_batch_begin(self, batch, logs=None):
        self.weights.append(float(self.model.kl_weight))


def bernoulli(likelihood="bernoulli", cls=zoo.VAE):
    keras.utils.set_random_seed(0)
    channels = 2 if isinstance(likelihood, Masked) else 1
    encoder = zoo.networks.mlp_encoder((2, 3, channels), 2, hidden=())
    model = cls(encoder, zoo.networks.mlp_decoder((2, 3, 1), 2, hidden=()), likelihood, seed=1, kl_weight="auto")
    model.compile("sgd", run_eagerly=True)
    return model


def weights_of(model, steps, epochs=1, callbacks=(), **kwargs):
    x = np.zeros((2 * steps, 2, 3, 2 if isinstance(model.likelihood, Masked) else 1), "float32")
    seen = Seen()
    history = model.fit(
        x, batch_size=2, epochs=epochs, verbose=0, shuffle=False, callbacks=[*callbacks, seen], **kwargs
    )
    assert ("kl_weight" in history.history) == (seen.weights[0] < 1)
    return seen.weights


@pytest.mark.parametrize("likelihood", [Bernoulli(), Masked(Bernoulli())])
@pytest.mark.parametrize("cls", [zoo.VAE, zoo.IWAE])
def test_with_a_bernoulli_the_weight_rises_in_the_first_third_of_a_training(likelihood, cls):
    model = bernoulli(likelihood, cls)
    np.testing.assert_allclose(weights_of(model, 6, epochs=2), [0, 0.25, 0.5, 0.75] + [1] * 8)
    assert weights_of(model, 9) == [1] * 9  # it was warm


@pytest.mark.parametrize(
    "steps, second", [(None, [1] * 30), (12, [0.5, 7 / 12, 8 / 12, 9 / 12, 10 / 12, 11 / 12] + [1] * 24)]
)
def test_a_longer_training_later_does_not_lower_a_weight_that_has_risen(steps, second):
    model, seen = bernoulli(), Seen()
    for number in (6, 30):
        x = np.zeros((2 * number, 2, 3, 1), "float32")
        model.fit(x, batch_size=2, verbose=0, callbacks=[zoo.callbacks.KLWarmup(steps), seen])
    np.testing.assert_allclose(seen.weights[6:], second, rtol=1e-6)


def test_it_rises_for_500_steps_at_most():
    warmup = zoo.callbacks.KLWarmup()
    for steps, epochs, planned in [(1000, 3, 500), (1000, 1, 333), (1, 1, 1), (None, 5, 500)]:
        warmup.set_params({"steps": steps, "epochs": epochs, "verbose": 0})
        np.testing.assert_allclose([warmup.value(planned - 1), warmup.value(planned)], [1 - 1 / planned, 1.0])


def test_a_training_that_was_stopped_goes_on_with_the_warm_up():
    model = bernoulli()
    whole = weights_of(model, 4, epochs=3)
    model = bernoulli()
    with pytest.raises(KeyboardInterrupt):
        stop = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: _stop(batch == 1))
        weights_of(model, 4, epochs=3, callbacks=[stop])
    assert int(model.optimizer.iterations) == 2
    np.testing.assert_allclose(weights_of(model, 4, epochs=3), [*whole[2:], 1, 1])


def _stop(now):
    if now:
        raise KeyboardInterrupt


def test_a_warm_up_of_the_users_own_takes_its_place_as_a_list_alone_and_in_a_callback_list():
    own = zoo.callbacks.KLWarmup(2)
    assert weights_of(bernoulli(), 6, callbacks=[own]) == [0, 0.5] + [1] * 4
    model, x = bernoulli(), np.zeros((12, 2, 3, 1), "float32")
    assert model.fit(x, batch_size=2, verbose=0, callbacks=own).history["kl_weight"] == [1.0]
    for given, expected in (([own], [0, 0.5, 1]), ([], [0, 1 / 2, 1])):
        model, seen = bernoulli(), Seen()
        callbacks = keras.callbacks.CallbackList([*given, seen], add_history=True, model=model, epochs=1, steps=6)
        model.fit(x, batch_size=2, verbose=0, callbacks=callbacks)
        np.testing.assert_allclose(seen.weights, [*expected, 1, 1, 1])


@pytest.mark.parametrize("arguments", [{"likelihood": "gaussian"}, {"likelihood": Gaussian("learned")}])
def test_a_gaussian_needs_no_warm_up(arguments):
    assert weights_of(bernoulli(**arguments), 3) == [1, 1, 1]


def test_a_model_that_was_not_compiled_is_told_so_by_keras():
    model = zoo.VAE(*by_hand.networks(), kl_weight="auto")
    with pytest.raises(ValueError, match="call `compile"):
        model.fit(by_hand.images(8), verbose=0)


def test_without_the_rule_the_weight_is_left_alone():
    model = zoo.VAE(*by_hand.networks())
    model.compile("sgd")
    assert model.own_callbacks() == []
