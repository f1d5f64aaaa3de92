"""Keras's verbs as a model of the zoo keeps them: weights, targets, metrics, added losses, and what it refuses."""

import copy
import functools
import gc
import pickle
import weakref

import conformance
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import zoo
from zoo import networks
from zoo.runtime import cores

SHAPE = (8, 8, 1)
X = np.random.default_rng(0).uniform(size=(30, *SHAPE)).astype("float32")
WEIGHTS = np.random.default_rng(1).uniform(0.5, 2.0, 30).astype("float32")
NOISE = 0.7


def make(encoder=None, cls=zoo.VAE, conditions=0, optimizer=None, **kwargs):
    """A model whose noise is the same for each example and step, so that figures can be computed by hand."""
    keras.utils.set_random_seed(0)
    encoder = encoder or networks.mlp_encoder((8, 8, 1 + conditions), 3, hidden=(8,))
    model = cls(encoder, networks.mlp_decoder(SHAPE, 3 + conditions, hidden=(8,)), seed=3, **kwargs)
    model.sampling.noise = lambda shape: tf.fill(shape, NOISE)
    model.compile(optimizer or keras.optimizers.SGD(1e-3))
    return model


def evaluate(model, *data, **kwargs):
    return model.evaluate(*data, verbose=0, return_dict=True, **kwargs)


def test_a_trained_model_is_let_go():
    """Though its graphs call Python, and TensorFlow keeps for good the Python functions that it is given."""
    model = make()
    model.fit(X, batch_size=15, verbose=0)
    kept = weakref.ref(model)
    del model
    gc.collect()
    assert kept() is None


# Weights of examples.


@pytest.mark.usefixtures("mode")
def test_sample_weights_weigh_the_loss_by_the_batch_and_the_other_figures_by_themselves():
    model = make(cls=zoo.BetaVAE, beta=3.0)
    terms = {name: value.numpy() for name, value in model.compute_terms(tf.constant(X)).items()}
    figures = evaluate(model, X, sample_weight=WEIGHTS, batch_size=8)
    # By batches of 8, 8, 8 and 6: the loss is what is minimised, so its mean is over the examples.
    assert figures["loss"] == pytest.approx(np.mean(WEIGHTS * terms["loss"]), rel=1e-5)
    for name in ("reconstruction", "kl", "elbo"):
        assert figures[name] == pytest.approx(np.average(terms[name], weights=WEIGHTS), rel=1e-5)


@pytest.mark.usefixtures("mode")
def test_an_example_of_weight_zero_counts_nowhere():
    model = make()
    half = np.repeat([1.0, 0.0], 15).astype("float32")
    bad = X.copy()
    bad[15:] = 1.0 - bad[15:]
    figures, of_half = evaluate(model, bad, sample_weight=half), evaluate(model, X[:15])
    for name in ("reconstruction", "kl", "elbo"):
        assert figures[name] == pytest.approx(of_half[name], rel=1e-5)


@pytest.mark.parametrize("how", ["array", "dataset", "batch"])
def test_a_step_with_weights_is_that_of_the_weighted_objective(how):
    model, other = make(), make()
    if how == "array":
        model.fit(X, sample_weight=WEIGHTS, batch_size=30, verbose=0)
    elif how == "dataset":  # (x, y, weights), where y may be none
        data = tf.data.Dataset.from_tensors((X, np.zeros((30, 0), "float32"), WEIGHTS))
        model.fit(data, verbose=0)
    else:
        model.train_on_batch(X, sample_weight=WEIGHTS)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(WEIGHTS * other.compute_terms(tf.constant(X), training=True)["loss"])
    variables = other.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, [each.value for each in variables])):
        variable.assign_sub(1e-3 * gradient)
    for one, two in zip(model.trainable_weights, variables, strict=True):
        np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-4, atol=1e-6)


def test_weights_count_alike_on_two_replicas():
    figures = []
    for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        with strategy.scope():
            model = make()
        history = model.fit(X, sample_weight=WEIGHTS, batch_size=10, epochs=2, shuffle=False, verbose=0).history
        figures.append((model.get_weights(), history))
    for one, two in zip(figures[0][0], figures[1][0], strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)
    for name, values in figures[0][1].items():
        assert figures[1][1][name] == pytest.approx(values, rel=1e-5), name


def test_two_replicas_share_the_one_batch_that_they_are_given():
    """Keras gives all of it to each."""
    figures, weights, rows = [], [], []
    for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        with strategy.scope():
            model = make()
        model.train_on_batch(X[:15], sample_weight=WEIGHTS[:15])
        figures.append(model.train_on_batch(X[:15], sample_weight=WEIGHTS[:15]) + model.test_on_batch(X[:3]))
        before = model.get_weights()
        with pytest.raises(ValueError, match="values that are NaN or infinite, the first in row 29"):
            model.train_on_batch(np.concatenate([X[:29], np.nan * X[29:]]))
        for ours, theirs in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        weights.append(before)
        rows.append(model.predict_on_batch(X[:15]))
    for verb in (model.train_on_batch, model.test_on_batch, model.predict_on_batch, model.predict):
        with pytest.raises(ValueError, match="Expected `x` to be in batches of at least 2 examples, one for each repl"):
            verb(X[:1])
    with pytest.raises(ValueError, match="Expected `x` to be in batches of at least 2 examples"):
        model.predict(tf.data.Dataset.from_tensor_slices(X[:4]).batch(1), verbose=0)
    np.testing.assert_allclose(model.predict(X[:15], verbose=0), rows[0], rtol=1e-4)
    np.testing.assert_allclose(model.predict(X[:1], verbose=0), rows[0][:1], rtol=1e-4)  # the step is made by now
    np.testing.assert_allclose(*figures, rtol=1e-5)
    np.testing.assert_allclose(*rows, rtol=1e-4)
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_replicas_share_labels_in_a_list_and_say_no_more_of_nan_than_one(recwarn):
    labels, figures = [0, 1, 2, 1, 0], []
    for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        with strategy.scope():
            model = make(cls=zoo.CVAE, conditions=3, num_classes=3)
        figures.append(model.test_on_batch(X[:5], labels))
        model.decoder.weights[-1].assign(np.nan * np.ones(model.decoder.weights[-1].shape))
        assert np.isnan(model.test_on_batch(X[:5], labels)[0])
    np.testing.assert_allclose(*figures, rtol=1e-5)
    assert not [each for each in recwarn if "The loss is NaN" in str(each.message)]


