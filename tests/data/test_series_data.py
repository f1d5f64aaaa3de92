"""Series: reading, gaps and uneven times, windows, and parts along time."""

import re

import numpy as np
import pytest

from zoo import data

CSV = """time,flow,state,fault,pressure
2026-01-01 00:00:00,1,on,0,10
2026-01-01 00:01:00,2,on,0,20
2026-01-01 00:02:00,3,off,1,30
"""


def test_a_csv_becomes_channels_times_and_labels(tmp_path):
    path = tmp_path / "pump.csv"
    path.write_text(CSV)
    series = data.Series.from_csv(path, "time", label="fault")
    assert series.names == ("flow", "pressure") and len(series) == 3
    np.testing.assert_array_equal(series.values, [[1, 10], [2, 20], [3, 30]])
    assert series.labels.tolist() == [0, 0, 1]
    assert series.times[1] == np.datetime64("2026-01-01T00:01:00")
    assert data.Series.from_csv(path, "time", ["pressure"]).values.tolist() == [[10], [20], [30]]


def test_times_of_several_zones_are_those_of_utc(tmp_path):
    path = tmp_path / "pump.csv"
    path.write_text("time,flow\n2026-01-01T00:00:00Z,1\n2026-01-01T02:01:00+02:00,2\n2025-12-31T19:02:00-05:00,3\n")
    series = data.Series.from_csv(path, "time")
    assert series.step == 60.0 and series.times[2] == np.datetime64("2026-01-01T00:02:00")


def test_a_channel_that_looks_like_times_is_warned_about(tmp_path):
    path = tmp_path / "pump.csv"
    path.write_text("t,flow\n60,1\n120,2\n180,2\n")
    with pytest.warns(UserWarning, match="The column 't' of .* rises by equal steps, as times do"):
        assert data.Series.from_csv(path).names == ("t", "flow")
    assert data.Series.from_csv(path, "t").names == ("flow",)
    assert data.Series.from_csv(path, channels=["t"]).names == ("t",)


def test_dates_without_separators_are_refused(tmp_path):
    path = tmp_path / "pump.csv"
    path.write_text("time,flow\n20260130,1\n20260131,2\n20260201,3\n")
    with pytest.raises(data.DataError, match="dates to be written as 2026-11-26.* Received: 20260130"):
        data.Series.from_csv(path, "time", gaps="cut")
    path.write_text("time,flow\n20260130,1\n20260140,2\n20260150,3\n")  # numbers
    assert data.Series.from_csv(path, "time").step == 10.0


@pytest.mark.parametrize(("tolerance", "pieces"), [(0.1, 3), (0.5, 2), (0.8, 1)])
def test_a_step_is_a_gap_beyond_the_tolerance(tolerance, pieces):
    times = [0.0, 1.0, 2.0, 3.2, 4.2, 5.2, 6.9, 7.9]  # steps of 1.2 and of 1.7 among those of 1
    assert len(data.Series(np.zeros(8), times, gaps="cut", tolerance=tolerance).segments) == pieces


@pytest.mark.parametrize(
    "change, arguments, message",
    [
        (("00:01:00", "00:03:00"), {}, "Expected `times` to rise.* 2026-01-01T00:02:00.* in row 2 after"),
        (("00:01:00", "00:00:00"), {}, "Expected `times` to rise.* in row 1 after"),
        (("00:02:00", "00:09:00"), {"tolerance": 0.2}, "Expected `times` at even steps.* in rows 0 and 1"),
        ((",20", ","), {}, "Expected `values` to be complete.* none of 'pressure' in row 1"),
        (("00:01:00", "noon"), {}, "Expected times to be numbers, or dates.* '2026-01-01 noon' in row 1"),
        ((",2,", ",two,"), {"channels": ["flow"]}, "Expected the column 'flow' of .* to hold numbers"),
    ],
)
def test_places_that_are_wrong_are_named(tmp_path, change, arguments, message):
    path = tmp_path / "pump.csv"
    path.write_text(CSV.replace(*change))
    with pytest.raises(data.DataError, match=message):
        data.Series.from_csv(path, "time", label="fault", **arguments)


@pytest.mark.parametrize("argument, value", [("time", "when"), ("label", "broken"), ("channels", ["flow", "heat"])])
def test_a_name_that_is_no_column_is_refused_by_its_argument(tmp_path, argument, value):
    path = tmp_path / "pump.csv"
    path.write_text(CSV)
    with pytest.raises(ValueError, match=f"Expected `{argument}` to be one of the columns"):
        data.Series.from_csv(path, **{"time": "time", argument: value})


