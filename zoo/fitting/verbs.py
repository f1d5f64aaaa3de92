"""Keras's verbs, `fit` and the like: what they are given is looked at, and what they cannot do is refused."""

import pathlib
import warnings

import keras
import numpy as np
import tensorflow as tf

from zoo._compat import keras as keras_compat
from zoo.fitting import inputs
from zoo.fitting.batch import NO_TARGET, BatchReader
from zoo.runtime import checks


class Verbs(BatchReader, keras_compat.PrivateHooks):
    """A Keras model without a loss of Keras's, whose data are looked at before a step is made from them."""

    _judged = True  # whether the step that is being made shows the data to the likelihood

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        first_batch = inputs.FirstBatch(self._split, lambda data, judged: self._values(self._split(data), judged))
        object.__setattr__(self, "_first_batch", first_batch)  # no part of the model's state

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
            self.build_optimizers()

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
        if not keras_compat.is_validation(kwargs):
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
            y = np.zeros((len(sample_weight), *NO_TARGET), np.float32)
        return x, y

    def _require_labels_for(self, class_weight):
        if class_weight is not None and self.num_classes is None:
            checks.fail(
                "class_weight", f"None, as {type(self).__name__} has no classes; use sample_weight", class_weight
            )

    def make_train_function(self, force=False):
        if self.built and self.trainable_variables and not all(each.built for each in self.optimizers()):
            # Else their variables are made in the first trace of the step, which is then traced once more.
            with self.distribute_strategy.scope():
                self.build_optimizers()
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
        return self._first_batch.guarded(function, self._variables_of_a_step)

    def _variables_of_a_step(self):
        """All variables that a training step may change."""
        return [*self.variables, *(variable for each in self.optimizers() for variable in each.variables)]

    def around_step(self, step_function):
        strategy, judged = self.distribute_strategy, self._judged

        def step(data):
            leaves = [strategy.experimental_local_results(leaf) for leaf in keras.tree.flatten(data)]
            replicas = [keras.tree.pack_sequence_as(data, of_replica) for of_replica in zip(*leaves)]
            with tf.control_dependencies(self._first_batch(replicas, judged)):
                return step_function(data)

        return step

    def example_spec(self):
        return keras.KerasTensor((None, *self.image_shape), "float32")

    def epoch_logs(self, logs):
        results = {name: value for name, value in self.get_metrics_result().items() if name in logs}
        if not np.all(np.isfinite(results.get("loss", 0.0))):
            warnings.warn(
                "The loss is NaN or infinite. Look for such values in the data, beyond the first batch too, or lower "
                "the learning rate; keras.callbacks.TerminateOnNaN stops at the first one",
                stacklevel=2,
            )
        return results


def _are_arrays(values):
    """Whether all that is given, in whatever structure, are arrays, and not the source of batches."""
    leaves = [leaf for leaf in keras.tree.flatten(values) if leaf is not None]
    return all(isinstance(leaf, (np.ndarray, tf.Tensor)) for leaf in leaves)
