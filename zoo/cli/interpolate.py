"""Interpolates between images through the latent space: a row of images for each pair, or an animation.

python -m zoo interpolate mnist_cvae --data mnist --sample --output interpolation.png
python -m zoo interpolate mnist_cvae --data first.png second.png --data-labels 3 --output between.gif
python -m zoo interpolate mnist_cvae --data mnist --sample --pairs 3-18 --path spherical --output pair.png

Without --pairs the images are paired in their order; for a model with labels, two of the same label.
"""

import argparse
from typing import TYPE_CHECKING

from zoo.cli import _data, _models, _options, _output

if TYPE_CHECKING:
    import numpy as np

PAIRS = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    _data.add_arguments(parser)
    _output.add_argument(parser, "a picture such as .png, with a row for each pair; or an animation, .gif or .webp")
    parser.add_argument("--pairs", nargs="+", metavar="I-J", help=f"numbers of images (default: {PAIRS} pairs)")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="images of a pair (default: 10)")
    parser.add_argument("--path", choices=("linear", "spherical"), default="linear", help="(default: linear)")
    parser.add_argument("--scale", type=int, default=2, metavar="N", help="draw each pixel as N×N pixels (default: 2)")
    parser.add_argument("--fps", type=float, help="frames a second of an animation (default: 10)")


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from zoo.runtime import checks

    path = _output.check_file(args.output, (*_output.PICTURES, ".gif"))
    checks.integer("--steps", args.steps, 2)
    checks.positive_int("--scale", args.scale)
    _options.check_fps(args, path.suffix.lower() in _output.ANIMATIONS)
    chosen = None if args.pairs is None else [_pair(text) for text in args.pairs]
    model = _models.load_of_pictures(args.model)
    from zoo import applications  # imports TensorFlow, of which `load` hides the log lines

    data = _data.load(args, model, need_labels=model.conditional)
    labels = data.labels if model.conditional else None
    pairs = _pairs(len(data), labels) if chosen is None else _within(chosen, data, labels)
    start, end = np.transpose(pairs)
    given = None if labels is None else labels[start]
    x = data.floats()
    rows = applications.interpolate(model, x[start], x[end], args.steps, given, args.path)
    _output.write_rows(path, rows, args.fps, args.scale)
    _output.report("interpolate", path, pairs=np.asarray(pairs).tolist(), data=data.description)


def _pair(text):
    first, _, second = text.partition("-")
    if not first.isdecimal() or not second.isdecimal():
        raise ValueError(f"Expected --pairs to be two numbers of images, such as 3-18. Received: {text}")
    return int(first), int(second)


def _within(pairs, data, labels):
    """The pairs, if the data has them, and with one label in each pair for a model that takes labels."""
    import numpy as np

    for pair in pairs:
        if max(pair) >= len(data):
            raise ValueError(f"Expected --pairs below {len(data)}, the number of images. Received: {max(pair)}")
        if labels is not None and not np.array_equal(labels[pair[0]], labels[pair[1]]):
            raise ValueError(
                f"Expected two images of one label, as the model decodes a path with one. Received: images {pair[0]} "
                f"and {pair[1]}, with labels {labels[pair[0]]} and {labels[pair[1]]}"
            )
    return pairs


def _pairs(number: int, labels: "np.ndarray | None") -> list[tuple[int, int]]:
    """The first pairs of images; of the same label, if there are labels."""
    import numpy as np

    if labels is None:
        groups = [np.arange(number)]
    else:
        _, group_of = np.unique(labels, axis=0, return_inverse=True)
        groups = [np.flatnonzero(group_of == group) for group in range(group_of.max() + 1)]
    each = PAIRS if labels is None else max(1, PAIRS // len(groups))
    pairs = [(int(group[2 * k]), int(group[2 * k + 1])) for group in groups for k in range(min(each, len(group) // 2))]
    if not pairs:
        of = "" if labels is None else " of the same label"
        raise ValueError(f"Expected at least two images{of}. Received: {number}")
    return pairs[: max(PAIRS, len(groups))]
