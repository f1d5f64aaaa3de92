"""Fills in missing parts of images.

python -m zoo impute model.keras --data mnist --sample --missing right --output filled.png
python -m zoo impute model.keras --data holes/ --mask mask.png --num-draws 5 --output filled/

--missing names a part of every image: left, right, top, bottom, random:SHARE, or box:ROW,COLUMN,HEIGHT,WIDTH. --mask is
a picture or a .npy file, 0 where a value is missing. Of an array, NaN is missing too; with NaN neither is needed.
"""

import argparse

from zoo.cli import _data, _models, _options, _output

SHOWN = 16
_NEARLY = 0.07  # black and white of a JPEG


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _models.add_argument(parser)
    _data.add_arguments(parser)
    _output.add_argument(
        parser,
        f"a picture of the first images (--limit, by default {SHOWN}): with holes, filled in, and each draw below; a "
        ".npy file of the filled images, or of the draws; or a new folder of PNGs, whose names are numbers and those "
        "of pictures, with each draw as NAME_draw_K.png",
    )
    missing = parser.add_mutually_exclusive_group()
    missing.add_argument("--missing", metavar="PART", help="left, right, top, bottom, random:SHARE or box:R,C,H,W")
    missing.add_argument("--mask", metavar="FILE", help="a picture or .npy file, 0 where a value is missing")
    parser.add_argument("--num-draws", type=int, metavar="N", help="random fillings beside the mean")
    parser.add_argument("--no-noise", dest="noise", action="store_false", help="draws are means of p(x|z)")
    parser.add_argument("--method", help="importance, gibbs, metropolis, gradient, or prior (of a VAEAC)")
    parser.add_argument("--steps", type=int, metavar="N", help="of the method, but not of prior (default: 10)")
    parser.add_argument("--num-samples", type=int, default=32, metavar="N", help="samples for each image (default: 32)")
    parser.add_argument("--scale", type=int, metavar="N", help="draw each pixel as N×N pixels (default: 2)")
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> None:
    import pathlib

    from zoo.runtime import checks

    is_array = pathlib.Path(args.output).suffix.lower() == ".npy"
    path, is_folder = _output.check_file_or_folder(args.output, (*_output.PICTURES, ".npy"))
    if is_folder or is_array:
        _options.refuse(args, _output.EACH if is_folder else "where --output is an array", "scale")
    _options.fill(args, scale=2)
    checks.positive_int("--scale", args.scale)
    _options.check_seed(args)
    if args.num_draws is not None:
        checks.positive_int("--num-draws", args.num_draws)
    elif not args.noise:
        checks.fail("--num-draws", "given, as --no-noise is about draws", None)
    model = _models.load(args.model) if is_array else _models.load_of_pictures(args.model, incomplete=True)
    import numpy as np

    from zoo import applications
    from zoo.models import VAEAC
    from zoo.runtime import files

    if isinstance(model, VAEAC):
        _options.refuse(args, "with a VAEAC, whose method has no steps", "steps")
    _options.fill(args, steps=10)
    unlimited = argparse.Namespace(**{**vars(args), "limit": None})  # a mask file may have a mask for each example
    whole = _data.load(unlimited, model, need_labels=model.conditional, incomplete=True)
    data = whole.take(slice(SHOWN if args.limit is None and not is_folder and not is_array else args.limit))
    x = data.floats()
    known = ~np.isnan(x)
    if args.missing:
        mask = known & (_mask_of_part(args.missing, x.shape, args.seed) > 0)
    elif args.mask:
        mask = known & _mask_of_file(args.mask, whole.images.shape, len(x))[: len(x)]
    elif known.all():
        raise ValueError("Expected --missing or --mask, or NaN in --data for missing values. Received: none of these")
    else:
        mask = known
    settings = {"method": args.method, "steps": args.steps, "num_samples": args.num_samples, "seed": args.seed}
    settings["labels"] = data.labels if model.conditional else None
    filled = applications.impute(model, x, mask, **settings)
    draws = (
        applications.impute(model, x, mask, args.num_draws, noise=args.noise, **settings)
        if args.num_draws
        else filled[:0]
    )
    if is_array:
        with files.replacing(path) as scratch:
            np.save(scratch, draws if args.num_draws else filled)
    elif is_folder:
        names = data.file_names()
        of_draws = [f"{name}_draw_{number}" for number in range(1, len(draws) + 1) for name in names]
        applications.save_images(path, np.concatenate([filled, *draws]), [*names, *of_draws])
    else:
        holes = np.where(mask, x, 0.5)
        applications.save_image(path, applications.grid(np.stack([holes, filled, *draws])), args.scale)
    more = {}
    if args.missing:  # else the data holds nothing to compare with
        hidden = known & ~mask
        more = {"mse": float(np.square(filled - x)[hidden].mean())} if hidden.any() else {}
    _output.report("impute", path, num=len(x), data=data.description, missing=float((~mask).mean()), **more)


