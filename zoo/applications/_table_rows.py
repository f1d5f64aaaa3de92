"""Rows of a table sampled from p(x|given): sampling importance resampling of the latents."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo import data, random
from zoo.data.columns import Value, require_known
from zoo.fitting.batched import kept_graph
from zoo.likelihoods import Mixed
from zoo.runtime import checks
from zoo.runtime.types import Array, Tensor

_CANDIDATES_AT_ONCE = 2**15


class Conditions:
    """The given columns of rows that are to be sampled.

    Args:
        schema: of the table.
        given: dict of column names to a value, or to one for each row.
        number: int, rows.

    Attributes:
        values: dict of the given columns, arrays `[number]`.
        x, mask: float32 `[number,size]`, features of the given columns, and 1 where a feature is given.

    Raises:
        ValueError: for an unknown column, a wrong number of values, and a value that the training rows do not have.
    """

    def __init__(self, schema: data.Schema, given: Mapping[str, Value | Array], number: int) -> None:
        if not isinstance(given, Mapping):
            checks.fail("given", "a dict of column names to values", given)
        self.schema = schema
        known = {column.name: column for column in schema.columns}
        for name in given:
            checks.one_of("given", name, list(known))
        self.values = {name: _for_each(name, value, number) for name, value in given.items()}
        blank = {name: np.full(number, "" if column.text else np.nan) for name, column in known.items()}
        table = data.Table(blank | self.values)
        for name in self.values:
            require_known(known[name], table[name], f"given[{name!r}]")
        self.x, self.mask = schema.encode(table)
        for name in self.values:
            if (self.mask[:, schema.places[name].start] == 0).any():
                checks.fail(f"given[{name!r}]", "values of the training rows", given[name])


def _for_each(name, value, number):
    """A value of a column, or one for each row, as an array `[number]`."""
    values = np.asarray(value)
    if values.shape not in ((), (1,), (number,)):
        checks.fail(f"given[{name!r}]", f"one value, or {number}, one for each row", f"shape {values.shape}")
    return np.broadcast_to(values, (number,))


def sample(
    model: keras.Model,
    likelihood: Mixed,
    conditions: Conditions,
    seeds: Tensor,
    temperatures: Tensor,
    candidates: int,
) -> data.Table:
    """Rows that have the given columns; `zoo.applications.TableModel.sample` says how.

    Args:
        model: of the features of `conditions.schema`.
        likelihood: of the features, without their mask.
        conditions: `Conditions`.
        seeds: int32 `[N]`.
        temperatures: float32 `[N]`.
        candidates: int >= 1, samples of the prior for each row.
    """
    checks.positive_int("candidates", candidates)
    function = _compiled(model, likelihood, conditions.schema.size, candidates)
    arrays = (conditions.x, conditions.mask, np.asarray(seeds), np.asarray(temperatures))
    rows, parts = max(1, _CANDIDATES_AT_ONCE // candidates), []
    for i in range(0, len(conditions.x), rows):
        parts.append(function(*(tf.constant(each[i : i + rows]) for each in arrays)).numpy())
    sampled = conditions.schema.decode(np.concatenate(parts)).columns
    return data.Table(sampled | {name: conditions.values[name] for name in sampled if name in conditions.values})


def _compiled(model, likelihood, size, candidates):
    """The function of features, mask, seeds and temperatures that samples rows, kept with the model."""

    def call(x, mask, seeds, temperature):
        number = ops.tile(ops.arange(candidates, dtype="int32"), [ops.shape(seeds)[0]])
        z = model.latents(random.fold_in(ops.repeat(seeds, candidates), number), ops.repeat(temperature, candidates))
        params = model.decoded(z)
        its_x, its_mask = (ops.repeat(each, candidates, axis=0) for each in (x, mask))
        weights = ops.reshape(likelihood.observed_log_prob(its_x, params, its_mask), (-1, candidates))
        weights = weights + random.gumbel(random.fold_in(seeds, -1), (candidates,))
        best = tf.argmax(weights, axis=1, output_type=tf.int32)
        chosen = ops.take(params, best + candidates * ops.arange(ops.shape(seeds)[0], dtype="int32"), axis=0)
        drawn = model.data_of(chosen, seeds, observe=True)[:, :size]
        return ops.where(mask > 0.0, x, drawn)

    rows = tf.TensorSpec((None, size))
    specs = [rows, rows, tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None,))]
    return kept_graph(model, ("conditional rows", candidates), call, specs)
