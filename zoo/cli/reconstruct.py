"""Reconstructs images: originals above their reconstructions, or a folder of reconstructions.

python -m zoo reconstruct mnist_cvae --data mnist --sample --output reconstructions.png
python -m zoo reconstruct mnist_cvae --data pictures/ --data-labels 3 --output reconstructions/
python -m zoo reconstruct mnist_cvae --data mnist --sample --relabel 0 1 2 3 --output other_digits.png

With --relabel a conditional model decodes each image with other labels, in the style of the image.
"""

import argparse

from zoo.cli import _data, _labels, _models, _output

SHOWN = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    _data.add_arguments(parser)
    _output.add_argument(
        parser, f"a picture of the first images (--limit, by default {SHOWN}); or a new folder for a PNG of each"
    )
    parser.add_argument("--relabel", nargs="+", metavar="LABEL", help="decode with each of these classes instead")
    parser.add_argument("--columns", type=int, default=16, metavar="N", help="images in a row (default: 16)")
    parser.add_argument("--scale", type=int, default=2, metavar="N", help="the side of a pixel (default: 2)")


def run(args: argparse.Namespace) -> None:
    from zoo.runtime import checks

    path, is_folder = _output.check_file_or_folder(args.output, _output.PICTURES)
    checks.positive_int("--columns", args.columns)
    checks.positive_int("--scale", args.scale)
    if args.relabel and is_folder:
        checks.fail("--output", "a picture, as --relabel is given", args.output)
    model = _models.load(args.model)
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
        applications.save_images(path, reconstructed)
    else:
        columns = min(args.columns, len(x))
        rows = [
            part
            for start in range(0, len(x), columns)
            for part in (_row(x, start, columns), _row(reconstructed, start, columns))
        ]
        applications.save_image(path, applications.grid(np.stack(rows)), args.scale)
    _output.report("reconstruct", path, num=len(x), data=data.description, mse=mse)


def _write_relabelled(args, model, data, new_labels, path):
    import numpy as np

    from zoo import applications

    x = data.floats()
    columns = [applications.relabel(model, x, data.labels, np.full(len(x), label)) for label in new_labels]
    applications.save_image(path, applications.grid(np.stack([x, *columns], axis=1)), args.scale)
    _output.report("reconstruct", path, num=len(x), data=data.description, labels=new_labels.tolist())


def _row(images, start, columns):
    """Images from `start`, filled up with white to a whole row."""
    import numpy as np

    row = images[start : start + columns]
    missing = columns - len(row)
    return np.concatenate([row, np.ones((missing, *row.shape[1:]), row.dtype)])
