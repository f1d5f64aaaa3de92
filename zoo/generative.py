"""What every distribution that is trained here shares: one training step, one test step, seeds and labels."""

import keras
import tensorflow as tf
from keras import ops

from zoo import checks, cores, random, replica


class GenerativeModel(keras.Model):
    """A Keras model that minimises an objective of its own, given per example, and draws rows by their seeds.

    A model says in `compute_terms` what its objective is, and in `_inputs` what it takes.
    """

    term_names = ()  # the entries of `compute_terms` that are reported, "loss" among them
    training_only = ()  # the trackers that say nothing outside training, where they are left out
    num_classes = None  # how many labels there are, for a conditional model

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in self.term_names}

    @property
    def conditional(self):
        """Whether the model takes labels beside its data."""
        return self.num_classes is not None

    def compute_terms(self, x, labels=None, training=False):
        """The objective's terms, a dict of float32 `[B]`, nats per example; "loss" is minimised."""
        raise NotImplementedError

    def _inputs(self, x, labels):
        """The data and labels of a batch, checked and cast."""
        raise NotImplementedError

    # Training.

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """As `keras.Model.compile`, without a loss: the model is its own.

        Raises:
            ValueError: if `loss` is given.
        """
        if loss is not None:
            checks.fail("loss", f"None, as {type(self).__name__} minimises its own objective", loss)
        super().compile(optimizer=optimizer, **kwargs)

    def compile_from_config(self, config):
        # Keras leaves a model with a compile of its own uncompiled on loading, unless it says how.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self):
        return list(self.trackers.values())

    def train_step(self, data):
        x, labels = self._unpack(data)
        with tf.GradientTape() as tape:
            terms = self.compute_terms(x, labels, training=True)
            # Keras adds up the gradients of all replicas, so that each contributes its share.
            loss = replica.share_of_mean(terms["loss"]) + sum(self.losses) / replica.num_replicas()
            loss = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        gradients = cores.together([_dense(gradient) for gradient in tape.gradient(loss, variables)])
        gradients = self.filter_gradients(gradients)
        self.optimizer.apply_gradients(zip(gradients, variables))
        return self._report(terms, training=True)

    def filter_gradients(self, gradients):
        """The gradients of this replica's share of the loss, as the optimizer is to have them."""
        return gradients

    def test_step(self, data):
        return self._report(self.compute_terms(*self._unpack(data), training=False), training=False)

    def predict_step(self, data):
        return self(*self._unpack(data))

    def update_trackers(self, terms):
        for name, tracker in self.trackers.items():
            if name in terms:
                tracker.update_state(terms[name])

    def _report(self, terms, training):
        self.update_trackers(terms)
        left_out = () if training else self.training_only
        results = {name: tracker.result() for name, tracker in self.trackers.items() if name not in left_out}
        strategy = tf.distribute.get_strategy()
        if replica.has_workers(strategy) and strategy.num_replicas_in_sync > 1:
            # Keras averages over the first axis there (keras issue 20585), so that there must be one.
            results = {name: ops.expand_dims(value, 0) for name, value in results.items()}
        return results

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras builds from a batch that it first reduces over the replicas, which fails for pairs over several workers.
        if iterator is not None and replica.has_workers(self.distribute_strategy):
            _, _, batches = next(iter(iterator))
            local = self.distribute_strategy.experimental_local_results
            data_batch = keras.tree.map_structure(lambda value: local(value)[0], next(batches))
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)

    def _get_metrics_result_or_logs(self, logs):
        # Keras falls back on the last step's report where a tracker is left out of it; of several replicas that is the
        # mean of their means, in which an example of a smaller share counts for more.
        return {name: value for name, value in self.get_metrics_result().items() if name in logs}

    # Inputs.

    def _rows(self, num_samples, seed, temperature):
        """The arguments of `sample`, checked, for each row: seeds int32 and temperature float32 `[num_samples]`."""
        num_samples = checks.positive_int("num_samples", num_samples)
        temperature = checks.number("temperature", temperature, 0.0)
        seeds = random.row_seeds(random.fresh_seed() if seed is None else seed, num_samples)
        return seeds, ops.full((num_samples,), temperature)

    def _unpack(self, data):
        x, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if weights is not None:
            raise ValueError(f"{type(self).__name__} takes no sample weights. Received: sample_weight={weights}")
        if self.conditional and labels is None and isinstance(x, (list, tuple)):
            x, labels = x
        x, labels = self._inputs(x, labels)
        if not self.built:  # networks of the user's own may wait for their first call
            self(x, labels)
        return x, labels

    def _check_labels(self, labels, num_rows):
        """Labels int32 `[num_rows]`, checked where they can be read; None where the model takes none."""
        kind = type(self).__name__
        if not self.conditional:
            if labels is not None:
                raise ValueError(f"Expected no `labels`, as {kind} is not conditional. Received: {labels!r}")
            return None
        if labels is None:
            raise ValueError(f"Expected `labels`, as {kind} is conditional. Received: None")
        labels = ops.convert_to_tensor(labels)
        if len(labels.shape) != 1 or (None not in (num_rows, labels.shape[0]) and num_rows != labels.shape[0]):
            raise ValueError(f"Expected `labels` to be int32 of shape [{num_rows}]. Received: shape {labels.shape}")
        labels = ops.cast(labels, "int32")
        checks.integers_below("labels", labels, self.num_classes)
        return labels


def _dense(gradient):
    """One number for each weight: Adam, given several for a row of an embedding, adds up the squares of each."""
    return tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient
