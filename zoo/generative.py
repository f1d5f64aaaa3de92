"""What every distribution that is trained here shares: one training step, one test step, seeds and labels."""

import dataclasses
import pathlib
import threading
import warnings

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo import checks, cores, inputs, random, replica

_NO_TARGET = (0,)  # the shape of an example of `y` where there is none: Keras drops weights that come without one


@dataclasses.dataclass(frozen=True)
class Batch:
    """What a step is given, checked as far as a graph can: `target` is None where the data are their own."""

    x: object
    labels: object = None
    target: object = None
    weights: object = None


class GenerativeModel(keras.Model):
    """A Keras model that minimises an objective of its own, given per example, and draws rows by their seeds.

    A model says in `compute_terms` what its objective is, in `_inputs` what it takes, and in `_values` in which range.
    """

    term_names = ()  # the entries of `compute_terms` that are reported, "loss" among them
    training_only = ()  # the trackers that say nothing outside training, where they are left out
    denoises = False  # whether it was trained on targets: then its input need not lie in the likelihood's support
    _judged = True  # whether the step that is being made shows the data to the likelihood
    num_classes = None  # how many labels there are, for a conditional model

    def __init__(self, **kwargs):
        if keras.config.dtype_policy().name == "float64":  # of networks; what is drawn and judged is float32
            kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in self.term_names}
        # None of these is a part of the model's state.
        object.__setattr__(self, "functions", {})  # of zoo.batched
        object.__setattr__(self, "_added", threading.local())  # replicas are traced in threads of their own
        object.__setattr__(
            self,
            "_first_batch",
            inputs.FirstBatch(self._split, lambda data, judged: self._values(self._split(data), judged)),
        )

    @property
    def conditional(self):
        """Whether the model takes labels beside its data."""
        return self.num_classes is not None

    def compute_terms(self, x, labels=None, training=False, target=None):
        """The objective's terms, a dict of float32 `[B]`, nats per example; "loss" is minimised.

        `target` is what the likelihood judges, where that is not `x` itself.
        """
        raise NotImplementedError

    def _inputs(self, x, labels):
        """The data and labels of a batch, checked and cast."""
        raise NotImplementedError

    def _values(self, batch, judged=True):
        """A list of `zoo.inputs.Values`, the ranges that the arrays of a `Batch` must lie in.

        `judged` says whether the likelihood is to see the data, or only the encoder.
        """
        labels = [] if batch.labels is None else [self._label_values(batch.labels)]
        weights = [] if batch.weights is None else [inputs.Values("sample_weight", batch.weights, low=0.0)]
        return labels + weights

    def _label_values(self, labels):
        return inputs.Values("labels", labels, 0, self.num_classes - 1)

    # Keras's verbs, and what they are given.

    def compile(self, optimizer="adam", loss=None, loss_weights=None, **kwargs):
        """As `keras.Model.compile`, without a loss: the model is its own. `metrics` compare data and reconstructions.

        Raises:
            ValueError: if `loss` or `loss_weights` is given.
        """
        kind = type(self).__name__
        if loss is not None:
            checks.fail("loss", f"None, as {kind} minimises its own objective", loss)
        if loss_weights is not None:
            checks.fail("loss_weights", f"None, as {kind} minimises its own objective", loss_weights)
        super().compile(optimizer=optimizer, **kwargs)

    def compile_from_config(self, config):
        # Keras leaves a model with a compile of its own uncompiled on loading, unless it says how.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def fit(
        self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, validation_split=0.0,
        validation_data=None, shuffle=True, class_weight=None, sample_weight=None, **kwargs,
    ):  # fmt: skip
        """As `keras.Model.fit`; `x` alone is its own target.

        Args:
            x: data, as an array `[N, …]`, a `tf.data.Dataset`, a generator or a `keras.utils.PyDataset` of batches.
            y: for a conditional model the labels, int32 `[N]`. Of the shape of `x`: what the likelihood judges in the
                place of `x`, so that a model learns to take noise away; a conditional model then takes `(x, labels)` as
                `x`.
            sample_weight: float `[N]`, >= 0. The loss is the mean over the batch of weight times loss, as for any model
                of Keras; the other figures are weighted means.
            class_weight: dict of labels to weights, for a conditional model.

        Raises:
            ValueError: for data of another structure, type, shape or range, before a step is made from it.
        """
        x, y = self._checked_arrays(x, y, sample_weight, class_weight)
        if isinstance(validation_data, (tuple, list)) and len(validation_data) in (2, 3):
            weights = validation_data[2] if len(validation_data) == 3 else None
            validation_data = (*self._checked_arrays(*validation_data[:2], weights), *validation_data[2:])
        return super().fit(
            x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle, class_weight,
            sample_weight, **kwargs,
        )  # fmt: skip

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, **kwargs):
        """As `keras.Model.evaluate`; the arguments are those of `fit`."""
        if not kwargs.get("_use_cached_eval_dataset"):
            x, y = self._checked_arrays(x, y, sample_weight)
        return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """As `keras.Model.train_on_batch`; the arguments are those of `fit`."""
        self._require_labels_for(class_weight)
        return super().train_on_batch(x, y, sample_weight, class_weight, return_dict)

    def predict(self, x, *args, **kwargs):
        """As `keras.Model.predict`: reconstructions."""
        self._checked_arrays(x, judged=False)
        return super().predict(x, *args, **kwargs)

    def save(self, filepath, *args, **kwargs):
        """As `keras.Model.save`, to a `.keras` file.

        Raises:
            ValueError: for an HDF5 file, which could not be loaded again.
        """
        if pathlib.Path(filepath).suffix in (".h5", ".hdf5"):
            name = pathlib.Path(filepath).stem
            way = f"'{name}.keras'; for the weights alone save_weights('{name}.weights.h5')"
            checks.fail("filepath", f"a file that ends in .keras, such as {way}", str(filepath))
        return super().save(filepath, *args, **kwargs)

    def _checked_arrays(self, x, y=None, sample_weight=None, class_weight=None, judged=True):
        """Looks at all of what is given as arrays, the rest being seen in its first batch; gives `x` and `y`."""
        self._require_labels_for(class_weight)
        if not _are_arrays((x, y, sample_weight)):
            return x, y
        if self.conditional and y is None and isinstance(x, (tuple, list)) and len(x) == 2:
            x, y = x
        inputs.look(self._values(self._split((x, y, sample_weight)), judged))
        if y is None and sample_weight is not None:
            y = np.zeros((len(sample_weight), *_NO_TARGET), np.float32)
        return x, y

    def _require_labels_for(self, class_weight):
        if class_weight is not None and not self.conditional:
            checks.fail(
                "class_weight", f"None, as {type(self).__name__} has no labels; use sample_weight", class_weight
            )

    def make_train_function(self, force=False):
        if self.built and self.trainable_variables and not self.optimizer.built:
            # Else its variables are made in the first trace of the step, which is then traced once more.
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
        super().make_train_function(force)
        self.train_function = self._looking(self.train_function)

    def make_test_function(self, force=False):
        super().make_test_function(force)
        self.test_function = self._looking(self.test_function)

    def make_predict_function(self, force=False):
        object.__setattr__(self, "_judged", False)
        super().make_predict_function(force)
        object.__setattr__(self, "_judged", True)
        self.predict_function = self._looking(self.predict_function)

    def _looking(self, function):
        """Each verb of Keras asks for its function at its start: the next batch is the first."""
        self._first_batch.reopen()
        if hasattr(function, "guarded"):
            return function
        return self._first_batch.guarded(function, lambda: [*self.variables, *self.optimizer.variables])

    def _autoconvert_optionals(self, step_function):
        # Of Keras: each batch of each verb comes by here, outside of what XLA compiles.
        strategy, judged = self.distribute_strategy, self._judged

        def step(data):
            leaves = [strategy.experimental_local_results(leaf) for leaf in keras.tree.flatten(data)]
            replicas = [keras.tree.pack_sequence_as(data, of_replica) for of_replica in zip(*leaves)]
            with tf.control_dependencies(self._first_batch(replicas, judged)):
                return step_function(data)

        return super()._autoconvert_optionals(step)

    # Training.

    @property
    def metrics(self):
        compiled = [] if self._compile_metrics is None else [self._compile_metrics]
        return [*self.trackers.values(), *compiled]

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
            loss = replica.share_of_mean(terms["loss"])
            if added:
                loss = loss + sum(added) * replica.share_of_batch(terms["loss"])
            loss = self.optimizer.scale_loss(loss)
        gradients = cores.together([_dense(gradient) for gradient in tape.gradient(loss, variables)])
        gradients = self.filter_gradients(gradients)
        self.optimizer.apply_gradients(zip(gradients, variables))
        return self._report(terms | {"loss": sum(added, terms["loss"])}, batch, training=True)

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
            self.added.extend(loss for layer in network._flatten_layers() for loss in layer._losses)

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
        if replica.has_workers(strategy) and strategy.num_replicas_in_sync > 1:
            # Keras averages over the first axis there (keras issue 20585), so that there must be one.
            results = {name: ops.expand_dims(value, 0) for name, value in results.items()}
        return results

    def _compare(self, batch):
        """The metrics that `compile` was given, of the data and their reconstructions: a dict of scalars."""
        metrics = self._compile_metrics
        if metrics is None:
            return {}
        target = batch.x if batch.target is None else batch.target
        metrics.update_state(target, self(batch.x, batch.labels), batch.weights)
        return metrics.result()

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras builds from a batch that it first reduces over the replicas, which fails for pairs over several workers.
        if iterator is not None and replica.has_workers(self.distribute_strategy):
            _, _, batches = next(iter(iterator))
            local = self.distribute_strategy.experimental_local_results
            data_batch = keras.tree.map_structure(lambda value: local(value)[0], next(batches))
            iterator = None
        metrics = self._compile_metrics
        if metrics is not None and not metrics.built and self._distribute_strategy is not None:
            # Keras would call the model for it as one that takes neither labels nor targets.
            image = keras.KerasTensor((None, *self.image_shape), "float32")
            with self._distribute_strategy.scope():
                metrics.build(image, image)
        super()._maybe_symbolic_build(iterator, data_batch)

    def _get_metrics_result_or_logs(self, logs):
        # Keras falls back on the last step's report where a tracker is left out of it; of several replicas that is the
        # mean of their means, in which an example of a smaller share counts for more.
        results = {name: value for name, value in self.get_metrics_result().items() if name in logs}
        if not np.all(np.isfinite(results.get("loss", 0.0))):
            warnings.warn(
                "The loss is NaN or infinite. Look for such values in the data, beyond the first batch too, or lower "
                "the learning rate; keras.callbacks.TerminateOnNaN stops at the first one",
                stacklevel=2,
            )
        return results

    # Inputs.

    @property
    def example_shape(self):
        """The shape of an example of the data, or None where it is not known before the first."""
        return None

    def _row_argument(self, name, value, num_rows=None):
        """An argument of a method in `zoo.batched`, as an array of the right type and shape, or a structure of them."""
        if name == "labels":
            return self._check_labels(value, num_rows)
        if name in ("x", "z", "codes"):
            if value is None:
                checks.fail(name, "an array", None)
            if isinstance(value, dict):  # a list is an array of rows here
                value = inputs.single(value, self._input_names())
            return self._check_data(name, value)
        if value is None:
            return None
        return keras.tree.map_structure(lambda leaf: inputs.array(name, leaf), value)

    def _values_of(self, name, value):
        """The ranges of such an argument: a list of `zoo.inputs.Values`."""
        if value is None:
            return []
        return [self._label_values(value)] if name == "labels" else []

    def _rows(self, num_samples, seed, temperature):
        """The arguments of `sample`, checked, for each row: seeds int32 and temperature float32 `[num_samples]`."""
        num_samples = checks.positive_int("num_samples", num_samples)
        temperature = checks.number("temperature", temperature, 0.0)
        return random.row_seeds(seed, num_samples), ops.full((num_samples,), temperature, "float32")

    def _split(self, data):
        """What Keras gives to a step as a `Batch` of arrays as they came, of the right structure, type and shape."""
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        y = _ranked(y)
        if hasattr(y, "shape") and tuple(y.shape[1:]) == _NO_TARGET:
            y = None
        x, labels, target = self._roles(x, y)
        x = self._check_data("x", x)
        labels = self._check_labels(labels, x.shape[0])
        if target is not None:
            target = self._check_data("y", target)
            inputs.require_shape("y", target, tuple(x.shape[1:]))
        if weights is not None:
            weights = inputs.array("sample_weight", weights)
            if len(weights.shape) != 1 or None not in (weights.shape[0], x.shape[0]) and weights.shape != x.shape[:1]:
                checks.fail("sample_weight", "of shape [B], a number for each example", tuple(weights.shape))
        return Batch(x, labels, target, weights)

    def _roles(self, x, y):
        """Data, labels and target from what Keras calls x and y."""
        labels = None
        names = self._input_names()
        if self.conditional:
            if isinstance(x, (list, tuple)) and len(x) == 2:
                (x, labels), target = x, y
            elif isinstance(x, dict) and any(name in x for name in _LABELS):
                labels, target = next(x[name] for name in _LABELS if name in x), y
                x = {name: value for name, value in x.items() if name not in _LABELS}
            else:
                labels, target = y, None
            return inputs.single(x, names), labels, target
        x = inputs.single(x, names)
        if y is None:
            return x, None, None
        y = inputs.single(y, names)
        if hasattr(y, "dtype") and "float" in keras.backend.standardize_dtype(y.dtype) and len(y.shape) > 1:
            return x, None, y
        return x, y, None

    def _input_names(self):
        """What an entry of a dict may be called that is the model's input."""
        return ("x", "image")

    def _check_data(self, name, x):
        """`x` as an array of the type and shape that the model takes."""
        raise NotImplementedError

    def _unpack(self, data):
        """What Keras gives to a step, as a `Batch` of tensors."""
        batch = self._split(data)
        x, labels = self._inputs(batch.x, batch.labels)
        if not self.built:  # networks of the user's own may wait for their first call
            self(x, labels)
        target = None if batch.target is None else ops.cast(batch.target, "float32")
        weights = None if batch.weights is None else ops.cast(batch.weights, "float32")
        return Batch(x, labels, target, weights)

    def _check_labels(self, labels, num_rows):
        """Labels int32 `[num_rows]`, checked where they can be read; None where the model takes none."""
        kind = type(self).__name__
        if not self.conditional:
            if labels is not None:
                received = f"an array of shape {tuple(labels.shape)}" if hasattr(labels, "shape") else repr(labels)
                raise ValueError(f"Expected no `labels`, as {kind} is not conditional. Received: {received}")
            return None
        if labels is None:
            raise ValueError(f"Expected `labels`, as {kind} is conditional. Received: None")
        labels = _ranked(inputs.array("labels", labels))
        dtype = keras.backend.standardize_dtype(labels.dtype)
        shape = tuple(labels.shape)
        if len(shape) == 2 and shape[1] == 1 and "int" in dtype:  # as Keras's loader of CIFAR-10 gives them
            shape = shape[:1]
            labels = labels if isinstance(labels, tf.TensorSpec) else labels[:, 0]
        if len(shape) == 2 and shape[1] == self.num_classes:
            way = "One-hot rows become classes by np.argmax(labels, axis=-1)"
            raise ValueError(f"Expected `labels` to be int32 of shape [{num_rows}]. Received: shape {shape}. {way}")
        if len(shape) != 1 or (None not in (num_rows, shape[0]) and num_rows != shape[0]):
            raise ValueError(f"Expected `labels` to be int32 of shape [{num_rows}]. Received: shape {shape}")
        if "int" not in dtype:
            way = "Use labels.astype('int32')"
            raise ValueError(f"Expected `labels` to be integers. Received: dtype={dtype}. {way}")
        return labels


def _ranked(labels):
    """Labels of a known rank: Keras makes one graph for [B] and [B,1] when it was given both."""
    if isinstance(labels, tf.Tensor) and labels.shape.rank is None:
        return tf.reshape(labels, (-1,))
    return labels


_LABELS = ("labels", "label")


def _are_arrays(values):
    """Whether all that is given, in whatever structure, are arrays, and not the source of batches."""
    leaves = [leaf for leaf in keras.tree.flatten(values) if leaf is not None]
    return all(isinstance(leaf, (np.ndarray, tf.Tensor)) for leaf in leaves)


def _dense(gradient):
    """One number for each weight: Adam, given several for a row of an embedding, adds up the squares of each."""
    return tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient
