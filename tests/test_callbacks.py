"""Schedules: their values by hand, and what `fit` does with them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.callbacks import GECO, CapacityWarmup, KLWarmup
from zoo.training.monitors import GoOnWithMetrics

IMAGES = np.random.default_rng(0).uniform(size=(20, 4, 4, 1)).astype("float32")  # five batches of four


def make(cls=zoo.VAE, **kwargs):
    encoder = zoo.networks.mlp_encoder((4, 4, 1), 2, hidden=())
    decoder = zoo.networks.mlp_decoder((4, 4, 1), 2, hidden=())
    model = cls(encoder, decoder, seed=0, **kwargs)
    model.compile("sgd")
    return model


class Seen(keras.callbacks.Callback):
    """The weight in force in each step, as the model has it."""

    def __init__(self, name):
        super().__init__()
        self.name, self.values = name, []

    def on_train_batch_begin(self, batch, logs=None):
        self.values.append(float(getattr(self.model, self.name)))


def fit(model, *callbacks, epochs=1, **kwargs):
    return model.fit(IMAGES, batch_size=4, verbose=0, epochs=epochs, callbacks=list(callbacks), **kwargs).history


# Values.


@pytest.mark.parametrize(("step", "weight"), [(0, 0.0), (1, 0.1), (5, 0.5), (9, 0.9), (10, 1.0), (1000, 1.0)])
def test_linear_warmup_by_hand(step, weight):
    np.testing.assert_allclose(KLWarmup(10).value(step), weight, atol=1e-12)


@pytest.mark.parametrize(("step", "weight"), [(0, 0.2), (5, 0.6), (10, 1.0)])
def test_warmup_starts_where_it_is_told(step, weight):
    np.testing.assert_allclose(KLWarmup(10, start=0.2).value(step), weight)


def test_cyclical_warmup_rises_for_its_share_of_each_cycle_and_stays_for_the_rest():
    schedule = KLWarmup(20, cycles=2, ratio=0.5)  # cycles of ten steps, the first five of them rising
    cycle = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0]
    values = [schedule.value(step) for step in range(24)]
    np.testing.assert_allclose(values, cycle + cycle + [1.0] * 4, atol=1e-12)


def test_cycles_need_not_divide_the_steps():
    schedule = KLWarmup(10, start=0.5, cycles=4)  # cycles of 2.5 steps
    values = [schedule.value(step) for step in range(5)]
    np.testing.assert_allclose(values, [0.5, 0.7, 0.9, 0.6, 0.8])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("steps", {"steps": 0}),
        ("start", {"steps": 5, "start": 1.5}),
        ("cycles", {"steps": 5, "cycles": 0}),
        ("ratio", {"steps": 5, "ratio": 0.0}),
        ("ratio", {"steps": 5, "ratio": 1.5}),
    ],
)
def test_kl_warmup_refuses_arguments_out_of_range(name, arguments):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be .* Received: {name}={arguments[name]}"):
        KLWarmup(**arguments)


@pytest.mark.parametrize("arguments", [{"steps": -1}, {"steps": 5, "start": -0.5}])
def test_capacity_warmup_refuses_arguments_out_of_range(arguments):
    with pytest.raises(ValueError, match="Expected `st(eps|art)` to be "):
        CapacityWarmup(**arguments)


# In training.


def test_fit_runs_each_step_under_the_weight_of_its_number_and_logs_the_one_in_force():
    model, seen = make(), Seen("kl_weight")
    history = fit(model, KLWarmup(8), seen, epochs=2)
    np.testing.assert_allclose(seen.values, [0, 1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 7 / 8, 1, 1], rtol=1e-6)
    assert len(history["kl_weight"]) == 2
    np.testing.assert_allclose(history["kl_weight"][-1], float(model.kl_weight), rtol=1e-6)


def test_the_logged_weight_is_the_one_that_the_model_has_at_the_end_of_the_epoch():
    model = make()
    history = fit(model, KLWarmup(100))
    np.testing.assert_allclose(history["kl_weight"], [float(model.kl_weight)], rtol=1e-6)


def test_a_resumed_run_goes_on_with_the_steps_of_the_optimizer():
    model, seen = make(), Seen("kl_weight")
    fit(model, KLWarmup(10))
    assert int(model.optimizer.iterations) == 5
    fit(model, KLWarmup(10), seen)
    np.testing.assert_allclose(seen.values, [0.5, 0.6, 0.7, 0.8, 0.9], rtol=1e-6)


def test_capacity_rises_to_that_of_the_model():
    model, seen = make(zoo.BetaVAE, capacity=4.0), Seen("capacity_in_force")
    history = fit(model, CapacityWarmup(4, start=2.0), seen)
    np.testing.assert_allclose(seen.values, [2.0, 2.5, 3.0, 3.5, 4.0], rtol=1e-6)
    np.testing.assert_allclose(history["capacity"], [4.0], rtol=1e-6)
    assert model.capacity == 4.0


def test_a_capacity_may_start_where_it_ends_and_not_beyond():
    model = make(zoo.BetaVAE, capacity=2.0)
    assert fit(model, CapacityWarmup(4, start=2.0))["capacity"] == [2.0]
    with pytest.raises(ValueError, match="Expected `start` to be at most the capacity of the model, 2"):
        fit(model, CapacityWarmup(4, start=2.5))


@pytest.mark.parametrize("cls", [zoo.VAE, zoo.BetaVAE])
def test_a_model_without_a_capacity_is_refused(cls):
    with pytest.raises(ValueError, match="Expected a zoo.BetaVAE with a capacity. Received: "):
        fit(make(cls), CapacityWarmup(5))


def test_the_weight_moves_once_an_execution_where_steps_are_bundled():
    model, seen = make(), Seen("kl_weight")
    model.compile("sgd", steps_per_execution=2)
    fit(model, KLWarmup(10), seen)
    np.testing.assert_allclose(seen.values, [0.0, 0.2, 0.4], rtol=1e-6)


def test_schedules_run_on_two_replicas():
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = make()
    history = fit(model, KLWarmup(4))
    assert history["kl_weight"] == [1.0]
    assert [float(value) for value in model.distribute_strategy.experimental_local_results(model.kl_weight.value)] == [
        1.0
    ] * 2


# In the objective.


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_elbo_is_the_same_whatever_the_weight_and_the_loss_pays_it(weight):
    model = make()
    plain = model.compute_terms(tf.constant(IMAGES))
    model.kl_weight.assign(weight)
    model.sampling.draws.assign(0)
    terms = model.compute_terms(tf.constant(IMAGES))
    np.testing.assert_array_equal(terms["elbo"], plain["elbo"])
    np.testing.assert_allclose(terms["elbo"], -(terms["reconstruction"] + terms["kl"]), rtol=1e-6)
    np.testing.assert_allclose(terms["loss"], terms["reconstruction"] + weight * terms["kl"], rtol=1e-6)
    assert float(tf.reduce_min(terms["kl"])) > 1e-3


def test_elbo_is_the_same_whatever_the_capacity_and_the_loss_pays_the_distance_to_it():
    model = make(zoo.BetaVAE, capacity=3.0, gamma=10.0)
    plain = model.compute_terms(tf.constant(IMAGES))
    model.capacity_in_force.assign(0.01)
    model.sampling.draws.assign(0)
    terms = model.compute_terms(tf.constant(IMAGES))
    np.testing.assert_array_equal(terms["elbo"], plain["elbo"])
    expected = terms["reconstruction"] + 10.0 * np.abs(terms["kl"] - 0.01)
    np.testing.assert_allclose(terms["loss"], expected, rtol=1e-5)


def test_a_warm_up_without_steps_counts_updates_where_gradients_accumulate():
    model = make_for_geco()
    model.compile(keras.optimizers.Adam(1e-3, gradient_accumulation_steps=4))
    history = model.fit(to_learn(), batch_size=8, epochs=6, verbose=0, callbacks=[KLWarmup()]).history  # 48 batches
    assert history["kl_weight"][0] < 1.0 and history["kl_weight"][-1] == 1.0


# GECO.


def to_learn(number=64):
    """Images of two kinds, with noise, so that reconstructing them costs a rate that can be chosen."""
    draw = np.random.default_rng(0)
    kinds = np.repeat([0.1, 0.9], number // 2)[:, None, None, None]
    return np.clip(kinds + draw.normal(0, 0.1, (number, 4, 4, 1)), 0, 1).astype("float32")


def make_for_geco(rate=1e-2, strategy=None, **kwargs):
    keras.utils.set_random_seed(0)
    with (strategy or tf.distribute.get_strategy()).scope():
        encoder = zoo.networks.mlp_encoder((4, 4, 1), 2, hidden=(16,))
        decoder = zoo.networks.mlp_decoder((4, 4, 1), 2, hidden=(16,))
        model = zoo.VAE(encoder, decoder, zoo.likelihoods.Gaussian(0.1), seed=0)
        model.compile(keras.optimizers.Adam(rate), **kwargs)
    return model


def fit_geco(model, *callbacks, epochs=1, x=None, **kwargs):
    x = to_learn() if x is None else x
    return model.fit(
        x, batch_size=16, verbose=0, epochs=epochs, callbacks=list(callbacks), shuffle=False, **kwargs
    ).history


def test_geco_tells_of_a_training_that_ended_in_its_warm_up():
    with pytest.warns(UserWarning, match="GECO has not moved kl_weight yet: 8 steps are taken, and warmup=500"):
        fit_geco(make_for_geco(), GECO(2.0, "kl"), epochs=2)


@pytest.mark.parametrize(
    ("term", "target", "scale", "reached"),
    [pytest.param("kl", 1.0, 1.0, 0.2, marks=pytest.mark.slow), ("reconstruction", -10.0, 3.0, 2.0)],
)
def test_geco_meets_a_target_that_can_be_reached(term, target, scale, reached):
    """Without it both terms end further from it, at some 2.3 and −16 nats."""
    x = np.tile(to_learn(), (16, 1, 1, 1))
    model = make_for_geco()
    history = fit_geco(model, GECO(target, term, step=0.02, scale=scale, warmup=100), epochs=10, x=x)
    assert np.mean(history[term][-3:]) == pytest.approx(target, abs=reached)
    assert history["kl_weight"][-1] == pytest.approx(float(model.kl_weight)) and history["kl_weight"][-1] > 2.0


def test_geco_moves_the_weight_by_each_steps_mean_once_the_warmup_is_over():
    """The learning rate is 0 and the noise the same, so that a step's term is what the model gives for its batch."""
    for term, sign in (("kl", 1.0), ("reconstruction", -1.0)):
        model, seen = make_for_geco(rate=0.0), Seen("kl_weight")
        model.sampling.noise = lambda shape: tf.fill(shape, 0.7)
        x = to_learn()
        means = [np.mean(model.compute_terms(tf.constant(x[i : i + 16]))[term]) for i in range(0, 64, 16)]
        fit_geco(model, GECO(2.0, term, step=0.1, scale=50.0, warmup=2), seen, epochs=2)
        logs = np.concatenate([[0.0, 0.0, 0.0], np.cumsum(sign * 0.1 * (np.array(means * 2)[2:] - 2.0) / 50.0)])
        np.testing.assert_allclose(np.log(seen.values), logs[:8], rtol=1e-4, atol=1e-6)
        assert np.log(float(model.kl_weight)) == pytest.approx(logs[8], rel=1e-4)