@pytest.mark.usefixtures("mode")
def test_weights_of_classes_are_those_of_their_examples():
    labels = (np.arange(30) % 4).astype("int32")
    of_classes = {0: 2.0, 1: 0.5, 3: 0.0}
    weights = np.float32([of_classes.get(label, 1.0) for label in labels])
    models = [make(cls=zoo.CVAE, conditions=4, num_classes=4) for _ in range(4)]
    models[0].fit(X, labels, class_weight=of_classes, shuffle=False, verbose=0)
    models[1].fit(X, labels, sample_weight=weights, shuffle=False, verbose=0)
    models[2].fit((X, labels), class_weight=of_classes, shuffle=False, verbose=0)
    models[3].fit(X, labels, shuffle=False, verbose=0)
    for first, *others in zip(*(model.get_weights() for model in models), strict=True):
        for other in others[:2]:
            np.testing.assert_allclose(first, other, rtol=1e-5, atol=1e-7)
    assert any(np.abs(a - b).max() > 1e-5 for a, b in zip(models[0].get_weights(), models[3].get_weights()))


class OneBatch(keras.utils.PyDataset):
    def __init__(self, batch):
        super().__init__()
        self.batch = batch

    def __len__(self):
        return 1

    def __getitem__(self, place):
        return self.batch


@pytest.mark.usefixtures("mode")
def test_weights_of_classes_go_by_the_labels_and_never_by_a_target():
    x, labels = X[:8], np.ones(8, "int32")
    model = make(cls=zoo.CVAE, conditions=2, num_classes=2, optimizer=keras.optimizers.SGD(0.0))
    unweighted = model.train_on_batch(x, labels)[0]
    of_one = tf.data.Dataset.from_tensors
    for data in ((x, labels), ((x, labels),), ({"x": x, "labels": labels},)):
        assert model.train_on_batch(*data, class_weight={1: 0.0})[0] == 0.0
        assert model.fit(*data, class_weight={1: 0.5}, verbose=0).history["loss"] == [pytest.approx(unweighted / 2)]
    beside = {"x": x, "labels": labels}
    assert np.isfinite(model.fit(x, labels, validation_data=beside, verbose=0).history["val_loss"])
    variables = (tf.Variable(x), tf.Variable(labels))
    for data in ((variables,), ({"x": x, "labels": variables[1]},)):
        assert model.train_on_batch(*data, class_weight={1: 0.0})[0] == 0.0
        assert model.fit(*data, class_weight={1: 0.0}, verbose=0).history["loss"] == [0.0]
    for source in (of_one((x, labels)), OneBatch((x, labels))):  # the weight of labels that are not named is 1
        assert model.fit(source, class_weight={0: 0.0}, verbose=0).history["loss"] == [pytest.approx(unweighted)]
    apart = ((x, labels), x[::-1])
    refused = [lambda w, data=data: model.fit(*data, class_weight=w, verbose=0) for data in (apart, [of_one(apart)])]
    refused += [lambda w: model.fit(OneBatch(apart), class_weight=w, verbose=0)]
    refused += [lambda w: model.fit(OneBatch((apart[0],)), class_weight=w, verbose=0)]
    refused += [lambda w: model.train_on_batch(*apart, class_weight=w)]
    for call in refused:
        with pytest.raises(ValueError, match="Expected `class_weight` to be None where `y` is not the labels"):
            call({1: 0.0})


@pytest.mark.parametrize("shape", [(1,), SHAPE])
def test_weights_with_and_without_a_target_take_turns(shape):
    x, weights = np.random.default_rng(0).uniform(size=(8, *shape)).astype("float32"), np.ones(8, "float32")
    keras.utils.set_random_seed(0)
    networks_of_rows = networks.mlp_encoder(shape, 2, hidden=(4,)), networks.mlp_decoder(shape, 2, hidden=(4,))
    model = zoo.VAE(*networks_of_rows, likelihood=zoo.likelihoods.Gaussian(0.5))
    model.sampling.noise = lambda shape: tf.fill(shape, NOISE)
    model.compile(keras.optimizers.SGD(0.0))
    alone = model.evaluate(x[:5], verbose=0)
    judged = model.evaluate(x, 1 - x, verbose=0)
    for _ in range(2):
        assert model.evaluate(x, 1 - x, sample_weight=weights, verbose=0) == pytest.approx(judged, rel=1e-5)
        assert model.evaluate(x[:5], sample_weight=weights[:5], verbose=0) == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({0: 1.0, 4: 2.0}, "Expected `class_weight` to be a dict of labels from 0 to 3. Received: class_weight=4"),
        ({-1: 1.0}, "a dict of labels from 0 to 3. Received: class_weight=-1"),
        ({"cat": 1.0}, "a dict of labels from 0 to 3. Received: class_weight='cat'"),
        ({0: -1.0}, r"Expected `class_weight\[0\]` to be a finite number >= 0"),
        ({0: float("nan")}, r"Expected `class_weight\[0\]` to be a finite number >= 0"),
    ],
)
def test_weights_of_classes_that_the_model_has_not_are_refused(weights, message):
    model, labels = make(cls=zoo.CVAE, conditions=4, num_classes=4), (np.arange(30) % 4).astype("int32")
    for call in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=message):
            call(X, labels, class_weight=weights)


