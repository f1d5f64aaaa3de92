"""Exports the model of a run in both formats, as a preset with a card of its origin."""

import datetime
import pathlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from zoo import data, presets
from zoo.training.recipe import Examples

_MEASURED_ON = 32  # test images that check the exports and measure the quantisation


def export_all(
    folder: pathlib.Path,
    model: keras.Model,
    test_images: data.Images,
    about: Mapping[str, Any],
    seed: int,
    metrics: Mapping[str, object],
    examples: Examples | None = None,
    own_flags: object = None,
) -> None:
    """Writes the SavedModel, `model.tflite`, `model_int8.tflite` and the other files of a preset to a folder.

    `zoo.from_preset(folder)` loads the model. The SavedModel takes the next free version number. A server can keep the
    previous version loaded.

    Args:
        folder: path.
        model: a trained model of the zoo.
        test_images: `zoo.data.Images`, or another test split; the first of them check the exports.
        about: dict with the recipe's `name`, a `description`, the `training_data` in words, `datasets`, their names in
            TFDS, and `binarization`.
        seed: int, the seed of the run.
        metrics: dict, the content of `metrics.json`.
        examples: `Examples`, for data that are not images.
        own_flags: the recipe's own flags, for `examples`.
    """
    export, labels = model.export, None
    if examples is None:
        images = test_images.images[:_MEASURED_ON].astype(np.float32) / 255.0
        labels = test_images.labels if model.conditional else None
    else:
        some, export = examples.some(test_images, _MEASURED_ON), examples.exporter(own_flags, model)
        images, labels = some if isinstance(some, tuple) else (some, None)
    if labels is not None:
        labels = labels[:_MEASURED_ON]
    about = {**about, "author": "VAE zoo", "license": "Apache-2.0"}
    metadata = {key: value for key, value in about.items() if key != "datasets"}
    measured = {"images": images, "labels": labels, "metadata": metadata}
    version = export(folder, **measured)
    for name, quantization in (("model.tflite", None), ("model_int8.tflite", "int8")):
        export(folder / name, format="litert", quantization=quantization, **measured)
    shutil.copyfile(folder.parent / "history.csv", folder / "history.csv")
    card = {
        **about,
        "command": command(about["name"]),
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seed": seed,
        **{name: value for name, value in metrics.items() if name not in ("recipe", "flags")},
    }
    presets.add_manifest(folder, model, version.name, card)


def command(recipe_name: str) -> str:
    """The command line of the run; without flags where the recipe was called from Python."""
    called = pathlib.Path(sys.argv[0]).name == f"{recipe_name}.py"
    return shlex.join(["python", f"recipes/{recipe_name}.py", *(sys.argv[1:] if called else ())])


def commit() -> str | None:
    """The commit of the checkout that runs, with "-dirty" if files differ from it; None outside a checkout."""
    git = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(git, cwd=pathlib.Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:  # no git
        return None
    return done.stdout.strip() or None
