"""The VAE with arbitrary conditioning: its objective by hand, its masks, what it fills in, and its exports."""

import by_hand
import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers

import zoo
from zoo.likelihoods import Masked

SHAPE, LATENTS = (4, 4, 1), 3
X = np.random.default_rng(1).uniform(size=(6, *SHAPE)).astype("float32")
MASK = (np.random.default_rng(2).uniform(size=X.shape) < 0.5).astype("float32")
GIVEN = np.asarray(Masked.beside(X, MASK))


def dense(inputs, units, shape=None):
    network = [layers.Input(inputs), layers.Flatten(), layers.Dense(units)]
    return keras.Sequential(network + ([] if shape is None else [layers.Reshape(shape)]))


@pytest.fixture(scope="module")
def model():
    given = (*SHAPE[:2], 2)
    prior = zoo.priors.ConditionalGaussian(dense(given, 2 * LATENTS))
    made = zoo.VAEAC(dense(given, 2 * LATENTS), dense((32 + LATENTS,), 16, SHAPE), prior=prior, alpha=0.75, seed=0)
    made.compile("sgd")
    return by_hand.shaken(made, 0.3)


def moments(network, inputs):
    kernel, bias = network.get_weights()
    mean, log_var = np.split(inputs.reshape(len(inputs), -1) @ kernel + bias, 2, axis=1)
    return mean, np.asarray(zoo.distributions.bound_log_var(log_var))


def decoded(model, z, given):
    kernel, bias = model.decoder.get_weights()
    return np.concatenate([given.reshape(len(given), -1), z], axis=1) @ kernel + bias


def log_missing(logits):
    """log p of the missing values, each a Bernoulli."""
    x, p = X.reshape(6, -1), 1 / (1 + np.exp(-logits))
    return np.sum((1 - MASK.reshape(6, -1)) * (x * np.log(p) + (1 - x) * np.log(1 - p)), axis=1)


def test_the_objective_by_hand(model, monkeypatch):
    monkeypatch.setattr(model.sampling, "noise", lambda shape: tf.fill(shape, by_hand.NOISE))
    seeds = np.arange(6, dtype=np.int32)
    monkeypatch.setattr(model.sampling, "draw", lambda generator, shape: tf.constant(seeds))
    mean, log_var = moments(model.encoder, np.concatenate([X, MASK], axis=-1))
    prior_mean, prior_log_var = moments(model.prior.network, GIVEN)
    z = mean + by_hand.NOISE * np.exp(log_var / 2)
    other = prior_mean + np.asarray(zoo.random.normal(seeds, (LATENTS,))) * np.exp(prior_log_var / 2)
    ratio = (np.exp(log_var) + (mean - prior_mean) ** 2) / np.exp(prior_log_var)
    kl = 0.5 * (prior_log_var - log_var + ratio - 1).sum(axis=1)
    judged, from_prior = log_missing(decoded(model, z, GIVEN)), log_missing(decoded(model, other, GIVEN))
    terms = model.compute_terms(X, labels=GIVEN)
    np.testing.assert_allclose(terms["reconstruction"], -judged, rtol=1e-4)
    np.testing.assert_allclose(terms["kl"], kl, rtol=1e-3)
    np.testing.assert_allclose(terms["elbo"], judged - kl, rtol=1e-4)
    np.testing.assert_allclose(terms["loss"], 0.75 * (kl - judged) - 0.25 * from_prior, rtol=1e-4)


def test_observed_values_neither_count_nor_change_and_without_labels_nothing_is_observed(model):
    posterior = model.posterior(X, GIVEN)
    z, nothing = np.asarray(posterior[0]), np.zeros_like(GIVEN)
    filled = np.asarray(model.decode(z, GIVEN))
    np.testing.assert_array_equal(filled[MASK == 1], X[MASK == 1])
    mean = 1 / (1 + np.exp(-decoded(model, z, GIVEN).reshape(X.shape)))
    np.testing.assert_allclose(filled[MASK == 0], mean[MASK == 0], atol=1e-5)
    np.testing.assert_allclose(model.sample(6, seed=3), model.sample(6, seed=3, labels=nothing), atol=1e-6)
    np.testing.assert_allclose(model.log_prob(X), model.log_prob(X, labels=nothing), rtol=1e-5)
    np.testing.assert_allclose(model.reconstruct(X), model.reconstruct(X, nothing), atol=1e-6)
    # With all values given there is nothing to be said, but what the posterior adds to the prior costs its KL.
    complete = np.asarray(Masked.beside(X, np.ones_like(X)))
    terms = model.compute_terms(X, labels=complete)
    np.testing.assert_array_equal(terms["reconstruction"], np.zeros(6))


