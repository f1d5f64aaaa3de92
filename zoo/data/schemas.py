"""The schema of a table, which turns its rows into numbers and back."""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.data import columns as kinds
from zoo.data.columns import Column, Value
from zoo.data.tables import Table, strays
from zoo.runtime import checks

KINDS = ("continuous", "integer", "ordinal", "categorical", "ignore")
_SEPARATED = re.compile(r"[-+]?\d+[.,' :/-][\dT.,' :/+-]*Z?%?|[-+]?\d+%")
_LARGEST = float(np.finfo(np.float32).max)
_MOST_LEVELS = 20  # of whole numbers that count as ordered levels


class Schema:
    """How the rows of a table become numbers: a `Column` for each name, from training rows.

    The features are ordered by kind: numbers, then levels, then categories.

    Args:
        columns: `zoo.data.columns.Column`s, in the order of the table.

    Example:
        >>> table = zoo.data.Table({"age": [31, 50, 27], "city": ["Bern", "Bern", "Ulm"]})
        >>> schema = zoo.data.Schema.of(table)
        >>> schema
        Schema({'age': 'ordinal', 'city': 'categorical'})
        >>> x, mask = schema.encode(table)
        >>> x.shape, schema.decode(x)["city"].tolist()
        ((3, 3), ['Bern', 'Bern', 'Ulm'])
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        if not columns:
            checks.fail("columns", "one column or more", list(columns))
        self.columns = tuple(columns)
        self.numbers = [column for column in columns if isinstance(column, kinds.Number)]
        self.levels = [column for column in columns if isinstance(column, kinds.Levels)]
        self.categories = [column for column in columns if isinstance(column, kinds.Categories)]
        self.places: dict[str, slice] = {}
        start = 0
        for column in (*self.numbers, *self.levels, *self.categories):
            self.places[column.name] = slice(start, start + column.size)
            start += column.size
        self.size = start

    def __repr__(self) -> str:
        """The kinds of the columns, as `of` takes them; those that are ignored are not among them."""
        return f"Schema({ {column.name: column.user_kind for column in self.columns} })"

    @classmethod
    def of(
        cls,
        table: Table,
        kinds: Mapping[str, str] | None = None,
        levels: Mapping[str, Sequence[Value]] | None = None,
        max_categories: int = 50,
    ) -> "Schema":
        """The schema of training rows.

        A column of texts is "categorical"; one of numbers is "categorical" if it has two values or one, "integer" if
        all are whole, else "continuous". An integer of at most 20 values has ordered levels, one of more is scaled as a
        continuous number and rounded. Texts that are all different, such as names, are ignored.

        The features are float32, of some seven digits.

        Args:
            table: `Table`.
            kinds: dict of names to "continuous", "integer", "ordinal", "categorical" or "ignore", where the inferred
                kind is not the right one.
            levels: dict of names to the levels of an ordinal column, in their order; by default those of the table, or
                else sorted.
            max_categories: int >= 1: of a column with more categories, the most frequent are kept, and the others count
                as missing.

        Raises:
            ValueError: for arguments that do not fit the table, a column without a known value, and numbers that
                float32 does not tell apart.

        Warns:
            UserWarning: of texts that look like numbers with separators, or like dates, and of columns whose cells are
                mostly numbers.
        """
        _require_table(table)
        given, order = dict(kinds or {}), dict(levels or {})
        order = {name: own for name, own in table.levels.items() if given.get(name, "ordinal") == "ordinal"} | order
        for name in (*given, *order):
            table[name]  # noqa: B018  (raises for a name that is no column)
        given |= {name: "ordinal" for name in order if name not in given}
        for name in order:
            if given[name] != "ordinal":
                checks.fail(f"kinds[{name!r}]", "ordinal, as `levels` has this column", given[name])
        made = []
        for name in table:
            if name not in given:
                _warn_of_numbers(name, table[name])
            kind = checks.one_of(f"kinds[{name!r}]", given.get(name) or inferred(table[name]), KINDS)
            if kind != "ignore":
                made.append(_column(name, table[name], kind, order.get(name), max_categories))
        if not made:
            checks.fail("table", "one with a column that is not ignored, or `kinds` for some", list(table))
        return cls(made)

    def encode(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Features and which are known: float32 `[N,size]` each, of 0 where the second is 0.

        Raises:
            ValueError: if a column is missing, or has texts instead of numbers or the reverse.

        Warns:
            UserWarning: of categories that the schema does not have, and of numbers beyond the levels of an ordinal
                column; they count as missing.
        """
        _require_table(table)
        lacking = [column.name for column in self.columns if column.name not in table.columns]
        if lacking:
            checks.fail("table", f"one with the columns {', '.join(map(repr, lacking))}", list(table))
        values = {column.name: tf.constant(_typed(column, table[column.name])) for column in self.columns}
        x, mask = (each.numpy() for each in self.encode_tensors(values))
        for column in self.columns:
            _warn_of_unknown(column.name, table, mask[:, self.places[column.name].start] == 0)
        return x, mask

    def decode(self, x: np.ndarray) -> Table:
        """Features, or means of them, float `[N,size]`, to a table."""
        values = self.decode_tensors(tf.constant(x, tf.float32))
        return Table({column.name: _plain(column, values[column.name].numpy()) for column in self.columns})

    def encode_tensors(self, values: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """As `encode`, of tensors by column name, in a graph too."""
        features, masks = [], []
        for column in (*self.numbers, *self.levels, *self.categories):
            feature, known = column.encode(values[column.name])
            mask = tf.repeat(tf.cast(known, tf.float32)[:, None], column.size, axis=1)
            features.append(feature * mask)
            masks.append(mask)
        return tf.concat(features, axis=1), tf.concat(masks, axis=1)

    def decode_tensors(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `decode`, to tensors by column name in the order of the table."""
        return {column.name: column.decode(x[:, self.places[column.name]]) for column in self.columns}

    def hide(self, rows: tf.Tensor, draws: tf.Tensor, share: float) -> tf.Tensor:
        """Rows without some of their cells, for the training of a model that fills in missing ones.

        Args:
            rows: float32 `[B, 2·size]`, features and, behind them, which are known, as `encode` gives them.
            draws: float `[B,C]` in [0, 1), one for each column.
            share: float in [0, 1): cells whose draw is below it count as missing.

        Returns:
            float32 `[B, 2·size]`.
        """
        values, mask = tf.split(rows, 2, axis=1)
        sizes = [place.stop - place.start for place in self.places.values()]
        seen = mask * tf.repeat(tf.cast(draws >= share, tf.float32), sizes, axis=1)
        return tf.concat([values * seen, seen], axis=1)

    def get_config(self) -> dict[str, Any]:
        """The schema as values of JSON; `from_config` is the inverse."""
        return {"columns": [column.get_config() for column in self.columns]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Schema":
        return cls([kinds.from_config(each) for each in config["columns"]])


def _require_table(table):
    if not isinstance(table, Table):
        checks.fail("table", "a zoo.data.Table, such as zoo.data.Table(columns)", type(table).__name__)


def _warn_of_unknown(name, table, unseen):
    values = table[name][unseen & ~table.missing(name)]
    if len(values):
        some = ", ".join(map(repr, sorted({*values.tolist()})[:5]))
        warnings.warn(
            f"{len(values)} cells of the column {name!r} count as missing, as the schema has no such value: {some}",
            stacklevel=4,
        )


def _warn_of_numbers(name, values):
    known = [value for value in values.tolist() if value] if values.dtype.kind == "U" else []
    if other := strays(known):
        first = other[0][1]
        warnings.warn(
            f"{len(known) - len(other)} of {len(known)} cells of the column {name!r} are numbers, and {first!r} is "
            f"not. The column counts as {inferred(values)!r}: give `missing` of from_csv the cells that stand for "
            f"none, or kinds={{{name!r}: …}}",
            stacklevel=3,
        )
    separated = [value for value in known if _SEPARATED.fullmatch(value)]
    if len(separated) > len(known) / 2:
        warnings.warn(
            f"The column {name!r} holds texts that look like numbers with separators, or like dates, such as "
            f"{separated[0]!r}. They count as {inferred(values)!r}: turn them into numbers, or give "
            f"kinds={{{name!r}: …}}",
            stacklevel=3,
        )


def inferred(values: np.ndarray) -> str:
    """The kind of a column, as `Schema.of` infers it."""
    known = [value for value in values.tolist() if value not in ("",) and value == value]
    different = len(set(known))
    if values.dtype.kind == "U":
        return "ignore" if different == len(known) > _MOST_LEVELS else "categorical"
    if different <= 2:
        return "categorical"
    return "integer" if all(value == int(value) for value in known) else "continuous"


def _column(name, values, kind, levels, max_categories):
    if values.dtype.kind == "U" and kind in ("continuous", "integer"):
        checks.fail(f"kinds[{name!r}]", "ordinal, categorical or ignore, as the column holds texts", kind)
    found = kinds.distinct(values)
    if not found:
        checks.fail("table", f"one with a known value in the column {name!r}, or kinds={{{name!r}: 'ignore'}}", "none")
    few = kind == "integer" and len(found) <= _MOST_LEVELS
    if few or kind in ("categorical", "ordinal"):
        _require_float32(name, found)
    if kind == "categorical":
        return kinds.Categories(name, tuple(sorted(found[: checks.positive_int("max_categories", max_categories)])))
    if few or kind == "ordinal":
        text = isinstance(found[0], str)
        ordered: tuple[Value, ...] = tuple(sorted(found) if levels is None else map(str if text else float, levels))
        if not ordered or len(set(ordered)) < len(ordered):
            checks.fail(f"levels[{name!r}]", "one level or more, each once", list(ordered))
        return kinds.Levels(name, ordered)
    return kinds.Number.of(name, values, kind == "integer")


def _require_float32(name, found):
    if isinstance(found[0], str):
        return
    kinds.require_held(name, "column", np.array(found))
    if len({*map(np.float32, found)}) < len(found):
        checks.fail(name, "a column of numbers that float32 tells apart, or of texts", sorted(found)[:5])
    rounded = [value for value in found if value == int(value) != int(np.float32(value))]
    if rounded:
        checks.fail(name, "a column of texts, or of numbers that float32 does not round", rounded[0])


def _typed(column, values):
    if column.text != (values.dtype.kind == "U"):
        expected, received = ("texts", "numbers") if column.text else ("numbers", "texts")
        if values.dtype.kind != "U" and np.isnan(values).all():  # an empty column of texts reads as numbers
            return np.full(len(values), "", object)
        if values.dtype.kind == "U" and np.all(values == ""):
            return np.full(len(values), np.nan, np.float32)
        checks.fail(column.name, f"a column of {expected}", received)
    # A number that float32 cannot hold is far from all others, and is not missing.
    return values.astype(object) if column.text else np.clip(values, -_LARGEST, _LARGEST).astype(np.float32)


def _plain(column, values):
    if column.text:
        return np.array([value.decode() for value in values], np.str_)
    if not column.distinct:
        return values.astype(np.float64)
    exact = {np.float32(value): value for value in column.distinct}
    return np.array([exact.get(value, value) for value in values], np.float64)
