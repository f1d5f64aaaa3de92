"""The signatures of an exported table model that take and give columns, one tensor each."""

import keyword
import re

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo import data, random
from zoo.export.signatures import Signature, or_nothing
from zoo.runtime.types import Cases

_TAKEN = ("seed", "temperature", "log_prob", "mean", "log_var", "self")
_ROWS = 8


def tensor_names(schema: data.Schema) -> dict[str, str]:
    """The names of tensors by names of columns: a letter, then letters, digits and "_", different in lower case too."""
    names: dict[str, str] = {}
    taken = {*_TAKEN}
    for column in schema.columns:
        name = re.sub(r"\W+", "_", column.name, flags=re.ASCII).strip("_") or "column"
        name = f"column_{name}" if name[0].isdigit() else name
        while name.lower() in taken or keyword.iskeyword(name):
            name += "_"
        names[column.name] = name
        taken.add(name.lower())
    return names


def of(model: keras.Model, schema: data.Schema, masked: bool) -> tuple[dict[str, Signature], Cases]:
    """The signatures by name, and inputs that check them.

    A row that a model without masks refuses, as a number is missing or beyond the levels, gives NaN and "".
    """
    names = tensor_names(schema)
    columns = {
        names[column.name]: tf.TensorSpec((None,), tf.string if column.text else tf.float32, names[column.name])
        for column in schema.columns
    }
    seed, temperature = tf.TensorSpec((None,), tf.int32, "seed"), tf.TensorSpec((None,), tf.float32, "temperature")

    needed = () if masked else (*schema.numbers, *schema.levels)

    def rows(given):
        """The rows as the model takes them, and whether it takes each."""
        x, mask = schema.encode_tensors({name: given[tensor] for name, tensor in names.items()})
        valid = ops.ones_like(mask[:, 0], "bool")
        for column in needed:
            valid = ops.logical_and(valid, mask[:, schema.places[column.name].start] > 0.0)
        return ops.concatenate([x, mask], axis=1) if masked else x, valid

    def columns_of(x):
        return {names[name]: values for name, values in schema.decode_tensors(x[:, : schema.size]).items()}

    def sample(seed, temperature):
        return columns_of(model.generate(seed, temperature, observe=True)[0])

    def encode(**given):
        x, valid = rows(given)
        return or_nothing(valid, model.encode(x))

    def reconstruct(**given):
        x, valid = rows(given)
        return or_nothing(valid, columns_of(model.reconstruct(x)))

    def log_prob(seed, **given):
        x, valid = rows(given)
        return or_nothing(valid, {"log_prob": model.log_prob(x, 1, seed)})

    found = {
        "sample_columns": Signature(sample, {"seed": seed, "temperature": temperature}),
        "encode_columns": Signature(encode, columns),
        "reconstruct_columns": Signature(reconstruct, columns),
        "log_prob_columns": Signature(log_prob, {**columns, "seed": seed}),
    }
    return found, _cases(names, sample, {names[column.name] for column in needed})


def _cases(names, sample, needed):
    """Sampled rows; every column that may be missing is so in one of them."""
    seeds = np.asarray(random.row_seeds(0, _ROWS))
    drawn = {"seed": seeds, "temperature": np.ones(_ROWS, np.float32)}
    rows = {name: values.numpy() for name, values in sample(*map(tf.constant, drawn.values())).items()}
    for number, (name, values) in enumerate(rows.items()):
        if name not in needed:
            values[number % _ROWS] = b"" if values.dtype.kind == "O" else np.nan
    return {
        "sample_columns": drawn,
        "encode_columns": rows,
        "reconstruct_columns": rows,
        "log_prob_columns": {**rows, "seed": seeds},
    }
