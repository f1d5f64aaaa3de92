"""Tables: reading, kinds of columns, and rows as numbers and back."""

import datetime
import decimal
import json

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from zoo import data
from zoo.data import columns as kinds
from zoo.data.schemas import inferred

CSV = """age, city,size,grade,score
31,Bern,S,1,0.5
,"Ulm, west",M,2,NA
50,?,L,3,1.25
31,Bern,M,1,-2
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(CSV)
    return data.Table.from_csv(path)


def test_a_csv_becomes_numbers_and_texts_with_missing_cells(table):
    assert table.names == ("age", "city", "size", "grade", "score") and len(table) == 4
    np.testing.assert_array_equal(table["age"], [31, np.nan, 50, 31])
    assert table["city"].tolist() == ["Bern", "Ulm, west", "", "Bern"]
    assert table["score"].dtype == np.float64 and table.missing("score").tolist() == [False, True, False, False]
    assert table.missing("city").tolist() == [False, False, True, False]


def test_to_csv_is_the_inverse_of_from_csv(table, tmp_path):
    table.to_csv(tmp_path / "again.csv")
    again = data.Table.from_csv(tmp_path / "again.csv")
    assert again.names == table.names
    for name in table:
        np.testing.assert_array_equal(again[name], table[name])
    assert (tmp_path / "again.csv").read_text().splitlines()[2] == ',"Ulm, west",M,2,'


def test_texts_that_would_come_back_as_others_are_named(tmp_path):
    texts = {"zip": ["1", "2"], "answer": ["None", "yes"], "name": [" a", "a"], "plain": ["x", ""]}
    table, path = data.Table(texts), tmp_path / "texts.csv"
    with pytest.warns(UserWarning, match=r"as they were only with texts=\['zip', 'answer', 'name'\]"):
        table.to_csv(path)
    again = data.Table.from_csv(path, texts=["zip", "answer", "name"])
    assert {name: again[name].tolist() for name in again} == texts
    assert data.Table.from_csv(path)["zip"].tolist() == [1, 2]
    for name in ("texts", "missing"):
        with pytest.raises(ValueError, match=f"Expected `{name}` to be a list of strs. Received: {name}='zip'"):
            data.Table.from_csv(path, **{name: "zip"})
    with pytest.raises(ValueError, match="Expected `texts` to be one of 'zip', 'answer', 'name', 'plain'"):
        data.Table.from_csv(path, texts=["city"])


def test_decimals_of_databases_are_numbers():
    prices = [decimal.Decimal("1.5"), None, decimal.Decimal(2), 3]
    np.testing.assert_array_equal(data.Table({"a": prices})["a"], [1.5, np.nan, 2.0, 3.0])
    with pytest.raises(ValueError, match="that float64 does not round"):
        data.Table({"a": [decimal.Decimal(2**53 + 1)]})
    with pytest.raises(ValueError, match="a column of finite numbers"):
        data.Table({"a": [decimal.Decimal("Infinity")]})


def test_a_number_that_cannot_be_read_is_warned_about():
    cells = [str(number) for number in range(10)]
    with pytest.warns(UserWarning, match="9 of 10 cells of the column 'a' are numbers, and 'ERR' is not"):
        data.Schema.of(data.Table({"a": ["ERR", *cells[1:]]}))
    for others in (["A1", "B2", "7"], ["01234", "8001", "9000"]):  # codes are texts
        assert data.Schema.of(data.Table({"a": others})).columns[0].kind == "categories"


def test_cells_keep_their_digits(tmp_path):
    path = tmp_path / "digits.csv"
    path.write_text(
        "zip,id,price,small,large,separator\n"
        "01234,1152921504606846977,12345678.25,0.1,1e+300,1_000\n"
        "99999,1152921504606846979,0.30000000000000004,-2.5e-07,100000000000000000,2_000\n"
    )
    table = data.Table.from_csv(path)
    assert table["zip"].tolist() == ["01234", "99999"] and table["separator"].tolist() == ["1_000", "2_000"]
    assert table["id"].tolist() == ["1152921504606846977", "1152921504606846979"]
    assert table["price"].tolist() == [12345678.25, 0.30000000000000004]
    table.to_csv(path)
    again = data.Table.from_csv(path)
    assert {name: again[name].tolist() for name in again} == {name: table[name].tolist() for name in table}
    data.Table({"a": np.float64(np.float32([0.1, 2.0]))}).to_csv(path)
    assert path.read_text().split() == ["a", "0.1", "2"]  # not 0.10000000149011612
    data.Table({"a": [2.0**60, -(2.0**70), 0.5]}).to_csv(path)
    assert data.Table.from_csv(path)["a"].tolist() == [2.0**60, -(2.0**70), 0.5]


@pytest.mark.parametrize("kind", [np.int64, np.uint64, object])
def test_whole_numbers_that_would_be_rounded_are_refused(kind):
    assert data.Table({"a": np.array([2**53, 2**62], kind)})["a"].tolist() == [2.0**53, 2.0**62]
    with pytest.raises(ValueError, match="`a` to be a column of numbers that float64 does not round.*9007199254740993"):
        data.Table({"a": np.array([1, 2**53 + 1], kind)})


def test_masked_values_are_missing():
    numbers = np.ma.masked_array([1, 2, 3], [False, True, False])
    texts = np.ma.masked_array(["x", "y", "z"], [False, True, False])
    table = data.Table({"a": numbers, "b": texts, "c": np.ma.masked_array([1.5, 2.5, 3.5])})
    np.testing.assert_array_equal(table["a"], [1.0, np.nan, 3.0])
    assert table["b"].tolist() == ["x", "", "z"] and table["c"].tolist() == [1.5, 2.5, 3.5]


@pytest.mark.parametrize(
    "cells",
    [["1,000", "12,500.50"], ["0,5", ""], ["10%", "5.5%"], ["2024-01-05", "2023-11-30T10:00:00Z"], ["05.12.2024"]],
)
def test_texts_that_look_like_numbers_or_dates_are_warned_about(cells):
    with pytest.warns(UserWarning, match=rf"'a' holds texts that look like numbers .*{cells[0]!r}.*kinds={{'a'"):
        data.Schema.of(data.Table({"a": cells}))


@pytest.mark.parametrize("rows, start", [(['"b,1', "c,2"], 3), (['b,"1', 'c,"2', "d,3"], 3), (['b,"1"x'], 3)])
def test_a_quote_that_is_not_closed_is_an_error_and_swallows_no_rows(rows, start, tmp_path):
    (tmp_path / "a.csv").write_text("\n".join(["a,n", 'a,"x\ny"'.replace("\n", " "), *rows]) + "\n")
    with pytest.raises(data.DataError, match=f"a CSV file. Received: .*, in the row that begins in line {start}"):
        data.Table.from_csv(tmp_path / "a.csv")


def test_numbers_of_levels_and_categories_come_back_as_they_were():
    table = data.Table({"dose": [0.1, 0.3] * 3, "level": [0.7, 0.2, 0.1] * 2, "v": np.arange(6) / 7})
    schema = data.Schema.of(table, kinds={"level": "ordinal"})
    back = schema.decode(schema.encode(table)[0])
    assert back["dose"].tolist() == table["dose"].tolist() and back["level"].tolist() == table["level"].tolist()


def test_a_number_that_float32_cannot_hold_is_far_away_and_not_missing():
    schema = data.Schema.of(data.Table({"v": np.linspace(-1, 1, 50)}))
    x, mask = schema.encode(data.Table({"v": [1e300, -1e300, 1e30]}))
    assert mask.all() and x[0, 0] == x[2, 0] > 10 and x[1, 0] < -10


@pytest.mark.parametrize("kind", ["categorical", "ordinal", "integer", "continuous"])
def test_numbers_that_float32_cannot_hold_are_named(kind):
    with pytest.raises(ValueError, match="`v` to be a column of numbers that float32 can hold.*1e.39"):
        data.Schema.of(data.Table({"v": [1e39, 1.0, 2.0, 1e39]}), kinds={"v": kind})


def test_an_outlier_does_not_hide_that_float32_tells_the_others_not_apart():
    seconds = 1.7e9 + np.arange(3600.0)
    for values in (seconds, np.append(seconds, 0.0)):
        with pytest.raises(ValueError, match="numbers that float32 tells apart"):
            data.Schema.of(data.Table({"t": values}))
    sums = np.array([0.1 + 0.2, 0.3, 0.1 * 3, 0.6 / 2, 0.2])  # noise of rounding
    data.Schema.of(data.Table({"t": np.concatenate([sums, np.arange(30) / 8])}))
    steps = np.diff(np.cumsum(np.random.default_rng(0).choice([0.1, 0.2, 0.5], 500)))
    assert len(np.unique(steps)) > 4 * len(np.unique(steps.astype(np.float32)))
    data.Schema.of(data.Table({"t": steps}))
    data.Schema.of(data.Table({"t": 1e8 + 0.4 * np.arange(10_000)}))  # 500 different ones are enough


def test_most_cells_that_look_like_dates_are_warned_about():
    for cells in (["2024-01-05", "2024-02-05", "unknown"], ["$0.50", "1,50", "1,70"]):
        with pytest.warns(UserWarning, match="numbers with separators, or like dates"):
            data.Schema.of(data.Table({"a": cells}))


def test_other_texts_are_not_warned_about():
    cells = {
        "a": ["01234", "99999"],
        "b": ["A-1", "B-2"],
        "c": ["1,5", "x"],
        "d": ["3 rooms", "4 rooms"],
        "e": ["", ""],
    }
    with pytest.raises(ValueError, match="a known value in the column 'e'"):
        data.Schema.of(data.Table(cells))
    assert len(data.Schema.of(data.Table({"a": ["1,5", "2,5"]}), kinds={"a": "ordinal"}).levels) == 1


def test_numbers_that_float32_does_not_tell_apart_are_refused():
    seconds = 1.7e9 + np.arange(50.0)
    with pytest.raises(ValueError, match=r"`a` to be a column of numbers that float32 tells apart; subtract its mean"):
        data.Schema.of(data.Table({"a": seconds}))
    data.Schema.of(data.Table({"a": seconds - seconds.mean(), "b": 1.7e9 + 1e6 * np.arange(50)}))
    for kind in ("categorical", "ordinal"):
        with pytest.raises(ValueError, match="`a` to be a column of texts, or of numbers that float32 does not round"):
            data.Schema.of(data.Table({"a": [2**24 + 1, 7]}), kinds={"a": kind})
        data.Schema.of(data.Table({"a": [2**24, 0.1]}), kinds={"a": kind})


def test_what_is_no_table_is_named():
    for call in (data.Schema.of, data.Schema.of(data.Table({"a": [1, 2, 3]})).encode):
        with pytest.raises(ValueError, match=r"`table` to be a zoo.data.Table, such as .*Received: table='dict'"):
            call({"a": [1, 2, 3]})


def test_frames_and_arrays_are_taken():
    class Series:
        def __init__(self, values):
            self.values = values

        def to_numpy(self):
            return np.array(self.values, object)

    class Frame:
        columns = ("a", "b", 3)

        def __getitem__(self, name):
            return Series({"a": [1, None, 3], "b": ["x", None, "y"], 3: [True, False, True]}[name])

    table = data.Table(Frame())
    np.testing.assert_array_equal(table["a"], [1.0, np.nan, 3.0])
    assert table["b"].tolist() == ["x", "", "y"] and table["3"].tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    "content, message",
    [
        ("a,b\n1,2\n3\n", "Expected 2 cells in row 3 of .* Received: 1"),
        ("a,a\n1,2\n", "to have different names"),
        ("a,b\n", "and a row or more"),
        ("", "and a row or more"),
        ("a\n1\ninf\n", "broken.csv: Expected `a` to be a column of finite numbers.*'inf in row 1"),
        ("a;b\n1;2\n", "Expected ',' between the cells of .*broken.csv. Received: 'a;b'. Give the delimiter ';'"),
        ("a\tb\n1\t2\n", "Give the delimiter 'tab'"),
        ("a;b\n1,5;2,5\n", "Give the delimiter ';'"),
        ("a,b\n\n1,2\n\n3\n", "Expected 2 cells in row 5 of"),
    ],
)
def test_a_broken_file_is_refused_by_name_and_row(content, message, tmp_path):
    path = tmp_path / "broken.csv"
    path.write_text(content)
    with pytest.raises(data.DataError, match=message):
        data.Table.from_csv(path)
    with pytest.raises(data.DataError, match="Expected .*none.csv to be a CSV file"):
        data.Table.from_csv(tmp_path / "none.csv")


def test_a_first_line_of_numbers_is_warned_about(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,2.5\n3,4\n5,6\n")
    with pytest.warns(
        UserWarning, match=r"The first line of .* is taken for names, but holds numbers alone: \['1', '2.5'\]"
    ):
        assert len(data.Table.from_csv(path)) == 2


def test_other_delimiters_are_read_and_one_column_may_hold_them(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a\tb\n1\t2\n")
    assert data.Table.from_csv(path, delimiter="tab")["b"].tolist() == [2.0]
    assert data.Table.from_csv(path, delimiter="\t")["b"].tolist() == [2.0]
    path.write_text("a;b\nred\nblue;green\n")
    assert data.Table.from_csv(path)["a;b"].tolist() == ["red", "blue;green"]
    for delimiter in ("", "::", None):
        with pytest.raises(ValueError, match="Expected `delimiter` to be one character, or 'tab'"):
            data.Table.from_csv(path, delimiter=delimiter)


def test_columns_must_fit_each_other():
    with pytest.raises(ValueError, match=r"Expected `columns` to be one column or more, of equal length.*\[2, 3\]"):
        data.Table({"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(ValueError, match="Expected `name` to be one of the columns"):
        data.Table({"a": [1, 2]})["b"]


class Nothing:
    """A missing cell that cannot say whether it equals itself, as pandas' NA."""

    def __ne__(self, other):
        return self

    def __bool__(self):
        raise TypeError("ambiguous")


