"""Puts the export of a run into saved_models/, as a preset that ships with the package.

    python tools/ship_preset.py runs/mnist_vae mnist_vae

It leaves out the float32 TFLite file and older versions of the SavedModel, and compares the checksums of the rest.
`python -m zoo evaluate NAME --update-card` measures the preset and writes its results. With --without-int8 the int8
TFLite file stays away too, for presets that are too large together; the card says so.
"""

import argparse
import json
import pathlib
import shutil

from zoo.presets import manifest, names, saving
from zoo.runtime import files, shipped

LEFT_OUT = {"model.tflite", "model.json", "model.golden.json"}
INT8 = {"model_int8.tflite", "model_int8.json", "model_int8.golden.json"}
LARGEST = 24 * 2**20


def ship(run, name, without_int8):
    source, target = run / "export", shipped.folder() / name
    about = manifest.read(source)
    manifest.check(source, about)
    kept = [file for file in about.files if file not in (LEFT_OUT | INT8 if without_int8 else LEFT_OUT)]
    for file in kept:
        if about.files[file]["bytes"] > LARGEST:
            raise SystemExit(f"{source / file} has more than {LARGEST} bytes")
    with files.replacing(target) as scratch:
        for file in kept:
            (scratch / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, scratch / file)
        content = {**vars(about), "files": {file: about.files[file] for file in kept}}
        (scratch / manifest.NAME).write_text(json.dumps(content, indent=2) + "\n")
    # Its README names the run's folder, and from here on the preset's name.
    saving.update_card(target, {**manifest.read_card(target), **({"without_int8": True} if without_int8 else {})})
    print(f"{names.find(name)}: {sum(about.files[file]['bytes'] for file in kept) / 2**20:.1f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=pathlib.Path, help="the --output of a recipe")
    parser.add_argument("name")
    parser.add_argument("--without-int8", action="store_true", help="leave out the int8 TFLite file too")
    args = parser.parse_args()
    ship(args.run, args.name, args.without_int8)


if __name__ == "__main__":
    main()
