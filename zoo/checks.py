"""Argument checks with one wording: "Expected `beta` to be … Received: beta=-1"."""

import math
import numbers


def fail(name, expected, received):
    """Raises ValueError that names the argument, what was expected and what came."""
    raise ValueError(f"Expected `{name}` to be {expected}. Received: {name}={received!r}")


def positive_int(name, value):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        fail(name, "an integer >= 1", value)
    return int(value)


def number(name, value, low=-math.inf, high=math.inf, *, open_low=False):
    """`value` as a float in [low, high], or in (low, high] with `open_low`."""
    bounds = f"{'>' if open_low else '>='} {low:g}" + (f" and <= {high:g}" if high < math.inf else "")
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    inside = is_number and math.isfinite(value) and low <= value <= high
    if not inside or (open_low and value == low):
        fail(name, "a finite number" + (f" {bounds}" if low > -math.inf else ""), value)
    return float(value)


def one_of(name, value, choices):
    if value not in choices:
        fail(name, "one of " + ", ".join(repr(choice) for choice in choices), value)
    return value