def test_cells_of_several_types_are_numbers_or_missing():
    cells = np.array([np.int64(3), None, 2.5, Nothing(), float("nan"), True], object)
    np.testing.assert_array_equal(data.Table({"a": cells})["a"], [3.0, np.nan, 2.5, np.nan, np.nan, 1.0])
    assert data.Table({"a": np.array(["x", Nothing(), None], object)})["a"].tolist() == ["x", "", ""]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([1, 2], "`columns` to be a dict of names to arrays, or a DataFrame"),
        ({"a": [[1, 2], [3]]}, "`a` to be a column, an array of one axis"),
        ({"1": [1], 1: [2]}, "`columns` to be columns of different names"),
        ({"a": [1.0, np.inf]}, "`a` to be a column of finite numbers.*'inf in row 1"),
        ({"a": np.array([None, -np.inf, 2], object)}, "`a` to be a column of finite numbers.*'-inf in row 1"),
        ({"a": np.array(["2026-01-01"], "datetime64[ns]")}, r"`a` to be a column of numbers, or of texts .*datetime64"),
        ({"a": np.array([1j])}, "`a` to be a column of numbers, or of texts .*complex128"),
        ({"a": np.array([b"x"])}, "`a` to be a column of numbers, or of texts"),
        ({"a": np.array([b"x", "y"], object)}, "`a` to be a column of numbers, or of texts.*bytes"),
        ({"a": np.array([{}, "y"], object)}, "`a` to be a column of numbers, or of texts.*dict"),
        ({"a": [datetime.date(2026, 1, 1), None]}, "`a` to be a column of numbers, or of texts.*date"),
        ({"a": np.array([1j, None], object)}, "`a` to be a column of numbers, or of texts.*complex"),
    ],
)
def test_columns_of_neither_numbers_nor_texts_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        data.Table(columns)


