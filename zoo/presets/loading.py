"""Loads the model of a preset."""

import json
import os
import pathlib
import zipfile
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import zoo.models  # noqa: F401  (registers the classes)
from zoo.presets import manifest, names
from zoo.presets.manifest import Manifest, PresetError


def from_preset(preset: str | os.PathLike) -> Any:
    """Loads a trained model by name.

    The checksums of the files that are read are compared first. The model is a Keras model as it was after training,
    without its optimizer: compile it to train it further.

    Args:
        preset: the name of a preset (`zoo.list_presets()`), a folder, `hf://user/name` or
            `kaggle://user/model/framework/variation`; see `zoo.presets.find`. A folder may also be one that Keras
            saves, with `model.weights.h5`.

    Returns:
        a model of the zoo.

    Raises:
        zoo.presets.PresetError: a ValueError. The preset does not exist, a file is damaged, missing or from another
            preset, or a newer version of the package wrote it.
        ImportError: for a hub whose package is missing.

    Example:
        >>> model = zoo.from_preset("mnist_cvae")
        >>> model.sample(3, seed=7, labels=[0, 1, 2]).shape
        TensorShape([3, 28, 28, 1])
    """
    folder = names.find(preset)
    if not (folder / manifest.NAME).exists() and (folder / "model.weights.h5").exists():
        return keras.saving.load_model(folder)
    about = manifest.read(folder)
    needed = {about.config, about.rest, f"{about.variables}.index"}
    needed |= {name for name in about.files if name.startswith(about.variables)}
    manifest.check(folder, about, needed)
    model = _build(folder / about.config, about.model)
    _assign(model, about, _read_weights(folder, about))
    return model


def _build(path, kind):
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        model = keras.saving.deserialize_keras_object(config)
    except (TypeError, ValueError, KeyError) as error:
        raise PresetError(f"Expected {path} to describe a model of this version. Received: {error}") from error
    if type(model).__name__ != kind:
        received = f"a {type(model).__name__}"
        raise PresetError(f"Expected {path} to describe a {kind}, as {manifest.NAME} says. Received: {received}.")
    return model


def _read_weights(folder: pathlib.Path, about: Manifest) -> list[np.ndarray]:
    """The values of all weights, in the order of `model.weights`."""
    try:
        saved = tf.train.load_checkpoint(str(folder / about.variables))
        with np.load(folder / about.rest) as rest:
            return [rest[str(i)] if key is None else saved.get_tensor(key) for i, key in enumerate(about.weights)]
    except (tf.errors.OpError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise PresetError(f"Expected the weights of the preset in {folder}. Received: {error}") from error


def _assign(model, about, values):
    if len(model.weights) != len(values):
        raise PresetError(f"Expected {len(model.weights)} weights of a {about.model}. Received: {len(values)}.")
    for weight, value in zip(model.weights, values):
        if tuple(weight.shape) != value.shape:
            raise PresetError(
                f"Expected the weight {weight.path} to have the shape {tuple(weight.shape)}. Received: {value.shape}."
            )
        weight.assign(value)