def test_windows_do_not_reach_across_gaps_and_missing_values():
    values = np.arange(12.0)
    values[9] = np.nan
    times = [0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16]
    series = data.Series(values, times, gaps="cut")
    assert series.segments == [slice(0, 5), slice(5, 9), slice(10, 12)]
    windows, starts = series.windows(length=3, stride=2)
    assert starts.tolist() == [0, 2, 5, 6] and windows.dtype == np.float32
    assert windows[:, :, 0].tolist() == [[0, 1, 2], [2, 3, 4], [5, 6, 7], [6, 7, 8]]
    scores = series.per_step(np.array([[1.0, 1, 1], [2, 4, 4], [8, 8, 8], [10, 12, 12]]), starts)
    expected = [1, 1, 1.5, 4, 4, 8, 9, 10, 12, np.nan, np.nan, np.nan]
    np.testing.assert_array_equal(scores, expected)


def test_parts_follow_each_other_without_overlap():
    series = data.Series(np.arange(10.0), labels=np.arange(10) > 7)
    parts = series.split(0.1, 0.2)
    assert [part.values[:, 0].tolist() for part in parts] == [[0, 1, 2, 3, 4, 5, 6], [7], [8, 9]]
    assert parts[2].labels.tolist() == [1, 1]
    means, deviations = data.Series([[1.0, 5], [3, 5]]).statistics()
    assert means.tolist() == [2, 5] and deviations.tolist() == [1, 1]


def test_a_part_has_the_tolerance_of_the_whole():
    series = data.Series(np.arange(8.0), [0.0, 1.0, 2.0, 3.7, 4.7, 5.7, 6.7, 7.7], tolerance=0.8)
    first, second = series.split(0.25)
    assert (first.tolerance, len(first), second.tolerance) == (0.8, 6, 0.8)


def test_small_units_are_no_constant():
    small = 1e-15 * np.arange(4.0)
    np.testing.assert_allclose(data.Series(small).statistics()[1], [small.std()], rtol=1e-12)
    assert data.Series([0.1, 0.1, 0.1]).statistics()[1].tolist() == [1.0]


