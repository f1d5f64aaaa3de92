"""The compiled steps of Keras: `compile`, the functions of a step, and the figures of an epoch."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo._compat import keras as keras_compat
from zoo.fitting.batch import BatchReader
from zoo.fitting.first_batch import FirstBatch
from zoo.fitting.gradients import SkipLargeGradients
from zoo.runtime import checks, optimizers, replicas
from zoo.runtime.types import Config, Tensors

NO_BATCH = "Expected data of at least one batch. Received: none"
_OF_CLASSES = ("accuracy", "acc", "crossentropy", "ce")  # names that stand for several metrics
_COARSE = {
    "float16": "whose updates vanish or overflow: NaN follows",
    "bfloat16": "of some two digits, which small updates leave as it was: training stands still",
}


class Steps(BatchReader, keras_compat.PrivateHooks):
    """A Keras model whose steps look at their first batch, and are made anew where they no longer hold."""

    gradient_policy: SkipLargeGradients | None = None
    # Keras sets these three.
    train_function: Callable[..., Tensors] | None
    test_function: Callable[..., Tensors] | None
    predict_function: Callable[..., Tensors] | None
    trackers: dict[str, keras.metrics.Metric]  # by term
    reconstructs = True  # whether `call` gives reconstructions, which metrics compare with the data
    _traced: dict[str, list[Any]]  # what the compiled steps "train", "test" and "predict" have read of the model
    _times_traced = 0  # how many times a step was traced, or run eagerly
    _denoised = False  # `denoises` before the batch that is looked at
    _judged = True  # whether the likelihood sees the data in the step that is being made

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        first_batch = FirstBatch(self._split, lambda data, judged: self._values(self._split(data), judged))
        object.__setattr__(self, "_first_batch", first_batch)  # no part of the model's state
        object.__setattr__(self, "_traced", {})

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        loss: None = None,
        loss_weights: None = None,
        skip_threshold: float | None = None,
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.compile`, but without a loss: the model has its own objective.

        `metrics` compare data and reconstructions; a prior, which reconstructs nothing, takes none.

        Args:
            optimizer: a Keras optimizer or its name.
            skip_threshold: float > 0. A training step leaves out a gradient with a norm of it or more, and reports the
                share `skipped` (`zoo.fitting.gradients.SkipLargeGradients`). Infinity leaves out only gradients that
                are NaN or infinite; None leaves out none.

        Raises:
            ValueError: for no optimizer; if `loss` or `loss_weights` is given, or `skip_threshold` is out of range.

        Warns:
            UserWarning: of metrics such as "accuracy", for which Keras chooses a kind by the shape of the data, as if
                they were labels of classes.
        """
        kind = type(self).__name__
        if optimizer is None:
            checks.fail("optimizer", "a Keras optimizer or its name", None)
        if loss is not None:
            checks.fail("loss", f"None, as {kind} minimises its own objective", loss)
        if loss_weights is not None:
            checks.fail("loss_weights", f"None, as {kind} minimises its own objective", loss_weights)
        for name in ("metrics", "weighted_metrics"):
            if kwargs.get(name) and not self.reconstructs:
                checks.fail(name, f"None, as a {kind} reconstructs nothing", kwargs[name])
        named = [keras.tree.flatten(kwargs.get(name) or []) for name in ("metrics", "weighted_metrics")]
        for metric in {*_OF_CLASSES} & {each for part in named for each in part if isinstance(each, str)}:
            warnings.warn(
                f"Keras chooses the kind of the metric {metric!r} by the shape of the data, as if they were labels of "
                "classes. Name the kind that is meant, such as keras.metrics.BinaryAccuracy()",
                stacklevel=2,
            )
        for metric in self._named_as_terms(named):
            terms = ", ".join(self.trackers)
            checks.fail("metrics", f"of other names than the model's own terms, {terms}", _name_of(metric))
        policy = None if skip_threshold is None else SkipLargeGradients(skip_threshold)
        object.__setattr__(self, "gradient_policy", policy)  # no part of the model's state
        self._traced.pop("train", None)
        optimizer = keras.optimizers.get(optimizer)
        replicas.require_supported(self.variables, optimizers.batches_of_update(optimizer), **kwargs)
        super().compile(optimizer=optimizer, **kwargs)
        half = next((each for each in self.trainable_variables if each.dtype in _COARSE), None)
        if half is not None:
            warnings.warn(
                f"{half.path} is a weight of {half.dtype}, {_COARSE[half.dtype]}. Use the policy mixed_float16 or "
                "mixed_bfloat16, which keep weights in float32",
                stacklevel=2,
            )

    def get_compile_config(self) -> Config | None:
        config = super().get_compile_config()
        if config is None or self.gradient_policy is None:
            return config
        return {**config, "skip_threshold": self.gradient_policy.threshold}

    def compile_from_config(self, config: Config) -> None:
        # On loading, Keras compiles a model that overrides `compile` only by this method.
        arguments = keras.saving.deserialize_keras_object(config)
        for kind in ("metrics", "weighted_metrics"):  # of a file that an earlier version wrote
            given = keras.tree.flatten(arguments.get(kind) or [])
            if taken := self._named_as_terms(given):
                names = ", ".join(map(_name_of, taken))
                warnings.warn(f"The metrics {names} are left out, as terms of the model have these names", stacklevel=2)
                arguments[kind] = [metric for metric in given if metric not in taken]
        self.compile(**arguments)
        if self.built:
            self.build_optimizers()

    def _named_as_terms(self, metrics):
        """Those of `metrics`, a structure of them, that have the name of one of the model's own terms."""
        return [each for each in keras.tree.flatten(metrics) if _name_of(each) in self.trackers]

    def forget_steps(self) -> None:
        """Has the compiled steps made anew at their next call, which may come within a `fit` that is running."""
        for name in ("train_function", "test_function", "predict_function"):
            if getattr(self, name) is not None:
                setattr(self, name, self._made_at_its_call(name))

    def _made_at_its_call(self, name):
        def function(batches):
            getattr(self, f"make_{name}")(force=True)
            return getattr(self, name)(batches)

        function.is_stale = True  # type: ignore[attr-defined]
        return function

    def make_train_function(self, force: bool = False) -> None:
        variables = self.trainable_variables
        if self.built and variables and not all(each.built for each in self.optimizers()):
            # Otherwise the first trace of the step makes their variables, and the step is traced a second time.
            with self.distribute_strategy.scope():
                self.build_optimizers()
        optimizers.require_built_for(self.optimizer, variables)
        several = self.distribute_strategy.num_replicas_in_sync > 1
        scaling = [each for each in self.optimizers() if isinstance(each, keras.optimizers.LossScaleOptimizer)]
        if several and scaling:
            way = (
                "one that does not scale the loss, as under mixed_bfloat16: each replica would judge its own gradients"
            )
            checks.fail("optimizer", way, f"a {type(scaling[0]).__name__} on several replicas")
        # The compiled step would go on with what was frozen since.
        other = self._has_changed("train")
        trained = other and self._traced["train"][-1] != [*map(id, variables)]
        if trained and optimizers.averages_weights(self.optimizer):
            way = "compiled again after parts were frozen, as its averages are those of the weights before"
            checks.fail("optimizer", way, "use_ema=True")
        super().make_train_function(force or other or _is_stale(self.train_function))
        self.train_function = self._looking(self.train_function, "train")

    def make_test_function(self, force: bool = False) -> None:
        super().make_test_function(force or _is_stale(self.test_function) or self._has_changed("test"))
        self.test_function = self._looking(self.test_function, "test")

    def make_predict_function(self, force: bool = False) -> None:
        object.__setattr__(self, "_judged", False)
        super().make_predict_function(force or _is_stale(self.predict_function) or self._has_changed("predict"))
        object.__setattr__(self, "_judged", True)
        self.predict_function = self._looking(self.predict_function, "predict")

    def ids_of_parts(self) -> list[int]:
        """Which weights and layers the model has, to tell whether a network was changed in place."""
        return [id(each) for each in (*self.weights, *keras_compat.layers_of(self))]

    def _has_changed(self, name):
        """Whether the model has other parts than when a step was traced, such as a layer more or one that is frozen."""
        return name in self._traced and self._traced[name] != self._read_by_steps()

    def _read_by_steps(self):
        frozen = [not layer.trainable for layer in keras_compat.layers_of(self)]
        return [self.denoises, *frozen, *self.ids_of_parts(), [*map(id, self.trainable_variables)]]

    def _looking(self, function, name):
        """Wraps the function of a step, and marks the next batch as the first.

        `fit`, `evaluate` and `predict` each ask for their function once, at their start.
        """
        self._first_batch.reopen()
        object.__setattr__(self, "_denoised", self.denoises)
        if hasattr(function, "guarded"):
            return function
        if self.distribute_strategy.num_replicas_in_sync > 1:
            function = self._sharing(function, name)

        read_after = -1

        def stepped():
            nonlocal read_after
            if read_after != self._times_traced:  # tracing may have built layers
                self._traced[name] = self._read_by_steps()
                read_after = self._times_traced

        def refused():
            # What tracing the step has noted does not hold, and must be noted again at the next attempt.
            object.__setattr__(self, "denoises", self._denoised)
            self.forget_steps()

        return self._first_batch.guarded(function, self._variables_of_a_step, stepped, refused)

    def _sharing(self, function, name):
        """Splits the batch of `train_on_batch` and the like over the replicas, as Keras gives all of it to each."""
        strategy, judged, is_made = self.distribute_strategy, name != "predict", False

        def shared(batches):
            nonlocal is_made
            if isinstance(batches, tf.distribute.DistributedIterator):
                return function(batches)
            batches = list(batches)
            leaves = keras.tree.flatten(batches)
            distributed = [leaf for leaf in leaves if isinstance(leaf, tf.distribute.DistributedValues)]
            if distributed:  # those of `predict`
                # TensorFlow cannot make a step from an empty share.
                if not is_made and not all(len(share) for leaf in distributed for share in leaf.values):
                    batches = [replicas.share_out(replicas.gathered(batch, strategy), strategy) for batch in batches]
                results = function(batches)
                is_made = True
                return results
            self._first_batch(batches, judged)
            results = function([replicas.share_out(batch, strategy) for batch in batches])
            # Keras takes the mean of the replicas' means, in which an example of a smaller share counts for more.
            return self._means(results) if judged else results

        return shared

    def _variables_of_a_step(self):
        """All variables that a training step may change."""
        return [*self.variables, *(variable for each in self.optimizers() for variable in each.variables)]

    def around_step(self, step_function: Callable[[object], Tensors]) -> Callable[[object], Tensors]:
        """Wraps Keras's function of one batch with the check of the first."""
        strategy, judged = self.distribute_strategy, self._judged

        def step(data):
            object.__setattr__(self, "_times_traced", self._times_traced + 1)
            leaves = [strategy.experimental_local_results(leaf) for leaf in keras.tree.flatten(data)]
            shares = [keras.tree.pack_sequence_as(data, of_replica) for of_replica in zip(*leaves)]
            with tf.control_dependencies(self._first_batch(shares, judged)):
                return step_function(data)

        return step

    def example_spec(self) -> keras.KerasTensor:
        """The spec of a batch of data, from which Keras builds the metrics of `compile`."""
        return keras.KerasTensor((None, *self.image_shape), getattr(self, "data_dtype", "float32"))

    def epoch_logs(self, logs: Mapping[str, object]) -> dict[str, float]:
        """The figures of an epoch: means over all its batches, with a warning if the loss is NaN or infinite.

        Raises:
            ValueError: if no batch came.
        """
        if not logs:
            raise ValueError(NO_BATCH)
        results = self._means(logs)
        if not np.all(np.isfinite(results.get("loss", 0.0))):
            warnings.warn(
                "The loss is NaN or infinite. Look for such values in the data, beyond the first batch too, or lower "
                "the learning rate; keras.callbacks.TerminateOnNaN stops at the first one",
                stacklevel=3,  # beyond zoo._compat, where Keras calls
            )
        return results

    def _means(self, logs):
        """The figures that `logs` names, over all examples since the metrics were reset."""
        means = {each.name: each for each in self.metrics if isinstance(each, keras.metrics.Mean)}
        # Figures of a train_step of the user's own are those of the last batch, as it updates no mean.
        unused = {name for name, each in means.items() if not float(each.count.value.numpy())}
        results = {name: value for name, value in self.get_metrics_result().items() if name in logs}
        own = unused & {*logs} | ({*logs} - {*results})
        return results | {name: float(np.mean(np.asarray(logs[name]))) for name in own}


def _name_of(metric):
    """The name under which Keras reports a metric: an object, a function or a text."""
    return getattr(metric, "name", None) or getattr(metric, "__name__", metric)


def _is_stale(function):
    return getattr(function, "is_stale", False)
