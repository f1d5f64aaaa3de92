"""Reconstructs images: originals above their reconstructions, or a folder of reconstructions.

python -m zoo reconstruct mnist_cvae --data mnist --sample --output reconstructions.png
python -m zoo reconstruct mnist_cvae --data pictures/ --data-labels 3 --output reconstructions/
python -m zoo reconstruct mnist_cvae --data mnist --sample --relabel 0 1 2 3 --output other_digits.png

python -m zoo reconstruct cifar10_vqvae --data photo.jpg --tiles --output photo.png

With --tiles a VQ-VAE of convolutions reconstructs pictures in their own sizes, which are otherwise cropped and resized
to the model's. With --relabel a conditional model decodes each image with other labels, in the style of the image.
"""

import argparse

from zoo.cli import _data, _labels, _models, _options, _output

SHOWN = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    _data.add_arguments(parser)
    _output.add_argument(
        parser, f"a picture of the first images (--limit, by default {SHOWN}); or a new folder for a PNG of each"
    )
    parser.add_argument("--relabel", nargs="+", metavar="LABEL", help="decode with each of these classes instead")
    parser.add_argument(
        "--tiles", nargs="?", type=int, const=512, metavar="SIDE",
        help="reconstruct pictures of any size whole, by tiles of SIDE pixels (default: 512); docs/large_pictures.md",
    )  # fmt: skip
    parser.add_argument("--columns", type=int, metavar="N", help="images in a row (default: 16)")
    parser.add_argument("--scale", type=int, metavar="N", help="draw each pixel as N×N pixels (default: 2)")


def run(args: argparse.Namespace) -> None:
    from zoo.runtime import checks

    path, is_folder = _output.check_file_or_folder(args.output, _output.PICTURES)
    if is_folder:
        _options.refuse(args, _output.EACH, "columns", "scale")
    if args.tiles is not None:
        _options.refuse(args, "with --tiles, which writes pictures as they are", "columns", "scale")
    if args.relabel:
        _options.refuse(args, "with --relabel, of which a row is one image", "columns")
    _options.fill(args, columns=16, scale=2)
    checks.positive_int("--columns", args.columns)
    checks.positive_int("--scale", args.scale)
    if args.relabel and is_folder:
        checks.fail("--output", "a picture, as --relabel is given", args.output)
    if args.tiles is not None:
        _write_whole(args, path, is_folder)
        return
    model = _models.load_of_pictures(args.model)
    new_labels = None
    if args.relabel:
        if not model.conditional or model.num_classes is None:
            raise ValueError(f"Expected --relabel with a model of classes. Received: a {type(model).__name__}")
        count = len([part for text in args.relabel for part in text.split(",") if part])
        new_labels = _labels.in_turn("--relabel", args.relabel, model, count)
    data = _data.load(args, model, need_labels=model.conditional)
    if not is_folder and args.limit is None:
        data = data.take(slice(SHOWN if new_labels is None else 10))
    if new_labels is not None:
        _write_relabelled(args, model, data, new_labels, path)
    else:
        _write_reconstructions(args, model, data, path, is_folder)


def _write_reconstructions(args, model, data, path, is_folder):
    import numpy as np

    from zoo import applications

    x = data.floats()
    reconstructed = np.asarray(model.reconstruct(x, data.labels if model.conditional else None))
    mse = float(np.square(reconstructed - x).mean())
    if is_folder:
        applications.save_images(path, reconstructed, data.file_names())
    else:
        rows = _output.in_rows([x.clip(0.0, 1.0), reconstructed], args.columns)  # a denoiser takes noise beyond it
        applications.save_image(path, applications.grid(rows), args.scale)
    _output.report("reconstruct", path, num=len(x), data=data.description, mse=mse)


def _write_whole(args, path, is_folder):
    """Writes each picture's reconstruction in the picture's own size."""
    from zoo.runtime import checks, files

    checks.positive_int("--tiles", args.tiles)
    given = _data.pictures(args)
    if given is None or args.relabel:
        raise ValueError("Expected --tiles with pictures as --data, and without --relabel. Received: other arguments")
    model = _models.load_of_pictures(args.model)
    import numpy as np

    from zoo import applications
    from zoo.cli import _files

    images, names = _files.read_whole(given, model.image_shape[-1])
    images, names = images[: args.limit], names[: args.limit]
    if not is_folder and len(images) > 1:
        checks.fail("--output", "a new folder, as there are several pictures", args.output)
    errors = []
    with files.replacing(path) as scratch:
        for image, place in zip(images, _output.places(names)):
            made = applications.reconstruct_tiled(model, image, args.tiles)
            errors.append(float(np.mean([np.square(a - b / 255.0).mean() for a, b in zip(made, image)])))
            target = scratch / place if is_folder else scratch
            target.parent.mkdir(parents=True, exist_ok=True)
            applications.save_image(target, made)
    about = f"{len(images)} pictures" if len(images) > 1 else f"the picture {names[0]}"
    _output.report("reconstruct", path, num=len(images), data=about, mse=float(np.mean(errors)))


def _write_relabelled(args, model, data, new_labels, path):
    import numpy as np

    from zoo import applications

    x = data.floats()
    columns = [applications.relabel(model, x, data.labels, np.full(len(x), label)) for label in new_labels]
    applications.save_image(path, applications.grid(np.stack([x, *columns], axis=1)), args.scale)
    _output.report("reconstruct", path, num=len(x), data=data.description, labels=new_labels.tolist())
