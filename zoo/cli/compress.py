"""Compresses images to one file, which `decompress` reads with the same model.

python -m zoo compress cifar10_vqvae --data pictures/ --output pictures.vaez
python -m zoo compress cifar10_vqvae --data pictures/ --rate-weight 0.1 --output smaller.vaez
python -m zoo compress cifar10_vqvae --data photo.png --lossless --output photo.vaez
python -m zoo compress mnist_vae --data mnist --binarize --output digits.vaez

Pictures keep their sizes: they are cut into tiles of the model's size. A VQ-VAE keeps the codes alone unless --lossless
is given; other models are lossless. It needs the packages of pip install 'vae-zoo[codec]'. docs/codec.md says more.
"""

import argparse
import sys

from zoo.cli import _data, _models, _options, _output, _progress

ENDINGS = (".vaez",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    _data.add_arguments(parser)
    _output.add_argument(parser, "a file that ends in .vaez")
    parser.add_argument("--lossless", action="store_true", help="of a VQ-VAE: keep the pixels too, given the codes")
    parser.add_argument(
        "--rate-weight", type=float, default=0.0, metavar="W",
        help="of a VQ-VAE: above 0, smaller files of less exact pictures; try 0.1 (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--binarize", action="store_true", help="draw each pixel as 0 or 1 first, for a model of binary data"
    )
    parser.add_argument("--seed", type=int, help="of --binarize (default: 0)")
    parser.add_argument(
        "--no-verify", action="store_true", help="do not read the file again to compare: twice as fast, less safe"
    )


def run(args: argparse.Namespace) -> None:
    from zoo.runtime import checks

    path = _output.check_file(args.output, ENDINGS)
    if not args.binarize:
        _options.refuse(args, "without --binarize", "seed")
    _options.fill(args, seed=0)
    _options.check_seed(args)
    checks.extra("codec", "constriction", "scipy")
    model = _models.load(args.model)
    from zoo import codec
    from zoo.runtime import files

    images, names, about = _images(args, model)
    with _progress.Progress() as progress:
        written = codec.compress(
            model,
            images,
            args.lossless or None,
            names,
            verify=not args.no_verify,
            progress=progress.of("compressing"),
            rate_weight=args.rate_weight,
        )
    with files.replacing(path) as scratch:
        scratch.write_bytes(written)
    values = sum(image.size for image in images)
    raw = 1 if args.binarize else 8
    if 8 * len(written) > raw * values:
        about_size = f"{8 * len(written) / values:.2f} bits a value, more than the {raw} of the values as they are"
        print(f"{path} has {about_size}: the model does not know such data", file=sys.stderr)
    _output.report(
        "compress", path, num=len(images), data=about, bytes=len(written), bits_per_value=8 * len(written) / values
    )


def _images(args, model):
    """uint8 images, their names or None, and what they are."""
    from zoo.cli import _files

    paths = _data.pictures(args)
    if paths is not None:
        if args.binarize:
            raise ValueError("Expected --binarize with a dataset or an array. Received: pictures")
        images, names = _files.read_whole(paths, model.image_shape[-1], exact=args.lossless)
        number = len(images) if args.limit is None else args.limit
        return images[:number], names[:number], f"{len(images[:number])} pictures"
    found = _data.load(args, model, need_labels=False)
    if args.binarize:
        return _data.binarized(found, args.seed).images, None, f"{found.description}, binarised"
    return found.images, None, found.description
