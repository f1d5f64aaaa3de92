"""The names of presets, and the folders behind them. Needs neither TensorFlow nor Keras."""

import difflib
import importlib
import os
import pathlib

from zoo.presets import manifest
from zoo.presets.manifest import PresetError
from zoo.runtime import checks, shipped

HUBS = {"hf://": "huggingface_hub", "kaggle://": "kagglehub"}


def list_presets() -> dict[str, str]:
    """The presets that come with the package.

    Returns:
        dict of str, names to one-line descriptions, sorted by name.

    Example:
        >>> zoo.list_presets()
        {…'mnist_cvae': …}
    """
    return {path.name: manifest.read_card(path)["description"] for path in _shipped()}


def find(preset: str | os.PathLike) -> pathlib.Path:
    """The folder of a preset.

    Args:
        preset: the name of a preset that comes with the package; the path of a folder; `hf://user/name`, a model of
            the Hugging Face hub; or `kaggle://user/model/framework/variation`, one of Kaggle. The hubs need
            `pip install 'vae-zoo[hub]'`, and keep what they download in their own caches.

    Returns:
        `pathlib.Path`.

    Raises:
        PresetError: if there is no such preset. The nearest name is offered.
        ImportError: for a hub whose package is missing.
    """
    if not isinstance(preset, (str, os.PathLike)) or not os.fspath(preset):
        raise PresetError(f"Expected the name of a preset, a folder or an address. Received: {preset!r}")
    text = os.fspath(preset)
    for scheme, package in HUBS.items():
        if text.startswith(scheme):
            return _download(scheme, package, text.removeprefix(scheme))
    if pathlib.Path(text).is_dir():
        return pathlib.Path(text)
    by_name = {path.name: path for path in _shipped()}
    if text in by_name:
        return by_name[text]
    if pathlib.Path(text).is_file():
        way = ": keras.models.load_model reads it" if pathlib.Path(text).suffix == ".keras" else ""
        raise PresetError(f"Expected the folder of a preset. Received: {text}, a file{way}")
    if os.sep in text or pathlib.Path(text).suffix:
        raise PresetError(f"Expected the folder of a preset. Received: {text}, which is no folder.")
    near = difflib.get_close_matches(text, by_name, 1, 0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise PresetError(f"Expected the name of a preset. Received: {text!r}. {hint}There are {', '.join(by_name)}.")


def _shipped():
    return sorted(path.parent for path in shipped.folder().glob(f"*/{manifest.NAME}"))


def _download(scheme, package, name):
    checks.extra("hub", package)
    hub = importlib.import_module(package)
    try:
        return pathlib.Path(hub.snapshot_download(name) if package == "huggingface_hub" else hub.model_download(name))
    except Exception as error:  # each hub has classes of its own for a missing model, a missing network, …
        raise PresetError(f"Expected a preset at {scheme}{name}. Received: {type(error).__name__}: {error}") from error
