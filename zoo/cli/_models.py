"""The MODEL argument of commands."""

import argparse
import pathlib
from typing import TYPE_CHECKING, Any, NoReturn

from zoo.presets import keras_files, manifest, names
from zoo.runtime import startup

if TYPE_CHECKING:
    import keras

    from zoo.runtime.types import Shape

EXPECTED = "a preset's name, a preset's folder, a .keras file, hf://user/name or kaggle://…"


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Adds MODEL; its value goes to `args.model`."""
    parser.add_argument("model", metavar="MODEL", help=f"{EXPECTED}; `vae-zoo list` shows the presets")


def load(address: str) -> Any:
    """Loads the model at `address`, without TensorFlow's log lines.

    Args:
        address: str, as `EXPECTED` says.

    Returns:
        a built model of the zoo, which is not compiled.

    Raises:
        ValueError: if there is no such model, or it cannot be read.
    """
    path = pathlib.Path(address).expanduser()
    if keras_files.is_named(path):
        return keras_files.load(path)
    folder = _folder(address)  # before TensorFlow's import, to fail early
    if folder is None:
        _fail(address, f"a file {path.suffix or 'without ending'}")
    with startup.quiet():
        from zoo.presets.loading import from_preset

        return from_preset(folder)


def load_of_pictures(address: str, incomplete: bool = False) -> Any:
    """As `load`, and ValueError for a model of data that cannot be drawn, such as a table.

    With `incomplete`, images may have a mask beside them, which is not drawn.
    """
    model = load(address)
    shape = shape_of_values(model) if incomplete else model.example_shape
    if model.data_dtype != "float32" or (shape is not None and (len(shape) != 3 or shape[-1] not in (1, 3))):
        received = f"{address}, a {type(model).__name__} of examples of shape {model.image_shape}"
        raise ValueError(
            f"Expected MODEL to be one of images [H,W,1] or [H,W,3], which can be drawn. Received: {received}"
        )
    return model


def shape_of_values(model: "keras.Model") -> "Shape | None":
    """The shape of an example without the mask that a model may take beside it; None if it is unknown."""
    from zoo.likelihoods import Masked

    shape: Shape | None = model.example_shape
    if shape is None or not isinstance(model.likelihood, Masked):
        return shape
    return (*shape[:-1], shape[-1] // 2)


def read_card(address: str) -> dict[str, Any]:
    """The card of a preset; an empty dict for other models."""
    folder = _folder(address)
    return {} if folder is None or not (folder / manifest.CARD).is_file() else manifest.read_card(folder)


def preset_folder(address: str) -> pathlib.Path | None:
    """The folder of a preset; None for other models."""
    folder = _folder(address)
    return None if folder is None or not (folder / manifest.NAME).is_file() else folder


def _folder(address: str) -> pathlib.Path | None:
    """The folder of a model that is one, or comes by its name; None for a file."""
    path = pathlib.Path(address).expanduser()
    return None if path.is_file() else names.find(path if path.is_dir() else address)


def _fail(address: str, received: str) -> NoReturn:
    raise ValueError(f"Expected MODEL to be {EXPECTED}. Received: {address}, {received}")
