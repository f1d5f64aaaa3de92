"""Tables in memory: from CSV files, DataFrames and arrays."""

import csv
import decimal
import math
import numbers
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.data.errors import DataError
from zoo.data.splits import _SPLIT_SEED
from zoo.runtime import checks, files
from zoo.runtime.types import PathLike

_EXACT = 2**53  # float64 holds every whole number up to it
_DELIMITERS = (";", "\t", "|", ",")
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None", "?")


class Table:
    """Columns of equal length by name: numbers, float64 with NaN where missing, or texts, "" where missing.

    Args:
        columns: dict of names to arrays `[N]`; or a DataFrame of pandas or another library, with `columns` and
            `frame[name]`. Booleans become 0 and 1, and `decimal.Decimal` values floats; None, NaN and masked values
            count as missing.

    Attributes:
        levels: dict of names to the levels, in their order, of columns that are ordered Categoricals of pandas.

    Raises:
        ValueError: for columns of different lengths or of several axes, two columns of one name, infinite numbers,
            whole numbers that float64 would round, and columns of neither numbers nor texts, such as dates.

    Example:
        >>> table = zoo.data.Table({"age": [31, 50, np.nan], "city": ["Bern", "", "Ulm"]})
        >>> len(table), table.names
        (3, ('age', 'city'))
    """

    def __init__(self, columns: Mapping[str, Any] | Any) -> None:
        if not isinstance(columns, Mapping) and not hasattr(columns, "columns"):
            checks.fail("columns", "a dict of names to arrays, or a DataFrame", type(columns).__name__)
        names = list(columns) if isinstance(columns, Mapping) else list(columns.columns)
        if len({str(name) for name in names}) < len(names):
            checks.fail("columns", "columns of different names", names)
        self.columns: dict[str, np.ndarray] = {str(name): _array(str(name), columns[name]) for name in names}
        self.levels: dict[str, list[Any]] = dict(columns.levels) if isinstance(columns, Table) else {}
        for name in names:
            dtype: Any = getattr(columns[name], "dtype", None)
            if getattr(dtype, "ordered", False):
                self.levels[str(name)] = list(dtype.categories)
        lengths = {len(values) for values in self.columns.values()}
        if len(lengths) != 1:
            checks.fail("columns", "one column or more, of equal length", sorted(lengths))

    @classmethod
    def from_csv(
        cls, path: PathLike, missing: Sequence[str] = MISSING, delimiter: str = ",", texts: Sequence[str] = ()
    ) -> "Table":
        """Reads a CSV file with names in its first line. A column is of numbers if all its known cells are.

        Cells such as 007, and whole numbers that float64 would round, are texts, which keep all digits.

        Args:
            path: path of the file, in UTF-8.
            missing: strs, the cells that count as missing, without surrounding spaces.
            delimiter: str of one character, or "tab".
            texts: names of columns that are texts as they stand, such as postcodes: only empty cells are missing.

        Raises:
            DataError: if the file cannot be read, has no rows, a row of another length, an infinite number, or another
                delimiter in every row; the message names it.
            ValueError: for a name in `texts` that is no column.
        """
        for name, value in (("missing", missing), ("texts", texts)):
            if isinstance(value, str):
                checks.fail(name, "a list of strs", value)
        delimiter = "\t" if delimiter == "tab" else delimiter
        if not isinstance(delimiter, str) or len(delimiter) != 1:
            checks.fail("delimiter", "one character, or 'tab'", delimiter)
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                reader, read, start = csv.reader(file, delimiter=delimiter, strict=True), [], 1
                for row in reader:
                    read.append(row)
                    start = reader.line_num + 1
            names, *rows = read or [[]]
        except csv.Error as error:  # such as a quote that is not closed
            received = f"{error}, in the row that begins in line {start}. A quote within a quoted cell is written twice"
            raise DataError(f"Expected {path} to be a CSV file. Received: {received}") from error
        except (OSError, ValueError) as error:  # a ValueError for another encoding
            raise DataError(f"Expected {path} to be a CSV file in UTF-8. Received: {error}") from error
        lines = [number for number, row in enumerate(rows, 2) if row]  # empty ones count too
        rows = [row for row in rows if row]
        other = []
        if len(names) == 1:
            other = [each for each in _DELIMITERS if all(each in delimiter.join(row) for row in (names, *rows))]
        if other and other[0] != delimiter:
            way = f"Give the delimiter {('tab' if other[0] == chr(9) else other[0])!r}"
            raise DataError(f"Expected {delimiter!r} between the cells of {path}. Received: {names[0][:60]!r}. {way}")
        names = [name.strip() for name in names]
        if not rows or len(set(names)) != len(names):
            raise DataError(f"Expected {path} to have different names and a row or more. Received: {names}")
        if all(looks_like_number(name) for name in names):
            text = f"The first line of {path} is taken for names, but holds numbers alone: {names[:5]}"
            warnings.warn(f"{text}. Put a line of names before it", stacklevel=2)
        for number, row in zip(lines, rows):
            if len(row) != len(names):
                raise DataError(f"Expected {len(names)} cells in row {number} of {path}. Received: {len(row)}")
        for name in texts:
            checks.one_of("texts", name, names)
        cells = dict(zip(names, zip(*rows, strict=True), strict=True))
        try:
            return cls(
                {name: _as_texts(each) if name in texts else _parse(each, missing) for name, each in cells.items()}
            )
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error

    def to_csv(self, path: PathLike) -> None:
        """Writes a CSV file that `from_csv` reads; missing cells are empty.

        Warns:
            UserWarning: of columns of texts that `from_csv` would read otherwise unless `texts` names them, as they
                look like numbers or missing cells.
        """
        other = [name for name, values in self.columns.items() if values.dtype.kind == "U" and not _comes_back(values)]
        if other:
            warnings.warn(f"`from_csv` reads the texts of {path} as they were only with texts={other}", stacklevel=2)
        with files.replacing(path) as scratch, open(scratch, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self.names)
            writer.writerows(zip(*([_cell(value) for value in column.tolist()] for column in self.columns.values())))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.columns:
            checks.fail("name", f"one of the columns {list(self.columns)}", name)
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def take(self, indices: np.ndarray | slice) -> "Table":
        """Some of the rows."""
        part = Table({name: values[indices] for name, values in self.columns.items()})
        part.levels = dict(self.levels)
        return part

    def cut(self, number: int) -> "tuple[Table, Table]":
        """Splits off `number` rows, the same ones at each call; returns (rest, cut)."""
        if checks.integer("number", number, 0) > len(self):
            checks.fail("number", f"at most {len(self)}, the rows of the table", number)
        order = np.random.default_rng(_SPLIT_SEED).permutation(len(self))
        return self.take(np.sort(order[number:])), self.take(np.sort(order[:number]))

    def missing(self, name: str) -> np.ndarray:
        """Whether each cell of a column is missing, bool `[N]`."""
        values = self[name]
        return values == "" if values.dtype.kind == "U" else np.isnan(values)