def test_geco_scales_by_the_target_unless_it_is_small():
    assert (GECO(20.0).scale, GECO(-20.0).scale, GECO(0.5).scale, GECO(20.0, scale=3.0).scale) == (20.0, 20.0, 1.0, 3.0)


def test_geco_warns_of_a_target_that_cannot_be_reached():
    model = make_for_geco()
    with pytest.warns(
        UserWarning, match="GECO's target of -1000 nats for reconstruction was not reached: .*bound, 0.607"
    ) as caught:
        history = fit_geco(model, GECO(-1000.0, step=1.0, warmup=0, bound=0.5))
    assert f"it is {history['reconstruction'][-1]:.4g} nats in the last epoch" in str(caught[0].message)
    assert float(model.kl_weight) == pytest.approx(np.exp(-0.5))
    with pytest.warns(UserWarning, match="target of 1000 nats for kl was not reached"):
        fit_geco(make_for_geco(), GECO(1000.0, "kl", step=1.0, warmup=0, bound=0.5))


@pytest.mark.filterwarnings("error::UserWarning")
def test_geco_says_nothing_of_a_target_that_was_reached():
    fit_geco(make_for_geco(), GECO(5.0, warmup=0))


def test_geco_moves_once_an_execution_by_as_many_steps():
    weights = []
    for steps in (1, 4):
        model = make_for_geco(rate=0.0, steps_per_execution=steps)
        model.sampling.noise = lambda shape: tf.fill(shape, 0.7)
        seen = Seen("kl_weight")
        fit_geco(model, GECO(2.0, "kl", step=0.1, warmup=0), seen, epochs=2)
        weights.append(float(model.kl_weight))
    assert len(seen.values) == 2 and weights[0] == pytest.approx(weights[1], rel=1e-5) and weights[0] != 1.0


