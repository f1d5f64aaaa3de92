"""The FactorVAE and its critic: both losses by hand, what trains which weights, and that a run goes on to the bit."""

import by_hand
import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.training.checkpoints import Checkpoints

X = by_hand.images(24)


def critic():
    keras.utils.set_random_seed(1)
    return zoo.networks.mlp_critic(by_hand.LATENTS, hidden=(4,))


def make(strategy=None, **kwargs):
    keras.utils.set_random_seed(0)
    with (strategy or tf.distribute.get_strategy()).scope():
        model = by_hand.shaken(
            zoo.FactorVAE(*by_hand.networks(), seed=3, **{"critic": critic(), "gamma": 5.0, **kwargs})
        )
        model.compile(keras.optimizers.Adam(1e-2), critic_optimizer=keras.optimizers.Adam(2e-2, beta_1=0.5))
    return model


def by_critic(model, z):
    """critic(z), `[B]`, of its two dense layers and the leaky ReLU between them."""
    kernel, bias, other_kernel, other_bias = model.critic.get_weights()
    hidden = z @ kernel + bias
    return (np.where(hidden > 0, hidden, 0.2 * hidden) @ other_kernel + other_bias)[:, 0]


def test_the_loss_has_gamma_times_what_the_critic_estimates():
    model = by_hand.fix_noise(make(free_bits=0.4))
    model.kl_weight.assign(0.6)
    terms = model.compute_terms(X, training=True)
    mean, log_var = by_hand.posterior(model, X)
    kl, z = by_hand.kl(mean, log_var), mean + by_hand.NOISE * np.exp(log_var / 2)
    reconstruction, estimate = -by_hand.log_bernoulli(X, by_hand.dense(model.decoder, z)), by_critic(model, z)
    np.testing.assert_allclose(terms["total_correlation"], estimate, rtol=1e-4, atol=1e-5)
    expected = reconstruction + 0.6 * (np.maximum(kl, 0.4).sum(axis=1) + 5.0 * estimate)
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(terms["elbo"], -reconstruction - kl.sum(axis=1), rtol=1e-5)


def permuted(model, z):
    """z̄ of the next step of the critic: each column in an order of its own."""
    seen, original = [], model.critic.call
    model.critic.call = lambda x, *args, **kwargs: seen.append(np.array(x)) or original(x, *args, **kwargs)
    loss = model.critic_loss({"z": tf.constant(z)})
    model.critic.call = original
    assert len(seen) == 2
    np.testing.assert_array_equal(seen[0], z)
    return seen[1], float(loss)


def moved(critic_optimizer=None, layers=None, **kwargs):
    """The critic's weights before and after some steps in which the model itself stands still."""
    model = make(**({} if layers is None else {"critic": layers}))
    model.compile(keras.optimizers.SGD(0.0), critic_optimizer=critic_optimizer or keras.optimizers.SGD(0.1))
    before = model.critic.get_weights()
    history = model.fit(X, batch_size=8, epochs=2, verbose=0, shuffle=False, **kwargs).history
    assert np.isfinite(history["loss"]).all()
    return before, model.critic.get_weights()


