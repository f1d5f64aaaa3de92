"""The folder of trained models that comes with the package."""

import pathlib

FOLDER = pathlib.Path(__file__).parents[1] / "saved_models"


def holds(preset: pathlib.Path) -> bool:
    """Whether the folder of a preset is one of those that come with the package."""
    try:
        return preset.resolve().parent == folder().resolve()
    except FileNotFoundError:
        return False


def folder() -> pathlib.Path:
    """The folder `saved_models` of an installed package or a checkout.

    Raises:
        FileNotFoundError: if it is missing.
    """
    # In a checkout it is a link. Git for Windows writes links as text files, unless it is told otherwise.
    beside = pathlib.Path(__file__).parents[2] / "saved_models"
    for path in (FOLDER, beside):
        if path.is_dir():
            return path
    raise FileNotFoundError(
        f"Expected the trained models of vae-zoo in {FOLDER}. Received: no such folder. Install the package again."
    )
