"""Saves a model as a preset: exports, configuration, card and checksums."""

import datetime
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import zoo
from zoo.export import runtimes
from zoo.presets import cards, manifest
from zoo.presets.manifest import PresetError
from zoo.runtime import checks, configs, files, shipped
from zoo.runtime.types import ArrayLike

CONFIG, REST, README = "config.json", "rest.npz", "README.md"


def save_preset(
    model: keras.Model,
    folder: str | os.PathLike,
    description: str,
    card: Mapping[str, Any] | None = None,
    images: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> pathlib.Path:
    """Saves a trained model as a preset, ready to be uploaded: `from_preset(folder)` loads it again.

    The folder gets the SavedModel in `1/`, `model_int8.tflite`, golden vectors, `config.json`, `card.json`, a
    `README.md` with the head that Hugging Face reads, and `preset.json` with the checksum of each file. The weights are
    in the SavedModel only, and are not repeated.

    Args:
        model: a built model of the zoo.
        folder: path of the folder. A preset in it is replaced; another folder that is not empty is refused.
        description: str, one line.
        card: dict with more for the card, all of it optional: `license`, `author`, `datasets` (names of the Hugging
            Face hub), `tags`, `training_data`, `command`, `commit`, `seed`, and `results`, a list of figures as
            `zoo.evaluation.Figure.as_dict` gives them.
        images: float `[N,H,W,C]` in [0, 1], which check the exports; None for images that the model makes.
        labels: of these images, for a conditional model.

    Returns:
        path of the folder.

    Raises:
        ValueError: for a folder that holds something else, a description that is not one line, or a card that JSON
            cannot hold.
        zoo.export.parity.ParityError: if an export does not agree with the model.

    Example:
        >>> zoo.save_preset(model, "my_digits", "A VAE of digits", {"license": "mit"})
        …
        PosixPath('my_digits')
    """
    checks.zoo_model(model)
    target = files.local("folder", folder)
    if not isinstance(description, str) or not description.strip() or "\n" in description:
        checks.fail("description", "a text of one line", description)
    _require_replaceable(target)
    if not isinstance(card, (Mapping, type(None))):
        checks.fail("card", "a dict", card)
    for name, own in {"description": description, "model": type(model).__name__}.items():
        if (card or {}).get(name, own) != own:
            checks.fail(f"card[{name!r}]", f"left out, as it is {own!r}", (card or {})[name])
    about = {"name": target.resolve().name, "description": description, "license": "Apache-2.0", **(card or {})}
    cards.check(about)
    target.parent.mkdir(parents=True, exist_ok=True)
    configs.warn_of_lost(model)
    with files.replacing(target) as scratch:
        scratch.mkdir()
        measured = {"images": images, "labels": labels}
        metadata = {key: about[key] for key in ("name", "description", "license", "author") if key in about}
        version = model.export(scratch / "1", metadata=metadata, **measured)
        model.export(scratch / "model_int8.tflite", quantization="int8", metadata=metadata, **measured)
        about.setdefault("date", datetime.datetime.now(datetime.UTC).date().isoformat())
        add_manifest(scratch, model, version.name, about)
    return target


def _require_replaceable(target):
    """Raises ValueError unless a folder is new, empty, or holds a preset alone, which may be replaced."""
    if target.exists() and not target.is_dir():
        checks.fail("folder", "a folder", str(target))
    if not target.exists():
        return
    own = {manifest.NAME, *manifest.read(target).files} if (target / manifest.NAME).is_file() else set()
    inside = {str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()}
    if inside - own:
        other = min(inside - own)
        checks.fail("folder", f"that of a preset alone, an empty or a new one, not one with {other!r}", str(target))


def add_manifest(folder: pathlib.Path, model: keras.Model, version: str, card: Mapping[str, Any]) -> None:
    """Makes a preset of a folder that has the exports of a model.

    Args:
        folder: path. Files of older SavedModels in it do not become part of the preset.
        model: the model that was exported.
        version: str, the folder of the SavedModel in `folder`.
        card: dict for `card.json`; needs `name`, `description` and `license`.
    """
    variables = f"{version}/variables/variables"
    keys, rest = _locate(model, folder / variables)
    with files.replacing(folder / REST) as scratch:
        np.savez(scratch, **rest)
    # As the exports beside it, whatever precision the model was trained in: one seed gives one image in all of them.
    config = runtimes.float32_config(keras.saving.serialize_keras_object(model))
    config.pop("compile_config", None)
    files.write_json(folder / CONFIG, config, indent=None)  # a third of the size, and for machines only
    _write_card(folder, {**card, "model": type(model).__name__})
    about = manifest.Manifest(
        model=type(model).__name__,
        config=CONFIG,
        variables=variables,
        weights=keys,
        rest=REST,
        files={name: manifest.digest(folder / name) for name in _names(folder, version)},
        versions={"vae-zoo": zoo.__version__, "keras": keras.__version__, "tensorflow": tf.__version__},
    )
    files.write_json(folder / manifest.NAME, vars(about))


def update_card(folder: pathlib.Path, card: Mapping[str, Any]) -> None:
    """Replaces the card of a preset, its README and their checksums."""
    about = manifest.read(folder)
    _write_card(folder, card)
    renewed = {name: manifest.digest(folder / name) for name in (manifest.CARD, README)}
    files.write_json(folder / manifest.NAME, {**vars(about), "files": {**about.files, **renewed}})


def _write_card(folder, card):
    files.write_json(folder / manifest.CARD, card)
    files.write_text(folder / README, cards.readme(card, shipped.holds(folder)))


def _locate(model, checkpoint):
    """For each weight of the model, the key of an equal tensor of the checkpoint, or None and the weight in `rest`.

    Tensors are found by their values: names and order differ between model and SavedModel, and a model of mixed
    precision is exported as a copy. Which of several equal tensors is taken makes no difference.
    """
    saved = tf.train.load_checkpoint(str(checkpoint))
    by_value = {_identity(saved.get_tensor(key)): key for key in saved.get_variable_to_shape_map()}
    values = [np.asarray(weight) for weight in model.weights]
    keys = [by_value.get(_identity(value)) for value in values]
    rest = {str(index): value for index, (key, value) in enumerate(zip(keys, values)) if key is None}
    if not any(keys):
        raise PresetError(f"Expected the weights of the model in {checkpoint}. Received: those of another model.")
    return keys, rest


def _identity(value):
    value = np.asarray(value)
    return value.dtype.str, value.shape, value.tobytes()


def _names(folder, version):
    inside = [path for path in (folder / version).rglob("*") if path.is_file()]
    beside = [path for path in folder.iterdir() if path.is_file() and path.name != manifest.NAME]
    beside = [path for path in beside if not path.name.startswith(".")]
    return sorted(str(path.relative_to(folder)) for path in (*inside, *beside))