def test_weights_that_mean_nothing_are_refused_by_name():
    model = make()
    for weights, message in (
        (-WEIGHTS, "Expected `sample_weight` to be numbers >= 0. Received: sample_weight=-"),
        (WEIGHTS - WEIGHTS.min() - 5e-4, "Expected `sample_weight` to be numbers >= 0. Received: sample_weight=-0.000"),
        (WEIGHTS * np.nan, "Expected `sample_weight` to be finite numbers. Received: 30 of 30"),
        (WEIGHTS[:, None], r"Expected `sample_weight` to be of shape \[B\].* Received: sample_weight=\(30, 1\)"),
        (WEIGHTS[:7], r"Expected `sample_weight` to be of shape \[B\].* Received: sample_weight=\(7,\)"),
    ):
        for call in (lambda w: model.fit(X, sample_weight=w, verbose=0), lambda w: model.test_on_batch(X, None, w)):
            with pytest.raises(ValueError, match=message):
                call(weights)
    for call in (model.fit, model.train_on_batch):
        with pytest.raises(
            ValueError, match="Expected `class_weight` to be None, as VAE has no classes; use sample_weig"
        ):
            call(X, class_weight={0: 1.0})


@pytest.mark.usefixtures("mode")
def test_validation_data_may_have_weights():
    model = make()
    history = model.fit(X, validation_data=(X, None, WEIGHTS), verbose=0).history
    assert history["val_elbo"][0] == pytest.approx(evaluate(model, X, sample_weight=WEIGHTS)["elbo"], rel=1e-5)
    split = model.fit(X, sample_weight=WEIGHTS, validation_split=0.2, epochs=1, verbose=0).history
    assert split["val_elbo"][0] == pytest.approx(evaluate(model, X[24:], sample_weight=WEIGHTS[24:])["elbo"], rel=1e-5)


# Targets.


def denoising():
    noisy = np.clip(X + np.random.default_rng(2).normal(0, 0.3, X.shape), 0, 1).astype("float32")
    quantized = zoo.VQVAE(
        networks.residual_encoder(SHAPE, 4, 4, blocks=0), networks.residual_decoder((2, 2, 4), 1, 4, blocks=0),
        zoo.quantizers.VectorQuantizer(6, 4, initialization="uniform"),
    )  # fmt: skip
    decoder = zoo.networks.TopDown(SHAPE, (4, 2), 1, 2, 4, 4)
    hierarchical = zoo.HierarchicalVAE(networks.bottom_up_encoder(SHAPE, (4, 2), 4, 4, 1), decoder, seed=3)
    for model in (quantized, hierarchical):
        model.compile("sgd")
    return noisy, {"vae": make(), "vq_vae": quantized, "hierarchical_vae": hierarchical}


@pytest.mark.usefixtures("mode")
def test_the_likelihood_judges_the_target_that_is_given():
    noisy, models = denoising()
    for name, model in models.items():
        given = model.compute_terms(tf.constant(noisy), target=tf.constant(X))
        params = model.likelihood_params(model.encode(noisy)["mean"]) if name == "vae" else None
        assert np.abs(given["reconstruction"] - model.compute_terms(tf.constant(noisy))["reconstruction"]).max() > 1e-3
        if params is not None:
            z = zoo.distributions.reparameterize(*model.encode(noisy).values(), NOISE)
            expected = -model.likelihood.log_prob(tf.constant(X), model.likelihood_params(z))
            np.testing.assert_allclose(given["reconstruction"], expected, rtol=1e-5)
        model.fit(noisy, X, verbose=0)
        data = tf.data.Dataset.from_tensor_slices((noisy, X)).batch(10)
        model.fit(data, validation_data=data, verbose=0)
        if name == "vae":
            expected = model.compute_terms(tf.constant(noisy), target=tf.constant(X))["elbo"]
            assert evaluate(model, noisy, X)["elbo"] == pytest.approx(np.mean(expected), rel=1e-5)
        assert model.predict(noisy, verbose=0).shape == X.shape


@pytest.mark.slow
def test_a_model_that_learns_to_take_noise_away_does_so():
    model = make(optimizer=keras.optimizers.Adam(1e-2), likelihood=zoo.likelihoods.Gaussian(0.2))
    clean = np.repeat(X[:1], 300, 0) * np.random.default_rng(0).uniform(0.3, 1, (300, 1, 1, 1)).astype("float32")
    noisy = clean + np.random.default_rng(1).normal(0, 0.3, clean.shape).astype("float32")  # beyond [0, 1] as well
    model.sampling.noise = lambda shape: tf.random.normal(shape, seed=0)
    model.fit(noisy, clean, epochs=60, verbose=0)
    assert np.mean((model.reconstruct(noisy) - clean) ** 2) < 0.1 * np.mean((noisy - clean) ** 2)
    assert np.mean((model.predict(noisy, verbose=0) - clean) ** 2) < 0.1 * np.mean((noisy - clean) ** 2)


