"""Writes what later versions must load: `python tests/compatibility/make.py`, once a version, before its release.

A folder of the version's name gets, for each model of the conformance suite,

- `NAME.keras`, trained for a few steps: no weight, codebook, moving average or optimizer slot has its initial value;
- `NAME.npz`, inputs, what the model gives for them, and the losses of the next steps of its training;
- for the names in `EXPORTED` also `NAME/1`, a SavedModel, and `NAME.tflite`.

Nothing in a folder is ever made again: the files of an old version are what its users have. A `.keras` file is a zip
archive that Keras does not compress; here it is compressed, to a quarter.
"""

import pathlib
import shutil
import sys
import tempfile
import zipfile

import keras
import numpy as np

import zoo

HERE = pathlib.Path(__file__).parent
sys.path += [str(HERE.parent / folder) for folder in ("conformance", "export")]
import conformance  # noqa: E402  (registers the networks of the tests' own)
import exports  # noqa: E402

# The entries that take images and classes, and the other prior over codes, which is conditional.
ENTRIES = {name: entry for name, entry in conformance.ENTRIES.items() if entry.data is None and entry.labels is None}
ENTRIES["vq_vae_labels"] = exports.ENTRIES["vq_vae_labels"]
EXPORTED = ("vae", "cvae", "hierarchical_vae_mixture", "vq_vae_prior")
NUMBER, BATCH_SIZE = 6, 3  # images of which outputs are kept, and of a batch: their steps are two
SEEDS = np.int32([0, -1, 2**31 - 1, -(2**31), 7, 8])
TEMPERATURE = 0.75


def is_discrete(name):
    return name.startswith("vq")


def optimizer(name):
    """Keras's Adam, or the one of the recipes with all that they have it keep."""
    if name not in ("hierarchical_vae", "vq_vae"):
        return keras.optimizers.Adam(1e-2)
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, 20, warmup_target=1e-2, warmup_steps=3)
    return zoo.optimizers.Adam(schedule, global_clipnorm=50.0, use_ema=True, ema_momentum=0.5)


def train(name):
    keras.utils.set_random_seed(0)
    model = ENTRIES[name].make()
    model.compile(optimizer(name))
    x, labels = conformance.images(32)
    model.fit(*((x, labels) if model.conditional else (x,)), batch_size=8, epochs=3, shuffle=False, verbose=0)
    if is_discrete(name) and model.prior is not None:
        prior, labels = model.prior, labels % exports.CLASSES
        prior.compile(keras.optimizers.Adam(1e-2))
        codes = model.encode(x)
        given = (codes, labels) if prior.conditional else (codes,)
        prior.fit(*given, batch_size=8, epochs=3, shuffle=False, verbose=0)
    return model


def inputs():
    """What is kept of data, whatever the model takes of it."""
    x, labels = conformance.images(NUMBER, seed=1)
    return {"x": x, "labels": labels % exports.CLASSES, "seeds": SEEDS, "temperature": np.float32(TEMPERATURE)}


def latents(model, encoded):
    """What `decode` takes, of what `encode` gives; and that by name, as arrays."""
    if isinstance(encoded, dict):
        return encoded["mean"], {f"encode_{key}": value for key, value in encoded.items()}
    if isinstance(encoded, list):
        named = {f"encode_{i}_{key}": value for i, layer in enumerate(encoded) for key, value in layer.items()}
        return [layer["mean"] for layer in encoded], named
    return encoded, {"encode_codes": encoded}


def outputs(model, x, labels, seeds, temperature):
    """What the methods of the contract give, and what `evaluate` says: a dict of arrays, by names.

    Of a model just loaded: the noise of `evaluate` goes on where it stood when the model was saved.
    """
    own = {"labels": labels} if model.conditional else {}
    given = (x, labels) if model.conditional else (x,)
    evaluated = model.evaluate(*given, batch_size=BATCH_SIZE, verbose=0, return_dict=True)
    found = {f"evaluate_{key}": value for key, value in evaluated.items()}
    z, encoded = latents(model, model.encode(x, **own))
    found |= {**encoded, "decode": model.decode(z, **own), "reconstruct": model.reconstruct(x, **own)}
    if model.can_sample:
        drawn = {"labels": labels} if model.label_source() else {}
        number = len(seeds)
        found |= {
            "sample": model.sample(number, seed=seeds, temperature=float(temperature), **drawn),
            "sample_of_one_seed": model.sample(number, seed=7, **drawn),
            "log_prob": model.log_prob(x, seed=seeds, **drawn),
            "log_prob_of_three": model.log_prob(x, num_samples=3, seed=7, **drawn),
        }
    return {key: np.asarray(value) for key, value in found.items()}


def next_losses(model, x, labels):
    """The losses of the steps with which training goes on, and those of the prior's training."""
    given = (x, labels) if model.conditional else (x,)
    prior = model.prior if model.num_codes is not None else None  # that of latents is trained with the model
    codes = None if prior is None else model.encode(x)
    found = {"next_losses": losses(model, given)}
    if prior is not None:
        found["next_losses_of_prior"] = losses(prior, (codes, labels) if prior.conditional else (codes,))
    return found


def losses(model, given):
    """The loss of each of three steps, all but the first of which depend on the optimizer's state too."""
    history = model.fit(*given, batch_size=NUMBER, epochs=3, shuffle=False, verbose=0).history
    return np.float32(history["loss"])


def compress(path):
    with zipfile.ZipFile(path) as archive:
        parts = [(part, archive.read(part)) for part in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for part, content in parts:
            archive.writestr(part.filename, content)


def write(name, folder):
    model = train(name)
    path = folder / f"{name}.keras"
    model.save(path)
    compress(path)
    given = inputs()
    found = outputs(keras.saving.load_model(path), **given)
    found |= next_losses(keras.saving.load_model(path), given["x"], given["labels"])
    np.savez_compressed(folder / f"{name}.npz", **given, **found)
    if name in EXPORTED:
        model.export(folder / name)
        model.export(folder / f"{name}.tflite", format="litert")
        for beside in folder.glob(f"{name}*.json"):  # golden vectors and tables, which are not loaded
            beside.unlink()
        shutil.rmtree(folder / name / "1" / "assets.extra")


def main():
    target = HERE / zoo.__version__
    if target.exists():
        sys.exit(f"{target} is there already, and what a version wrote is never made anew")
    with tempfile.TemporaryDirectory() as scratch:
        for name in ENTRIES:
            write(name, pathlib.Path(scratch))
        shutil.copytree(scratch, target)


if __name__ == "__main__":
    main()
