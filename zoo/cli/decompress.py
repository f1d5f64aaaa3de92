"""Restores the images of a file that `compress` wrote with the same model.

python -m zoo decompress cifar10_vqvae pictures.vaez --output pictures/
python -m zoo decompress mnist_vae digits.vaez --output digits.npy
python -m zoo decompress cifar10_vqvae pictures.vaez --describe
"""

import argparse
import pathlib

from zoo.cli import _models, _output, _progress

ENDINGS = (".png", ".bmp", ".tif", ".tiff", ".npy")  # none of which loses anything


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    parser.add_argument("file", metavar="FILE", help="a file of `compress`")
    parser.add_argument(
        "--output",
        metavar="PATH",
        help="a new folder for PNGs, with their names at `compress`; a .npy file, for images of one size; or a "
        "picture, for a single one",
    )
    parser.add_argument("--describe", action="store_true", help="print what the file says of itself, and read no image")


def run(args: argparse.Namespace) -> None:
    import json

    from zoo.runtime import checks

    if (args.output is None) != args.describe:
        checks.fail("--output", "a path, unless --describe is given", args.output)
    path, is_folder = (pathlib.Path(), False) if args.describe else _output.check_file_or_folder(args.output, ENDINGS)
    checks.extra("codec", "constriction", "scipy")
    try:
        written = pathlib.Path(args.file).expanduser().read_bytes()
    except OSError as error:
        raise ValueError(f"Expected FILE to be readable. Received: {args.file} ({error.strerror})") from error
    from zoo.runtime import startup

    with startup.quiet():
        from zoo import codec

    about = codec.describe(written)
    if args.describe:
        print(json.dumps(about))
        return
    number = _number(about)
    if path.suffix == ".npy" and about.get("given") == "list":
        raise ValueError(f"Expected --output to be a folder for {number} images of their own sizes")
    if not is_folder and path.suffix != ".npy" and number != 1:
        raise ValueError(f"Expected --output to be a folder or a .npy file, for {number} images")
    places = _output.places(about.get("names") or [f"{each:06}" for each in range(number)]) if is_folder else []
    model = _models.load(args.model)
    with _progress.Progress() as progress:
        images = codec.decompress(model, written, progress.of("decompressing"))
    _write(path, images, [images] if about["given"] == "one" else images, places)
    _output.report("decompress", path, num=number)


def _number(about):
    """The number of images that a file says it has; `decompress` holds it to that."""
    given, shapes = about.get("given"), about.get("shapes") or [0]
    return {"one": 1, "array": shapes[0]}.get(given, len(shapes))


def _write(path, images, each, places):
    """Writes PNGs to the `places` in a folder; without them, an array, or the only picture."""
    import numpy as np

    from zoo.runtime import files

    with files.replacing(path) as scratch:
        if path.suffix == ".npy":
            np.save(scratch, images)
        elif not places:
            _save(each[0], scratch)
        else:
            for place, image in zip(places, each, strict=True):
                (scratch / place).parent.mkdir(parents=True, exist_ok=True)
                _save(image, scratch / place)


def _save(image, path):
    from PIL import Image

    from zoo.applications import pictures

    image = image if image.dtype == "uint8" else pictures.pixels(image)
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(path)
