"""The reparameterised draw: its moments, its seed, its gradient, and its noise on two replicas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.layers import Sampling

ZEROS = tf.zeros((4, 3))


def test_draws_have_the_mean_and_the_variance_they_are_given():
    n = 100_000
    mean, var = np.array([[1.0, -2.0]], "float32"), np.array([[4.0, 0.25]], "float32")
    z = Sampling(seed=0)(np.repeat(mean, n, axis=0), np.repeat(np.log(var), n, axis=0)).numpy()
    assert (np.abs(z.mean(axis=0) - mean) < 4 * np.sqrt(var / n)).all()
    assert (np.abs(z.var(axis=0) - var) < 4 * var * np.sqrt(2 / n)).all()


def test_gradient_is_one_by_the_mean_and_half_sigma_epsilon_by_the_log_variance():
    mean, log_var = tf.constant([[0.5, -1.0, 2.0]]), tf.constant([[0.0, 1.5, -3.0]])
    with tf.GradientTape() as tape:
        tape.watch([mean, log_var])
        z = Sampling(seed=0)(mean, log_var)
    by_mean, by_log_var = tape.gradient(z, [mean, log_var])
    np.testing.assert_array_equal(by_mean, np.ones((1, 3)))
    # sigma · epsilon is z − mean.
    np.testing.assert_allclose(by_log_var, 0.5 * (z - mean), rtol=1e-5, atol=1e-6)
    assert np.abs(by_log_var).min() > 1e-4


@pytest.mark.parametrize("seed", [0, -5, 2**31, 2**32 - 1])
def test_one_seed_gives_one_sequence_of_draws_that_differ(seed):
    first, second = Sampling(seed=seed), Sampling(seed=seed)
    a = [first(ZEROS, ZEROS).numpy() for _ in range(3)]
    b = [second(ZEROS, ZEROS).numpy() for _ in range(3)]
    np.testing.assert_array_equal(a, b)
    assert len(np.unique(a)) == 3 * 4 * 3


def test_other_seeds_give_other_draws():
    assert not np.allclose(Sampling(seed=0)(ZEROS, ZEROS), Sampling(seed=1)(ZEROS, ZEROS))
    assert not np.allclose(Sampling()(ZEROS, ZEROS), Sampling()(ZEROS, ZEROS))


def test_every_draw_is_counted_also_in_a_graph():
    layer = Sampling(seed=0)
    compiled = tf.function(lambda: layer(ZEROS, ZEROS), autograph=False)
    draws = [compiled().numpy(), compiled().numpy(), layer(ZEROS, ZEROS).numpy()]
    assert int(layer.draws) == 3
    assert len(np.unique(draws)) == 3 * 4 * 3


def test_the_sequence_goes_on_where_the_counter_stands():
    layer, resumed = Sampling(seed=7), Sampling(seed=7)
    draws = [layer(ZEROS, ZEROS).numpy() for _ in range(3)]
    resumed.draws.assign(2)
    np.testing.assert_array_equal(resumed(ZEROS, ZEROS), draws[2])


def test_a_saved_model_goes_on_with_the_draws_of_the_one_that_was_saved(tmp_path):
    mean, log_var = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([mean, log_var], Sampling(seed=3, name="sampling")(mean, log_var))
    model([ZEROS, ZEROS])
    made = int(model.get_layer("sampling").draws)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert made >= 1 and int(loaded.get_layer("sampling").draws) == made
    np.testing.assert_array_equal(loaded([ZEROS, ZEROS]), model([ZEROS, ZEROS]))


def test_config_keeps_the_seed():
    config = Sampling(seed=11, name="noise").get_config()
    assert config["seed"] == 11 and config["name"] == "noise"
    assert Sampling.from_config(config).seed == 11
    assert Sampling.from_config(Sampling().get_config()).seed is None


def test_draws_are_float32_under_mixed_precision():
    z = Sampling(seed=0, dtype="mixed_float16")(tf.cast(ZEROS, "float16"), tf.cast(ZEROS, "float16"))
    assert z.dtype == tf.float32


def test_replicas_never_share_their_noise():
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = Sampling(seed=0)
    run = tf.function(lambda: strategy.run(layer, (ZEROS, ZEROS)), autograph=False)
    draws = [strategy.experimental_local_results(run()) for _ in range(2)]
    assert [len(pair) for pair in draws] == [2, 2]
    assert len(np.unique(draws)) == 4 * 4 * 3
    assert [int(value) for value in strategy.experimental_local_results(layer.draws.value)] == [2, 2]
