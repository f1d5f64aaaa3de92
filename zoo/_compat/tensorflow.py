"""Private parts of TensorFlow, and workarounds for it. Each entry says what to do once TensorFlow is mended."""

import contextlib
import random

import tensorflow as tf

# The name that makes a resource of its own of each handle: ResourceHandle::ANONYMOUS_NAME.
_ANONYMOUS = "cd2c89b7-88b7-44c8-ad83-06c2a9158347"


def count_batches(dataset, strategy):
    """Makes a dataset of `distribute_datasets_from_function` count batches, where it counts the shares of one worker.

    Private: `_cardinality` of `DistributedDatasetsFromFunction`, as of TensorFlow 2.21.0
        (python/distribute/input_lib.py), and the length of `strategy.extended.worker_devices`.
    Why: Keras stops an epoch after as many steps as the dataset's cardinality. That is the cardinality of the worker's
        own dataset, from which each step takes one element for each of its replicas.
    Upstream: https://github.com/keras-team/keras/issues/14907, https://github.com/tensorflow/tensorflow/issues/50509
        (both closed).
    Once mended: remove it; its caller is `zoo.runtime.replicas.distribute`.
    """
    dataset._cardinality //= len(strategy.extended.worker_devices)
    return dataset


def spec_of_first_replica(spec):
    """The spec of what the first replica is given, of an entry of a distributed dataset's `element_spec`.

    Private: `PerReplicaSpec._value_specs`, as of TensorFlow 2.21.0 (python/distribute/values.py).
    Why: the shapes of a batch are checked before a step is made from it, and `element_spec` is of all replicas.
    Upstream: no upstream issue found (2026-11-26).
    Once mended: use the public name.
    """
    return getattr(spec, "_value_specs", (spec,))[0]


class Flag:
    """A bool on the CPU that graphs can read and set, and that is no variable.

    Private: the name by which a resource is anonymous, `ResourceHandle::ANONYMOUS_NAME`, as of TensorFlow 2.21.0
        (core/framework/resource_handle.h).
    Why: a `tf.Variable` would become a part of the model, be mirrored over replicas, and be saved.
    Upstream: no upstream issue found (2026-11-26).
    Once mended: use a public resource without a name.
    """

    def __init__(self):
        with tf.init_scope(), tf.device("CPU:0"):
            self._handle = tf.raw_ops.VarHandleOp(dtype=tf.bool, shape=(), shared_name=_ANONYMOUS)

    def set(self, value):
        tf.raw_ops.AssignVariableOp(resource=self._handle, value=tf.constant(value))

    def get(self):
        return tf.raw_ops.ReadVariableOp(resource=self._handle, dtype=tf.bool)


def graph_of_its_own(function):
    """A `tf.function` that stays a function call in the graph that calls it.

    Private: the attribute `_noinline`, as of TensorFlow 2.21.0 (python/eager/polymorphic_function/attributes.py).
    Why: a function is merged into its caller, and a graph with a condition in it is run the slower as a whole.
    Upstream: no upstream issue found (2026-11-26).
    Once mended: use a public argument of `tf.function`, if there is one.
    """
    return tf.function(function, autograph=False, experimental_attributes={"_noinline": True})


@contextlib.contextmanager
def gradients_let_go():
    """A context whose graphs take no memory after it, once nothing else holds them; none is differentiated after it.

    Private: `tensorflow.python.framework.ops.gradient_registry` and its `_registry`, as of TensorFlow 2.21.0.
    Why: each `tf.custom_gradient` in a graph enters its gradient there for ever, and with it tensors of the graph; each
        Keras model that is trained leaves its graphs in memory thereby.
    Upstream: https://github.com/tensorflow/tensorflow/issues/97697, for which
        https://github.com/tensorflow/tensorflow/pull/109334 is merged, but not released;
        https://github.com/tensorflow/tensorflow/issues/27492 (closed).
    Once mended: remove it; its callers are `zoo.training.tuning.tune` and tests/conftest.py.
    """
    from tensorflow.python.framework import ops

    entries = ops.gradient_registry._registry
    before = set(entries)
    try:
        yield
    finally:
        for name in entries.keys() - before:
            if name.startswith("CustomGradient-"):
                del entries[name]


def separate_collectives():
    """Gives the strategies made from now on keys of their own for their collectives. For tests alone.

    Private: `MirroredStrategy._collective_key_base`, as of TensorFlow 2.21.0 (python/distribute/mirrored_strategy.py).
    Why: two strategies of one process give their collectives the same keys, and TensorFlow takes those of the second
        for late ones of the first ("Shape mismatch in the collective instance").
    Upstream: https://github.com/tensorflow/tensorflow/issues/62790 (closed as stale).
    Once mended: remove it; its caller is tests/conftest.py.
    """
    tf.distribute.MirroredStrategy._collective_key_base += 100


def restart_draws(seed):
    """`tf.random.set_seed`, but what TensorFlow has compiled for eager operations is kept. For tests alone.

    Private: `Context._seed` and `Context._rng` of `tensorflow.python.eager.context`, as of TensorFlow 2.21.0.
    Why: the public function throws all compiled operations away, which costs the tests more than 4 % of their time.
        Here an eager draw whose operation was compiled before goes on, and does not begin anew.
    Upstream: no upstream issue found (2026-11-27).
    Once mended: call the public function; its caller is tests/conftest.py.
    """
    from tensorflow.python.eager import context  # here, as tests alone need it

    context.context()._seed = seed
    context.context()._rng = random.Random(seed)


def onednn_is_on():
    """Whether this process computes with oneDNN. For benchmarks alone.

    Private: `tensorflow.python.util._pywrap_util_port.IsMklEnabled`, as of TensorFlow 2.21.0.
    Why: nothing public says it.
    Upstream: https://github.com/tensorflow/tensorflow/issues/17176 (closed, none was added).
    Once mended: ask the public function.
    """
    from tensorflow.python.util import _pywrap_util_port  # here, as benchmarks alone need it

    return _pywrap_util_port.IsMklEnabled()


def rows_for(parts, size):
    """How many rows a batch of `size` must be filled up to, so that none of its `parts` is empty: an int32 scalar.

    Why: with oneDNN a convolution of no images gives an output of its input's shape, [0, 4, 4, 3] in the place of
        [0, 4, 4, 8], and the gradient of an activation after it fails: "Inputs to operation … of type ReluGrad must
        have the same size and shape" (TensorFlow 2.21.0; core/kernels/mkl/mkl_conv_ops.cc, `MklConvOp::Compute`
        allocates `src_tf_shape` under "Corner cases: output with 0 elements and 0 batch size").
    Upstream: https://github.com/tensorflow/tensorflow/pull/112639 would mend it (closed);
        https://github.com/tensorflow/tensorflow/issues/14657 is on cuDNN (closed).
    Once mended: take `size`; the caller is `zoo.runtime.cores.spread`. The command line's check in
        `zoo.training.run` stands for cuDNN as well.
    """
    return tf.maximum(size, parts)
