"""Batches of arrays, as the measures of this package read them."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import keras
import numpy as np

from zoo import random
from zoo.fitting import inputs
from zoo.runtime import checks
from zoo.runtime.types import Array, ArrayLike, Labels

# Called with the number of steps that are done, and with the number of all steps.
Progress: TypeAlias = Callable[[int, int], None]
# Called with a description of the work before these two.
Told: TypeAlias = Callable[[str, int, int], None]

_MOST_VALUES = 2**19  # values of a batch
_MOST_ROWS = 128
_LOOKED_AT = 1000  # examples


class Examples:
    """Arrays of images and labels, read in batches of float32.

    Args:
        model: a model of the zoo.
        images: float `[N,…]`; uint8 is divided by 255, if the model `takes_grey_levels`.
        labels: one for each image, for a conditional model or prior; None otherwise.

    Raises:
        ValueError: for a model of tokens, and uint8 for a model that takes no grey levels; for images of another shape
            than the model's, and for none; for labels that are missing, or of another number than the images.
    """

    def __init__(self, model: keras.Model, images: ArrayLike, labels: Labels = None) -> None:
        checks.zoo_model(model)
        inputs.require_data_of_floats("model", model)
        # What has a shape and is no array of NumPy's is a tensor, or lies on the disk.
        given: Any = images
        lazy = hasattr(given, "shape") and not isinstance(given, np.ndarray)
        self.images = given if lazy else checks.numpy_array("images", given)
        if len(self.images.shape) < 2 or not len(self.images):
            checks.fail("images", "an array [N, …] of at least one example", f"shape {tuple(self.images.shape)}")
        if self.images.dtype == np.uint8 and not takes_grey_levels(model):
            checks.fail("images", "floats in the units of the model, as it takes no grey levels", "uint8")
        require_levels("images", self.images)
        if model.known_shape is not None:
            inputs.require_shape("images", self.images, model.known_shape)
        self.model = model
        source = model.label_source()
        if source is not None and labels is None:
            raise ValueError(f"Expected `labels`, as {type(source).__name__} is conditional. Received: None")
        self.labels: np.ndarray | None = None if source is None else np.asarray(labels)
        if self.labels is not None and (not self.labels.ndim or len(self.labels) != len(self.images)):
            checks.fail("labels", f"one for each of the {len(self.images)} images", f"shape {self.labels.shape}")
        if self.labels is not None and self.labels.dtype.kind not in "iuf":
            checks.fail("labels", "numbers, as the model takes them", f"dtype {self.labels.dtype}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def dims(self) -> int:
        """The number of values of an example."""
        return int(np.prod(self.images.shape[1:]))

    def take(self, number: int) -> "Examples":
        """At most `number` examples, evenly spaced, in their order."""
        if number >= len(self):
            return self
        rows = evenly_spaced(len(self), number)
        part = object.__new__(Examples)
        part.model = self.model
        part.images = np.asarray(self.images[rows])
        part.labels = None if self.labels is None else self.labels[rows]
        return part

    def float_images(self) -> np.ndarray:
        """All images as float32."""
        return as_float(self.images[:])

    def batches(
        self, seed: int = 0, checked: bool = True
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None, np.ndarray]]:
        """Yields rows, images float32, labels or None, and a seed for each image, int32.

        Raises:
            ValueError: for values out of the model's range, unless `checked` is False.
        """
        seeds = np.asarray(random.row_seeds(seed, len(self)))
        size = max(1, min(_MOST_ROWS, _MOST_VALUES // max(1, self.dims)))
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            x, labels = as_float(self.images[rows]), None if self.labels is None else self.labels[rows]
            if checked:
                inputs.look([*self.model.values_of("x", x), *self._label_values(labels)])
            yield rows, x, labels, seeds[rows]

    def _label_values(self, labels):
        return [] if labels is None else [self.model.label_source().label_values(labels)]


def takes_grey_levels(model: keras.Model) -> bool:
    """Whether levels from 0 to 255, divided by 255, are data of a model: in [0, 1], or images on the real line."""
    shape = model.known_shape
    return model.data_range == (0.0, 1.0) or (model.data_range is None and shape is not None and len(shape) == 3)


def require_levels(name: str, images: Array) -> None:
    """Raises ValueError for uint8 data of 0 and 1, as in masks: divided by 255 they would be nearly black."""
    if images.dtype == np.uint8 and np.max(images[:_LOOKED_AT], initial=0) == 1:
        way = "uint8 levels up to 255; data of 0 and 1 as floats, .astype('float32'), or dark levels / 255.0"
        checks.fail(name, way, "uint8 of 0 and 1")


def pair(model: keras.Model, batch: ArrayLike | tuple[ArrayLike, ArrayLike]) -> tuple[ArrayLike, ArrayLike | None]:
    """Images and labels of a batch; None without labels. Raises ValueError where a conditional model gets no pair."""
    if not model.conditional:
        if isinstance(batch, (tuple, list)):
            checks.fail("batches", "arrays, as the model takes no labels", type(batch).__name__)
        return batch, None
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        checks.fail("batches", "pairs of images and labels, as the model is conditional", type(batch).__name__)
    return batch[0], batch[1]


def evenly_spaced(total: int, most: int) -> np.ndarray:
    """The numbers of at most `most` of `total` rows, evenly spaced, in their order: int `[N]`."""
    return np.unique(np.linspace(0, total - 1, min(most, total)).astype(int))


def samples(
    model: keras.Model, number: int, seed: int, labels: np.ndarray | None = None, rows_at_once: int = 500
) -> Iterator[np.ndarray]:
    """Yields the samples that `model.sample(number, seed, labels=labels)` gives, some at a time."""
    seeds = np.asarray(random.row_seeds(seed, number))
    for start in range(0, number, rows_at_once):
        rows = slice(start, min(start + rows_at_once, number))
        its_labels = None if labels is None else labels[rows]
        yield np.asarray(model.sample(len(seeds[rows]), seed=seeds[rows], labels=its_labels))


def standard_error(values: np.ndarray) -> float:
    """The standard error of the mean of `values` `[N]`; NaN for a single one."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def as_float(images: Array) -> np.ndarray:
    """Images as float32; uint8 is divided by 255."""
    values = np.asarray(images)
    return values.astype(np.float32) / np.float32(255.0) if values.dtype == np.uint8 else values.astype(np.float32)