def test_geco_goes_on_within_an_epoch_as_if_it_had_never_stopped():
    def geco():
        return GECO(2.0, "kl", step=0.1, warmup=1)

    x, whole, stopped = to_learn(), make_for_geco(), make_for_geco()
    history = fit_geco(whole, geco(), epochs=2)
    fit_geco(stopped, geco(), x=x[:32])  # two of four steps; the metrics hold what they were
    rest = fit_geco(stopped, GoOnWithMetrics(stopped), geco(), x=x[32:])
    last = fit_geco(stopped, geco())
    for name in ("kl", "kl_weight", "loss"):
        assert [rest[name][0], last[name][0]] == history[name], name


def test_geco_goes_on_to_the_bit_with_a_model_that_was_saved_and_loaded(tmp_path):
    def geco():
        return GECO(2.0, "kl", step=0.1, warmup=1)

    whole, stopped = make_for_geco(), make_for_geco()
    fit_geco(whole, geco(), epochs=2)
    fit_geco(stopped, geco())
    stopped.save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    assert float(resumed.kl_weight) == float(stopped.kl_weight) != 1.0
    fit_geco(resumed, geco())
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_geco_runs_on_two_replicas_as_on_one():
    weights = []
    for strategy in (None, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        model = make_for_geco(strategy=strategy)
        model.sampling.noise = lambda shape: tf.fill(shape, 0.7)
        fit_geco(model, GECO(2.0, "kl", step=0.1, warmup=0), epochs=2)
        values = model.distribute_strategy.experimental_local_results(model.kl_weight.value)
        weights.append([float(value) for value in values])
    assert weights[1] == [pytest.approx(weights[0][0], rel=1e-4)] * 2 and weights[0][0] != 1.0


def test_geco_leaves_the_weight_where_it_was_after_a_step_that_is_no_number():
    model = make_for_geco()
    geco = GECO(2.0, "kl", warmup=0)
    geco.set_model(model)
    geco.on_train_batch_begin(0)
    model.optimizer.iterations.assign_add(1)
    model.trackers["kl"].update_state([np.nan])
    geco.on_train_batch_end(0)
    assert float(model.kl_weight) == 1.0


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("target", {"target": np.nan}),
        ("term", {"target": 1.0, "term": "elbo"}),
        ("step", {"target": 1.0, "step": 0.0}),
        ("scale", {"target": 1.0, "scale": 0.0}),
        ("warmup", {"target": 1.0, "warmup": -1}),
        ("bound", {"target": 1.0, "bound": 0.0}),
    ],
)
def test_geco_refuses_arguments_out_of_range(name, arguments):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be .* Received: {name}="):
        GECO(**arguments)