@pytest.mark.parametrize(("levels", "kind"), [([], "city"), (["x", "x"], "city"), ([1, 2, 1], "age")])
def test_levels_are_one_or_more_and_each_once(table, levels, kind):
    with pytest.raises(ValueError, match=rf"`levels\['{kind}'\]` to be one level or more, each once"):
        data.Schema.of(table, levels={kind: levels})


def test_rows_are_taken_and_cut(table):
    assert table.take([2, 0])["age"].tolist() == [50, 31]
    rest, cut = table.cut(1)
    assert (len(rest), len(cut)) == (3, 1)
    assert sorted(np.concatenate([rest["grade"], cut["grade"]]).tolist()) == [1, 1, 2, 3]


def test_rows_that_are_cut_keep_their_order():
    for part in data.Table({"row": np.arange(40)}).cut(15):
        assert np.all(np.diff(part["row"]) > 0)


@pytest.mark.parametrize(
    "values, kind",
    [
        (["a", "b", "a"], "categorical"),
        ([f"name {i}" for i in range(30)], "ignore"),
        ([0.0, 1.0, np.nan, 1.0], "categorical"),
        ([1.0, 2.0, 3.0, np.nan], "integer"),
        ([1.0, 2.5, 3.0], "continuous"),
    ],
)
def test_kinds_are_inferred(values, kind):
    assert inferred(np.array(values)) == kind


