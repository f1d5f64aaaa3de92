"""Keras's `fit`, `evaluate`, `predict` and the like, which check their input and refuse unsupported arguments."""

import pathlib
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from zoo._compat import keras as keras_compat
from zoo.fitting import inputs
from zoo.fitting.batch import NO_TARGET, BatchReader
from zoo.fitting.first_batch import FirstBatch
from zoo.fitting.gradients import SkipLargeGradients
from zoo.runtime import checks, configs, optimizers, replicas
from zoo.runtime.types import ArrayLike, Batches, Config, PathLike, Tensors

_OF_CLASSES = ("accuracy", "acc", "crossentropy", "ce")  # names that stand for several metrics
_DEFAULT_ROWS = 32  # of a batch, in Keras
_NO_BATCH = "Expected data of at least one batch. Received: none"

# Arrays, pairs or dicts of them, or a source of batches.
Data: TypeAlias = ArrayLike | Batches | Sequence[ArrayLike] | Mapping[str, ArrayLike] | None


class Verbs(BatchReader, keras_compat.PrivateHooks):
    """A Keras model with its own objective, whose data are checked before a step uses them."""

    gradient_policy: SkipLargeGradients | None = None
    # Keras sets these three.
    train_function: Callable[..., Tensors] | None
    test_function: Callable[..., Tensors] | None
    predict_function: Callable[..., Tensors] | None
    _trained: Sequence[int] | None = None  # the ids of the weights that the compiled step trains
    _denoised = False  # `denoises` before the batch that is looked at
    _judged = True  # whether the likelihood sees the data in the step that is being made

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        first_batch = FirstBatch(self._split, lambda data, judged: self._values(self._split(data), judged))
        object.__setattr__(self, "_first_batch", first_batch)  # no part of the model's state

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        loss: None = None,
        loss_weights: None = None,
        skip_threshold: float | None = None,
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.compile`, but without a loss: the model has its own objective.

        `metrics` compare data and reconstructions.

        Args:
            optimizer: a Keras optimizer or its name.
            skip_threshold: float > 0. A training step leaves out a gradient with a norm above it, and reports the share
                `skipped` (`zoo.fitting.gradients.SkipLargeGradients`). Infinity leaves out only gradients that are NaN
                or infinite; None leaves out none.

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
        named = [keras.tree.flatten(kwargs.get(name) or []) for name in ("metrics", "weighted_metrics")]
        for metric in {*_OF_CLASSES} & {each for part in named for each in part if isinstance(each, str)}:
            warnings.warn(
                f"Keras chooses the kind of the metric {metric!r} by the shape of the data, as if they were labels of "
                "classes. Name the kind that is meant, such as keras.metrics.BinaryAccuracy()",
                stacklevel=2,
            )
        own = getattr(self, "trackers", {})
        for name in (_name_of(metric) for part in named for metric in part):
            if isinstance(name, str) and name in own:
                checks.fail("metrics", f"of other names than the model's own terms, {', '.join(own)}", name)
        policy = None if skip_threshold is None else SkipLargeGradients(skip_threshold)
        object.__setattr__(self, "gradient_policy", policy)  # no part of the model's state
        object.__setattr__(self, "_trained", None)
        optimizer = keras.optimizers.get(optimizer)
        replicas.require_supported(self.variables, optimizers.batches_of_update(optimizer), **kwargs)
        super().compile(optimizer=optimizer, **kwargs)
        half = next((each.path for each in self.trainable_variables if each.dtype == "float16"), None)
        if half is not None:
            warnings.warn(
                f"{half} is a weight of float16, whose updates vanish or overflow: NaN follows. Use the policy "
                "mixed_float16 or mixed_bfloat16, which keep weights in float32",
                stacklevel=2,
            )

    def get_compile_config(self) -> Config | None:
        config = super().get_compile_config()
        if config is None or self.gradient_policy is None:
            return config
        return {**config, "skip_threshold": self.gradient_policy.threshold}

    def compile_from_config(self, config: Config) -> None:
        # On loading, Keras compiles a model that overrides `compile` only by this method.
        _keep_frozen(self)
        arguments = keras.saving.deserialize_keras_object(config)
        for kind in ("metrics", "weighted_metrics"):  # of a file that an earlier version wrote
            given = keras.tree.flatten(arguments.get(kind) or [])
            taken = [metric for metric in given if _name_of(metric) in getattr(self, "trackers", {})]
            if taken:
                names = ", ".join(map(_name_of, taken))
                warnings.warn(f"The metrics {names} are left out, as terms of the model have these names", stacklevel=2)
                arguments[kind] = [metric for metric in given if metric not in taken]
        self.compile(**arguments)
        if self.built:
            self.build_optimizers()

    def fit(
        self,
        x: Data = None,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.CallbackList | None = None,
        validation_split: float = 0.0,
        validation_data: Data = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: ArrayLike | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """As `keras.Model.fit`; without `y`, `x` is its own target.

        Args:
            x: data, as an array `[N, …]`, a `tf.data.Dataset`, a generator or a `keras.utils.PyDataset` of batches.
            y: the labels of a conditional model, int32 `[N]`; or data of the shape of `x` that the likelihood judges
                instead of `x`, which trains a model to remove noise. A conditional model with such a target takes
                `(x, labels)` as `x`.
            sample_weight: float `[N]`, >= 0. The loss is the batch mean of weight times loss, as for any Keras model;
                the other figures are weighted means.
            class_weight: dict of labels to weights, for a conditional model.

        Raises:
            ValueError: for data of another structure, type, shape or range, before a step uses them.
        """
        _require_counts(batch_size=batch_size, **kwargs)
        begun = checks.integer("initial_epoch", kwargs.get("initial_epoch", 0), 0)
        checks.integer("epochs", epochs, 0)
        checks.number("validation_split", validation_split, 0.0, 1.0, open_high=True)
        self.check_settings()
        if _are_arrays((x,)):
            replicas.require_shares("batch_size", batch_size or _DEFAULT_ROWS, self.distribute_strategy)
        if kwargs.get("validation_batch_size"):
            replicas.require_shares("validation_batch_size", kwargs["validation_batch_size"], self.distribute_strategy)
        callbacks = _with_callbacks(self, self.own_callbacks(), callbacks)
        x, y, sample_weight = self._checked_arrays(x, y, sample_weight, class_weight)
        if isinstance(validation_data, (tuple, list)) and len(validation_data) in (2, 3):
            validation_data = self._checked_arrays(*validation_data)[: len(validation_data)]
        elif validation_data is not None:
            validation_data, *_ = self._checked_arrays(validation_data)
        history = super().fit(
            x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle, class_weight,
            sample_weight, **kwargs,
        )  # fmt: skip
        if begun > epochs:
            warnings.warn(f"No epoch was trained: initial_epoch={begun} is after the last one, {epochs}", stacklevel=2)
        elif not history.epoch and epochs > begun:
            # keras.callbacks.BackupAndRestore leaves the epoch that it restored with the model.
            warnings.warn("No epoch was trained, as an earlier training has counted them already", stacklevel=2)
        return history

    def own_callbacks(self) -> list[keras.callbacks.Callback]:
        """Callbacks that the objective adds to `fit`. One that the user passes of the same class replaces it."""
        return []

    def check_settings(self) -> None:
        """Raises ValueError for settings that do not go together. Models that have such call it at construction too."""

    def evaluate(
        self,
        x: Data = None,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: ArrayLike | None = None,
        **kwargs: Any,
    ) -> dict[str, float] | list[float]:
        """As `keras.Model.evaluate`; the arguments are those of `fit`."""
        _require_counts(batch_size=batch_size, **kwargs)
        if not keras_compat.is_validation(kwargs):
            if _are_arrays((x,)):
                replicas.require_shares("batch_size", batch_size or _DEFAULT_ROWS, self.distribute_strategy)
            x, y, sample_weight = self._checked_arrays(x, y, sample_weight)
        return super().evaluate(x, y, batch_size, verbose, sample_weight, **kwargs)

    def train_on_batch(
        self,
        x: Data,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> dict[str, float] | list[float]:
        """As `keras.Model.train_on_batch`; the arguments are those of `fit`."""
        self._require_class_weight(class_weight)
        return super().train_on_batch(x, y, sample_weight, class_weight, return_dict)

    def predict(
        self,
        x: Data,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        **kwargs: Any,
    ) -> np.ndarray:
        """As `keras.Model.predict`; returns reconstructions."""
        _require_counts(batch_size=batch_size, steps=steps)
        x, labels, _ = self._checked_arrays(x, judged=False)
        x = x if labels is None else (x, labels)
        try:
            return super().predict(x, batch_size, verbose, steps, **kwargs)
        except UnboundLocalError as error:  # Keras's own, where no batch comes
            if self._first_batch.is_due:
                raise ValueError(_NO_BATCH) from error
            raise

    def quantize(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises NotImplementedError: Keras rewrites single layers, which those of a model of the zoo are not."""
        raise NotImplementedError(
            f"{type(self).__name__} cannot be quantized in place. For a small file use "
            "export('model.tflite', quantization='int8', images=…)"
        )

    def save(self, filepath: PathLike, *args: Any, **kwargs: Any) -> None:
        """As `keras.Model.save`, to a `.keras` file.

        Raises:
            ValueError: for an HDF5 file, which could not be loaded again.

        Warns:
            UserWarning: of arguments that the file does not hold, as a class of the user's own leaves them out of its
                `get_config`.
        """
        if pathlib.Path(filepath).suffix in (".h5", ".hdf5"):
            name = pathlib.Path(filepath).stem
            way = f"'{name}.keras'; for the weights alone save_weights('{name}.weights.h5')"
            checks.fail("filepath", f"a file that ends in .keras, such as {way}", str(filepath))
        configs.warn_of_lost(self)
        return super().save(filepath, *args, **kwargs)

    def load_weights(self, filepath: PathLike, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """As `keras.Model.load_weights`.

        Raises:
            ValueError: for a file with more weights than the model has, such as those of a prior: Keras would leave
                them out without a word.
        """
        path = pathlib.Path(filepath)
        if self.built and not skip_mismatch and path.name.endswith(".weights.h5") and path.is_file():
            stored = keras_compat.number_of_weights(path)
            metrics = {id(variable) for variable in self.metrics_variables}
            own = len({id(variable) for variable in self.variables} - metrics)
            if stored > own:
                expected = f"the weights of a {type(self).__name__} like this one, which has {own}"
                checks.fail("filepath", expected, f"{filepath}, of {stored} weights")
        super().load_weights(filepath, skip_mismatch, **kwargs)

    def _checked_arrays(self, x, y=None, sample_weight=None, class_weight=None, judged=True):
        """Checks all values of arrays, and returns the first three; sources of batches are checked in a first step."""
        self._require_class_weight(class_weight)
        given = {"x": x, "y": y, "sample_weight": sample_weight}
        for name, value in given.items():
            if any(isinstance(leaf, (int, float)) for leaf in keras.tree.flatten(value)):
                way = f"Use np.asarray({name})"
                raise ValueError(f"Expected `{name}` to be an array. Received: numbers in a list. {way}")
        x, y, sample_weight = (_as_arrays(name, value) for name, value in given.items())
        if isinstance(x, types.GeneratorType):
            x = (batch if isinstance(batch, tuple) else (batch,) for batch in x)  # as Keras takes them
        if not _are_arrays((x, y, sample_weight)):
            return x, y, sample_weight
        if self.conditional and y is None and isinstance(x, (tuple, list)) and len(x) == 2:
            x, y = x
        inputs.look(self._values(self._split((x, y, sample_weight)), judged))
        if y is None and sample_weight is not None:
            y = np.zeros((len(sample_weight), *NO_TARGET), np.float32)
        return x, y, sample_weight

    def _require_class_weight(self, class_weight):
        if class_weight is None:
            return
        if self.num_classes is None:
            checks.fail(
                "class_weight", f"None, as {type(self).__name__} has no classes; use sample_weight", class_weight
            )
        if not isinstance(class_weight, Mapping):
            checks.fail("class_weight", "a dict of labels to weights", class_weight)
        for label, weight in class_weight.items():
            if not checks.is_integer(label) or not 0 <= label < self.num_classes:
                checks.fail("class_weight", f"a dict of labels from 0 to {self.num_classes - 1}", label)
            checks.number(f"class_weight[{label}]", weight, 0.0)

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
        if several and isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            way = (
                "one that does not scale the loss, as under mixed_bfloat16: each replica would judge its own gradients"
            )
            checks.fail("optimizer", way, f"a {type(self.optimizer).__name__} on several replicas")
        # The compiled step would go on with what was frozen since.
        other = self._trained is not None and self._trained != [id(variable) for variable in variables]
        if other and optimizers.averages_weights(self.optimizer):
            way = "compiled again after parts were frozen, as its averages are those of the weights before"
            checks.fail("optimizer", way, "use_ema=True")
        super().make_train_function(force or other or _is_stale(self.train_function))
        self.train_function = self._looking(self.train_function)

    def make_test_function(self, force: bool = False) -> None:
        super().make_test_function(force or _is_stale(self.test_function))
        self.test_function = self._looking(self.test_function)

    def make_predict_function(self, force: bool = False) -> None:
        object.__setattr__(self, "_judged", False)
        super().make_predict_function(force or _is_stale(self.predict_function))
        object.__setattr__(self, "_judged", True)
        self.predict_function = self._looking(self.predict_function)

    def _looking(self, function):
        """Wraps the function of a step, and marks the next batch as the first.

        `fit`, `evaluate` and `predict` each ask for their function once, at their start.
        """
        self._first_batch.reopen()
        object.__setattr__(self, "_denoised", self.denoises)
        if hasattr(function, "guarded"):
            return function

        def refused():
            # What tracing the step has noted does not hold, and must be noted again at the next attempt.
            object.__setattr__(self, "denoises", self._denoised)
            self.forget_steps()

        return self._first_batch.guarded(function, self._variables_of_a_step, refused)

    def _variables_of_a_step(self):
        """All variables that a training step may change."""
        return [*self.variables, *(variable for each in self.optimizers() for variable in each.variables)]

    def around_step(self, step_function: Callable[[object], Tensors]) -> Callable[[object], Tensors]:
        """Wraps Keras's function of one batch with the check of the first."""
        strategy, judged = self.distribute_strategy, self._judged

        def step(data):
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
            raise ValueError(_NO_BATCH)
        means = {each.name: each for each in self.metrics if isinstance(each, keras.metrics.Mean)}
        # Figures of a train_step of the user's own are those of the last batch, as it updates no mean.
        unused = {name for name, each in means.items() if not float(each.count.value.numpy())}
        results = {name: value for name, value in self.get_metrics_result().items() if name in logs}
        own = unused & {*logs} | ({*logs} - {*results})
        results |= {name: float(np.mean(np.asarray(logs[name]))) for name in own}
        if not np.all(np.isfinite(results.get("loss", 0.0))):
            warnings.warn(
                "The loss is NaN or infinite. Look for such values in the data, beyond the first batch too, or lower "
                "the learning rate; keras.callbacks.TerminateOnNaN stops at the first one",
                stacklevel=3,  # beyond zoo._compat, where Keras calls
            )
        return results


def _require_counts(**arguments):
    """Raises ValueError for numbers of examples and of batches that are not at least 1, if they are given."""
    for name in ("batch_size", "steps", "steps_per_epoch", "validation_batch_size", "validation_steps"):
        if arguments.get(name) is not None:
            checks.positive_int(name, arguments[name])


def _name_of(metric):
    """The name under which Keras reports a metric: an object, a function or a text."""
    return getattr(metric, "name", None) or getattr(metric, "__name__", metric)


def _is_stale(function):
    return getattr(function, "is_stale", False)


def _keep_frozen(model):
    """Freezes all weights of frozen parts of the zoo, such as a prior.

    On loading, Keras makes the layers within them anew, which do not know that they were frozen.
    """
    for part in keras_compat.layers_of(model):
        is_of_zoo = isinstance(part, Verbs) or type(part).__module__.startswith("zoo.")
        if part is not model and is_of_zoo and not part.trainable and any(each.trainable for each in part.weights):
            part.trainable = True  # TensorFlow skips the setting of a value that is there
            part.trainable = False


def _as_arrays(name, value):
    """A structure whose arrays of other libraries, such as columns of pandas, and variables are arrays of NumPy."""

    def convert(leaf):
        return leaf if isinstance(leaf, tf.Tensor) or not hasattr(leaf, "__array__") else inputs.array(name, leaf)

    return keras.tree.map_structure(convert, value)


def _are_arrays(values):
    """Whether a structure holds arrays alone, and no source of batches."""
    leaves = [leaf for leaf in keras.tree.flatten(values) if leaf is not None]
    return all(isinstance(leaf, (np.ndarray, tf.Tensor)) for leaf in leaves)


def _with_callbacks(model, own, given):
    """What Keras's `fit` takes as `callbacks`: those of the user, who may refuse to train, then the model's own."""
    made = isinstance(given, keras.callbacks.CallbackList)
    theirs = given.callbacks if made else [] if given is None else keras.tree.flatten(given)
    for each in theirs:
        if not isinstance(each, keras.callbacks.Callback):
            checks.fail("callbacks", "a list of keras.callbacks.Callback objects", each)
    moved = [each.moves for each in theirs if hasattr(each, "moves")]
    for weight in {name for name in moved if moved.count(name) > 1}:
        both = [type(each).__name__ for each in theirs if getattr(each, "moves", None) == weight]
        checks.fail("callbacks", f"at most one that sets {weight}", both)
    own = [each for each in own if not any(isinstance(other, type(each)) for other in theirs)]
    if not made:
        return [*theirs, *own]
    for each in own:
        each.set_model(model)
        each.set_params(given.params)
    given.callbacks.extend(own)
    return given