def test_fit_draws_masks_trains_all_networks_and_a_saved_model_fills_in_the_same(model, tmp_path):
    again = keras.models.clone_model(model)
    before = [weight.numpy() for weight in again.trainable_weights]
    again.compile("sgd")
    history = again.fit(X, validation_data=(X, GIVEN), verbose=0).history
    assert np.isfinite(history["loss"][0]) and np.isfinite(history["val_elbo"][0])
    assert len(before) == 6 and all((w.numpy() != old).any() for w, old in zip(again.trainable_weights, before))
    again.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert (loaded.alpha, loaded.masks.kinds) == (0.75, again.masks.kinds)
    assert int(loaded.masks.draws.numpy()) == int(again.masks.draws.numpy()) > 0
    np.testing.assert_allclose(
        zoo.applications.impute(loaded, X, MASK, 2, seed=5), zoo.applications.impute(again, X, MASK, 2, seed=5),
        atol=1e-6,
    )  # fmt: skip


def test_the_seed_decides_the_masks():
    given = (*SHAPE[:2], 2)
    made = (zoo.VAEAC(dense(given, 6), dense((32 + LATENTS,), 16, SHAPE), seed=seed) for seed in (3, 3, 4))
    one, again, other = (np.asarray(each.masks(np.repeat(X, 20, axis=0))) for each in made)
    np.testing.assert_array_equal(one, again)
    assert np.any(one != other)


def test_a_range_without_zero_and_one_leaves_room_for_the_mask_and_for_missing_values():
    likelihood = zoo.likelihoods.Gaussian(0.3, range=(2.0, 5.0))
    model = zoo.VAEAC(dense((*SHAPE[:2], 2), 6), dense((32 + LATENTS,), 16, SHAPE), likelihood)
    x = 2.0 + 3.0 * X
    assert np.isfinite(model.log_prob(x, labels=Masked.beside(x, MASK))).all()
    with pytest.raises(ValueError, match=r"Expected `labels` to lie in \[0, 5\]"):
        model.log_prob(x, labels=Masked.beside(2.0 * x, MASK))


def test_draws_are_samples_of_the_prior_given_the_observed_values(model):
    draws = zoo.applications.impute(model, X, MASK, num_draws=3, noise=False, seed=5)
    assert draws.shape == (3, *X.shape)
    np.testing.assert_array_equal(draws[:, MASK == 1], np.broadcast_to(X[MASK == 1], (3, int(MASK.sum()))))
    # Draw j of example i has the seed fold_in(fold_in(seed, i), j).
    own = zoo.random.fold_in(zoo.random.fold_in(5, 4), 2)
    np.testing.assert_allclose(draws[2, 4], model.sample(1, own[None], labels=GIVEN[4:5])[0], atol=1e-6)
    mean = zoo.applications.impute(model, X, MASK, num_samples=3, seed=5)
    np.testing.assert_allclose(mean, draws.mean(axis=0), atol=1e-6)
    holes = np.where(MASK > 0, X, np.nan)
    np.testing.assert_array_equal(zoo.applications.impute(model, holes, num_samples=3, seed=5), mean)
    noisy = zoo.applications.impute(model, X, MASK, num_draws=3, seed=5)
    assert set(np.unique(noisy[:, MASK == 0])) <= {0.0, 1.0}  # of a Bernoulli
    low, high = zoo.applications.impute_interval(model, X, MASK, X[::-1], num_draws=3, noise=False)
    assert np.all(low <= high) and np.all((high - low)[MASK == 0] > 0)


def test_exports_fill_in_the_same_from_the_same_seeds(model, tmp_path):
    seeds, temperature = np.int32([7, 8]), np.float32([1.0, 0.5])
    expected = np.asarray(model.complete(X[:2], MASK[:2], seeds, temperature))
    np.testing.assert_allclose(expected[:1], model.sample(1, seeds[:1], labels=GIVEN[:1]), atol=1e-6)
    inputs = {"image": X[:2], "mask": MASK[:2], "seed": seeds, "temperature": temperature}
    saved = tf.saved_model.load(model.export(tmp_path / "saved"))
    found = saved.signatures["impute"](**{name: tf.constant(value) for name, value in inputs.items()})
    np.testing.assert_allclose(found["image"], expected, atol=1e-5)
    runner = Interpreter(str(model.export(tmp_path / "m.tflite"))).get_signature_runner("impute")
    for row in range(2):
        found = runner(**{name: value[row : row + 1] for name, value in inputs.items()})
        np.testing.assert_allclose(found["image"][0], expected[row], atol=1e-5)


@pytest.mark.parametrize("as_given", [lambda m: m > 0, lambda m: 255 * m, lambda m: 2.0 * m - 1.0, lambda m: 0.6 * m])
def test_masks_of_the_users_own_are_bool_or_numbers(model, as_given, monkeypatch):
    monkeypatch.setattr(model, "masks", lambda x: as_given(tf.constant(MASK)))
    np.testing.assert_array_equal(model._drawn_mask(X), np.broadcast_to(MASK > 0, X.shape))


