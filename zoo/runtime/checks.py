"""Argument checks with one wording: "Expected `beta` to be … Received: beta=-1"."""

import importlib.util
import math
import numbers

import numpy as np


def fail(name, expected, received):
    """Raises ValueError that names the argument, what was expected and what came."""
    raise ValueError(f"Expected `{name}` to be {expected}. Received: {name}={received!r}")


def positive_int(name, value):
    return integer(name, value, 1)


def integer(name, value, low):
    """`value` as an int of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < low:
        fail(name, f"an integer >= {low}", value)
    return int(value)


def seed(name, value):
    """`value` as an int of 32 bits, with or without a sign, or None: a larger one would stand for a smaller."""
    if value is None:
        return None
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_integer or not -(2**31) <= value < 2**32:
        fail(name, "None or an integer of 32 bits, >= -2**31 and < 2**32", value)
    return int(value)


def image_size(name, value):
    """(H, W), of a pair of integers >= 1, or of one, the side of a square."""
    pair = value if isinstance(value, (tuple, list, np.ndarray)) else (value, value)
    try:
        height, width = (positive_int(name, side) for side in pair)
    except (TypeError, ValueError):
        fail(name, "an integer >= 1, or a pair (H, W) of them", value)
    return height, width


def colour(name, value):
    """(red, green, blue), integers from 0 to 255."""
    levels = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else ()
    whole = all(isinstance(level, numbers.Integral) and not isinstance(level, bool) for level in levels)
    if len(levels) != 3 or not whole or min(levels) < 0 or max(levels) > 255:
        fail(name, "three integers from 0 to 255: red, green, blue", value)
    return tuple(map(int, levels))


def multiple(name, value, divisor):
    if value < 1 or value % divisor:
        fail(name, f"a multiple of {divisor}, at least {divisor}", value)
    return value


def number(name, value, low=-math.inf, high=math.inf, *, open_low=False, open_high=False):
    """`value` as a float from `low` to `high`, the ends included unless open."""
    expected = "a finite number"
    if low > -math.inf:
        expected += f" {'>' if open_low else '>='} {low:g}"
    if high < math.inf:
        expected += f" and {'<' if open_high else '<='} {high:g}"
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not low <= value <= high:
        fail(name, expected, value)
    if (open_low and value == low) or (open_high and value == high):
        fail(name, expected, value)
    return float(value)


def one_of(name, value, choices):
    if value not in choices:
        fail(name, "one of " + ", ".join(repr(choice) for choice in choices), value)
    return value


def implements(name, value, base, members):
    """`value`, an instance of `base` that has all `members`: methods that `base` leaves open, and attributes.

    Raises:
        ValueError: that names what `value` lacks.
    """
    expected = f"a {'.'.join(base.__module__.split('.')[:2])}.{base.__name__} that defines {', '.join(members)}"
    if not isinstance(value, base):
        fail(name, expected, value)
    kind = type(value)
    lacking = [
        member
        for member in members
        if getattr(value, member, None) is None
        or (callable(getattr(base, member, None)) and getattr(kind, member) is getattr(base, member))
    ]
    if lacking:
        raise ValueError(
            f"Expected `{name}` to be {expected}. Received: a {kind.__name__}, without {', '.join(lacking)}"
        )
    return value


def extra(name, *packages):
    """Raises ImportError unless all packages of an optional part are installed; they are not imported yet.

    Args:
        name: str, of the part in setup.cfg's `options.extras_require`.
        packages: strs, as they are imported.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ImportError(
            f"Expected the packages {', '.join(packages)}. Received: no {', '.join(missing)}. "
            f"Install them with: pip install 'vae-zoo[{name}]'"
        )
