"""Looks at the values of the first batch that `fit`, `evaluate` or `predict` receives."""

import functools
import weakref
from collections.abc import Callable, Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf

from zoo._compat import tensorflow as tf_compat
from zoo.fitting.inputs import Target, Values, look, unfit
from zoo.runtime.types import Shape, Tensor, Tensors


class FirstBatch:
    """Checks the first batch after `reopen` before anything is computed from it, and no later batch.

    Structure, type and shape come from the dataset's specs. The check of values is a part of the graph, because the
    graph sees the batches of every kind of dataset: it is a condition on a flag, and costs later batches microseconds.

    Args:
        split: function of a batch, as Keras passes it to a step, or of its specs; raises ValueError for a wrong
            structure, type or shape.
        values_of: function of such a batch, and of whether the likelihood sees it, that returns a list of `Values`
            and `Target`s.
    """

    def __init__(
        self, split: Callable[[object], object], values_of: Callable[[object, bool], list[Values | Target]]
    ) -> None:
        self._split, self._values_of = split, values_of
        self.is_due = True
        self._failure: ValueError | None = None
        self._arrays: list[tuple[str, Shape]] = []
        self._specs: object = None
        self._unseen = tf_compat.Flag()
        self._explanations: list[Callable[..., np.bool_]] = []  # the functions that graphs call by weak references

    def reopen(self) -> None:
        """Makes the next batch the first."""
        self.is_due = True
        with tf.init_scope():
            self._unseen.set(True)

    def __call__(self, batches: Sequence[object], judged: bool) -> list[Tensor]:
        """Checks `batches`, one for each replica, and returns the tensors that the step's graph must wait for."""
        values = [each for batch in batches for each in self._values_of(batch, judged)]
        self._arrays = [(each.name, each.array.shape) for each in values if isinstance(each, Values)]
        if tf.executing_eagerly():
            if self._unseen.get():
                self._unseen.set(False)
                look(values)
            return []
        # An error in the graph would break the collectives of several replicas for good; `guarded` raises it later.
        stops = len(batches) == 1

        # A condition within the step's own graph would slow the whole graph down.
        @tf_compat.graph_of_its_own
        def looked():
            with tf.device("CPU:0"):
                return tf.cond(self._unseen.get(), lambda: self._look(values, stops), lambda: False)

        return [looked()]

    def _look(self, values, stops):
        self._unseen.set(False)
        good = functools.reduce(tf.logical_and, [each.hold() for each in values])
        arrays = [array for each in values for array in each.arrays]

        def explain(*arrays):
            left = iter(arrays)
            try:
                for each in values:
                    each.require(*(next(left) for _ in each.arrays))
            except ValueError as error:
                self._failure = error
            return np.bool_(self._failure is None)

        self._explanations.append(explain)

        def fail():
            passed = tf.numpy_function(_without_keeping(explain), arrays, tf.bool)
            # Not an exception, as TensorFlow would print its traceback.
            stop = [tf.debugging.Assert(passed, ["the first batch was refused"])] if stops else []
            with tf.control_dependencies(stop):
                return tf.identity(passed)

        return tf.cond(good, lambda: True, fail)

    def guarded(
        self,
        function: Callable[[object], Tensors],
        variables: Callable[[], Iterable[keras.Variable]],
        stepped: Callable[[], object],
        refused: Callable[[], object],
    ) -> Callable[[object], Tensors]:
        """Wraps Keras's function of a step, and raises the error that the check of the first batch has found.

        Args:
            function: of an iterator of batches, or of a list of them.
            variables: function without arguments that returns the variables which the step may change. Several
                replicas make the step even from a refused batch; the variables then get their former values back.
            stepped: function without arguments that is called after the step of a first batch, also of one that fails.
            refused: function without arguments that is called before the error is raised.
        """

        def call(batches):
            kept, first = None, self.is_due
            if first:
                self.is_due = False
                self._check_specs(batches)
                if isinstance(batches, tf.distribute.DistributedIterator):
                    kept = [(variable, variable.numpy()) for variable in variables()]
            try:
                results = function(batches)
            except tf.errors.OpError as error:
                self._raise_failure(error, refused)
                if "collective" in error.message:
                    raise RuntimeError(
                        "Expected one tf.distribute strategy in a process: TensorFlow mixes up the collectives of "
                        "several. Make the strategy once, and all models in its scope. Received from TensorFlow: "
                        f"{error.message[:200]}"
                    ) from error
                if isinstance(error, tf.errors.InvalidArgumentError):
                    raise unfit(error, self._arrays) from error
                raise
            finally:
                if first:
                    stepped()
            if self._failure is not None:
                for variable, value in kept or ():
                    variable.assign(value)
                self._raise_failure(None, refused)
            return results

        call.guarded = True  # type: ignore[attr-defined]  # tells `Verbs` that Keras returned it from its cache
        return call

    def _check_specs(self, batches):
        """Splits an iterator's specs, before TensorFlow relaxes them to cover the shapes of earlier batches too."""
        if isinstance(batches, list):  # of tensors, in `predict`
            self._split(keras.tree.map_structure(_of_first_replica, batches[0]))
            return
        specs = getattr(batches, "element_spec", None)  # `train_on_batch` passes a generator, which has none
        if specs is not None and specs != self._specs:
            self._split(keras.tree.map_structure(_of_first_replica, specs))
            self._specs = specs  # the next call mostly has the same

    def _raise_failure(self, cause, refused):
        failure, self._failure = self._failure, None
        if failure is not None:
            refused()
            raise failure from cause


def _without_keeping(function):
    """Calls a function that others keep: TensorFlow would keep what it is given, and with it the model, for good."""
    reference = weakref.ref(function)

    def call(*arguments):
        held = reference()
        if held is None:
            raise RuntimeError("Expected the model of this step to exist. Received: one that was deleted")
        return held(*arguments)

    return call


def _of_first_replica(leaf):
    if isinstance(leaf, tf.OptionalSpec):  # Keras wraps None in it
        return None
    if isinstance(leaf, tf.distribute.DistributedValues):
        return leaf.values[0]
    return tf_compat.spec_of_first_replica(leaf)