def test_geco_refuses_a_model_without_a_weight_of_the_kl():
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="Expected a model with a `kl_weight`"):
        model.fit(IMAGES, IMAGES, verbose=0, callbacks=[GECO(1.0)])


def test_a_warmup_ends_at_the_weight_that_is_automatic():
    model = make(kl_weight="auto")
    history = fit(model, KLWarmup(4))
    assert history["kl_weight"][-1] == float(model.kl_weight) == 1.0


def test_a_weight_that_is_automatic_is_left_alone_by_geco():
    model = make(kl_weight="auto")
    expected = "Expected `kl_weight` to be None in a model whose weight a callback changes. Received: kl_weight='auto'"
    with pytest.raises(ValueError, match=expected):
        fit(model, GECO(1.0))
    assert int(model.optimizer.iterations) == 0 and float(model.kl_weight) == 1.0


def test_two_callbacks_that_set_one_weight_are_refused():
    for both in ((KLWarmup(4), KLWarmup(8)), (GECO(40.0), KLWarmup(4))):
        with pytest.raises(ValueError, match="Expected `callbacks` to be at most one that sets kl_weight. Received: "):
            fit(make(), *both)
    model = make(zoo.BetaVAE, capacity=2.0)
    assert set(fit(model, KLWarmup(4), CapacityWarmup(4))) >= {"kl_weight", "capacity"}


