"""What a run ships: the model in both formats, and a card that says what it is and where it comes from."""

import datetime
import pathlib
import shlex
import subprocess
import sys

import numpy as np

from zoo.runtime import files

_MEASURED_ON = 32  # test images on which the exports are checked, and quantisation is measured


def export_all(folder, model, test_images, about, seed, metrics):
    """Writes the SavedModel, `model.tflite`, `model_int8.tflite` and `card.json` to a folder.

    The SavedModel takes the next free version number, so that a server may go on with the one before.

    Args:
        folder: path.
        model: a trained model of the zoo.
        test_images: `zoo.data.Images`; the exports are checked on the first of them.
        about: dict of the recipe's `name`, of a `description` and of the `training_data`, in words.
        seed: int, of the run.
        metrics: dict, what `metrics.json` holds.
    """
    images = test_images.images[:_MEASURED_ON].astype(np.float32) / 255.0
    labels = test_images.labels[:_MEASURED_ON] if model.conditional else None
    about = {**about, "author": "VAE zoo", "license": "Apache-2.0"}
    measured = {"images": images, "labels": labels, "metadata": about}
    version = model.export(folder, **measured)
    written = [version.relative_to(folder)]
    for name, quantization in (("model.tflite", None), ("model_int8.tflite", "int8")):
        model.export(folder / name, format="litert", quantization=quantization, **measured)
        written.append(pathlib.Path(name))
    card = {
        **about,
        "command": command(about["name"]),
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seed": seed,
        **{name: value for name, value in metrics.items() if name not in ("recipe", "flags")},
        "files": {str(path): _digest(folder / path) for path in _files(folder, written)},
    }
    files.write_json(folder / "card.json", card)


def command(recipe_name):
    """The command line of the run, or the recipe's own where it was called from Python."""
    called = pathlib.Path(sys.argv[0]).name == f"{recipe_name}.py"
    return shlex.join(["python", f"recipes/{recipe_name}.py", *(sys.argv[1:] if called else ())])


def commit():
    """The commit of the checkout that ran, with "-dirty" where files differ from it; None outside a checkout."""
    git = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(git, cwd=pathlib.Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:  # no git
        return None
    return done.stdout.strip() or None


def _files(folder, written):
    for path in written:
        inside = sorted(file for file in (folder / path).rglob("*") if file.is_file())
        yield from (file.relative_to(folder) for file in inside) if inside else (path,)


def _digest(path):
    return {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
