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
    places = _places(about.get("names")) if is_folder else []
    model = _models.load(args.model)
    with _progress.Progress() as progress:
        images = codec.decompress(model, written, progress.of("decompressing"))
    single = about["given"] == "one"
    _write(path, images, [images] if single else images, places if is_folder else None)
    _output.report("decompress", path, num=1 if single else len(images))


def _write(path, images, each, places):
    import numpy as np
    from PIL import Image

    from zoo.runtime import files

    pictures = [_as_bytes(image) for image in each]
    if places is not None:
        places = places or [f"{number:06}.png" for number in range(len(each))]
        with files.replacing(path) as scratch:
            for place, picture in zip(places, pictures):
                (scratch / place).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(scratch / place)
        return
    if path.suffix == ".npy":
        if isinstance(images, list):
            raise ValueError(f"Expected --output to be a folder for {len(images)} images of their own sizes")
        with files.replacing(path) as scratch:
            np.save(scratch, images)
        return
    if len(pictures) != 1:
        raise ValueError(f"Expected --output to be a folder or a .npy file, for {len(pictures)} images")
    with files.replacing(path) as scratch:
        Image.fromarray(pictures[0]).save(scratch)


def _as_bytes(image):
    import numpy as np

    if image.dtype != np.uint8:
        image = np.rint(image * np.float32(255.0)).astype(np.uint8)
    return image[..., 0] if image.shape[-1] == 1 else image


def _places(names):
    """Relative paths for PNGs; ValueError for names that lead out of a folder."""
    places = []
    for name in names or ():
        path = pathlib.PurePosixPath(str(name).replace("\\", "/"))
        if path.is_absolute() or not path.name or ".." in path.parts or ":" in name:
            raise ValueError(f"Expected names of pictures within a folder. Received: {name!r}")
        places.append(path.with_suffix(".png"))
    if len(set(places)) < len(places):  # a.png and a.jpg
        places = [place.with_name(pathlib.PurePosixPath(name).name + ".png") for place, name in zip(places, names)]
    return places
