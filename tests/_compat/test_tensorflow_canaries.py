"""TensorFlow still has the private parts that zoo._compat.tensorflow uses, and the faults that it works around."""

import gc
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest
import tensorflow as tf

from zoo._compat import startup
from zoo._compat import tensorflow as tf_compat
from zoo.runtime import startup as runtime_startup


@pytest.fixture
def strategy():
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def test_distributed_datasets_count_shares(strategy):
    dataset = strategy.distribute_datasets_from_function(lambda _: tf.data.Dataset.range(12).batch(2))
    assert int(dataset.cardinality) == 6, "Shares are no longer counted: remove count_batches"
    assert int(tf_compat.count_batches(dataset, strategy).cardinality) == 3
    assert len(list(dataset)) == 3


def test_specs_are_of_all_replicas(strategy):
    dataset = strategy.distribute_datasets_from_function(lambda _: tf.data.Dataset.from_tensors(tf.zeros((2, 5))))
    spec = dataset.element_spec
    assert not hasattr(spec, "shape"), "Use the public shape in the place of spec_of_first_replica"
    assert tf_compat.spec_of_first_replica(spec) == tf.TensorSpec((2, 5))
    assert tf_compat.spec_of_first_replica(tf.TensorSpec((3,))) == tf.TensorSpec((3,))


def test_flags_have_their_own_values_in_graphs_too():
    first, second = tf_compat.Flag(), tf_compat.Flag()
    first.set(True)
    second.set(False)

    @tf.function(autograph=False)
    def turn():
        before = first.get()
        with tf.control_dependencies([before]):
            first.set(False)
        return before

    assert [bool(turn()), bool(turn()), bool(first.get()), bool(second.get())] == [True, False, False, False]
    second.set(True)
    assert not first.get()


def test_resources_of_one_name_are_one():
    """So that a flag needs the name that makes it anonymous."""
    handles = [tf.raw_ops.VarHandleOp(dtype=tf.bool, shape=(), shared_name="canary") for _ in range(2)]
    tf.raw_ops.AssignVariableOp(resource=handles[0], value=tf.constant(True))
    assert tf.raw_ops.ReadVariableOp(resource=handles[1], dtype=tf.bool)


@pytest.mark.parametrize("make, calls", [(tf.function, 0), (tf_compat.graph_of_its_own, 1)])
def test_functions_are_merged_into_their_callers(make, calls):
    inner = make(lambda x: tf.cond(x > 0, lambda: x + 1, lambda: x))
    outer = tf.function(lambda x: inner(x), autograph=False).get_concrete_function(tf.TensorSpec((), tf.int32))
    definition = outer.graph.as_graph_def()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.int32, ())
        (y,) = tf.graph_util.import_graph_def(
            definition, {outer.inputs[0].op.name: x}, [outer.outputs[0].name], name="outer"
        )
        seen = tf.compat.v1.RunMetadata()
        options = tf.compat.v1.RunOptions(output_partition_graphs=True)
        assert session.run(y, {x: 1}, options, seen) == 2
    found = [node.op for graph in seen.partition_graphs for node in graph.node if "PartitionedCall" in node.op]
    assert len(found) == calls


def total(strategy, size):
    share = lambda: tf.distribute.get_replica_context().all_reduce("SUM", tf.ones(size))  # noqa: E731
    return strategy.experimental_local_results(tf.function(lambda: strategy.run(share))())[0]


COLLECTIVES = """
import zoo, tensorflow as tf
from zoo._compat import tensorflow as tf_compat
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
share = lambda size: tf.distribute.get_replica_context().all_reduce("SUM", tf.ones(size))
for size in (2, 3):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    tf.function(lambda: strategy.run(share, (size,)))()
"""


@pytest.mark.slow  # in a process of its own, as it breaks the collectives of this one
def test_two_strategies_have_the_same_keys():
    done = subprocess.run([sys.executable, "-c", COLLECTIVES], capture_output=True, text=True)
    assert "Shape mismatch in the collective instance" in done.stderr, "Remove separate_collectives"


def test_separated_strategies_do_not_meet():
    for size in (2, 3):
        tf_compat.separate_collectives()
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        np.testing.assert_array_equal(total(strategy, size), np.full(size, 2.0))


