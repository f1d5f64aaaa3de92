"""The types that public signatures share. Docstrings say more: shapes, dtypes, ranges and units."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

# Of TensorFlow, or symbolic while Keras builds a functional model.
Tensor: TypeAlias = tf.Tensor | keras.KerasTensor
Tensors: TypeAlias = dict[str, Tensor]
Array: TypeAlias = np.ndarray | Tensor
# What a tensor can be made from. Lists may be nested.
ArrayLike: TypeAlias = Array | tf.Variable | keras.Variable | Sequence
Arrays: TypeAlias = dict[str, np.ndarray]
# One seed for all rows, one a row, or None for a fresh one.
Seeds: TypeAlias = int | ArrayLike | None
# One label for each example: a class, or a row of attributes. None for what is not conditional.
Labels: TypeAlias = ArrayLike | None
# A source of batches, as `fit` takes it.
Batches: TypeAlias = tf.data.Dataset | keras.utils.PyDataset | Iterator

Shape: TypeAlias = Sequence[int]
# One for all, or one for each.
Ints: TypeAlias = int | Sequence[int]
PathLike: TypeAlias = str | os.PathLike[str]
# What `get_config` gives: JSON can hold the values once Keras has serialised them.
Config: TypeAlias = dict[str, object]
# The inputs of each exported signature, by name.
Cases: TypeAlias = Mapping[str, Mapping[str, np.ndarray]]