def _array(name, values):
    try:
        values = values.to_numpy() if hasattr(values, "to_numpy") else np.asanyarray(values)
    except ValueError:  # lists of different lengths
        checks.fail(name, "a column, an array of one axis", "lists within a list")
    if values.ndim != 1:
        checks.fail(name, "a column, an array of one axis", values.shape)
    if isinstance(values, np.ma.MaskedArray):
        mask, values = np.ma.getmaskarray(values), values.data
        values = np.where(mask, None, values.astype(object)) if mask.any() else values
    if values.dtype.kind in "fiub":
        if values.dtype.kind in "iu":
            _require_exact(name, values[(values > _EXACT) | (values < -_EXACT)].tolist())
        return _finite(name, values.astype(np.float64))
    if values.dtype.kind not in "OUT":
        checks.fail(name, "a column of numbers, or of texts (str)", f"dtype {values.dtype}")
    cells = [_as_number("" if _is_nothing(value) else value) for value in values.tolist()]
    if all(value == "" or isinstance(value, numbers.Real) for value in cells):
        _require_exact(name, [value for value in cells if isinstance(value, numbers.Integral)])
        return _finite(name, np.array([np.nan if value == "" else value for value in cells], np.float64))
    other = [value for value in cells if not isinstance(value, (str, numbers.Real))]
    if other:
        checks.fail(name, "a column of numbers, or of texts (str)", f"{type(other[0]).__name__}, {other[0]!r}")
    return np.array([str(value) for value in cells], np.str_)


def _as_number(value):
    """A Decimal, as databases give them, as a number of Python's."""
    if not isinstance(value, decimal.Decimal):
        return value
    return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)


def _require_exact(name, whole):
    """Raises ValueError for ints that float64 would round, such as long identifiers."""
    for value in whole:
        if not _is_exact(value):
            checks.fail(name, "a column of numbers that float64 does not round, or of texts (str)", value)


def _is_exact(whole):
    try:
        return int(float(whole)) == whole
    except OverflowError:
        return False


def _is_nothing(value):
    """Whether a cell is None, NaN, or pandas' NA, which cannot say whether it equals itself."""
    try:
        return value is None or bool(value != value)
    except TypeError:
        return True


def _finite(name, values):
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        received = f"{values[infinite[0]]} in row {infinite[0]}, counted from 0"
        checks.fail(name, "a column of finite numbers, NaN where missing", received)
    return values


def _as_texts(cells):
    return np.array(cells, np.str_)


def _comes_back(texts):
    """Whether `_parse` gives a column of texts again."""
    found = _parse(texts.tolist(), MISSING)
    return found.dtype.kind == "U" and np.array_equal(found, texts)


def _parse(cells, missing):
    cells = ["" if cell in missing else cell for cell in (each.strip() for each in cells)]
    if not any(cells) or not all(looks_like_number(cell) for cell in cells if cell):
        return _as_texts(cells)
    return np.array([float(cell) if cell else np.nan for cell in cells])


def strays(cells: Sequence[str]) -> list[tuple[int, str]]:
    """Row and text of the cells that are no numbers, in a column of mostly numbers; [] for texts and codes."""
    known = [(row, cell) for row, cell in enumerate(cells) if cell]
    other = [(row, cell) for row, cell in known if not looks_like_number(cell)]
    are_codes = all(cell.isdecimal() for _, cell in other)  # such as 01234
    return other if len(other) < len(known) / 2 and not are_codes else []


def looks_like_number(cell: str) -> bool:
    """Whether the text of a cell is a number, and one that comes back from it."""
    if "_" in cell:  # which Python takes for a separator
        return False
    try:
        value = float(cell)
    except ValueError:
        return False
    digits = cell.removeprefix("+").removeprefix("-")
    if not digits.isdecimal():
        return True
    return math.isfinite(value) and str(int(digits)) == digits and int(value) == int(cell)


def _cell(value):
    if isinstance(value, str):
        return value
    if value != value:
        return ""
    if value == int(value):
        return str(int(value)) if abs(value) <= _EXACT else repr(value)
    with np.errstate(over="ignore"):
        single = np.float32(value)  # its digits are the fewest that give the number again, if it is one of float32
    return str(single) if float(single) == value else repr(value)