def test_the_collectives_of_strategies_begin_with_a_base():
    before = tf.distribute.MirroredStrategy._collective_key_base
    tf_compat.separate_collectives()
    assert tf.distribute.MirroredStrategy._collective_key_base == before + 100


def test_a_graph_with_a_gradient_of_its_own_stays_in_memory():
    @tf.custom_gradient
    def twice(x):
        return 2.0 * x, lambda upstream: 2.0 * upstream

    def graph():
        @tf.function
        def gradient(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = twice(x)
            return tape.gradient(y, x)

        assert float(gradient(tf.constant(3.0))) == 2.0
        return weakref.ref(gradient.get_concrete_function(tf.constant(3.0)).graph)

    before = graph()
    with tf_compat.gradients_let_go():
        within = graph()
    gc.collect()
    assert before() is not None, "Remove gradients_let_go"
    assert within() is None


def test_setting_the_seed_throws_compiled_operations_away():
    """An operation that is compiled anew draws again what it drew; one that is kept draws the next value."""

    def draws(restart):
        values = []
        for _ in range(2):
            restart(3)
            values.append(float(tf.random.uniform((), seed=5)))
        return values

    first, second = draws(tf.random.set_seed)
    assert first == second, "Compiled operations are kept: call tf.random.set_seed in tests/conftest.py"
    first, second = draws(tf_compat.restart_draws)
    assert first != second


def test_a_dataset_is_shuffled_alike_once_draws_are_restarted():
    orders = []
    for _ in range(2):
        tf_compat.restart_draws(3)
        orders.append([int(each) for each in tf.data.Dataset.range(20).shuffle(20)])
    assert orders[0] == orders[1] != list(range(20))


def test_whether_onednn_is_on_can_be_asked():
    """On an x86 CPU with AVX2 it is what the environment says, which zoo sets."""
    if "avx2" not in runtime_startup.cpu_flags():
        pytest.skip("this CPU has no AVX2")
    assert tf_compat.onednn_is_on() == (os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1")
    assert not [name for name in dir(tf.sysconfig) if "onednn" in name.lower()], "Use the public name"


def test_convolutions_of_no_images_have_the_shape_of_their_input():
    if not tf_compat.onednn_is_on():
        pytest.skip("oneDNN is off")
    y = tf.nn.conv2d(tf.zeros((0, 4, 4, 3)), tf.zeros((3, 3, 3, 8)), 1, "SAME")
    assert y.shape == (0, 4, 4, 3), "An empty batch convolves: remove rows_for"
    assert [int(tf_compat.rows_for(4, size)) for size in (0, 3, 4, 9)] == [4, 4, 4, 9]


@pytest.mark.long
def test_the_start_logs_what_it_was_told_not_to():
    """TF_CPP_MIN_LOG_LEVEL=3 asks for fatal errors alone."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}
    code = "import tensorflow.python.pywrap_tensorflow, tensorflow.python.util._pywrap_util_port as p; p.IsMklEnabled()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert any("All log messages before absl::InitializeLog" in line for line in lines), "Remove startup.quiet"
    assert not [line for line in lines if startup.log_line_matters(line)]


@pytest.mark.parametrize(
    "line, matters",
    [
        ("E0000 00:00:1795191041.751470    1872 conv.cc:1] out of memory", True),
        ("F0000 00:00:1795191041.751470    1872 conv.cc:1] fatal", True),
        ("I0000 00:00:1795191041.751470    1872 port.cc:153] oneDNN custom operations are on.", False),
        ("W0000 00:00:1795191041.751470    1872 gpu.cc:1] no GPU", False),
        ("E0000 00:00:1795191041.751470    1872 cuda_platform.cc:52] failed call to cuInit: INTERNAL", False),
        ("INFO: Created TensorFlow Lite XNNPACK delegate for CPU.", False),
        ("a line of another library", True),
    ],
)
def test_lines_that_matter(line, matters):
    assert startup.log_line_matters(line) == matters


def test_onednn_turns_itself_on_with_instructions_for_neural_networks():
    assert startup.turns_onednn_on_itself({"avx2", "avx512_vnni"}) and not startup.turns_onednn_on_itself({"avx2"})