def test_a_schema_encodes_known_cells_and_marks_the_others(table):
    schema = data.Schema.of(table, levels={"size": ["S", "M", "L"]})
    assert [column.kind for column in schema.columns] == ["categories", "categories", "levels", "levels", "number"]
    x, mask = schema.encode(table)
    # score; size, grade; the one-hot places of age and of city
    assert x.shape == mask.shape == (4, 1 + 2 + 2 + 2) and schema.size == 7
    np.testing.assert_array_equal(mask[1], [0, 1, 1, 0, 0, 1, 1])
    np.testing.assert_array_equal(x[1], [0, 0.5, 0.5, 0, 0, 0, 1])
    np.testing.assert_allclose(x[[3, 0, 2], 0], stats.norm.ppf([1 / 6, 0.5, 5 / 6]), atol=1e-5)
    np.testing.assert_array_equal(x[:, 1], [0, 0.5, 1, 0.5])


def test_decoding_restores_known_cells(table):
    schema = data.Schema.of(table, levels={"size": ["S", "M", "L"]})
    x, mask = schema.encode(table)
    again = schema.decode(x)
    assert again.names == table.names
    for name in table:
        known = ~table.missing(name)
        if table[name].dtype.kind == "U":
            assert again[name][known].tolist() == table[name][known].tolist()
        else:
            np.testing.assert_allclose(again[name][known], table[name][known], rtol=1e-4)


