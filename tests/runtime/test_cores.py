import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import networks
from zoo.runtime import cores


@pytest.mark.parametrize("number", (1, 2, 3, 4))
@pytest.mark.parametrize("rows", (1, 2, 3, 7, 8))
def test_spread_gives_each_row_what_the_function_gives_it(number, rows):
    x = tf.reshape(tf.range(2.0 * rows), (rows, 2))
    labels = tf.range(rows)
    sizes = []

    def function(values, nothing):
        assert nothing is None
        sizes.append(int(tf.shape(values["x"])[0]))
        return [values["x"] * 2.0, {"sum": tf.reduce_sum(values["x"], axis=1) + tf.cast(values["labels"], tf.float32)}]

    with cores.sub_batches(number):
        doubled, sums = cores.spread(function, {"x": x, "labels": labels}, None)
    np.testing.assert_array_equal(doubled, 2 * x.numpy())
    np.testing.assert_array_equal(sums["sum"], x.numpy().sum(1) + np.arange(rows))
    assert len(sizes) == number and sum(sizes) == max(rows, number) and max(sizes) - min(sizes) <= 1


def test_spread_in_a_graph_of_any_batch_has_the_gradient_of_the_whole():
    w = tf.Variable([[1.0, 2.0], [3.0, 4.0]])

    @tf.function(input_signature=[tf.TensorSpec((None, 2))])
    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(cores.spread(lambda x: tf.square(x @ w), x))
        return tape.gradient(total, [x, w])

    with cores.sub_batches(4):
        for rows in (1, 3, 9):
            x = np.random.default_rng(rows).normal(size=(rows, 2)).astype(np.float32)
            by_x, by_w = gradients(x)
            output = x @ w.numpy()  # d Σ (xw)² = 2 (xw) wᵀ dx = 2 xᵀ (xw) dw
            np.testing.assert_allclose(by_x, 2 * output @ w.numpy().T, rtol=1e-5)
            np.testing.assert_allclose(by_w, 2 * x.T @ output, rtol=1e-5)


def test_parts_end_with_their_block_and_may_be_nested():
    calls = []

    def number():
        calls.clear()
        cores.spread(lambda x: calls.append(0) or x, tf.zeros((8, 1)))
        return len(calls)

    with pytest.raises(KeyError), cores.sub_batches(3):
        with cores.sub_batches(1):
            assert number() == 1
        assert number() == 3
        raise KeyError
    assert number() == 1


@pytest.mark.parametrize("number", (1, 2))
def test_together_waits_for_all_where_there_are_parts(number):
    def waits_for(tensor):
        """The names of all that must run before `tensor` is there."""
        names, left = set(), [tensor.op]
        while left:
            op = left.pop()
            names.add(op.name)
            left += [*op.control_inputs, *(value.op for value in op.inputs)]
        return names

    found = []

    @tf.function
    def function(x):
        first, nothing, second = cores.together([tf.add(x, 1.0, name="first"), None, tf.add(x, 2.0, name="second")])
        assert nothing is None
        found.extend({"first", "second"} & waits_for(value) for value in (first, second))
        return first, second

    with cores.sub_batches(number):
        first, second = function(tf.constant(3.0))
    assert (float(first), float(second)) == (4.0, 5.0)
    assert found == ([{"first"}, {"second"}] if number == 1 else [{"first", "second"}] * 2)


def test_each_replica_has_parts_of_its_own():
    """Replicas are traced by turns: where one waits for the other within a part, that one has yet to begin its own."""
    rows = []

    def function(x):
        rows.append(x.shape[0])
        return x + tf.distribute.get_replica_context().all_reduce("sum", tf.reduce_sum(x))

    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with cores.sub_batches(2):
        results = strategy.run(lambda: cores.spread(function, tf.constant([[1.0], [2.0]])))
    assert rows == [1, 1, 1, 1]
    for result in strategy.experimental_local_results(results):
        np.testing.assert_array_equal(result, [[1.0 + 2.0], [2.0 + 4.0]])


def test_parts_are_a_positive_number():
    message = "Expected `number` to be an integer >= 1. Received: number=0"
    with pytest.raises(ValueError, match=message), cores.sub_batches(0):
        pass


def test_contexts_that_end_in_another_order_leave_nothing_behind():
    """As those of two threads may."""
    first, second = cores.sub_batches(2), cores.sub_batches(3)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert cores.number() == 3
    second.__exit__(None, None, None)
    assert cores.number() == 1


def test_a_part_for_each_core_where_it_has_images_enough(monkeypatch):
    monkeypatch.setattr(cores, "available", lambda: 4)
    assert [cores.sub_batches_for(size) for size in (31, 32, 1000)] == [1, 4, 4]
    monkeypatch.setattr(cores, "available", lambda: 1)
    assert cores.sub_batches_for(1000) == 1


@pytest.mark.long
def test_each_part_has_a_thread_where_tensorflow_has_not_begun():
    script = """
import tensorflow as tf
from zoo.runtime import cores
get = tf.config.threading
with cores.sub_batches(1):
    print(get.get_intra_op_parallelism_threads(), get.get_inter_op_parallelism_threads())
with cores.sub_batches(3):
    print(get.get_intra_op_parallelism_threads(), get.get_inter_op_parallelism_threads())
tf.zeros(())
with cores.sub_batches(2):
    print(get.get_intra_op_parallelism_threads(), get.get_inter_op_parallelism_threads())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "0", "1", "3", "1", "3"]


def test_batch_normalisation_sees_the_whole_batch_in_training():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Flatten(), keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(6)]
    encoder = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    model = zoo.VAE(encoder, networks.mlp_decoder((8, 8, 1), 3, hidden=(4,)), seed=0)
    x = np.random.default_rng(0).random((8, 8, 8, 1), np.float32)
    expected = model.posterior(x, training=True)
    with cores.sub_batches(2):
        np.testing.assert_allclose(model.posterior(x, training=True), expected, rtol=1e-5)
        outside = model.posterior(x, training=False)
    np.testing.assert_allclose(outside, model.posterior(x, training=False), rtol=1e-5)


def test_a_scale_that_follows_the_batch_sees_all_of_it_in_training():
    x = tf.constant(np.random.default_rng(0).uniform(size=(8, 4)) * np.arange(1, 9)[:, None] / 8, tf.float32)

    def terms(parts):
        keras.utils.set_random_seed(0)
        encoder, decoder = networks.mlp_encoder((4,), 2, ()), networks.mlp_decoder((4,), 2, ())
        model = zoo.VAE(encoder, decoder, zoo.likelihoods.Gaussian("optimal"), seed=0)
        model.sampling.noise = lambda shape: tf.fill(shape, 0.7)
        with cores.sub_batches(parts):
            reconstruction = model.compute_terms(x, training=True)["reconstruction"]
        return reconstruction, model.likelihood.log_var.numpy()

    for one, other in zip(terms(1), terms(2)):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_what_is_exported_is_in_one_part(tmp_path):
    model = zoo.VAE(networks.mlp_encoder((8, 8, 1), 3, (4,)), networks.mlp_decoder((8, 8, 1), 3, (4,)), seed=0)
    with cores.sub_batches(2):
        path = model.export(tmp_path / "model")
    library = tf.saved_model.load(path).signatures["encode"].graph.as_graph_def().library
    operations = {node.op for function in library.function for node in function.node_def}
    assert "MatMul" in operations and "SplitV" not in operations
