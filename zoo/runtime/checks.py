"""Argument checks with one wording: "Expected `beta` to be … Received: beta=-1"."""

import importlib.util
import math
import numbers
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard, TypeVar

if TYPE_CHECKING:
    from zoo.runtime.types import Array, Tensor

_ROUNDING = 1e-3  # beyond the full scale of a sound
Choice = TypeVar("Choice")
Part = TypeVar("Part")


def fail(name: str, expected: str, received: object) -> NoReturn:
    """Raises a ValueError with the argument, the expectation and the received value."""
    raise ValueError(f"Expected `{name}` to be {expected}. Received: {name}={received!r}")


def zoo_model(model: object) -> None:
    """Raises a ValueError for argument `model` unless it is a model of the zoo, by what all of these have."""
    if not hasattr(type(model), "decode_embedding"):
        fail("model", "a model of the zoo, such as zoo.from_preset gives", type(model).__name__)


def per_example(name: str, value: "Tensor", number: int | None) -> None:
    """Raises a ValueError unless `value` has the shape `[B]`, B being `number` or None: another could be broadcast."""
    if len(value.shape) != 1 or value.shape[0] not in (None, number):
        shape = tuple(value.shape)
        raise ValueError(f"Expected {name} to give a number for each example, [B]. Received: shape {shape}")


def parameters(name: str, value: "Array | float", shape: Sequence[int | None]) -> None:
    """Raises ValueError for parameters of another shape than `[B, *shape]`, which could be broadcast."""
    sizes = tuple(getattr(value, "shape", ()))  # of one number for all, none
    unlike = len(sizes) != len(shape) + 1 or any(a != b for a, b in zip(sizes[1:], shape) if None not in (a, b))
    if sizes and unlike:
        fail(name, f"of shape [B, {', '.join(map(str, shape))}]", sizes)


def numpy_array(name: str, value: object) -> Any:
    """`value` as a NumPy array.

    Raises:
        ValueError: for masked values, which NumPy would uncover, and for what is no array, such as a dataset.
    """
    import numpy as np  # here, as `python -m zoo --help` answers without NumPy

    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        received = f"{np.ma.count_masked(value)} masked values. Fill them first: {name}.filled(…)"
        raise ValueError(f"Expected `{name}` to be an array without a mask. Received: {received}")
    try:
        array = np.asarray(value)
    except ValueError:  # of parts of different shapes, such as images and labels
        fail(name, "one array of numbers", f"a {type(value).__name__} of parts of different shapes")
    if array.dtype.kind == "O":
        fail(name, "an array of numbers", f"{type(value).__name__}, dtype object")
    return array


def full_scale(name: str, sound: "Array") -> None:
    """Raises ValueError unless the samples of sounds lie in [−1, 1], but for rounding."""
    import numpy as np

    largest = np.abs(sound).max(initial=0.0)
    if not largest <= 1.0 + _ROUNDING:  # nor for NaN
        fail(name, "finite values in [-1, 1]", f"values up to {largest:g}")


def is_integer(value: object) -> TypeGuard[int]:
    """Whether `value` is a Python or NumPy integer; a bool is not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a real number of Python or NumPy; a bool is not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_list(value: object) -> TypeGuard[Sequence]:
    # An array is known by its rank: `python -m zoo --help` answers without NumPy.
    return isinstance(value, (tuple, list)) or getattr(value, "ndim", 0) > 0


def positive_int(name: str, value: object) -> int:
    """`value` as an int >= 1."""
    return integer(name, value, 1)


def positive_ints(name: str, value: object) -> list[int]:
    """`value`, a tuple or a list, as ints >= 1."""
    if not _is_list(value):
        fail(name, "a tuple of integers >= 1", value)
    return [positive_int(name, each) for each in value]


def integer(name: str, value: object, low: int) -> int:
    """`value` as an int >= `low`."""
    if not is_integer(value) or value < low:
        fail(name, f"an integer >= {low}", value)
    return int(value)


def seed(name: str, value: object) -> int | None:
    """`value` as a signed or unsigned 32-bit int, or None. A larger one would silently equal a smaller one."""
    if value is None:
        return None
    if not is_integer(value) or not -(2**31) <= value < 2**32:
        fail(name, "None or an integer of 32 bits, >= -2**31 and < 2**32", value)
    return int(value)


def fixed_seed(name: str, value: object) -> int:
    """As `seed`, but not None: the result must be the same at each call."""
    if value is None:
        fail(name, "an integer of 32 bits", value)
    return seed(name, value) or 0


def image_size(name: str, value: object) -> tuple[int, int]:
    """(H, W) from a pair of integers >= 1, or from one integer, the side of a square."""
    pair = value if _is_list(value) else (value, value)
    try:
        height, width = (positive_int(name, side) for side in pair)
    except (TypeError, ValueError):
        fail(name, "an integer >= 1, or a pair (H, W) of them", value)
    return height, width


def colour(name: str, value: object) -> tuple[int, int, int]:
    """(red, green, blue), integers from 0 to 255."""
    levels = tuple(value) if _is_list(value) else ()
    if len(levels) != 3 or not all(is_integer(level) and 0 <= level <= 255 for level in levels):
        fail(name, "three integers from 0 to 255: red, green, blue", value)
    red, green, blue = map(int, levels)
    return red, green, blue


def multiple(name: str, value: int, divisor: int) -> int:
    """`value`, a positive multiple of `divisor`."""
    if value < 1 or value % divisor:
        fail(name, f"a multiple of {divisor}, at least {divisor}", value)
    return value


def number(
    name: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """`value` as a float from `low` to `high`, both included unless open."""
    limits = []
    if low > -math.inf:
        limits.append(f" {'>' if open_low else '>='} {low:g}")
    if high < math.inf:
        limits.append(f" {'<' if open_high else '<='} {high:g}")
    expected = "a finite number" + " and".join(limits)
    if not is_number(value) or not math.isfinite(value) or not low <= value <= high:
        fail(name, expected, value)
    if (open_low and value == low) or (open_high and value == high):
        fail(name, expected, value)
    return float(value)


def zero(name: str, value: object, reason: str) -> float:
    """0.0 for a `value` of 0, the only one that there is for this `reason`."""
    if not is_number(value) or value != 0:
        fail(name, f"0, as {reason}", value)
    return 0.0


def boolean(name: str, value: object) -> bool:
    """`value`, True or False, as Python or NumPy has them; a text such as "no" would count as True."""
    if type(value).__name__ not in ("bool", "bool_"):
        fail(name, "True or False", value)
    return bool(value)


def one_of(name: str, value: Choice, choices: Collection[Choice]) -> Choice:
    """`value`, which must be among `choices`."""
    if value not in choices:
        fail(name, "one of " + ", ".join(repr(choice) for choice in choices), value)
    return value


def instance(name: str, value: object, kind: type[Part], expected: str) -> Part:
    """`value`, an instance of `kind`, which the error calls `expected`."""
    if not isinstance(value, kind):
        fail(name, expected, value)
    return value


def implements(name: str, value: object, base: type[Part], members: Sequence[str]) -> Part:
    """`value`, an instance of `base` that defines all `members`: attributes, and methods that `base` leaves open.

    Raises:
        ValueError: with the members that `value` lacks.
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


def extra(name: str, *packages: str) -> None:
    """Raises ImportError unless all packages of an optional extra are installed. Does not import them.

    Args:
        name: str, the extra in `options.extras_require` of setup.cfg.
        packages: strs, import names.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ImportError(
            f"Expected the packages {', '.join(packages)}. Received: no {', '.join(missing)}. "
            f"Install them with: pip install 'vae-zoo[{name}]'"
        )