def test_numbers_become_standard_normal_and_ties_take_the_middle():
    values = np.random.default_rng(0).lognormal(size=4000)
    column = kinds.Number.of("x", values)
    scaled, known = column.encode(tf.constant(values, tf.float32))
    assert stats.kstest(scaled.numpy()[:, 0], stats.norm.cdf).pvalue > 0.05 and np.all(known)
    np.testing.assert_allclose(column.decode(scaled), values, rtol=1e-3)
    tied = kinds.Number.of("x", np.array([0.0, 0.0, 0.0, 0.0, 5.0]))
    scaled, _ = tied.encode(tf.constant([0.0, 5.0]))
    np.testing.assert_allclose(scaled[:, 0], stats.norm.ppf([0.4, 0.9]), atol=1e-5)
    np.testing.assert_allclose(tied.decode(tf.constant([[-3.0], [0.4], [9.0]])), [0.0, 0.0, 5.0], atol=1e-6)


def test_numbers_beyond_those_of_training_stay_apart_and_decode_to_the_ends():
    column = kinds.Number.of("x", np.arange(100.0))
    scaled = column.encode(tf.constant([99.0, 200.0, 300.0, -50.0]))[0].numpy()[:, 0]
    assert scaled[3] < -2.6 < 2.6 > scaled[0] > 2.5 and scaled[0] + 3 < scaled[1] < scaled[2] - 3
    np.testing.assert_allclose(column.decode(scaled[:, None]), [99, 99, 99, 0], atol=1e-3)
    constant = kinds.Number.of("x", np.array([7.0]))
    assert constant.decode(constant.encode(tf.constant([7.0]))[0]).numpy().tolist() == [7.0]


