"""Runs methods on arrays of any length, compiled and batch by batch."""

import functools
import inspect
import numbers
import types
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeGuard, TypeVar, cast

import keras
import numpy as np
import tensorflow as tf

from zoo.fitting import inputs
from zoo.runtime import checks, cores
from zoo.runtime.types import Batches

if TYPE_CHECKING:
    from zoo.fitting.batch import BatchReader

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_MOST_VALUES = 2**19  # in the examples of a batch: 128 images of 32×32 in colour, or fewer larger ones
_MOST_ROWS = 128


def batched(method: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Wraps a method of a model: called with arrays, it runs compiled and in batches.

    The method's arguments are arrays `[B, …]`, structures of them, or None; Python numbers are settings. The method is
    a plain function of tensors, and is called directly within a graph or with symbolic tensors. It declares a keyword
    `batch_size`, which it may ignore: int >= 1, rows at once, or None for a number that suits their size. Instead of
    the first argument a caller may pass a source of batches: a `tf.data.Dataset`, a generator or a
    `keras.utils.PyDataset` of that argument, or of pairs of it and labels for a conditional model.

    All values of the arguments are checked (`values_of`) before anything is computed.
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def call(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        batch_size = bound.arguments.pop("batch_size")
        if batch_size is not None:
            checks.positive_int("batch_size", batch_size)
        _, *given = bound.arguments.items()
        settings: dict[str, Any] = {name: value for name, value in given[1:] if isinstance(value, numbers.Number)}
        rows = {name: value for name, value in given if name not in settings}
        first = next(iter(rows))
        if gives_batches(rows[first]):
            batches = of_dataset(self, rows[first], first)
            results = [call(self, *batch, batch_size=batch_size, **settings) for batch in batches]
            if not results:
                raise ValueError("Expected a dataset of at least one batch. Received: an empty one")
            return _joined(results)
        number = None
        for name, value in rows.items():
            rows[name] = self._row_argument(name, value, number)
            if name == first:
                if not all(leaf.shape for leaf in keras.tree.flatten(rows[name])):
                    checks.fail(name, "an array [B, …]", value)
                number = keras.tree.flatten(rows[name])[0].shape[0]
        if not tf.executing_eagerly() or any(map(keras.utils.is_keras_tensor, keras.tree.flatten(rows))):
            return method(self, **rows, **settings)
        inputs.look([each for name, value in rows.items() for each in self.values_of(name, value)])
        return _run(self, method, rows, settings, batch_size)

    return cast(Callable[Arguments, Result], call)


def gives_batches(value: object) -> TypeGuard[Batches]:
    """Whether `value` is a source of batches, not an array."""
    return isinstance(value, (tf.data.Dataset, types.GeneratorType, keras.utils.PyDataset))


def of_dataset(model: "BatchReader", dataset: Batches, first: str = "x") -> Iterator[tuple[Any, ...]]:
    """Yields the batches of a source as the leading arguments of a method, of which `first` is the first."""
    source: Any = dataset
    if isinstance(source, keras.utils.PyDataset):  # its iteration by `__getitem__` need not end
        source = map(source.__getitem__, range(len(source)))
    for data in source:
        if first != model.data_argument:  # latents, which may be a tuple of arrays
            yield data if model.conditional and isinstance(data, tuple) else (data,)
            continue
        batch = model._split(data)
        yield (batch.x,) if batch.labels is None else (batch.x, batch.labels)


def _run(model, method, rows, settings, batch_size):
    leaves = [leaf for leaf in keras.tree.flatten(rows) if leaf is not None]
    lengths = {leaf.shape[0] for leaf in leaves}
    if lengths == {0}:
        raise ValueError("Expected at least one example. Received: none")
    if len(lengths) > 1:
        raise ValueError(f"Expected arrays of the same number of examples. Received: {sorted(lengths)}")
    (number,) = lengths
    step = batch_size or _rows_at_once(model, leaves)
    function = _compiled(model, method, rows, leaves, settings)
    results = []
    try:
        for i in range(0, number, step):
            batch = leaves if number <= step else [leaf[i : i + step] for leaf in leaves]
            results.append(function(*map(tf.convert_to_tensor, batch)))
            _require_rows(method, results[-1], batch[0].shape[0])
    except tf.errors.InvalidArgumentError as error:
        shapes = [(name, value.shape) for name, value in rows.items() if hasattr(value, "shape")]
        raise inputs.unfit(error, shapes) from error
    return _joined(results)


def _require_rows(method, results, number):
    """Raises ValueError where a part of the user's own, such as a prior, gives more or fewer rows than asked for."""
    for leaf in keras.tree.flatten(results):
        if leaf.shape[:1] != (number,):
            raise ValueError(
                f"Expected `{method.__name__}` to give {number} rows, one for each example, from the model's parts. "
                f"Received: shape {tuple(leaf.shape)}"
            )


def _rows_at_once(model, leaves):
    sizes = [np.prod(leaf.shape[1:], dtype=int) for leaf in leaves]
    if model.example_shape is not None:  # seeds and latents are small, but the images made from them are not
        sizes.append(np.prod(model.example_shape, dtype=int))
    return max(1, min(_MOST_ROWS, _MOST_VALUES // max(1, *sizes)))


def _compiled(model, method, rows, leaves, settings):
    """The concrete function of a method for any number of rows of these shapes and types."""
    specs = [tf.TensorSpec((None, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
    # Arguments that are None stay None in the graph. The number of sub-batches changes the graph.
    marks = keras.tree.map_structure(lambda leaf: leaf is not None, rows)
    key = (method.__qualname__, str(marks), tuple(settings.items()), cores.number())

    def call(*tensors):
        left = iter(tensors)
        given = keras.tree.map_structure(lambda there: next(left) if there else None, marks)
        return method(model, **given, **settings)

    return kept_graph(model, key, call, specs)


def _joined(results):
    if len(results) == 1:
        return results[0]
    return keras.tree.map_structure(lambda *each: tf.concat(each, 0), *results)


def kept_graph(
    model: keras.Model, key: object, function: Callable[..., Any], specs: Sequence[tf.TensorSpec] | None = None
) -> Any:
    """`function` as a graph that is kept with the model, for all calls with this key.

    A graph made at each call would be traced each time. Exchanging a part lets go of it, and so do other weights
    or layers in a part. Other settings of a user's layer, such as its activation, are not seen.

    Args:
        model: whose graph it is.
        key: hashable, all that the graph depends on beside the model and its tensors.
        function: of tensors.
        specs: of these tensors, for a graph of these shapes and types alone; None for any.
    """
    key = key if specs is None else (key, *specs)
    if model.parts_of_graphs != model.ids_of_parts():
        model.functions.clear()
    graph = model.functions.get(key)
    if graph is None:
        graph = tf.function(function, autograph=False, reduce_retracing=True)
        graph = graph if specs is None else graph.get_concrete_function(*specs)
        # Tracing may have built layers. Another thread may let go of the graphs at any time.
        object.__setattr__(model, "parts_of_graphs", model.ids_of_parts())
        model.functions[key] = graph
    return graph
