"""The MODEL argument of commands."""

import argparse
import pathlib
import zipfile
from typing import Any, NoReturn

from zoo.presets import manifest, names
from zoo.runtime import startup

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
    if path.suffix == ".keras" and not path.exists():
        _fail(address, "no such file")
    folder = _folder(address)  # before TensorFlow's import, to fail early
    if folder is None:
        return _load_file(path)
    with startup.quiet():
        from zoo.presets.loading import from_preset

        return from_preset(folder)


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


def _load_file(path):
    if path.suffix != ".keras":
        _fail(str(path), f"a file {path.suffix or 'without ending'}")
    if not zipfile.is_zipfile(path):
        _fail(str(path), "a file that Keras did not write, or a damaged one")
    with startup.quiet():
        import keras

        from zoo.models._base import BaseVAE

        try:
            model = keras.saving.load_model(path, compile=False)
        except Exception as error:  # damaged and foreign files raise errors of many classes
            _fail(str(path), f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
        if not isinstance(model, BaseVAE):
            _fail(str(path), f"a {type(model).__name__}, which is no model of the zoo")
    return model


def _fail(address: str, received: str) -> NoReturn:
    raise ValueError(f"Expected MODEL to be {EXPECTED}. Received: {address}, {received}")