def _mask_of_part(text, shape, seed):
    """A mask that broadcasts to images of `shape`, 0 in the named part."""
    import numpy as np

    if len(shape) != 4:
        raise ValueError(f"Expected --missing with a model of images. Received: data of shape {tuple(shape[1:])}")
    height, width = shape[1:3]
    boxes = {
        "left": (0, 0, height, width // 2),
        "right": (0, width // 2, height, width - width // 2),
        "top": (0, 0, height // 2, width),
        "bottom": (height // 2, 0, height - height // 2, width),
    }
    name, _, numbers = text.partition(":")
    try:
        if name == "random":
            share = float(numbers)
            if not 0.0 <= share <= 1.0:
                raise ValueError(numbers)
            return (np.random.default_rng(seed).uniform(size=(*shape[:-1], 1)) >= share).astype(np.float32)
        if name not in (*boxes, "box") or (name in boxes and numbers):
            raise ValueError(name)
        row, column, rows, columns = boxes[name] if name in boxes else map(int, numbers.split(","))
        if not (0 <= row < row + rows <= height and 0 <= column < column + columns <= width):
            raise ValueError(text)
    except ValueError:
        expected = f"left, right, top, bottom, random:SHARE or box:ROW,COLUMN,HEIGHT,WIDTH within {height}×{width}"
        raise ValueError(f"Expected --missing to be {expected}. Received: {text}") from None
    mask = np.ones((height, width, 1), np.float32)
    mask[row : row + rows, column : column + columns] = 0.0
    return mask


def _mask_of_file(text, shape, shown):
    """A mask from a picture or an array, bool `[1,H,W,1]`, of the data's shape `[N,H,W,C]`, or between the two.

    It may be of the first `shown` examples alone.
    """
    import pathlib

    import numpy as np
    from PIL import Image, ImageOps

    from zoo.data import decoding

    path = pathlib.Path(text).expanduser()
    transparent = False
    try:
        if path.suffix == ".npy":
            mask = np.load(path)
        else:
            with Image.open(path) as picture:
                transparent = decoding.is_transparent(picture)
                mask = np.asarray(ImageOps.exif_transpose(picture).convert("L"))[..., None]
    except (ValueError, OSError, EOFError) as error:  # Pillow's errors are OSErrors
        reason = "no such file" if isinstance(error, FileNotFoundError) else "which cannot be read"
        raise ValueError(f"Expected --mask to be a picture or a .npy file. Received: {text}, {reason}") from error
    if transparent:  # is a hole what is erased, or what is black?
        way = "black where values are missing and white elsewhere, without transparency"
        raise ValueError(f"Expected --mask to be a picture that is {way}. Received: {text}")
    if mask.dtype.kind not in "biuf" or not np.isfinite(mask).all():
        raise ValueError(f"Expected --mask to be of finite numbers. Received: {text}, of {mask.dtype}")
    white = 255.0 if mask.dtype == np.uint8 and mask.max() > 1 else float(mask.max()) or 1.0
    mask = mask.astype(np.float32) / white
    between = (mask > _NEARLY) & (mask < 1.0 - _NEARLY) | (mask < 0.0)
    if between.any():
        expected = "0 (black) where values are missing, and 1 or 255 (white) elsewhere"
        number = int(between.sum())
        raise ValueError(f"Expected --mask to be {expected}. Received: {text}, with {number} values between these")
    number, *size, channels = shape
    given = mask.shape
    if given != tuple(shape[1:]) and given in (tuple(size), (number, *size), (shown, *size)):
        mask = mask[..., None]
    if mask.ndim == len(size) + 1:
        mask = mask[None]
    if mask.ndim != len(shape) or mask.shape[0] not in (1, number, shown) or mask.shape[1:-1] != tuple(size):
        expected = f"the size {tuple(size)}, or {(number, *size)} for {number} examples"
        raise ValueError(f"Expected --mask of {expected}. Received: {text}, of {given}")
    if mask.shape[-1] not in (1, channels):
        raise ValueError(f"Expected --mask of {'' if channels == 1 else '1 or '}{channels} channels. Received: {given}")
    return mask > 0.5
