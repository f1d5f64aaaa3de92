"""`preset.json`: the files of a preset with their checksums, and where each weight of the model is."""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

NAME = "preset.json"
CARD = "card.json"
FORMAT = 1


class PresetError(ValueError):
    """A preset does not exist, or its files are damaged, missing, foreign, or of a newer version."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The content of `preset.json`.

    Args:
        model: str, the class of the model: "VQVAE".
        config: str, the file with the model's Keras configuration.
        variables: str, the prefix of the checkpoint in the SavedModel: "1/variables/variables".
        weights: a key of this checkpoint, or None, for each entry of `model.weights`. The SavedModel holds the weights
            that its signatures read, and the preset does not repeat them.
        rest: str, a `.npz` file with the other weights, by their index: statistics of a codebook, seeds.
        files: dict of the files with their size in bytes and SHA-256.
        versions: dict of the versions of vae-zoo, Keras and TensorFlow that wrote the preset.
        format: int, the version of this format.
    """

    model: str
    config: str
    variables: str
    weights: list[str | None]
    rest: str
    files: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, str]
    format: int = FORMAT


def read(folder: pathlib.Path) -> Manifest:
    """The manifest of a preset's folder.

    Raises:
        PresetError: if it is missing, damaged, or written by a newer version.
    """
    path = folder / NAME
    if not path.is_file():
        inside = ", ".join(sorted(os.listdir(folder))[:5]) or "nothing"
        raise PresetError(f"Expected {folder} to be a preset, with a file {NAME}. Received: a folder with {inside}.")
    content = _json(path)
    if not isinstance(content.get("format"), int):
        raise PresetError(f"Expected {path} to be the manifest of a preset. Received: a file without a `format`.")
    if content["format"] > FORMAT:
        writer = content.get("versions", {}).get("vae-zoo", "a newer version")
        raise PresetError(
            f"Expected {path} to have format {FORMAT} or older. Received: format {content['format']}, written by "
            f"vae-zoo {writer}. Run: pip install --upgrade vae-zoo"
        )
    try:
        found = Manifest(**content)
        _require_form(found)
    except (TypeError, KeyError) as error:
        raise PresetError(f"Expected {path} to be the manifest of a preset. Received: {error}") from error
    return found


def _require_form(manifest):
    """Raises TypeError or KeyError for entries of another form than `Manifest` says."""
    for name in ("model", "config", "variables", "rest"):
        if not isinstance(getattr(manifest, name), str):
            raise TypeError(f"{name}: {getattr(manifest, name)!r}")
    keys = manifest.weights
    if not isinstance(keys, list) or not all(isinstance(key, (str, type(None))) for key in keys):
        raise TypeError("weights: no list of texts")
    if not isinstance(manifest.files, dict):
        raise TypeError(f"files: {manifest.files!r}")
    for name, entry in manifest.files.items():
        if not isinstance(entry, dict) or not isinstance(entry["bytes"], int) or not isinstance(entry["sha256"], str):
            raise TypeError(f"the entry {name} of files: {entry!r}")


def read_card(folder: pathlib.Path) -> dict[str, Any]:
    """The card of a preset: its origin and its results.

    Raises:
        PresetError: if the file is missing or damaged.
    """
    return _json(folder / CARD)


def digest(path: pathlib.Path) -> dict[str, Any]:
    """The size of a file in bytes and its SHA-256."""
    with open(path, "rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def check(folder: pathlib.Path, manifest: Manifest, names: Collection[str] | None = None) -> None:
    """Compares files with their checksums; `names` None for all of the manifest.

    Raises:
        PresetError: names the first file that is missing or differs, or of which the manifest has no checksum.
    """
    unknown = sorted(set(names or ()) - set(manifest.files))
    if unknown:
        raise PresetError(f"Expected the checksum of {unknown[0]} in {folder / NAME}. Received: none.")
    for name, expected in manifest.files.items():
        if names is not None and name not in names:
            continue
        path = folder / name
        if not path.is_file():
            raise PresetError(f"Expected the file {name} in the preset {folder}. Received: no such file.")
        received = digest(path)
        if received["bytes"] != expected["bytes"]:
            raise PresetError(
                f"Expected {path} to have {expected['bytes']} bytes. Received: {received['bytes']}. The file is "
                "damaged, or from another preset."
            )
        if received["sha256"] != expected["sha256"]:
            raise PresetError(
                f"Expected {path} to have the SHA-256 {expected['sha256']}. Received: {received['sha256']}. The file "
                "is damaged, or from another preset."
            )


def _json(path):
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PresetError(f"Expected the file {path}. Received: no such file.") from None
    except (ValueError, OSError) as error:
        raise PresetError(f"Expected {path} to be JSON. Received: {error}") from error
    if not isinstance(content, dict):
        raise PresetError(f"Expected {path} to hold a JSON object. Received: {type(content).__name__}.")
    return content
