"""Samples images from a model: a picture, a folder of pictures, or an animated walk through the latent space.

python -m zoo sample mnist_cvae --num 40 --labels 3 7 --seed 7 --output samples.png
python -m zoo sample mnist_cvae --num 1000 --temperature 0.9 --output samples/
python -m zoo sample mnist_cvae --walk 6 --labels 3 --seed 7 --output walk.gif

The same seed gives the same images, here, in Python and in every exported model. Sample i does not depend on the number
of samples.
"""

import argparse

from zoo.cli import _labels, _models, _options, _output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    _output.add_argument(parser, "a picture, such as samples.png, with all samples; or a new folder for a PNG of each")
    parser.add_argument("--num", type=int, metavar="N", help="the number of samples (default: 64)")
    parser.add_argument("--seed", type=int, metavar="S", help="an integer of 32 bits (default: a random one)")
    parser.add_argument("--temperature", type=float, default=1.0, metavar="T", help="of the prior (default: 1)")
    parser.add_argument("--labels", nargs="+", metavar="LABEL", help=f"{_labels.HELP} (default: all classes)")
    parser.add_argument("--columns", type=int, metavar="N", help="images in a row (default: about a square)")
    parser.add_argument("--scale", type=int, metavar="N", help="draw each pixel as N×N pixels (default: 2)")
    walk = parser.add_argument_group("an animated walk")
    walk.add_argument("--walk", type=int, metavar="N", help="write a .gif or .webp that passes N samples of the prior")
    walk.add_argument("--steps", type=int, metavar="N", help="frames between two of them (default: 12)")
    walk.add_argument("--fps", type=float, help="frames a second (default: 12)")


def run(args: argparse.Namespace) -> None:
    from zoo.runtime import checks

    if args.walk is not None:
        path, is_folder = _output.check_file(args.output, _output.ANIMATIONS), False
        checks.integer("--walk", args.walk, 2)
        _options.refuse(args, "with --walk", "num", "columns")
    else:
        path, is_folder = _output.check_file_or_folder(args.output, _output.PICTURES)
        _options.refuse(args, "without --walk", "steps", "fps")
    if is_folder:
        _options.refuse(args, _output.EACH, "columns", "scale")
    _options.fill(args, num=64, scale=2, steps=12, fps=12.0)
    checks.positive_int("--steps", args.steps)
    checks.number("--fps", args.fps, 0.01, 50.0)
    checks.positive_int("--num", args.num)
    checks.number("--temperature", args.temperature, 0.0)
    checks.positive_int("--scale", args.scale)
    if args.columns is not None:
        checks.positive_int("--columns", args.columns)
    seed = checks.seed("--seed", args.seed)
    model = _models.load_of_pictures(args.model)
    if seed is None:
        from zoo import random  # imports TensorFlow

        seed = random.fresh_seed()
    if args.walk is not None:
        _write_walk(args, model, seed, path)
    else:
        _write_samples(args, model, seed, path, is_folder)


def _write_walk(args, model, seed, path):
    from zoo import applications

    labels = _labels.in_turn("--labels", args.labels, model, args.walk)
    frames = applications.walk(model, args.walk, args.steps, seed, args.temperature, labels)
    applications.save_animation(path, frames, args.fps, args.scale)
    _output.report("sample", path, frames=len(frames), seed=seed)


def _write_samples(args, model, seed, path, is_folder):
    import numpy as np

    from zoo import applications
    from zoo.applications import require_sampling

    require_sampling(model)
    labels = _labels.in_turn("--labels", args.labels, model, args.num)
    images = np.asarray(model.sample(args.num, seed=seed, temperature=args.temperature, labels=labels))
    more = {"num": args.num, "seed": seed}
    if is_folder:
        written = applications.save_images(path, images)
        _output.report("sample", path, files=[each.name for each in written[:3]], **more)
        return
    distinct = 1 if labels is None or labels.ndim > 1 else len(set(labels.tolist()))
    columns = args.columns or (_columns(args.num, distinct) if distinct > 1 else None)
    applications.save_image(path, applications.grid(images, columns), args.scale)
    _output.report("sample", path, **more)


def _columns(number, distinct):
    """Images in a row, of about a square, without blanks if it can be.

    Labels come in turn: with a multiple of their number each column has one of them.
    """
    side = number**0.5
    whole = [each for each in range(distinct, number + 1, distinct) if number % each == 0]
    nearest = min(whole, key=lambda each: max(each / side, side / each), default=0)
    return nearest if side / 2 < nearest < 2 * side else distinct * max(1, round(side / distinct))
