"""Models of the zoo in `.keras` files."""

import pathlib
import zipfile
from typing import Any

from zoo.presets.manifest import PresetError
from zoo.runtime import startup


def is_named(path: pathlib.Path) -> bool:
    """Whether `path` names a `.keras` file, which may be missing; a preset's folder may have such a name too."""
    return path.suffix == ".keras" and not path.is_dir()


def load(path: pathlib.Path) -> Any:
    """Loads the model that `model.save` wrote, without its optimizer and without TensorFlow's log lines.

    Args:
        path: a `.keras` file.

    Raises:
        zoo.presets.PresetError: a ValueError. There is no such file, it is damaged, or it holds no model of the zoo.
    """
    if not path.is_file():
        raise _error(path, "no such file")
    if not zipfile.is_zipfile(path):
        raise _error(path, "a file that Keras did not write, or a damaged one")
    with startup.quiet():
        import keras  # here, to fail early

        from zoo.models._base import BaseVAE

        try:
            model = keras.saving.load_model(path, compile=False)
        except Exception as error:  # damaged and foreign files raise errors of many classes
            raise _error(path, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
        if not isinstance(model, BaseVAE):
            raise _error(path, f"a {type(model).__name__}, which is no model of the zoo")
    return model


def _error(path, received):
    return PresetError(f"Expected a .keras file of a model of the zoo. Received: {path}, {received}")
