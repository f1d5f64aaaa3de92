"""Removes noise from images, by a model trained on pairs of noisy and clean images or by any other.

python -m zoo denoise model.keras --data noisy/ --output clean/
python -m zoo denoise model.keras --data mnist --sample --add gaussian:0.3 --deviation 0.3 --output denoised.png

--add puts noise on the data first: gaussian:DEVIATION, salt_and_pepper:SHARE or blur:PIXELS. --deviation fits the
latents of a plain VAE to images with Gaussian noise of that standard deviation.
"""

import argparse

from zoo.cli import _data, _models, _options, _output
from zoo.runtime import checks

SHOWN = 32
COLUMNS = 16
KINDS = ("gaussian", "salt_and_pepper", "blur")  # of zoo.applications.add_noise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    _data.add_arguments(parser)
    _output.add_argument(
        parser,
        f"a picture of the first images (--limit, by default {SHOWN}), noisy ones above; or a new folder of PNGs, "
        "whose names are numbers and the names of pictures",
    )
    parser.add_argument("--add", metavar="KIND:LEVEL", help="noise to put on the data, such as gaussian:0.3")
    parser.add_argument("--deviation", type=float, metavar="D", help="deviation of Gaussian noise, for a plain VAE")
    parser.add_argument("--steps", type=int, metavar="N", help="with --deviation (default: 100)")
    parser.add_argument("--scale", type=int, metavar="N", help="draw each pixel as N×N pixels (default: 2)")
    parser.add_argument("--seed", type=int, help="of the noise of --add (default: 0)")


def run(args: argparse.Namespace) -> None:
    path, is_folder = _output.check_file_or_folder(args.output, _output.PICTURES)
    kind, level = _noise(args.add)
    if is_folder:
        _options.refuse(args, _output.EACH, "scale")
    if args.add is None:
        _options.refuse(args, "without --add", "seed")
    if args.deviation is None:
        _options.refuse(args, "without --deviation", "steps")
    _options.fill(args, scale=2, steps=100, seed=0)
    _options.check_seed(args)
    checks.positive_int("--scale", args.scale)
    checks.integer("--steps", args.steps, 0)
    model = _models.load_of_pictures(args.model)
    from zoo import applications

    data = _data.load(args, model, need_labels=model.conditional)
    if not is_folder and args.limit is None:
        data = data.take(slice(SHOWN))
    x = data.floats()
    noisy = x if kind is None else applications.add_noise(x, kind, level, args.seed)
    labels = data.labels if model.conditional else None
    clean = applications.denoise(model, noisy, args.deviation, args.steps, labels)
    if is_folder:
        applications.save_images(path, clean, data.file_names())
    else:
        rows = _output.in_rows([noisy.clip(0.0, 1.0), clean], COLUMNS)  # noise leads out of what can be drawn
        applications.save_image(path, applications.grid(rows), args.scale)
    more = {} if kind is None else {"mse_before": _mse(noisy, x), "mse_after": _mse(clean, x)}
    _output.report("denoise", path, num=len(x), data=data.description, **more)


def _mse(a, b):
    return float(((a - b) ** 2).mean())


def _noise(text):
    """The kind and level of --add; two Nones without it."""
    if text is None:
        return None, None
    kind, _, level = text.partition(":")
    try:
        number = float(level)
    except ValueError:
        raise ValueError(f"Expected --add to be KIND:LEVEL, such as gaussian:0.3. Received: {text}") from None
    return checks.one_of("--add", kind, KINDS), number
