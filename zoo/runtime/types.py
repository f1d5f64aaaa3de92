"""The types that public signatures share. Docstrings say more: shapes, dtypes, ranges and units."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

# A TensorFlow tensor, or a symbolic one while Keras builds a functional model.
Tensor: TypeAlias = tf.Tensor | keras.KerasTensor
Tensors: TypeAlias = dict[str, Tensor]
Array: TypeAlias = np.ndarray | Tensor
# Anything that converts to a tensor. Lists may be nested.
ArrayLike: TypeAlias = Array | tf.Variable | keras.Variable | Sequence
Arrays: TypeAlias = dict[str, np.ndarray]
# One seed for all rows, one seed per row, or None for a fresh one.
Seeds: TypeAlias = int | ArrayLike | None
# One label for each example: a class, or a row of attributes. None for what is not conditional.
Labels: TypeAlias = ArrayLike | None
# A source of batches, as `fit` takes it.
Batches: TypeAlias = tf.data.Dataset | keras.utils.PyDataset | Iterator

Shape: TypeAlias = Sequence[int]
# One value for all, or one for each.
Ints: TypeAlias = int | Sequence[int]
PathLike: TypeAlias = str | os.PathLike[str]
# The result of `get_config`: JSON can hold the values once Keras has serialised them.
Config: TypeAlias = dict[str, object]
# The inputs of each exported signature, by name.
Cases: TypeAlias = Mapping[str, Mapping[str, np.ndarray]]
# One row for each epoch: `epoch`, `step`, `seconds`, and the figures by name.
History: TypeAlias = list[dict[str, float]]