def test_a_likelihood_that_couples_channels_takes_masks_of_whole_places():
    likelihood = zoo.likelihoods.DiscretizedLogisticMixture(2)
    networks = dense((2, 2, 6), 4), dense((24 + 2,), 80, (2, 2, 20))
    some = np.ones((2, 2, 2, 3), np.float32)
    some[:, 0, 0, 1] = 0.0
    model = zoo.VAEAC(*networks, likelihood, masks=keras.layers.Lambda(lambda x: some))
    x = np.random.default_rng(0).random((2, 2, 2, 3), np.float32)
    np.testing.assert_array_equal(model._drawn_mask(x)[..., 0], some.min(axis=-1))
    assert np.isfinite(zoo.applications.impute(model, x, some[..., :1])).all()
    for refused in (
        lambda: zoo.applications.impute(model, x, some),
        lambda: model.log_prob(x, labels=Masked.beside(x, some)),
        lambda: model.complete(x, some, np.arange(2), np.ones(2, np.float32)),
    ):
        with pytest.raises(ValueError, match="the same for all channels of a place, as the likelihood couples them"):
            refused()


def test_data_that_are_no_images_need_masks():
    rows = zoo.VAEAC(dense((8,), 4), dense((8 + 2,), 4), zoo.likelihoods.Gaussian(range=None))
    rows.compile("sgd")
    with pytest.raises(ValueError, match="Expected `labels` to be given, as zoo.layers.RandomMasks draws masks of ima"):
        rows.fit(X[:, 0, :, 0], verbose=0)
    rows.fit(X[:, 0, :, 0], np.asarray(Masked.beside(X[:, 0, :, 0], MASK[:, 0, :, 0])), verbose=0)


def test_what_does_not_fit_is_refused(model):
    with pytest.raises(ValueError, match=r"`labels` to be float32 of shape \[2, 4, 4, 2\]"):
        model.sample(2, labels=MASK[:2])
    with pytest.raises(ValueError, match="`labels` to be finite"):
        model.sample(6, labels=np.where(GIVEN > 0.5, GIVEN, np.nan))
    for given in (MASK / 2, 2 * MASK):
        with pytest.raises(ValueError, match="`labels` to (be values beside a mask of 0 and 1|lie in)"):
            model.sample(6, labels=Masked.beside(X, given))
    with pytest.raises(ValueError, match="`labels` to be values beside a mask of 0 and 1.* such as 0.5"):
        model.evaluate(X, np.asarray(Masked.beside(X, MASK / 2)), verbose=0)
    with pytest.raises(ValueError, match=r"`mask` to be of a shape that broadcasts to \(6, 4, 4, 1\)"):
        Masked.beside(X, MASK[:, :3])
    with pytest.raises(ValueError, match="`method` to be 'prior' with a VAEAC"):
        zoo.applications.impute(model, X, MASK, method="gibbs")
    with pytest.raises(ValueError, match="`labels` to be None with a VAEAC"):
        zoo.applications.impute(model, X, MASK, labels=np.zeros(6, np.int32))
    with pytest.raises(ValueError, match=r"`encoder` to be a keras model from \[B, …, 2·C\]"):
        zoo.VAEAC(dense(SHAPE, 6), model.decoder)
    for likelihood in ("optimal", Masked(zoo.likelihoods.Bernoulli())):
        likelihood = zoo.likelihoods.Gaussian(likelihood) if isinstance(likelihood, str) else likelihood
        with pytest.raises(ValueError, match="`likelihood` to be one of the values"):
            zoo.VAEAC(model.encoder, model.decoder, likelihood)
    with pytest.raises(ValueError, match="`alpha` to be a finite number > 0 and <= 1"):
        zoo.VAEAC(model.encoder, model.decoder, alpha=0.0)


def test_masks_and_temperatures_out_of_range_are_refused(model):
    x = np.full((2, *SHAPE), 0.5, np.float32)
    mask, seeds, ones = np.ones_like(x), np.int32([0, 1]), np.ones(2, np.float32)
    model.complete(x, mask, seeds, ones)
    for wrong in (255 * mask, 0.5 * mask, np.nan * mask):
        with pytest.raises(ValueError, match="Expected `mask` to be 0 and 1 alone. Received: mask='values such as"):
            model.complete(x, wrong, seeds, ones)
    for wrong in (-ones, np.nan * ones):
        with pytest.raises(ValueError, match="Expected `temperature` to be"):
            model.complete(x, mask, seeds, wrong)
        with pytest.raises(ValueError, match="Expected `temperature` to be"):
            model.generate(seeds, wrong)


def test_labels_come_beside_the_data_in_any_form(model):
    """Where all values are given, none is left to reconstruct, which shows that the labels arrived."""
    complete = np.asarray(Masked.beside(X, np.ones_like(X)))
    pairs = tf.data.Dataset.from_tensors((X, complete))
    for form in ((X, complete), [X, complete], {"x": X, "labels": complete}, pairs):
        assert model.evaluate(form, verbose=0, return_dict=True)["reconstruction"] == 0.0
    with pytest.raises(ValueError, match="as the model has one input. Received: 3 inputs"):
        model.evaluate((X, GIVEN, X), verbose=0)