def test_whole_numbers_decode_to_whole_numbers():
    column = kinds.Number.of("x", np.array([1.0, 4.0, 9.0, 30.0]), integer=True)
    found = column.decode(tf.constant(np.linspace(-2, 2, 9)[:, None], tf.float32)).numpy()
    np.testing.assert_array_equal(found, np.round(found))


def test_unknown_categories_and_levels_count_as_missing(table):
    schema = data.Schema.of(table, kinds={"size": "ordinal"}, max_categories=1)
    other = table.take([0])
    other.columns["city"] = np.array(["Rome"])
    other.columns["size"] = np.array(["XXL"])
    with pytest.warns(UserWarning, match="1 cells of the column '(city|size)' count as missing, .*: '(Rome|XXL)'"):
        x, mask = schema.encode(other)
    for name in ("city", "size"):
        assert not x[0, schema.places[name]].any() and not mask[0, schema.places[name]].any()
    assert schema.columns[1].categories == ("Bern",)  # the most frequent one


def test_numbers_beyond_the_levels_count_as_missing_and_those_between_become_the_nearest():
    schema = data.Schema.of(data.Table({"stars": [1, 2, 3, 5]}))
    with pytest.warns(UserWarning, match="3 cells of the column 'stars' count as missing.*: -7.0, 0.0, 1000.0"):
        x, mask = schema.encode(data.Table({"stars": [5, 1000, 2.2, -7, 0, np.nan]}))
    assert mask[:, 0].tolist() == [1, 0, 1, 0, 0, 0]
    np.testing.assert_allclose(x[:, 0], [1, 0, 1 / 3, 0, 0, 0], rtol=1e-6)


@pytest.mark.parametrize(("name", "value"), [("stars", 4), ("stars", 1000), ("city", "Rome"), ("size", np.nan)])
def test_values_that_the_training_rows_do_not_have_are_named(name, value):
    table = data.Table({"stars": [1, 2, 3, 5], "city": ["Bern", "Ulm"] * 2, "size": [1.5, 2.5, 3.5, 4.5]})
    columns = {column.name: column for column in data.Schema.of(table).columns}
    with pytest.raises(ValueError, match=rf"Expected `given\['{name}'\]` to be a value of the training rows"):
        kinds.require_known(columns[name], np.array([value]), f"given[{name!r}]")
    for known, values in (("stars", [1, 5]), ("city", ["Ulm"]), ("size", [99.0])):
        kinds.require_known(columns[known], np.array(values), known)


def test_categories_that_float32_takes_for_one_and_levels_of_a_categorical_column_are_refused():
    with pytest.raises(
        ValueError, match="Expected `a` to be a column of numbers that float32 tells apart, or of texts"
    ):
        data.Schema.of(data.Table({"a": [0.1, 0.1 + 1e-10]}))
    with pytest.raises(ValueError, match=r"Expected `kinds\['a'\]` to be ordinal, as `levels` has this column"):
        data.Schema.of(data.Table({"a": [1, 2]}), kinds={"a": "categorical"}, levels={"a": [2, 1]})
    with pytest.raises(ValueError, match="Expected `table` to be one with a column that is not ignored"):
        data.Schema.of(data.Table({"a": [1, 2]}), kinds={"a": "ignore"})


def test_the_quantiles_of_whole_numbers_are_values_of_the_column():
    values = np.round(np.random.default_rng(0).lognormal(5, 1, 4000))
    column = kinds.Number.of("a", values, integer=True)
    assert len(column.quantiles) == 1000 and set(column.quantiles) <= set(values)


def test_a_schema_hides_whole_cells_by_their_draws(table):
    schema = data.Schema.of(table)
    rows, columns = np.hstack(schema.encode(table)), len(schema.places)
    draws = np.full((len(rows), columns), 0.5, np.float32)
    draws[0, -1] = 0.2  # the last column is the categorical one, of several features
    last = list(schema.places.values())[-1]
    assert last.stop - last.start > 1
    hidden = schema.hide(tf.constant(rows), tf.constant(draws), 0.3).numpy()
    expected = rows.copy()
    expected[0, last] = expected[0, slice(last.start + schema.size, last.stop + schema.size)] = 0.0
    np.testing.assert_array_equal(hidden, expected)
    assert not np.array_equal(hidden, rows)