def test_a_critic_whose_loss_is_scaled_takes_the_same_steps():
    _, plain = moved()
    sgd = keras.optimizers.SGD
    for scaling in (sgd(0.1, loss_scale_factor=1024.0), keras.optimizers.LossScaleOptimizer(sgd(0.1))):
        for ours, theirs in zip(moved(scaling)[1], plain, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_regularizers_of_the_critic_pull_its_weights():
    def layers(strength):
        keras.utils.set_random_seed(1)
        dense = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(strength))
        return keras.Sequential([keras.Input((by_hand.LATENTS,)), dense])

    free, pulled = (moved(layers=layers(strength))[1][0] for strength in (0.0, 1.0))
    assert np.abs(pulled).sum() < 0.5 * np.abs(free).sum()
    losses = []
    for strength in (0.0, 1.0):
        model = make(critic=layers(strength))
        model.compile("sgd", run_eagerly=True)
        losses.append(model.train_on_batch(X[:8], return_dict=True)["critic_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)  # of the critic's task alone


def test_a_critic_whose_layers_add_losses_is_refused():
    dense = keras.layers.Dense(1, activity_regularizer="l2")
    model = make(critic=keras.Sequential([keras.Input((by_hand.LATENTS,)), dense]))
    model.compile("sgd", run_eagerly=True)
    with pytest.raises(ValueError, match="Expected `critic` to be a network whose layers add no losses"):
        model.fit(X[:8], verbose=0)


def test_the_critic_is_trained_as_in_training():
    norm = keras.layers.BatchNormalization()
    layers = keras.Sequential([keras.Input((by_hand.LATENTS,)), norm, keras.layers.Dense(1)])
    before, after = moved(layers=layers)
    assert all(np.abs(a - b).max() > 1e-4 for a, b in zip(before[2:4], after[2:4], strict=True))  # the moving averages


def test_frozen_layers_of_the_critic_stay_without_another_compile():
    model = make()
    model.fit(X, verbose=0)
    model.critic.layers[1].trainable = False
    before, rest = model.critic.layers[1].get_weights(), model.critic.layers[-1].get_weights()
    model.fit(X, verbose=0)
    np.testing.assert_array_equal(model.critic.layers[1].get_weights()[0], before[0])
    assert np.abs(model.critic.layers[-1].get_weights()[0] - rest[0]).max() > 0
    model.critic.trainable = False
    rest = model.critic.get_weights()
    model.fit(X, verbose=0)
    for ours, theirs in zip(model.critic.get_weights(), rest, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_optimizers_that_the_critic_cannot_have_are_refused():
    model = make()
    with pytest.raises(ValueError, match="Expected `critic_optimizer` to be one without averages.*use_ema=True"):
        model.compile("adam", critic_optimizer=keras.optimizers.Adam(use_ema=True))
    model.fit(X, verbose=0)
    model.critic = critic()
    with pytest.raises(ValueError, match="call `compile` once more after a part, such as its prior, is exchanged"):
        model.fit(X, verbose=0)


def test_a_nan_in_a_batch_stays_in_no_weight_of_the_critic():
    model, x = make(), X.copy()
    model.compile("adam", skip_threshold=float("inf"))
    x[11] = np.nan
    with pytest.warns(UserWarning, match="The loss is NaN or infinite"):
        history = model.fit(tf.data.Dataset.from_tensor_slices(x).batch(8), verbose=0).history
    assert history["skipped"] == [pytest.approx(1 / 3)]
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_step_may_report_a_plain_number():
    class Mine(zoo.FactorVAE):
        term_names = (*zoo.FactorVAE.term_names, "b")

        def after_step(self, terms):
            return {**super().after_step(terms), "b": 0.5}

    model = Mine(*by_hand.networks(), critic=critic(), seed=3)
    model.compile("sgd")
    assert model.fit(X, verbose=0).history["b"] == [0.5]


def test_weights_of_examples_leave_the_critics_loss_alone():
    model = make()
    history = model.fit(X, sample_weight=np.ones(len(X), np.float32), verbose=0).history
    expected = make().fit(X, verbose=0).history
    for name in ("loss", "critic_loss", "total_correlation"):
        assert history[name] == pytest.approx(expected[name], rel=1e-5)


def test_the_critics_loss_is_the_cross_entropy_between_z_and_its_columns_permuted():
    model = make()
    z = np.random.default_rng(0).normal(size=(50, by_hand.LATENTS)).astype("float32")
    other, loss = permuted(model, z)
    np.testing.assert_array_equal(np.sort(other, axis=0), np.sort(z, axis=0))
    orders = [[int(np.flatnonzero(z[:, j] == value)[0]) for value in other[:, j]] for j in range(by_hand.LATENTS)]
    assert all(a != b for a, b in zip(orders, orders[1:])) and all(each != list(range(50)) for each in orders)

    def log_sigmoid(x):
        return -np.log1p(np.exp(-x))

    expected = -0.5 * np.mean(log_sigmoid(by_critic(model, z))) - 0.5 * np.mean(log_sigmoid(-by_critic(model, other)))
    assert loss == pytest.approx(expected, rel=1e-5)
    again, _ = permuted(model, z)
    assert np.any(again != other)


def test_a_critic_that_knows_nothing_has_the_loss_log_2_and_adds_nothing_to_that_of_the_model():
    model = make()
    for weight in model.critic.weights:
        weight.assign(tf.zeros(weight.shape))
    terms = model.compute_terms(X, training=True)
    assert float(model.critic_loss(terms)) == pytest.approx(np.log(2), rel=1e-6)
    np.testing.assert_allclose(terms["loss"], -terms["elbo"], rtol=1e-6)


def test_each_optimizer_moves_its_own_weights_alone():
    model = make()
    assert not {id(weight) for weight in model.trainable_weights} & {id(weight) for weight in model.critic.weights}

    def state():
        return model.get_weights(), model.critic.get_weights()

    def others(weights):
        own = {id(weight) for weight in model.critic.weights}
        pairs = zip(model.weights, weights, strict=True)
        return [value for weight, value in pairs if id(weight) not in own and weight.trainable]

    def equal(one, other):
        return [np.array_equal(a, b) for a, b in zip(one, other, strict=True)]

    model.critic_optimizer.learning_rate.assign(0.0)
    before, critic_before = state()
    model.fit(X, verbose=0)
    after, critic_after = state()
    assert all(equal(critic_before, critic_after)) and not any(equal(others(before), others(after)))
    model.critic_optimizer.learning_rate.assign(0.1)
    model.optimizer.learning_rate.assign(0.0)
    model.fit(X, verbose=0)
    last, critic_last = state()
    assert all(equal(others(after), others(last))) and not any(equal(critic_after, critic_last)[:1])


@pytest.mark.usefixtures("mode")
def test_a_step_is_one_of_both_losses():
    """By plain gradient descent: the model's on the critic as it was, then the critic's on the same z."""
    model, by_itself = (by_hand.fix_noise(make()) for _ in range(2))
    model.compile(keras.optimizers.SGD(0.1), critic_optimizer=keras.optimizers.SGD(0.2))
    history = model.fit(X, batch_size=len(X), shuffle=False, verbose=0).history
    with tf.GradientTape(persistent=True) as tape:
        terms = by_itself.compute_terms(tf.constant(X), training=True)
        loss, critic_loss = tf.reduce_mean(terms["loss"]), by_itself.critic_loss(terms)
    for rate, value, variables in (
        (0.1, loss, by_itself.trainable_variables), (0.2, critic_loss, by_itself.critic.trainable_variables)
    ):  # fmt: skip
        gradients = tape.gradient(value, [each.value for each in variables])
        for variable, gradient in zip(variables, gradients):
            variable.assign_sub(rate * gradient)
    for one, other in zip(model.get_weights(), by_itself.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert history["critic_loss"] == [pytest.approx(float(critic_loss), rel=1e-5)]
    assert history["total_correlation"] == [pytest.approx(np.mean(terms["total_correlation"]), rel=1e-4)]


def test_the_critics_estimate_is_the_total_correlation_of_a_gaussian():
    """Of two latents with correlation ϱ it is −½ log(1 − ϱ²); log q(z) − log Π q(z_j) is a quadratic."""
    correlation = 0.8
    expected = -0.5 * np.log(1 - correlation**2)
    draw = np.random.default_rng(0)
    encoder, decoder = zoo.networks.mlp_encoder((2, 3, 1), 2, ()), zoo.networks.mlp_decoder((2, 3, 1), 2, ())
    model = zoo.FactorVAE(encoder, decoder, critic=zoo.networks.mlp_critic(2, hidden=(32, 32)), seed=0)
    model.compile("adam", critic_optimizer=keras.optimizers.Adam(3e-3))
    model.build_optimizers()
    step = tf.function(lambda z: model.after_step({"z": z})["critic_loss"], autograph=False)

    def sample(number):
        a, b = draw.normal(size=(2, number))
        return np.stack([a, correlation * a + np.sqrt(1 - correlation**2) * b], axis=1).astype("float32")

    losses = [float(step(tf.constant(sample(512)))) for _ in range(500)]
    z = sample(20_000)
    estimate = model.penalty_terms(latents(z))["total_correlation"]
    assert expected == pytest.approx(0.511, abs=1e-3)
    assert float(np.mean(estimate)) == pytest.approx(expected, abs=0.08)
    exact = expected - 0.5 * (
        (z[:, 0] ** 2 - 2 * correlation * z[:, 0] * z[:, 1] + z[:, 1] ** 2) / (1 - correlation**2)
        - np.sum(z**2, axis=1)
    )
    assert np.corrcoef(estimate, exact)[0, 1] > 0.9
    assert np.mean(losses[-50:]) < np.log(2) - 0.1


def latents(z):
    return zoo.models.vae.Latents(z, z, tf.constant(z), tf.zeros_like(z))


def train(model, epochs=2, **kwargs):
    return model.fit(X, batch_size=8, epochs=epochs, shuffle=False, verbose=0, **kwargs).history


def batches(x):
    return tf.data.Dataset.from_tensor_slices(x).batch(8)


def optimizers(model):
    return [each.numpy() for optimizer in model.optimizers() for each in optimizer.variables]


def assert_equal_to_the_bit(model, other):
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(optimizers(model), optimizers(other), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.usefixtures("mode")
def test_a_run_goes_on_to_the_bit_from_a_file(tmp_path):
    model = make()
    train(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (loaded.gamma, loaded.critic_optimizer.beta_1, int(loaded.critic_optimizer.iterations)) == (5.0, 0.5, 6)
    assert_equal_to_the_bit(model, loaded)
    assert train(model) == train(loaded)
    assert_equal_to_the_bit(model, loaded)


def test_a_run_goes_on_to_the_bit_from_a_checkpoint(tmp_path):
    model, other = make(), make()
    other.build_optimizers()
    train(model)
    checkpoints = Checkpoints(tmp_path, {})
    checkpoints.save(model, 6, [])
    assert checkpoints.restore(other) == (6, [])
    assert_equal_to_the_bit(model, other)
    assert train(model) == train(other)
    assert_equal_to_the_bit(model, other)


@pytest.mark.usefixtures("mode")
def test_a_checkpoint_that_cannot_be_read_leaves_both_optimizers_as_they_were(tmp_path, monkeypatch, capsys):
    model, other = make(), make()
    train(model)
    train(other, epochs=1)
    before = optimizers(other)
    Checkpoints(tmp_path, {}).save(model, 6, [])
    load = other.load_weights

    def half(path):
        load(path)
        raise OSError("cut short")

    monkeypatch.setattr(other, "load_weights", half)
    assert Checkpoints(tmp_path, {}).restore(other) == (0, [])
    assert "cut short" in capsys.readouterr().err
    for one, two in zip(before, optimizers(other), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.long
def test_two_replicas_end_with_the_weights_of_one():
    x = by_hand.images(21)  # a last batch of 5, in shares of 3 and 2
    found = []
    for strategy in (None, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        model = by_hand.fix_noise(make(strategy))
        history = model.fit(x, batch_size=8, epochs=2, shuffle=False, verbose=0).history
        found.append((model.get_weights(), history))
    for one, two in zip(found[0][0], found[1][0], strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)
    for name, values in found[0][1].items():
        assert found[1][1][name] == pytest.approx(values, rel=1e-4), name


@pytest.mark.slow
def test_a_first_batch_that_replicas_refuse_leaves_both_optimizers_as_they_were():
    model = make(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    model.fit(batches(X), verbose=0)
    before, weights = optimizers(model), model.get_weights()
    bad = X.copy()
    bad[3] = np.nan
    with pytest.raises(ValueError, match="Expected `x` to be finite numbers"):
        model.fit(batches(bad), verbose=0)
    for one, two in zip([*before, *weights], [*optimizers(model), *model.get_weights()], strict=True):
        np.testing.assert_array_equal(one, two)


@keras.saving.register_keras_serializable("tests")
class OwnCritic(keras.Model):
    """A user's critic, which has its weights once it was called."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden, self.out = keras.layers.Dense(units, "relu"), keras.layers.Dense(1)

    def call(self, z):
        return self.out(self.hidden(z))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@pytest.mark.usefixtures("mode")
def test_a_critic_of_the_users_own_trains_and_is_saved(tmp_path):
    model = zoo.FactorVAE(*by_hand.networks(), critic=OwnCritic(7), seed=3)
    before = model.critic.get_weights()
    model.compile("adam")
    assert float(model.critic_optimizer.learning_rate) == pytest.approx(1e-4)
    train(model)
    assert len(before) == 4 and np.any(before[0] != model.critic.get_weights()[0])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.critic.units == 7
    assert train(model) == train(loaded)
    assert_equal_to_the_bit(model, loaded)


class OwnEncoder(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = keras.layers.Dense(2 * by_hand.LATENTS)

    def call(self, x):
        return self.out(keras.layers.Flatten()(x))


@pytest.mark.usefixtures("mode")
def test_an_encoder_that_is_built_by_its_first_call_needs_a_critic():
    _, decoder = by_hand.networks()
    with pytest.raises(ValueError, match=r"Expected `critic` to be a layer from \[B,D\] to \[B,1\], as the encoder"):
        zoo.FactorVAE(OwnEncoder(), decoder)
    model = zoo.FactorVAE(OwnEncoder(), decoder, critic=OwnCritic(7))
    model.compile("adam")
    assert np.all(np.isfinite(train(model)["critic_loss"])) and len(model.critic.weights) == 4


def test_a_critic_of_another_output_or_kind_is_refused():
    wide = keras.Sequential([keras.Input((by_hand.LATENTS,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"Expected the critic to give \[B, 1\]. Received: .*\(None, 2\)"):
        zoo.FactorVAE(*by_hand.networks(), critic=wide)
    with pytest.raises(ValueError, match="Expected `critic` to be a keras layer"):
        zoo.FactorVAE(*by_hand.networks(), critic=lambda z: z)
    with pytest.raises(ValueError, match="Expected `gamma` to be a finite number >= 0. Received: gamma=-1"):
        zoo.FactorVAE(*by_hand.networks(), gamma=-1.0)
    with pytest.raises(ValueError, match="Expected `loss` to be None, as FactorVAE"):
        make().compile("adam", "mse")


@pytest.mark.slow
def test_it_trains_by_xla_and_under_float16():
    model = make()
    model.compile("adam", jit_compile=True)
    assert np.all(np.isfinite(train(model)["critic_loss"]))
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        history = train(make())
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert np.all(np.isfinite([history["loss"], history["critic_loss"]]))
