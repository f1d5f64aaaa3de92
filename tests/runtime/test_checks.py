"""Argument checks: what passes, as what, and the wording of what does not."""

import math
import re

import numpy as np
import pytest

from zoo.runtime import checks


def message(expected, received):
    return re.escape(f"Expected `size` to be {expected}. Received: size={received!r}")


@pytest.mark.parametrize("value", [1, 512, np.int32(7), np.int64(1)])
def test_positive_int_gives_a_python_int(value):
    checked = checks.positive_int("size", value)
    assert checked == value and type(checked) is int


@pytest.mark.parametrize("value", [0, -1, 1.0, 2.5, True, None, "3"])
def test_positive_int_refuses_all_else(value):
    with pytest.raises(ValueError, match=message("an integer >= 1", value)):
        checks.positive_int("size", value)


@pytest.mark.parametrize("value", [3, (3, 3), [3, 3], np.int32(3), np.array([3, 3]), (np.int64(3), 3)])
def test_image_size_gives_a_pair_of_python_ints(value):
    checked = checks.image_size("size", value)
    assert checked == (3, 3) and type(checked) is tuple and {type(side) for side in checked} == {int}


@pytest.mark.parametrize("value", [0, -1, 2.0, True, None, "3", (3,), (3, 3, 3), (), (3, 0), (3, "3"), (3, None)])
def test_image_size_refuses_all_else(value):
    with pytest.raises(ValueError, match=message("an integer >= 1, or a pair (H, W) of them", value)):
        checks.image_size("size", value)


@pytest.mark.parametrize("value", [(0, 255, 7), [0, 255, 7], np.uint8([0, 255, 7])])
def test_colour_gives_three_python_ints(value):
    checked = checks.colour("size", value)
    assert checked == (0, 255, 7) and {type(level) for level in checked} == {int}


@pytest.mark.parametrize(
    "value", [(0, 0), (0,) * 4, (0, 0, 256), (0, -1, 0), (0, 0.0, 0), (0, True, 0), 0, "red", None]
)
def test_colour_refuses_all_else(value):
    with pytest.raises(ValueError, match=message("three integers from 0 to 255: red, green, blue", value)):
        checks.colour("size", value)


@pytest.mark.parametrize("value", [0, 0.0, 0.25, 1, np.float32(0.5), np.int32(1)])
def test_number_gives_a_python_float_with_both_ends_allowed(value):
    checked = checks.number("size", value, 0.0, 1.0)
    assert checked == value and type(checked) is float


@pytest.mark.parametrize("value", [-0.001, 1.001, math.nan, math.inf, -math.inf, True, None, "0.5", 1j])
def test_number_refuses_what_is_outside_or_no_number(value):
    with pytest.raises(ValueError, match=message("a finite number >= 0 and <= 1", value)):
        checks.number("size", value, 0.0, 1.0)


def test_number_without_bounds_takes_any_finite_one():
    assert checks.number("size", -1e300) == -1e300
    with pytest.raises(ValueError, match=message("a finite number", math.inf)):
        checks.number("size", math.inf)


def test_open_low_leaves_the_lower_end_out():
    assert checks.number("size", 1e-9, 0.0, open_low=True) == 1e-9
    with pytest.raises(ValueError, match=message("a finite number > 0", 0.0)):
        checks.number("size", 0.0, 0.0, open_low=True)


def test_one_of_gives_the_value_or_names_the_choices():
    assert checks.one_of("size", "big", ("small", "big")) == "big"
    with pytest.raises(ValueError, match=message("one of 'small', 'big'", "huge")):
        checks.one_of("size", "huge", ("small", "big"))


def test_fail_names_the_argument_what_was_expected_and_what_came():
    with pytest.raises(ValueError, match=message("even", [3])):
        checks.fail("size", "even", [3])


def test_numpy_array_keeps_values_and_refuses_masked_ones_and_objects():
    np.testing.assert_array_equal(checks.numpy_array("x", [[1, 2]]), np.array([[1, 2]]))
    values = np.ma.masked_array([1.0, 2.0, 3.0])
    assert type(checks.numpy_array("x", values)) is np.ndarray
    values[1] = np.ma.masked
    with pytest.raises(
        ValueError, match=r"^Expected `x` to be an array without a mask. Received: 1 masked values. Fill"
    ):
        checks.numpy_array("x", values)
    with pytest.raises(ValueError, match=r"^Expected `x` to be an array of numbers. Received: x='object, dtype obj"):
        checks.numpy_array("x", object())


def test_extra_names_what_is_missing_and_the_command_that_installs_it():
    checks.extra("test", "pytest", "numpy")
    match = r"packages numpy, no_such_package. Received: no no_such_package. .* pip install 'vae-zoo\[all\]'"
    with pytest.raises(ImportError, match=match):
        checks.extra("all", "numpy", "no_such_package")
