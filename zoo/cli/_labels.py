"""Labels on the command line."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import keras
    import numpy as np

HELP = "classes such as 3 or 3 7, taken in turn; for a model with attributes a .npy file [N,d]"


def in_turn(name: str, given: Sequence[str] | None, model: "keras.Model", number: int) -> "np.ndarray | None":
    """Labels for a number of samples, from the values of an option.

    Args:
        name: str, the option.
        given: strs, classes such as "3" and "7" or "3,7", or one .npy file; None for all classes.
        model: a model of the zoo; `label_source` says which labels it takes.
        number: int, N.

    Returns:
        int32 `[N]`, float32 `[N,d]`, or None for a model without labels. Sample i has the label i modulo the number of
        labels.

    Raises:
        ValueError: for labels that the model does not take, or none where it needs some.
    """
    import numpy as np

    source = model.label_source()
    if source is None:
        if given is not None:
            _fail(name, f"no labels, as this {type(model).__name__} takes none", given)
        return None
    if source.num_classes is None:
        values = _attributes(name, given, source.num_attributes)
    elif given is None:
        values = np.arange(source.num_classes, dtype=np.int32)
    else:
        values = _classes(name, given, source.num_classes)
    return values[np.arange(number) % len(values)]


def one(name: str, given: str | None, model: "keras.Model") -> "np.ndarray":
    """A single label, as an array of length 1; raises as `in_turn` does, and for several."""
    labels = in_turn(name, None if given is None else [given], model, 2)
    if labels is None or len({label.tobytes() for label in labels}) > 1:
        _fail(name, "one label", [given or "nothing"])
    return labels[:1]


def _classes(name, given, number):
    import numpy as np

    parts = [part for text in given for part in text.split(",") if part]
    if not parts or not all(part.isdecimal() and int(part) < number for part in parts):
        _fail(name, f"integers from 0 to {number - 1}", given)
    return np.array(parts, np.int32)


def _attributes(name, given, number):
    import numpy as np

    expected = f"a .npy file of shape [N,{number}], as the model takes attributes"
    if given is None or len(given) != 1 or pathlib.Path(given[0]).suffix != ".npy":
        _fail(name, expected, given or ["nothing"])
    try:
        values = np.load(pathlib.Path(given[0]).expanduser(), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"Expected {name} to be {expected}. Received: {given[0]} ({error})") from error
    if values.ndim != 2 or values.shape[1] != number or not len(values) or values.dtype.kind not in "fiu":
        _fail(name, expected, [f"{given[0]} of shape {values.shape}"])
    return values.astype(np.float32)


def _fail(name: str, expected: str, given: Sequence[str]) -> NoReturn:
    raise ValueError(f"Expected {name} to be {expected}. Received: {' '.join(given)}")
