"""Keras's `fit`, `evaluate`, `predict` and the like, which check their input and refuse unsupported arguments."""

import pathlib
import types
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from zoo._compat import keras as keras_compat
from zoo.fitting import inputs
from zoo.fitting.batch import no_target
from zoo.fitting.steps import NO_BATCH, Steps
from zoo.runtime import checks, configs, files, replicas
from zoo.runtime.types import ArrayLike, Batches, PathLike

_DEFAULT_ROWS = 32  # of a batch, in Keras

# Arrays, pairs or dicts of them, or a source of batches.
Data: TypeAlias = ArrayLike | Batches | Sequence[ArrayLike] | Mapping[str, ArrayLike] | None


class Verbs(Steps):
    """A Keras model with its own objective, whose data are checked before a step uses them."""

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
            class_weight: dict of classes to weights, for a model with `num_classes` and no target; other classes
                weigh 1. The batches of a dataset must then be `(x, labels)`.

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
        x, y, sample_weight = self._checked_arrays(x, y, sample_weight)
        x, y, class_weight = self._with_class_weight(x, y, class_weight)
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
        if class_weight is not None:
            x, y, class_weight = self._with_class_weight(_as_arrays("x", x), _as_arrays("y", y), class_weight)
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
                raise ValueError(NO_BATCH) from error
            raise

    def quantize(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises NotImplementedError: Keras rewrites single layers, which those of a model of the zoo are not."""
        raise NotImplementedError(
            f"{type(self).__name__} cannot be quantized in place. For a small file use "
            "export('model.tflite', quantization='int8', images=…)"
        )

    def save(self, filepath: PathLike, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """As `keras.Model.save`, to a `.keras` file, which is written whole or not at all.

        A link stays, and what it leads to is replaced. `zipped=False` and `overwrite=False` write as Keras does.

        Raises:
            ValueError: for an HDF5 file, which could not be loaded again.

        Warns:
            UserWarning: of arguments that the file does not hold, as a class of the user's own leaves them out of its
                `get_config`; of layers that two networks share, as Keras loads no such file.
        """
        path = pathlib.Path(filepath)
        if path.suffix in (".h5", ".hdf5"):
            way = f"'{path.stem}.keras'; for the weights alone save_weights('{path.stem}.weights.h5')"
            checks.fail("filepath", f"a file that ends in .keras, such as {way}", str(filepath))
        configs.warn_of_lost(self)
        if hasattr(self, "encoder"):
            configs.warn_of_shared(self)
        is_local_file = path.suffix == ".keras" and path.parent.is_dir() and not path.is_dir()
        if not is_local_file or not overwrite or zipped is False:
            super().save(filepath, overwrite, zipped, **kwargs)
            return
        with files.replacing(path) as scratch:
            super().save(scratch, zipped=zipped, **kwargs)

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

    def _checked_arrays(self, x, y=None, sample_weight=None, judged=True):
        """Checks all values of arrays, and returns them; sources of batches are checked in a first step."""
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
            y = no_target(len(sample_weight))
        return x, y, sample_weight

    def _with_class_weight(self, x, y, class_weight):
        """Data, labels and the weights of all classes. Keras weighs an example by its `y`, which must be the label."""
        if class_weight is None:
            return x, y, None
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
        batch: Any
        if _are_arrays((x, y)):
            if y is None:  # the labels may be beside the data, in `x`
                data, labels, _ = self._roles(x, None)
                x, y = (x, y) if labels is None else (data, labels)
            batch = (x, y)
        else:
            batch = x[0] if isinstance(x, keras.utils.PyDataset) else getattr(x, "element_spec", None)
        if batch is not None:  # Keras refuses weights for other sources
            data, labels, _ = keras.utils.unpack_x_y_sample_weight(batch)
            if labels is None or self._roles(data, labels)[1] is not labels:
                way = "give (x, labels), or use sample_weight"
                expected = f"None where `y` is not the labels, as Keras weighs an example by its `y`; {way}"
                checks.fail("class_weight", expected, class_weight)
        return x, y, {label: class_weight.get(label, 1.0) for label in range(self.num_classes)}


def _require_counts(**arguments):
    """Raises ValueError for numbers of examples and of batches that are not at least 1, if they are given."""
    for name in ("batch_size", "steps", "steps_per_epoch", "validation_batch_size", "validation_steps"):
        if arguments.get(name) is not None:
            checks.positive_int(name, arguments[name])


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