@pytest.mark.usefixtures("mode")
def test_that_noisy_input_is_fine_survives_saving(tmp_path):
    noisy = X + 1.0
    model = make()
    with pytest.raises(ValueError, match=r"Expected `x` to lie in \[0, 1\]"):
        model.reconstruct(noisy)
    model.fit(noisy, X, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.reconstruct(noisy), model.reconstruct(noisy))
    with pytest.raises(ValueError, match=r"Expected `y` to lie in \[0, 1\]"):
        loaded.fit(X, noisy, verbose=0)


def test_data_given_as_their_own_target_are_told_so():
    model = make()
    message = "Expected `y` to be another array than `x`, as VAE is its own target: fit.x..*fit.noisy, clean."
    pairs = tf.data.Dataset.from_tensor_slices((X, X)).batch(10)
    for call in (model.fit, model.evaluate, model.train_on_batch):
        for y in (X, X.copy()):
            with pytest.raises(ValueError, match=message):
                call(X, y)
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=message):
            call(pairs)
    with pytest.raises(ValueError, match=r"Expected `y` to have the shape \[B, 8, 8, 1\]. Received: .*\(30, 8, 7, 1\)"):
        model.fit(X, X[:, :, :7], verbose=0)


def test_a_target_that_was_refused_leaves_the_range_of_the_input_as_it_was():
    model = make()
    for call in (lambda: model.fit(X, X, verbose=0), lambda: model.fit(X, 255 * X, verbose=0)):
        with pytest.raises(ValueError, match="Expected `y`"):
            call()
    model.evaluate(np.clip(X + 0.1, 0, 1), X, verbose=0)
    for call in (model.reconstruct, lambda x: model.predict(x, verbose=0)):
        with pytest.raises(ValueError, match=r"Expected `x` to lie in \[0, 1\]"):
            call(255 * X)


@pytest.mark.usefixtures("mode")
def test_a_conditional_model_has_labels_and_a_target():
    model = make(cls=zoo.CVAE, conditions=4, num_classes=4)
    labels = (np.arange(30) % 4).astype("int32")
    noisy = np.clip(X + 0.1, 0, 1)
    model.fit((noisy, labels), X, verbose=0)
    expected = model.compute_terms(tf.constant(noisy), tf.constant(labels), target=tf.constant(X))["elbo"]
    assert evaluate(model, (noisy, labels), X)["elbo"] == pytest.approx(np.mean(expected), rel=1e-5)


# Metrics.


@pytest.mark.parametrize(
    "strategy", [None, pytest.param(("CPU:0", "CPU:1"), marks=pytest.mark.slow)], ids=("one", "two replicas")
)
def test_metrics_compare_the_data_with_their_reconstructions(strategy):
    strategy = tf.distribute.MirroredStrategy(list(strategy)) if strategy else tf.distribute.get_strategy()
    with strategy.scope():
        model = make()
        model.compile("sgd", metrics=["mse", keras.metrics.MeanAbsoluteError(name="error")], weighted_metrics=["mae"])
    history = model.fit(X, sample_weight=WEIGHTS, batch_size=10, verbose=0).history
    assert {"mse", "error", "mae", "loss", "elbo"} <= set(history)
    figures = evaluate(model, X, sample_weight=WEIGHTS, batch_size=10)
    difference = X - model.reconstruct(X).numpy()
    assert figures["mse"] == pytest.approx(np.mean(difference**2), rel=1e-4)
    assert figures["error"] == pytest.approx(np.mean(np.abs(difference)), rel=1e-4)
    by_example = np.abs(difference).mean(axis=(1, 2, 3))
    assert figures["mae"] == pytest.approx(np.average(by_example, weights=WEIGHTS), rel=1e-4)
    assert len(model.evaluate(X, verbose=0)) == len(figures)


@pytest.mark.usefixtures("mode")
@pytest.mark.parametrize("metrics", [["mse", "accuracy"], {"image": "acc"}])
def test_names_of_metrics_that_depend_on_the_shape_of_classes_are_warned_about(metrics):
    with pytest.warns(UserWarning, match="Keras chooses the kind of the metric 'acc"):
        make().compile("sgd", weighted_metrics=metrics)


def test_metrics_compare_with_the_target_where_there_is_one():
    model = make()
    model.compile("sgd", metrics=["mse"])
    noisy = np.clip(X + 0.2, 0, 1)
    figures = evaluate(model, noisy, X)
    assert figures["mse"] == pytest.approx(np.mean((X - model.reconstruct(noisy).numpy()) ** 2), rel=1e-4)


def test_a_loss_of_the_users_own_is_refused():
    for name in ("loss", "loss_weights"):
        with pytest.raises(ValueError, match=f"Expected `{name}` to be None, as VAE minimises its own objective"):
            make().compile(**{name: ["mse"]})


# Losses that layers add.


@keras.saving.register_keras_serializable("tests")
class Adds(keras.layers.Layer):
    """Adds the squares of its input to the loss, their sum or their mean, the size of a penalty by `how`."""

    def __init__(self, how, **kwargs):
        super().__init__(**kwargs)
        self.how = how

    def call(self, x):
        self.add_loss(0.1 * (ops.sum(ops.square(x)) if self.how == "sum" else ops.mean(ops.square(x))))
        return x


