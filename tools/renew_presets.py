"""Exports the presets in saved_models/ again by the code at hand; weights, cards and results stay.

    python tools/renew_presets.py [NAME …]

For a change of what exports answer, or of their files. The first images of the test split check the new
exports, as after training; TFDS_DATA_DIR names the folder of the datasets. Then the new export must give the numbers
of the old golden vectors, and `from_preset` the weights of before, to the bit; else the preset stays as it is.
"""

import argparse
import base64
import json
import shutil

import numpy as np

import zoo
from zoo import data
from zoo.export import runtimes
from zoo.presets import manifest, names, saving
from zoo.runtime import files, shipped

MEASURED_ON = 32
MADE_ANEW = {manifest.NAME, saving.CONFIG, saving.REST}
OF_THE_PACKAGE = {"producer", "model", "value_range", "num_classes", "num_codes"}


def renew(name):
    """Replaces the folder of a preset, and returns the largest difference from its golden vectors."""
    folder = names.find(name)
    about, card = manifest.read(folder), manifest.read_card(folder)
    manifest.check(folder, about)
    exported = json.loads((folder / "1/assets.extra/export.json").read_text())["metadata"]
    model = zoo.from_preset(folder)
    images, labels = _test_images(model, card["datasets"][0])
    measured = {
        "images": images,
        "labels": labels if model.conditional else None,
        "metadata": {key: value for key, value in exported.items() if key not in OF_THE_PACKAGE},
    }
    with files.replacing(folder) as scratch:
        scratch.mkdir()
        for file in about.files:
            if "/" not in file and not file.startswith("model") and file not in MADE_ANEW:
                shutil.copyfile(folder / file, scratch / file)
        model.export(scratch / "1", **measured)
        if not card.get("without_int8"):
            model.export(scratch / "model_int8.tflite", quantization="int8", **measured)
        saving.add_manifest(scratch, model, "1", card)
        difference = _difference(folder / "1/assets.extra/golden.json", runtimes.SavedModel(scratch / "1"))
        again = zoo.from_preset(scratch)
        for before, after in zip(model.weights, again.weights, strict=True):
            if np.asarray(before).tobytes() != np.asarray(after).tobytes():
                raise SystemExit(f"{name}: expected {before.path} to have the weights of before. Received: others.")
    return difference


def _test_images(model, dataset):
    if dataset == "sprites":
        test = data.Sprites(model.image_shape[0]).splits(train=16, validation=16, test=MEASURED_ON).test
    else:
        test = data.load(dataset).test
    return test.images[:MEASURED_ON].astype(np.float32) / 255.0, test.labels[:MEASURED_ON]


def _difference(path, runtime):
    golden = json.loads(path.read_text())
    tensors = {
        name: np.frombuffer(base64.b64decode(each["base64"]), each["dtype"]).reshape(each["shape"])
        for name, each in golden["tensors"].items()
    }
    largest = 0.0
    for signature, about in golden["signatures"].items():
        outputs = runtime.run(signature, **{name: tensors[key] for name, key in about["inputs"].items()})
        for name, key in about["outputs"].items():
            difference = float(np.max(np.abs(outputs[name] - tensors[key])))
            if not difference <= golden["tolerance"] * max(1.0, float(np.max(np.abs(tensors[key])))):
                raise SystemExit(f"{signature}/{name}: expected the golden vectors of before. Received: {difference}")
            largest = max(largest, difference)
    return largest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all that ship")
    for name in parser.parse_args().names or [path.parent.name for path in shipped.folder().glob("*/preset.json")]:
        print(f"{name}: golden vectors of before within {renew(name):.1e}", flush=True)


if __name__ == "__main__":
    main()
