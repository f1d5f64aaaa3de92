"""What the tests of all quantizers share."""

import numpy as np
import tensorflow as tf


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def run_on_two_replicas(make, batches):
    """The layer's weights on each of two replicas, which see the first and the second half of each batch."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        layer = make()

    @tf.function(autograph=False)
    def step(batch):
        half = tf.shape(batch)[0] // 2
        parts = strategy.experimental_distribute_values_from_function(
            lambda context: [batch[:half], batch[half:]][context.replica_id_in_sync_group]
        )
        return strategy.run(lambda part: layer(part, training=True)["codes"], (parts,))

    for batch in batches:
        step(tf.constant(batch))
    return [[v.numpy() for v in strategy.experimental_local_results(weight.value)] for weight in layer.weights]


def run_on_tflite(layer, function, value):
    """What a function of `layer`, from a tensor to a dict of them, gives as TFLite on builtin operators alone."""

    @tf.function(input_signature=[tf.TensorSpec(value.shape, value.dtype)], autograph=False)
    def endpoint(value):
        return function(value)

    holder = tf.Module()
    holder.endpoint, holder.weights = endpoint, [weight.value for weight in layer.weights]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([endpoint.get_concrete_function()], holder)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return tf.lite.Interpreter(model_content=converter.convert()).get_signature_runner()(value=value)
