"""What every distribution that is trained here shares: one training step, and one test step."""

import threading

import keras
import tensorflow as tf

from zoo._compat import keras as keras_compat
from zoo.fitting.verbs import Verbs
from zoo.runtime import cores, replicas


class ObjectiveModel(Verbs):
    """A Keras model that minimises an objective of its own, given per example in `compute_terms`."""

    term_names = ()  # the entries of `compute_terms` and `after_step` that are reported, "loss" among them
    training_only = ()  # the trackers that say nothing outside training, where they are left out
    denoises = False  # whether it was trained on targets: then its input need not lie in the likelihood's support

    def __init__(self, **kwargs):
        if keras.config.dtype_policy().name == "float64":  # of networks; what is drawn and judged is float32
            kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in self.term_names}
        # None of these is a part of the model's state.
        object.__setattr__(self, "functions", {})  # of zoo.fitting.batched
        object.__setattr__(self, "_added", threading.local())  # replicas are traced in threads of their own

    def compute_terms(self, x, labels=None, training=False, target=None):
        """The objective's terms, a dict of float32 `[B]`, nats per example; "loss" is minimised.

        `target` is what the likelihood judges, where that is not `x` itself.
        """
        raise NotImplementedError

    @property
    def metrics(self):
        compiled = keras_compat.compiled_metrics(self)
        return [*self.trackers.values(), *([] if compiled is None else [compiled])]

    def train_step(self, data):
        batch = self._unpack(data)
        if batch.target is not None:
            object.__setattr__(self, "denoises", True)
        variables = self.trainable_variables
        if not variables:
            kind = type(self).__name__
            raise ValueError(f"Expected a {kind} with weights to train. Received: one whose weights are all frozen")
        with tf.GradientTape() as tape:
            terms, added = self._objective(batch, training=True)
            # Keras adds up the gradients of all replicas, so that each contributes its share.
            loss = replicas.share_of_mean(terms["loss"])
            if added:
                loss = loss + sum(added) * replicas.share_of_batch(terms["loss"])
            loss = self.optimizer.scale_loss(loss)
        gradients = cores.together([keras_compat.dense(gradient) for gradient in tape.gradient(loss, variables)])
        gradients = self.filter_gradients(gradients)
        self.optimizer.apply_gradients(zip(gradients, variables))
        terms = terms | {"loss": sum(added, terms["loss"])} | self.after_step(terms)
        return self._report(terms, batch, training=True)

    def after_step(self, terms):
        """Called at the end of each training step, with its terms: for a model that has another network to train.

        Returns:
            dict of further terms that are reported, `[B]` or scalars.
        """
        return {}

    def build_optimizers(self):
        """Makes the variables of the model's optimizer, and of others that it has."""
        self.optimizer.build(self.trainable_variables)

    def optimizers(self):
        """All optimizers of the compiled model, a list."""
        return [self.optimizer]

    def _objective(self, batch, training):
        """The terms of a batch, "loss" with its weights; and what layers add to the loss, a list of scalars.

        They are penalties of weights, and of activities, which are means over a replica's examples.
        """
        self._added.losses = added = []
        try:
            terms = self.compute_terms(batch.x, batch.labels, training=training, target=batch.target)
        finally:
            self._added.losses = None
        if batch.weights is not None:
            terms = terms | {"loss": batch.weights * terms["loss"]}
        penalties = [weight.regularizer(weight) for weight in self.trainable_variables if weight.regularizer]
        return terms, added + penalties

    @property
    def added(self):
        """What layers have added to the loss since `_objective` of this replica began, a list; else None."""
        return getattr(self._added, "losses", None)

    def note_added(self, network):
        """Takes down what layers of `network` added to the loss when it was called just now.

        At once, as a replica that is traced meanwhile, or another part of the batch, would write over it.
        """
        if self.added is not None:
            self.added.extend(keras_compat.losses_of_call(network))

    def filter_gradients(self, gradients):
        """The gradients of this replica's share of the loss, as the optimizer is to have them."""
        return gradients

    def test_step(self, data):
        batch = self._unpack(data)
        terms, added = self._objective(batch, training=False)
        return self._report(terms | {"loss": sum(added, terms["loss"])}, batch, training=False)

    def predict_step(self, data):
        batch = self._unpack(data)
        return self(batch.x, batch.labels)

    def update_trackers(self, terms, weights=None):
        """Adds a batch's terms to what is reported; the loss has its weights already."""
        for name, tracker in self.trackers.items():
            if name in terms:
                tracker.update_state(terms[name], sample_weight=None if name == "loss" else weights)

    def _report(self, terms, batch, training):
        self.update_trackers(terms, batch.weights)
        left_out = () if training else self.training_only
        results = {name: tracker.result() for name, tracker in self.trackers.items() if name not in left_out}
        results |= self._compare(batch)
        strategy = tf.distribute.get_strategy()
        if replicas.has_workers(strategy) and strategy.num_replicas_in_sync > 1:
            results = keras_compat.reducible_by_workers(results)
        return results

    def _compare(self, batch):
        """The metrics that `compile` was given, of the data and their reconstructions: a dict of scalars."""
        metrics = keras_compat.compiled_metrics(self)
        if metrics is None:
            return {}
        target = batch.x if batch.target is None else batch.target
        metrics.update_state(target, self(batch.x, batch.labels), batch.weights)
        return metrics.result()
