"""Keras still has the private parts that zoo._compat.keras uses, and the faults that it works around."""

import inspect
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from zoo._compat import keras as keras_compat

PARTS = [
    (keras.Model, "_autoconvert_optionals", ["self", "step_func"]),
    (keras.Model, "_maybe_symbolic_build", ["self", "iterator", "data_batch"]),
    (keras.Model, "_get_metrics_result_or_logs", ["self", "logs"]),
    (keras.layers.Layer, "_flatten_layers", ["self", "include_self", "recursive"]),
    (keras.optimizers.Adam, "_get_variable_index", ["self", "variable"]),
    (keras.optimizers.Adam, "_clip_gradients", ["self", "grads"]),
]


@pytest.mark.parametrize("owner, name, arguments", PARTS, ids=[part[1] for part in PARTS])
def test_private_methods_are_there(owner, name, arguments):
    assert list(inspect.signature(getattr(owner, name)).parameters) == arguments


class Hooked(keras_compat.PrivateHooks):
    """Notes which hooks Keras calls."""

    def __init__(self):
        super().__init__()
        self.dense, self.seen = layers.Dense(1), []

    def call(self, x):
        return self.dense(x)

    def around_step(self, step):
        self.seen.append("around_step")
        return step

    def example_spec(self):
        self.seen.append("example_spec")
        return keras.KerasTensor((None, 1), "float32")

    def epoch_logs(self, logs):
        self.seen.append("epoch_logs")
        return {**super().epoch_logs(logs), "added": 7.0}


def fitted(model, strategy=None):
    x = np.ones((4, 2), np.float32)
    with strategy.scope() if strategy else tf.name_scope("none"):
        model.compile("sgd", "mse", metrics=["mae"])
    return model.fit(x, x[:, :1], batch_size=2, epochs=1, verbose=0, validation_data=(x, x[:, :1])).history


def test_keras_calls_the_hooks():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        model = Hooked()
    history = fitted(model, strategy)
    assert history["added"] == [7.0] and history["val_added"] == [7.0]
    assert list(dict.fromkeys(model.seen)) == ["example_spec", "around_step", "epoch_logs"]


def test_each_batch_passes_around_step_outside_of_what_xla_compiles():
    outside = []

    class Looking(Hooked):
        def around_step(self, step):
            def looking(data):
                with tf.control_dependencies([tf.numpy_function(lambda: outside.append(1) or 0.0, [], tf.float64)]):
                    return step(data)

            return looking

    model = Looking()
    model.compile("sgd", "mse", jit_compile=True)
    x = np.ones((4, 2), np.float32)
    model.fit(x, x[:, :1], batch_size=2, verbose=0)
    assert len(outside) == 2


def test_an_epoch_reports_its_last_step_where_a_metric_is_left_out_of_the_report():
    class Reporting(keras.Sequential):
        def train_step(self, data):
            self.first.update_state(data)
            return {"first": tf.reduce_mean(data)}  # and not "second"

        @property
        def metrics(self):
            return [self.first, self.second]

    model = Reporting([keras.Input((1,)), layers.Dense(1)])
    model.first, model.second = keras.metrics.Mean("first"), keras.metrics.Mean("second")
    model.compile("sgd")
    x = np.float32([[1], [1], [5], [5]])
    history = model.fit(x, batch_size=2, shuffle=False, verbose=0).history
    # The metric itself is 3, the mean of both steps.
    assert history["first"] == [5.0], "Keras reads the metric: remove PrivateHooks._get_metrics_result_or_logs"


def test_compiled_metrics_are_one_object_and_the_public_name_is_still_deprecated():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert keras_compat.compiled_metrics(model) is None
    fitted(model)
    metrics = keras_compat.compiled_metrics(model)
    metrics.reset_state()
    metrics.update_state(np.ones((2, 1), np.float32), np.zeros((2, 1), np.float32), None)
    assert metrics.built and float(metrics.result()["mae"]) == 1.0
    with pytest.warns(UserWarning, match="deprecated"):
        model.compiled_metrics.update_state(np.ones((2, 1)), np.zeros((2, 1)))


def test_fit_marks_its_validation():
    marks = []

    class Marked(keras.Sequential):
        def evaluate(self, *args, **kwargs):
            marks.append(keras_compat.is_validation(kwargs))
            return super().evaluate(*args, **kwargs)

    model = Marked([keras.Input((2,)), layers.Dense(1)])
    fitted(model)
    model.evaluate(np.ones((2, 2)), np.ones((2, 1)), verbose=0)
    assert marks == [True, False]


def test_layers_at_any_depth_have_no_public_name():
    inner = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="deep")])
    model = keras.Sequential([keras.Input((2,)), inner])
    assert keras_compat.layers_of(model)[0] is model
    assert "deep" in [layer.name for layer in keras_compat.layers_of(model)]
    assert "deep" not in [layer.name for layer in model.layers], "Use `layers` in the place of layers_of"


def test_a_layer_that_is_exchanged_stays_a_part_of_the_model():
    model = keras.Model()
    former, later = layers.Dense(1, name="former"), layers.Dense(1, name="later")
    model.layer = former
    model.layer = later
    assert former in model.layers, "Leave out untrack"
    keras_compat.untrack(model, former)
    assert [layer.name for layer in model.layers] == ["later"]


def test_weights_that_a_model_lacks_are_left_out_without_a_word(tmp_path):
    large = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="a"), layers.Dense(2, name="b")])
    large.compile("adam", "mse")
    large.train_on_batch(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32))
    path = tmp_path / "large.weights.h5"
    large.save_weights(path)
    assert keras_compat.number_of_weights(path) == 4
    small = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="a")])
    small.load_weights(path)  # Leave out number_of_weights where this raises


def test_public_losses_hold_the_penalties_of_weights_too():
    layer = layers.Dense(1, kernel_initializer="ones", kernel_regularizer="l2", activity_regularizer="l1")
    model = keras.Sequential([keras.Input((2,)), layer])
    model(np.ones((3, 2), np.float32))
    np.testing.assert_allclose(keras_compat.losses_of_call(model), [0.01 * 2], rtol=1e-6)
    assert len(model.losses) == 2, "Use `losses` in the place of losses_of_call"


def test_adam_adds_up_the_squares_of_a_row_with_several_gradients():
    """Of 1 and 1 for one row: 1² + 1² = 2, where (1 + 1)² = 4 is the square of its gradient."""
    slices = tf.IndexedSlices(tf.ones((2, 1)), tf.constant([1, 1]), tf.constant([3, 1]))

    def second_moment(gradient):
        adam, weight = keras_compat.PrivateAdam(1e-3), keras.Variable(np.zeros((3, 1), np.float32))
        adam.apply_gradients([(gradient, weight)])
        return adam.moments(weight)[1].numpy().ravel() / (1 - adam.beta_2)

    np.testing.assert_allclose(second_moment(keras_compat.dense(slices)), [0, 4, 0], rtol=1e-5)
    np.testing.assert_allclose(second_moment(slices), [0, 2, 0], rtol=1e-5, err_msg="Remove zoo._compat.keras.dense")


def test_an_optimizer_knows_the_weights_that_it_was_built_for():
    known, unknown = keras.Variable([0.0]), keras.Variable([0.0])
    for optimizer in (keras.optimizers.SGD(), keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())):
        assert keras_compat.unknown_to(optimizer, [known]) == []
        optimizer.build([known])
        assert keras_compat.unknown_to(optimizer, [known, unknown]) == [unknown]
    with pytest.raises(ValueError) as caught:
        optimizer.apply_gradients([(tf.constant([1.0]), unknown)])
    assert "compile" not in str(caught.value), "Remove zoo._compat.keras.unknown_to"


def test_keras_clips_what_each_replica_has():
    """Of gradients 3 and ½ and a norm of at most 1: clipped first they add up to 1½, added up first they give 1."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        weight, sgd = keras.Variable([0.0]), keras.optimizers.SGD(1.0, global_clipnorm=1.0)
        sgd.build([weight])

    def step():
        first = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
        sgd.apply_gradients([(tf.where(first, [3.0], [0.5]), weight)])

    tf.function(lambda: strategy.run(step))()
    np.testing.assert_allclose(weight.numpy(), [-1.5], err_msg="Remove PrivateAdam._clip_gradients")


def test_scalars_of_several_workers_cannot_be_reduced():
    """TensorFlow's part of it in one process; that Keras asks for this reduction is read in its source."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    figures = {"loss": tf.constant(3.0)}
    fails = "Remove reducible_by_workers"
    each = strategy.run(lambda: figures)["loss"]
    with pytest.raises(ValueError, match="Invalid reduction dimension 0 for input with 0 dimensions"):
        strategy.reduce("MEAN", each, axis=0)
        pytest.fail(fails)
    each = strategy.run(lambda: keras_compat.reducible_by_workers(figures))["loss"]
    assert strategy.reduce("MEAN", each, axis=0) == 3.0
    source = inspect.getsource(inspect.getmodule(keras.Model.make_train_function).reduce_per_replica)
    assert 'strategy.reduce("MEAN", v, axis=0)' in source, fails


WORKER = """
import zoo, keras, tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
one = tf.ones((2, 1))
pairs = tf.data.Dataset.from_tensors((one, one)).repeat()
with strategy.scope():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
for _ in range(2):
    try:
        model.fit(strategy.distribute_datasets_from_function(lambda _: pairs), steps_per_epoch=1, verbose=0)
    except Exception as error:
        print("FAILED", error, flush=True)
    with strategy.scope():
        model.build((None, 1))
        model.optimizer.build(model.trainable_variables)
    model._maybe_symbolic_build = lambda *args, **kwargs: None
"""


@pytest.mark.slow
def test_keras_fails_with_several_workers(start_workers, tmp_path):
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    for process in start_workers([sys.executable, "-c", WORKER], logs):
        assert process.wait(timeout=300) == 0, logs[0].read_text()
    pairs, scalars = logs[0].read_text().split("FAILED")[1:]
    assert "Attempt to convert a value (PerReplica" in pairs, "Pairs are reduced: remove _maybe_symbolic_build"
    assert "Invalid reduction dimension 0" in scalars, "Scalars are reduced: remove reducible_by_workers"
