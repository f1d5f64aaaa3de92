"""What a replica must know of the others; each function is free where there is but one."""

import tensorflow as tf

from zoo._compat import tensorflow as tf_compat


def _context():
    """The replica context where there are several replicas, else None."""
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def num_replicas():
    return tf.distribute.get_strategy().num_replicas_in_sync


def distribute(strategy, make):
    """What a model made in the scope of `strategy` is to be trained on: `make(None)`, or that spread over replicas.

    Keras would spread a dataset itself, but over several workers so that each is given all of it.

    Args:
        strategy: a `tf.distribute.Strategy`.
        make: function of a `tf.distribute.InputContext`, or None, that gives a dataset such as `zoo.data.batches` does.
    """
    if strategy.num_replicas_in_sync == 1:
        return make(None)
    return tf_compat.count_batches(strategy.distribute_datasets_from_function(make), strategy)


def has_workers(strategy):
    """Whether there may be processes beside this one; then what asks all replicas must be done in all of them."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy):
    """Whether this process is the one that writes files; of several workers one is."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    first = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def gather(strategy, number):
    """What `number` is in each worker, a list of ints; none goes on before all are here."""
    if not has_workers(strategy):
        return [number]
    return strategy.experimental_local_results(_gather(strategy, tf.constant(number)))[0].numpy().tolist()


@tf.function
def _gather(strategy, number):
    return strategy.run(lambda: tf.distribute.get_replica_context().all_gather(tf.identity([number]), axis=0))


def replica_id():
    """This replica's number, int32; 0 where there is but one."""
    context = _context()
    return 0 if context is None else tf.cast(context.replica_id_in_sync_group, tf.int32)


def all_sum(value):
    """The sum of `value` over all replicas; differentiable."""
    context = _context()
    return value if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def concat(value):
    """All replicas' parts of a batch along the first axis, in the order of the replicas; differentiable."""
    context = _context()
    if context is None:
        return value
    gathered = context.all_gather(value, axis=0)
    gathered.set_shape((None, *value.shape[1:]))  # TensorFlow forgets the other axes
    return gathered


def mean_over_batch(values):
    """The mean of per-example `values` `[b]` over the global batch: float32 scalar.

    Replicas may hold parts of different length (a partial last batch): each example counts once.
    """
    return all_sum(share_of_mean(values))


def share_of_mean(values):
    """This replica's part of `mean_over_batch`: the parts of all replicas add up to the mean.

    It is what a replica differentiates, for Keras adds the gradients of all replicas.
    """
    count = tf.cast(tf.shape(values)[0], tf.float32)
    return tf.reduce_sum(values) / tf.maximum(all_sum(count), 1.0)


def share_of_batch(values):
    """This replica's part of the examples of a global batch, from its per-example `values` `[b]`: 1 without others.

    A loss that is itself a mean over a replica's examples, as those of activity regularisers are, counts with this
    weight, and each example once.
    """
    return share_of_mean(tf.ones_like(values))