def with_penalty(how):
    x = keras.Input(SHAPE)
    hidden = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(x))
    if how in ("sum", "mean"):
        hidden = Adds(how)(hidden)
    regularizers = {"activity": {"activity_regularizer": "l2"}, "kernel": {"kernel_regularizer": "l2"}}
    return keras.Model(x, keras.layers.Dense(6, **regularizers.get(how, {}))(hidden))


@functools.cache
def trained(how, parts=1, strategy=None):
    with (strategy or tf.distribute.get_strategy()).scope(), cores.sub_batches(parts):
        keras.utils.set_random_seed(1)
        model = make(with_penalty(how))
        data = tf.data.Dataset.from_tensor_slices(X.copy()).batch(16)
        history = model.fit(data, epochs=2, verbose=0, shuffle=False).history
        figures = model.evaluate(data, verbose=0, return_dict=True)
    return model.get_weights(), history["loss"], figures["loss"]


# The last batch has 14 examples, which four parts do not share alike.
@pytest.mark.parametrize("parts", [pytest.param(2, marks=pytest.mark.slow), 4])
@pytest.mark.parametrize(
    "how", ["sum", *(pytest.param(how, marks=pytest.mark.slow) for how in ("mean", "activity")), "kernel"]
)
def test_what_layers_add_to_the_loss_counts_once_whatever_the_parts(how, parts):
    weights, history, loss = trained(how)
    assert abs(loss - trained("none")[2]) > 1e-3
    other_weights, other_history, other_loss = trained(how, parts)
    for one, other in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert other_history == pytest.approx(history, rel=1e-6) and other_loss == pytest.approx(loss, rel=1e-6)