@pytest.mark.parametrize(
    "values, message",
    [
        ([1e300, 2e300], "Expected `load` to be a channel of numbers that float32 can hold. Received: load='2e+300'"),
        (1.7e9 + np.arange(60.0), "Expected `load` to be a channel of numbers that float32 tells apart; subtract its"),
        ([np.nan, np.nan], "Expected `load` to be a channel with a known value"),
    ],
)
def test_channels_that_float32_cannot_tell_apart_are_refused(values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        data.Series(values, names=["load"], gaps="cut").statistics()


@pytest.mark.parametrize("kind", [np.uint8, np.uint64, np.int8])
def test_times_of_small_and_unsigned_integers_fall_where_they_fall(kind):
    with pytest.raises(ValueError, match="Expected `times` to rise from row to row.* Received: 2 in row 3 after 100"):
        data.Series(np.arange(5.0), np.array([0, 50, 100, 2, 3], kind), gaps="cut")


class Frame:
    """What pandas' DataFrame has of an array."""

    def __init__(self, columns):
        self.columns = columns

    def __array__(self, dtype=None, copy=None):
        return np.ones((4, len(self.columns)))


def test_a_frame_names_the_channels():
    named, numbered = data.Series(Frame(["level", "flow"])), data.Series(Frame(range(2)))
    assert named.names == ("level", "flow") and named.has_names
    assert numbered.names == ("0", "1") and not numbered.has_names


def test_the_step_is_in_the_unit_of_the_times_or_in_seconds():
    assert data.Series(np.arange(3.0)).step is None and data.Series(np.arange(3.0), [0, 10, 20]).step == 10.0
    assert data.Series(np.arange(3.0)).take(slice(0, 2)).step is None
    dates = np.array(["2026-01-01T00:00", "2026-01-01T00:02", "2026-01-01T00:04"], "datetime64[m]")
    assert data.Series(np.arange(3.0), dates).step == 120.0


def test_parts_of_a_series_without_times_count_on():
    series = data.Series(np.arange(10.0))
    last = series.split(0.3)[1]
    assert last.times.tolist() == [7, 8, 9] and last.step is None


def test_a_column_of_codes_is_left_out(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("flow,zip\n" + "".join(f"{i},{code}\n" for i, code in enumerate(["01234", "8001", "9000", "3000"])))
    assert data.Series.from_csv(path).names == ("flow",)


@pytest.mark.parametrize("cell", ["ERR", "1,5"])
def test_a_channel_with_a_cell_that_is_no_number_is_not_left_out(cell, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t;flow;place;x\n" + "".join(f"{i};{cell if i == 2 else i};Bern;{i}\n" for i in range(5)))
    with pytest.raises(
        data.DataError, match=f"the column 'flow' of .* to hold numbers, or `channels`.*{cell}.* in row 2"
    ):
        data.Series.from_csv(path, time="t", delimiter=";")
    assert data.Series.from_csv(path, "t", ["x"], delimiter=";").names == ("x",)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: data.Series(np.zeros((2, 2, 2))), "Expected `values` to be an array [N,C] of one step or more"),
        (lambda: data.Series([1.0, 2.0], names=["a", "b"]), "Expected `names` to be 1 names"),
        (lambda: data.Series([[1.0, 2.0]], names=["a", "a"]), "Expected `names` to be different ones"),
        (lambda: data.Series(["1", "two"]), "Expected `values` to be an array of numbers"),
        (lambda: data.Series([1.0, 2.0], labels=[0, 3]), "Expected `labels` to be 0 or 1 for each step. Received: "),
        (lambda: data.Series([1.0, 2.0], labels=[0, np.nan]), "labels='1 other values, the first nan'"),
        (lambda: data.Series([1.0, 2.0], [0.0]), "Expected `times` to be an array of shape [2]"),
        (lambda: data.Series([1.0, 2.0]).starts(3), "Expected `length` to be at most 2, the longest piece"),
        (lambda: data.Series([1.0, 2.0]).split(0.6, 0.5), "Expected `shares` to be parts that leave a step"),
        (lambda: data.Series([1.0, np.inf]), "Expected `values` to be finite numbers, NaN where missing. Received: "),
        (lambda: data.Series([1.0, -np.inf], gaps="cut"), "values='1 infinite ones, the first in row 1"),
        (lambda: data.Series([1.0, 1j]), "Expected `values` to be an array of real numbers"),
        (lambda: data.Series([1.0, 2.0], ["noon", "one"]), "Expected `times` to be numbers or datetime64"),
        (lambda: data.Series([1.0, 2.0], np.array([0, 2**63], np.uint64)), "Expected `times` to be numbers that int64"),
        (
            lambda: data.Series([1.0, 2.0], np.ma.masked_less([0, 1], 1)),
            "Expected `times` to be an array without a mask",
        ),
        (lambda: data.Series(np.arange(2).astype("datetime64[s]")), "Expected `values` to be an array of real numbers"),
        (lambda: data.Series([1.0, 2.0], [0, 1j]), "Expected `times` to be numbers or datetime64"),
        (lambda: data.Series([[1.0, 2.0]], names="ab"), "Expected `names` to be a list of strs"),
        (lambda: data.Series(np.arange(9.0)).take(slice(0, 9, 2)), "Expected `part` to be a slice without a stride"),
        (lambda: data.Series([1.0], gaps="fill"), "Expected `gaps` to be one of 'refuse', 'cut'"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


class Indexed(Frame):
    """A frame whose rows have an index."""

    def __init__(self, index):
        super().__init__(["level"])
        self.index = index


def test_the_index_of_a_frame_is_the_times():
    days = np.array(["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"], "datetime64[D]")
    assert data.Series(Indexed(days)).step == 86400.0
    assert data.Series(Indexed(days - days[0])).step == 86400.0  # timedelta64
    assert (
        not data.Series(Indexed(np.arange(4))).has_times and not data.Series(Indexed(np.array(list("abcd")))).has_times
    )
    assert data.Series(Indexed(days), times=np.arange(0.0, 40.0, 10.0)).step == 10.0
    with pytest.raises(ValueError, match="Expected `times` at even steps, .* Received: 1 and 7 in rows 1 and 2"):
        data.Series(Indexed(np.array([0, 1, 7, 8])))
    with pytest.raises(ValueError, match="Expected `times` to rise"):
        data.Series(Indexed(np.array([0, 1, 0, 1])))


def test_an_index_of_several_levels_is_refused():
    class Levels:
        nlevels = 2

    with pytest.raises(ValueError, match="Expected `values` to be a frame of one series, with an index of one level"):
        data.Series(Indexed(Levels()))


def test_the_normal_part_keeps_the_tolerance():
    times, labels = [0.0, 1.0, 2.0, 3.7, 4.7, 5.7], [0, 0, 0, 0, 0, 1]
    series = data.Series(np.arange(6.0), times, labels=labels, tolerance=0.8)
    assert series.normal().segments == [slice(0, 5)]