def test_schedules_count_updates_where_gradients_are_accumulated():
    model = make()
    model.compile(keras.optimizers.SGD(0.01, gradient_accumulation_steps=2))
    seen = Seen("kl_weight")
    fit(model, KLWarmup(4), seen, epochs=2)  # ten batches are five updates
    assert seen.values == pytest.approx([0.0, 0.0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1.0, 1.0])
    model = make()
    model.compile(keras.optimizers.Adam(gradient_accumulation_steps=2))
    assert "kl_weight" in fit(model, GECO(10.0, warmup=1), epochs=2)


def test_a_later_fit_plans_by_the_updates_that_it_is_asked_for():
    model, seen = make(), Seen("kl_weight")
    model.compile(keras.optimizers.SGD(0.01, gradient_accumulation_steps=2))
    fit(model, KLWarmup(100))
    fit(model, KLWarmup(), seen, epochs=4)  # ten updates, after two
    assert seen.values[0] == pytest.approx(2 / 3)


def test_the_updates_that_are_left_are_those_of_the_epochs_that_are_left():
    """Six of thirty epochs of five batches are fifteen updates of two batches, of which a third is five."""
    model, seen = make(), Seen("kl_weight")
    model.compile(keras.optimizers.SGD(0.01, gradient_accumulation_steps=2))
    fit(model, KLWarmup(), seen, epochs=30, initial_epoch=24)
    np.testing.assert_allclose(seen.values[::2], [*np.arange(0.0, 1.0, 0.2), *np.ones(10)])


def test_a_third_of_the_steps_is_of_those_that_are_left():
    """Of a training that begins at a later epoch with a new optimizer, and of one that resumes at it."""
    begun = make()
    fit(begun, KLWarmup(), epochs=30, initial_epoch=27)
    assert float(begun.kl_weight) == 1.0
    seen, whole = Seen("kl_weight"), Seen("kl_weight")
    fit(make(), KLWarmup(), whole, epochs=6)
    stopped = make()
    fit(stopped, KLWarmup(30 // 3), seen, epochs=1)
    fit(stopped, KLWarmup(), seen, epochs=6, initial_epoch=1)
    np.testing.assert_allclose(seen.values, whole.values)


def test_a_weight_that_has_reached_one_goes_through_the_cycles_of_a_later_fit():
    model, seen = make(), Seen("kl_weight")
    fit(model)
    fit(model, KLWarmup(cycles=2), seen, epochs=12)  # sixty steps, of which a third are two cycles
    np.testing.assert_allclose(seen.values[:6], [0.5, 0.6, 0.7, 0.8, 0.9, 0.0], atol=1e-6)


def test_a_fit_that_trains_nothing_says_so(tmp_path):
    """BackupAndRestore leaves the epoch that it restored with the model."""
    model = make()
    model._initial_epoch = 2
    with pytest.warns(UserWarning, match="No epoch was trained, as an earlier training has counted them already"):
        fit(model, epochs=2)
    model._initial_epoch = None
    fit(model, epochs=2, initial_epoch=2)  # asked for