def test_a_cell_whose_draw_is_the_share_itself_is_seen(table):
    schema = data.Schema.of(table)
    rows = tf.constant(np.concatenate(schema.encode(table), axis=1))
    for share in (0.0, 0.5):
        hidden = schema.hide(rows, tf.fill((len(table), len(schema.places)), share), share)
        np.testing.assert_array_equal(hidden, rows)


def test_a_schema_survives_json(table):
    schema = data.Schema.of(table, kinds={"age": "continuous", "city": "ignore"})
    assert [column.name for column in schema.columns] == ["age", "size", "grade", "score"]
    again = data.Schema.from_config(json.loads(json.dumps(schema.get_config())))
    assert again.columns == schema.columns
    np.testing.assert_array_equal(again.encode(table)[0], schema.encode(table)[0])


def test_what_does_not_fit_is_refused(table):
    schema = data.Schema.of(table)
    with pytest.raises(ValueError, match="Expected `table` to be one with the columns 'score'. Received: .*'age'"):
        schema.encode(data.Table({name: table[name] for name in table if name != "score"}))
    with pytest.raises(ValueError, match="Expected `score` to be a column of numbers. Received: .*texts"):
        schema.encode(data.Table({**table.columns, "score": np.array(["a", "b", "c", "d"])}))
    with pytest.raises(ValueError, match="Expected `name` to be one of the columns .* Received: name='town'"):
        data.Schema.of(table, kinds={"town": "categorical"})
    with pytest.raises(ValueError, match=r"Expected `kinds\['city'\]` to be ordinal, categorical or ignore"):
        data.Schema.of(table, kinds={"city": "continuous"})
    with pytest.raises(ValueError, match=r"Expected `kinds\['city'\]` to be one of .*Received"):
        data.Schema.of(table, kinds={"city": "towns"})
    empty = data.Table({"a": [np.nan, np.nan]})
    with pytest.raises(ValueError, match="Expected `table` to be one with a known value in the column 'a'"):
        data.Schema.of(empty)


@pytest.mark.parametrize("cell", ["²", "+-5", "9" * 400, "1_0", "٣"])
def test_cells_that_only_look_like_numbers_are_texts(cell, tmp_path):
    (tmp_path / "a.csv").write_text(f"a\n2\n{cell}\n", encoding="utf-8")
    assert data.Table.from_csv(tmp_path / "a.csv")["a"].tolist() == ["2", cell]


class Ordered:
    """What pandas' ordered Categorical has of a column."""

    class dtype:
        ordered, categories = True, ["S", "M", "L"]

    def to_numpy(self):
        return np.array(["S", "L", "L", None], object)


def test_the_order_of_a_categorical_is_kept():
    table = data.Table({"size": Ordered(), "price": [1.5, 2.0, 2.5, 3.0]})
    assert table.levels == {"size": ["S", "M", "L"]}
    for part in (table, table.take(np.arange(3)), table.cut(1)[0], data.Table(table)):
        schema = data.Schema.of(part)
        assert [column.levels for column in schema.levels] == [("S", "M", "L")]
    assert data.Schema.of(table, levels={"size": ["L", "M", "S"]}).levels[0].levels == ("L", "M", "S")
    assert [each.name for each in data.Schema.of(table, kinds={"size": "categorical"}).categories] == ["size"]


def test_codes_among_cells_that_are_no_numbers():
    cells = ["ERR", "007", *map(str, range(2, 20))]
    with pytest.warns(UserWarning, match="18 of 20 cells of the column 'a' are numbers, and 'ERR' is not"):
        data.Schema.of(data.Table({"a": cells}))


def test_a_kind_that_is_given_is_not_warned_about():
    cells = ["ERR", *map(str, range(1, 10))]
    assert data.Schema.of(data.Table({"a": cells}), kinds={"a": "categorical"}).columns[0].kind == "categories"