# A sum is no mean over examples: see README.
@pytest.mark.long
@pytest.mark.parametrize(
    "how", [*(pytest.param(how, marks=pytest.mark.slow) for how in ("mean", "kernel")), "activity"]
)
def test_what_layers_add_to_the_loss_counts_once_whatever_the_replicas(how):
    weights, history, loss = trained(how)
    other_weights, other_history, other_loss = trained(how, 1, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    for one, other in zip(weights, other_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert other_history == pytest.approx(history, rel=1e-5) and other_loss == pytest.approx(loss, rel=1e-5)


def test_the_loss_that_is_reported_is_that_with_what_is_added():
    model = make(with_penalty("kernel"))
    kernel = model.encoder.layers[-1].kernel.numpy()
    terms = model.compute_terms(tf.constant(X))
    figures = evaluate(model, X)
    assert figures["loss"] == pytest.approx(np.mean(terms["loss"]) + 0.01 * np.sum(kernel**2), rel=1e-5)
    assert figures["elbo"] == pytest.approx(np.mean(terms["elbo"]), rel=1e-5)


# Once more at any time.


def test_a_frozen_model_is_refused_by_fit_and_evaluated():
    model = make()
    model.trainable = False
    for call in (model.fit, model.train_on_batch):
        with pytest.raises(
            ValueError, match="Expected a VAE with weights to train. Received: one whose weights are all fr"
        ):
            call(X)
    assert np.isfinite(evaluate(model, X)["elbo"])


def test_quantization_in_place_is_refused_with_the_way_on():
    with pytest.raises(NotImplementedError, match="VAE cannot be quantized in place. .*quantization='int8', images="):
        make().quantize("int8")


def test_hdf5_is_refused_at_save_with_the_way_on(tmp_path):
    model = make()
    for ending in (".h5", ".hdf5"):
        with pytest.raises(ValueError, match=r"ends in .keras, such as 'm.keras'; .*save_weights\('m.weights.h5'\)"):
            model.save(tmp_path / f"m{ending}")
    assert not list(tmp_path.iterdir())
    model.save_weights(tmp_path / "m.weights.h5")
    other = make()
    other.load_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match="Expected `filepath`"):
        model.fit(X, callbacks=[keras.callbacks.ModelCheckpoint(tmp_path / "best.h5")], verbose=0)


def test_samples_without_a_seed_differ_at_each_call_of_a_graph():
    model = make()
    draw = tf.function(lambda: model.sample(2), autograph=False)
    log_prob = tf.function(lambda: model.log_prob(X[:2], 3, seed=None), autograph=False)
    assert np.abs(draw() - draw()).max() > 1e-3
    assert np.abs(log_prob() - log_prob()).max() > 1e-6
    seeded = tf.function(lambda: model.sample(2, seed=5), autograph=False)
    np.testing.assert_array_equal(seeded(), seeded())


@pytest.mark.parametrize(
    "seed",
    [
        2**32,
        2**32 + 7,
        -(2**31) - 1,
        np.int64(2**40),
        np.array([1, 2**33]),
        np.array([1, -(2**31) - 1]),
        [1, 2**33],
        True,
        0.5,
    ],
)
def test_a_seed_of_more_than_32_bits_or_of_another_kind_is_refused(seed):
    model = make()
    for call in (
        lambda: model.sample(2, seed=seed), lambda: model.log_prob(X[:2], seed=seed),
        lambda: model.log_prob(tf.data.Dataset.from_tensors(X[:2]), seed=seed),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="Expected `seed`"):
            call()
    if not isinstance(seed, (np.ndarray, list)):
        for layer in (zoo.layers.Sampling, zoo.quantizers.VectorQuantizer, zoo.quantizers.ResidualQuantizer):
            with pytest.raises(ValueError, match="Expected `seed` to be None or an integer of 32 bits"):
                layer(seed=seed)


@keras.saving.register_keras_serializable("tests")
class LateEncoder(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.out = keras.layers.Dense(6)

    def call(self, x):
        return self.out(keras.layers.Flatten()(x))


@keras.saving.register_keras_serializable("tests")
class LateDecoder(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.out = keras.layers.Dense(64)

    def call(self, z):
        return ops.reshape(self.out(z), (-1, *SHAPE))


def test_a_model_of_the_users_own_networks_samples_right_after_it_is_loaded(tmp_path):
    model = zoo.VAE(LateEncoder(), LateDecoder(), seed=3)
    with pytest.raises(ValueError, match="Expected a built model"):
        model.sample(2)
    model.compile("sgd")
    model.fit(X, verbose=0)
    expected = model.sample(2, seed=1)
    model.save(tmp_path / "model.keras")
    for use in ("sample", "latent_dim", "export", "log_prob"):
        loaded = keras.models.load_model(tmp_path / "model.keras")
        if use == "export":
            assert loaded.export(tmp_path / "exported").is_dir()
        elif use == "log_prob":
            assert loaded.log_prob(X, 2).shape == (30,)
        elif use == "latent_dim":
            assert loaded.latent_dim == 3
        np.testing.assert_array_equal(loaded.sample(2, seed=1), expected)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(other.sample(2, seed=1), expected)


def test_an_encoder_of_two_outputs_is_one_of_both_behind_one_another(tmp_path):
    def encoder(*join):
        x = keras.Input(SHAPE)
        flat = keras.layers.Flatten()(x)
        outputs = [keras.layers.Dense(3)(flat), keras.layers.Dense(3)(flat)]
        return keras.Model(x, join[0](outputs) if join else outputs)

    two, one = make(encoder()), make(encoder(keras.layers.Concatenate()))
    one.set_weights(two.get_weights())
    for name in ("mean", "log_var"):
        np.testing.assert_allclose(two.encode(X)[name], one.encode(X)[name], rtol=1e-6, atol=1e-6)
    assert two.latent_dim == 3
    for model in (one, two):
        model.fit(X, batch_size=10, shuffle=False, verbose=0)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    two.save(tmp_path / "two.keras")
    loaded = keras.models.load_model(tmp_path / "two.keras")
    np.testing.assert_array_equal(loaded.sample(2, seed=0), two.sample(2, seed=0))
    three = make(encoder(lambda outputs: [*outputs, outputs[0]]))
    with pytest.raises(ValueError, match=r"of two outputs \[mean, log_var\], \[B,D\] each; the model itself samples z"):
        three.fit(X, verbose=0)


@pytest.mark.parametrize(
    ("activation", "likelihood", "warns"),
    [
        ("sigmoid", "bernoulli", True),
        ("softplus", "bernoulli", True),
        ("sigmoid", "gaussian", True),
        ("softplus", "discretized_logistic", True),
        ("sigmoid", zoo.likelihoods.Gaussian(range=None), False),
        ("linear", "bernoulli", False),
        ("silu", "gaussian", False),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_decoder_that_ends_in_an_activation_is_warned_about(activation, likelihood, warns):
    values = 128 if likelihood == "discretized_logistic" else 64
    last = [keras.layers.Dense(values, activation=activation), keras.layers.Reshape((8, 8, values // 64))]
    apart = [keras.layers.Dense(values), keras.layers.Activation(activation), last[1]]
    for layers in (last, apart):
        decoder = keras.Sequential([keras.Input((3,)), *layers])
        for network in (decoder, keras.Sequential([keras.Input((3,)), decoder])):
            if warns:
                with pytest.warns(UserWarning, match=f"The decoder ends in {activation}, but"):
                    zoo.VAE(networks.mlp_encoder(SHAPE, 3), network, likelihood)
            else:
                zoo.VAE(networks.mlp_encoder(SHAPE, 3), network, likelihood)


def test_models_of_networks_in_float64_train_sample_and_export(tmp_path):
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        model = make()
        model.compile("sgd", metrics=["mse"])
        model.fit(np.float64(X), verbose=0)
        assert model.sample(2, seed=1).dtype == model.log_prob(X, 2).dtype == tf.float32
        model.export(tmp_path / "m.tflite")
        prior = zoo.priors.Transformer(4, (2, 2), width=4, depth=1, heads=2)
        prior.compile("sgd")
        prior.fit(np.zeros((4, 2, 2), "int32"), verbose=0)
        assert prior.sample(2, seed=1).shape == (2, 2, 2)
        for name in ("beta_tc_vae", "info_vae", "vaeac", "rows", "vae_vamp"):
            entry = conformance.ENTRIES[name]
            model = entry.make()
            model.compile("sgd", run_eagerly=True)
            model.fit(conformance.data_of(entry, conformance.images(4)[0]), verbose=0)
            assert model.sample(2, seed=1).dtype == tf.float32, name
    finally:
        keras.config.set_floatx(before)


def test_parts_that_are_frozen_between_two_trainings_stay():
    encoder, decoder = networks.mlp_encoder(SHAPE, 2, (8,)), networks.mlp_decoder(SHAPE, 2, (8,))
    model = zoo.VAE(encoder, decoder, seed=0)
    model.compile("adam")
    model.fit(X, verbose=0)
    encoder.trainable = False
    before = encoder.get_weights(), decoder.get_weights()
    model.fit(X, verbose=0)
    assert all(np.array_equal(*pair) for pair in zip(before[0], encoder.get_weights()))
    assert not any(np.array_equal(*pair) for pair in zip(before[1], decoder.get_weights()))
    encoder.trainable = True
    model.train_on_batch(X)
    assert not any(np.array_equal(*pair) for pair in zip(before[0], encoder.get_weights()))


def test_epochs_that_begin_after_the_last_one_are_told():
    model = make()
    with pytest.warns(UserWarning, match="No epoch was trained: initial_epoch=3 is after the last one, 2"):
        model.fit(X, epochs=2, initial_epoch=3, verbose=0)
    with pytest.raises(ValueError, match="Expected `initial_epoch` to be an integer >= 0"):
        model.fit(X, epochs=2, initial_epoch=-1, verbose=0)


def test_weights_that_a_model_lacks_are_not_left_out(tmp_path):
    path = tmp_path / "flow.weights.h5"
    model = make(prior=zoo.priors.Flow(3, couplings=2, hidden=4))
    model.fit(X, verbose=0)
    model.save_weights(path)
    with pytest.raises(ValueError, match="Expected `filepath` to be the weights of a VAE like this one, which has 10"):
        make().load_weights(path)
    make(prior=zoo.priors.Flow(3, couplings=2, hidden=4)).load_weights(path)
    make().load_weights(path, skip_mismatch=True)


def test_a_callback_may_change_a_setting_while_the_model_trains():
    class Anneal(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.beta = 10.0 * epoch

        def on_train_batch_end(self, batch, logs=None):
            self.model.gamma = 5.0

    model = make(cls=zoo.BetaVAE, beta=1.0)
    logs = model.fit(X, epochs=3, batch_size=10, validation_data=X, verbose=0, callbacks=[Anneal()]).history
    weights = [(logs["val_loss"][i] - logs["val_reconstruction"][i]) / logs["val_kl"][i] for i in range(3)]
    assert weights == pytest.approx([0.0, 10.0, 20.0], abs=1e-3) and model.gamma == 5.0
    model.beta = 3.0
    assert model.predict(X, verbose=0).shape == X.shape and model.test_on_batch(X)


def test_a_refused_target_leaves_the_model_as_it_was():
    """Not as one that removes noise, whose input may have any range."""
    model = make()
    same = tf.data.Dataset.from_tensor_slices((X, X)).batch(10)
    with pytest.raises(ValueError, match="Expected `y` to be another array than `x`"):
        model.fit(same, verbose=0)
    assert not model.denoises
    model.fit(X, verbose=0)
    with pytest.raises(ValueError, match="255"):
        model.reconstruct(255.0 * X)
    noisy = tf.data.Dataset.from_tensor_slices((np.sqrt(X), X)).batch(10)
    model.fit(noisy, verbose=0)
    assert model.denoises


def test_figures_of_another_method_are_refused():
    with pytest.raises(TypeError, match="Expected Mine to name its figures in `term_names`"):

        class Mine(zoo.VAE):
            def compute_metrics(self, x, y, y_pred, sample_weight=None):
                return {"mine": 1.0}


def test_a_target_of_integers_is_told_how_it_becomes_one():
    model = make()
    with pytest.raises(ValueError, match="Expected `y` to be floating-point. Received: dtype=uint8. Divide by 255"):
        model.fit(np.sqrt(X), np.uint8(255 * X), verbose=0)


def test_callbacks_class_weights_and_metrics_of_another_kind_are_refused():
    model = make()
    with pytest.raises(ValueError, match="Expected `callbacks` to be a list of keras.callbacks.Callback objects"):
        model.fit(X, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN])
    with pytest.raises(ValueError, match="Expected `metrics` to be of other names than the model's own terms, loss,"):
        model.compile("adam", metrics=[keras.metrics.MeanSquaredError(name="kl")])

    def elbo(x, y):
        return 0.0

    with pytest.raises(ValueError, match="Expected `metrics` to be of other names than the model's own terms, loss,"):
        model.compile("adam", metrics=[elbo])
    conditional = make(cls=zoo.CVAE, conditions=2, num_classes=2)
    with pytest.raises(ValueError, match="Expected `class_weight` to be a dict of labels to weights. Received: .*bal"):
        conditional.fit(X, np.arange(30) % 2, verbose=0, class_weight="balanced")


@pytest.mark.parametrize("devices", [["CPU:0"], ["CPU:0", "CPU:1"]])
def test_a_model_is_compiled_in_the_scope_in_which_it_was_made(devices):
    with tf.distribute.MirroredStrategy(devices).scope():
        model = make()
    with pytest.raises(
        ValueError, match="Expected `compile` within the `strategy.scope..` in which the model was made"
    ):
        model.compile("adam")


@pytest.mark.long
def test_first_batches_that_two_replicas_do_not_share_evenly_train_as_on_one():
    x, weights = np.random.default_rng(0).uniform(size=(15, *X.shape[1:])).astype("float32"), []
    for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            # Of no images a convolution fails.
            convolution = keras.layers.Conv2D(4, 3, activation="relu", activity_regularizer="l2")
            encoder = keras.Sequential([keras.Input(SHAPE), convolution, keras.layers.Flatten(), keras.layers.Dense(6)])
            model = make(encoder)
        model.fit(x, batch_size=14, validation_data=x[:7], verbose=0)
        model.evaluate(x[:5], verbose=0)
        model.fit(x[:1], np.sqrt(x[:1]), verbose=0)
        weights.append(model.get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("statistics", ["of a layer", "of a likelihood"])
def test_a_replica_without_an_example_leaves_statistics_of_the_batch_as_one_replica_has_them(statistics):
    # Copies of one image have the same statistics in each share.
    layers, x, weights = keras.layers, np.repeat(X[:1], 17, axis=0), []
    for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            norm, likelihood = [layers.BatchNormalization()], zoo.likelihoods.Gaussian()
            if statistics == "of a likelihood":
                norm, likelihood = [], zoo.likelihoods.Gaussian("optimal")
            inputs = keras.Input(SHAPE), layers.Conv2D(4, 3)
            encoder = keras.Sequential([*inputs, *norm, layers.Flatten(), layers.Dense(6)])
            outputs = layers.Reshape((*SHAPE[:2], 1)), layers.Conv2D(SHAPE[2], 1)
            decoder = keras.Sequential([keras.Input((3,)), layers.Dense(SHAPE[0] * SHAPE[1]), *outputs])
            model = zoo.VAE(encoder, decoder, likelihood, seed=0)
            model.sampling.noise = lambda shape: tf.fill(shape, NOISE)
            model.compile(keras.optimizers.SGD(1e-5), run_eagerly=True)
        model.fit(x, batch_size=16, verbose=0)
        weights.append(model.get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)


def test_what_fails_on_several_replicas_is_named_before():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = make()
        for wrong, message in (
            ({"steps_per_execution": 2}, "`steps_per_execution` to be 1 on several replicas that are CPUs"),
            ({"jit_compile": True}, "`jit_compile` to be False on several replicas that are CPUs"),
            (
                {"optimizer": keras.optimizers.SGD(gradient_accumulation_steps=2)},
                "`gradient_accumulation_steps` to be None on several replicas",
            ),
        ):
            with pytest.raises(ValueError, match=f"Expected {message}"):
                model.compile(**wrong)
        model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()))
        model.evaluate(X, batch_size=10, verbose=0)
        with pytest.raises(ValueError, match="Expected `optimizer` to be one that does not scale the loss"):
            model.fit(X, batch_size=10, verbose=0)
        model.compile("sgd")
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match="Expected `batch_size` to be a multiple of 2, the number of replicas"):
            call(X, batch_size=9, verbose=0)
    with pytest.raises(ValueError, match="Expected `validation_batch_size` to be a multiple of 2"):
        model.fit(X, batch_size=10, validation_data=X, validation_batch_size=9, verbose=0)
    outside = make()
    with (
        strategy.scope(),
        pytest.raises(ValueError, match="Expected a model that is made within .* outside of it"),
    ):
        outside.compile("sgd")


def test_a_refused_batch_leaves_a_model_that_removes_noise_one():
    model = make()
    noisy = tf.data.Dataset.from_tensor_slices((np.sqrt(X), X)).batch(10)
    model.fit(noisy, verbose=0)
    with pytest.raises(ValueError, match="NaN|not finite|finite"):
        model.fit(noisy.map(lambda x, y: (x + np.nan, y)), verbose=0)
    assert model.denoises


def test_a_mean_of_the_users_own_is_reported():
    class Twice(zoo.VAE):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.trackers["twice"] = keras.metrics.Mean(name="twice")

        def update_trackers(self, terms, weights=None):
            super().update_trackers(terms, weights)
            self.trackers["twice"].update_state(2.0 * terms["loss"])

    logs = make(cls=Twice).fit(X, verbose=0).history
    assert logs["twice"][0] == pytest.approx(2.0 * logs["loss"][0], rel=1e-5)


def test_averages_of_weights_ask_for_compile_once_parts_are_frozen():
    model = make(optimizer=keras.optimizers.SGD(use_ema=True))
    model.fit(X, verbose=0)
    model.encoder.trainable = False
    with pytest.raises(ValueError, match="Expected `optimizer` to be compiled again after parts were frozen"):
        model.fit(X, verbose=0)
    model.compile(keras.optimizers.SGD(use_ema=True))
    model.fit(X, verbose=0)


def test_a_file_with_a_metric_of_a_terms_name_still_loads(tmp_path):
    """As an earlier version wrote it, whose report lacked the model's own term."""
    model = make()
    trackers, model.trackers = model.trackers, {}
    model.compile("sgd", metrics=[keras.metrics.MeanSquaredError(name="kl")])
    model.trackers = trackers
    model.save(tmp_path / "model.keras")
    with pytest.warns(UserWarning, match="The metrics kl are left out, as terms of the model have these names"):
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert evaluate(loaded, X)["kl"] > 0.0


@pytest.mark.parametrize(("policy", "reason"), [("float16", "NaN follows"), ("bfloat16", "training stands still")])
def test_weights_that_are_too_coarse_to_train_are_warned_about(policy, reason):
    dense = keras.layers.Dense(2, dtype=policy)
    encoder = keras.Sequential([keras.Input((4,)), dense, keras.layers.Activation("linear", dtype="float32")])
    model = zoo.VAE(encoder, zoo.networks.mlp_decoder((4,), 1, ()), zoo.likelihoods.Gaussian(range=None))
    with pytest.warns(UserWarning, match=f"is a weight of {policy}, .*{reason}. Use the policy mixed_float16"):
        model.compile()
