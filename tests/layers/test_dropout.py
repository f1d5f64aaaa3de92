import numpy as np
import pytest
import tensorflow as tf

from zoo.layers.dropout import Dropout


def test_the_share_dropped_is_the_rate_and_the_mean_stays():
    dropped = Dropout(0.25, seed=0)(tf.ones((100, 100)), training=True).numpy()
    assert np.mean(dropped == 0) == pytest.approx(0.25, abs=0.02)
    np.testing.assert_allclose(np.unique(dropped), [0, 4 / 3], rtol=1e-6)


def test_without_training_or_rate_nothing_is_dropped_nor_drawn():
    x = tf.ones((4, 4))
    for layer, training in ((Dropout(0.5, seed=0), False), (Dropout(0.0, seed=0), True)):
        np.testing.assert_array_equal(layer(x, training=training), x)
        assert int(layer.draws) == 0


def test_masks_differ_between_draws_and_replicas_and_repeat_with_the_seed():
    x = tf.ones((8, 8))
    one, two = Dropout(0.5, seed=3), Dropout(0.5, seed=3)
    first, second = one(x, training=True), one(x, training=True)
    assert np.any(first != second)
    np.testing.assert_array_equal(two(x, training=True), first)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        spread = Dropout(0.5, seed=3)
    masks = strategy.experimental_local_results(
        strategy.run(tf.function(lambda: spread(x, training=True), autograph=False))
    )
    assert np.any(masks[0] != masks[1])


def test_config_and_errors():
    layer = Dropout.from_config(Dropout(0.5, seed=3).get_config())
    assert (layer.rate, layer.seed) == (0.5, 3)
    with pytest.raises(ValueError, match="Expected `rate` to be a finite number >= 0 and < 1. Received: rate=1.0"):
        Dropout(1.0)
