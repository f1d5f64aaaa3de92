"""Cross-replica helpers; no-ops with a single replica."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from zoo._compat import tensorflow as tf_compat
from zoo.runtime import checks
from zoo.runtime.types import Tensor


def _context():
    """The replica context if there are several replicas, else None."""
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def num_replicas() -> int:
    """The number of replicas of the current strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def distribute(
    strategy: tf.distribute.Strategy, make: Callable[[tf.distribute.InputContext | None], tf.data.Dataset]
) -> tf.data.Dataset:
    """The dataset for a model made in the scope of `strategy`: `make(None)`, or its shards over the replicas.

    Keras would distribute a dataset itself, but it would give all of it to each of several workers.

    Args:
        strategy: a `tf.distribute.Strategy`.
        make: function of a `tf.distribute.InputContext`, or None, that gives a dataset, as `zoo.data.batches` does.
    """
    if strategy.num_replicas_in_sync == 1:
        return make(None)
    return tf_compat.count_batches(strategy.distribute_datasets_from_function(make), strategy)


def share_out(batch: object, strategy: tf.distribute.Strategy) -> object:
    """The replicas' shares of a batch that a user gives as a whole. Their sizes differ by one at most.

    Args:
        batch: a structure of arrays `[B, …]`, lists of numbers, and None. Each of several workers gives its own.

    Raises:
        ValueError: for fewer examples than replicas.
    """
    number = len(strategy.extended.worker_devices)

    def shares(array):
        if array is None:
            return None
        array = tf.convert_to_tensor(array)
        rows = len(array)
        if rows < number:
            expected = f"in batches of at least {number} examples, one for each replica"
            raise ValueError(f"Expected `x` to be {expected}. Received: {rows}")

        def share(context):
            place = context.replica_id_in_sync_group % number
            return array[place * rows // number : (place + 1) * rows // number]

        return strategy.experimental_distribute_values_from_function(share)

    def array_of(part):
        leaves = keras.tree.flatten(part)
        is_list = isinstance(part, (list, tuple)) and leaves and all(map(checks.is_number, leaves))
        return np.asarray(part) if is_list else None

    return keras.tree.map_structure(shares, keras.tree.traverse(array_of, batch))


def gathered(batch: object, strategy: tf.distribute.Strategy) -> object:
    """A batch that a dataset has distributed, with the shares of this process's replicas joined."""
    return keras.tree.map_structure(lambda leaf: tf.concat(strategy.experimental_local_results(leaf), axis=0), batch)


def has_workers(strategy: tf.distribute.Strategy) -> bool:
    """Whether there may be other worker processes. Collective operations must then run in all of them."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """The number of worker processes, which TF_CONFIG names."""
    if not has_workers(strategy):
        return 1
    jobs = strategy.cluster_resolver.cluster_spec().as_dict()
    return max(1, sum(len(jobs.get(kind, ())) for kind in ("chief", "worker")))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes files: exactly one of several workers does."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def gather(strategy: tf.distribute.Strategy, number: int) -> list[int]:
    """The values of `number` in all workers, a list of ints. Waits until all workers call it."""
    if not has_workers(strategy):
        return [number]
    return strategy.experimental_local_results(_gather(strategy, tf.constant(number)))[0].numpy().tolist()


@tf.function
def _gather(strategy, number):
    return strategy.run(lambda: tf.distribute.get_replica_context().all_gather(tf.identity([number]), axis=0))


def replica_id() -> int | Tensor:
    """The number of this replica, int32; 0 with a single replica."""
    context = _context()
    return 0 if context is None else tf.cast(context.replica_id_in_sync_group, tf.int32)


def all_sum(value: Tensor) -> Tensor:
    """The sum of `value` over all replicas; differentiable."""
    context = _context()
    return value if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def concat(value: Tensor) -> Tensor:
    """Concatenates the shards of all replicas along the first axis, in the order of the replicas; differentiable."""
    context = _context()
    if context is None:
        return value
    gathered = context.all_gather(value, axis=0)
    gathered.set_shape((None, *value.shape[1:]))  # TensorFlow forgets the other axes
    return gathered


def mean_over_batch(values: Tensor) -> Tensor:
    """The mean of per-example `values` `[b]` over the global batch: float32 scalar.

    Shards may differ in length (a partial last batch): each example counts once.
    """
    return all_sum(share_of_mean(values))


def share_of_mean(values: Tensor) -> Tensor:
    """This replica's term of `mean_over_batch`: the terms of all replicas add up to the mean.

    A replica differentiates this term, as Keras adds the gradients of all replicas.
    """
    count = tf.cast(tf.shape(values)[0], tf.float32)
    return tf.reduce_sum(values) / tf.maximum(all_sum(count), 1.0)


def share_of_batch(values: Tensor) -> Tensor:
    """This replica's fraction of the global batch, from its per-example `values` `[b]`; 1 with a single replica.

    It weighs a loss that is a mean over a replica's examples, such as that of an activity regulariser. Each example
    then counts once.
    """
    return share_of_mean(tf.ones_like(values))


def require_supported(variables: Sequence[keras.Variable], accumulated: int, **settings: object) -> None:
    """Raises ValueError for what fails on several replicas of the current strategy, with errors that do not say so.

    Args:
        variables: those of the model that is compiled.
        accumulated: int, the batches whose gradients the optimizer accumulates for an update.
        settings: `steps_per_execution` and `jit_compile`, if they were given. Both fail where the replicas are CPUs.
    """
    strategy = tf.distribute.get_strategy()
    if not tf.distribute.has_strategy() and any(map(_is_distributed, variables)):
        scope = "the `strategy.scope()` in which the model was made"
        raise ValueError(f"Expected `compile` within {scope}. Received: a call outside of it")
    if strategy.num_replicas_in_sync == 1:
        return
    copying = (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy, tf.distribute.TPUStrategy)
    foreign = [each.path for each in variables if not _is_distributed(each)]
    if foreign and isinstance(strategy, copying):
        raise ValueError(
            "Expected a model that is made within `with strategy.scope()`, with its networks: each replica has a copy "
            f"of the weights. Received: {foreign[0]}, which was made outside of it"
        )
    if accumulated > 1:
        checks.fail("gradient_accumulation_steps", "None on several replicas", accumulated)
    on_cpus = all("CPU" in device for device in strategy.extended.worker_devices)
    for name, only in (("steps_per_execution", 1), ("jit_compile", False)):
        if on_cpus and settings.get(name, only) not in (only, "auto"):
            checks.fail(name, f"{only} on several replicas that are CPUs", settings[name])


def _is_distributed(variable):
    return isinstance(variable.value, tf.distribute.DistributedValues)


def require_shares(name: str, batch_size: int, strategy: tf.distribute.Strategy) -> None:
    """Raises ValueError for batches that the replicas cannot share evenly; the last of an epoch may be smaller."""
    number = strategy.num_replicas_in_sync
    if batch_size % number:
        checks.fail(name, f"a multiple of {number}, the number of replicas", batch_size)
