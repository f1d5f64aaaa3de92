"""Reads a picture file as RGB pixels: upright, without transparency, cropped and resized."""

import functools
import io
import os
import warnings

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError, features

from zoo.runtime.types import PathLike

# Documents, films, and measurements of unknown range. Pillow starts other programs for some of them.
_NO_PICTURES = {"BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
# Formats that Pillow can be built without, with the names of their features.
_OPTIONAL = {"AVIF": "avif", "JPEG": "jpg", "JPEG2000": "jpg_2000", "WEBP": "webp"}
_USUAL = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
_GREY_STEPS = {"L;2": 85, "L;4": 17}  # 2-bit and 4-bit greys: the distance between two levels on the scale of 8 bits


class Unreadable(Exception):
    """The picture cannot be read. The message is the reason."""


@functools.cache
def endings() -> dict[str, str]:
    """The file endings that can be read, in lower case with the dot, mapped to Pillow's names of the formats."""
    missing = {name for name, feature in _OPTIONAL.items() if not features.check(feature)}
    known = Image.registered_extensions()  # first, as it fills Image.OPEN
    readable = (set(Image.OPEN) | {"MPO"}) - _NO_PICTURES - missing  # MPO is opened as JPEG
    return {ending: name for ending, name in known.items() if name in readable}


def usual_endings() -> str:
    """The well-known endings among `endings`, for messages: ".avif, .bmp, …"."""
    return ", ".join(ending for ending in _USUAL if ending in endings())


def read(
    source: PathLike | bytes, image_size: tuple[int, int], background: tuple[int, int, int]
) -> tuple[np.ndarray, list[str]]:
    """The pixels of a picture file.

    Reads the first of several frames or pages. Turns it upright by its EXIF orientation, puts it on `background` where
    it is transparent, converts it to 8-bit RGB (16-bit values keep their upper byte, colour profiles are not applied),
    crops it around its centre to the aspect ratio of `image_size`, and resizes it with antialiasing. The pixels of a
    picture that already has this size are unchanged.

    Args:
        source: path of a file, or its content as bytes.
        image_size: (H, W), ints >= 1.
        background: (red, green, blue), ints from 0 to 255.

    Returns:
        (pixels, warnings): uint8 `[H,W,3]`, and a list of str, the warnings of Pillow.

    Raises:
        Unreadable: if the file cannot be opened, is broken, or has pixels of unknown range.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pixels = decode(source, image_size, background)
    # Without DecompressionBombWarning, a subclass: large photographs are fine, and real bombs raise errors.
    return pixels, [str(warning.message) for warning in caught if warning.category in (UserWarning, RuntimeWarning)]


def decode(source: PathLike | bytes, image_size: tuple[int, int], background: tuple[int, int, int]) -> np.ndarray:
    """The pixels that `read` gives. Several threads may call it, as it leaves Pillow's warnings alone."""
    allowed = set(endings().values())
    formats = [name for name in Image.ID if name in allowed]  # in the order in which Pillow tries them
    try:
        with Image.open(_opened(source), formats=formats) as image:
            if image.format == "PNG":
                image.verify()  # checks the checksums, which decoding ignores, and leaves the image unusable
        with Image.open(_opened(source), formats=formats) as image:
            return np.asarray(_resized(_on_background(_eight_bits(image), background), image_size))
    except Unreadable:
        raise
    except Exception as error:  # broken files raise errors of many classes
        raise Unreadable(_reason(source, error)) from error


def loss(path: PathLike) -> str | None:
    """What `read` does not keep of a picture, whatever its size, in words; None if the pixels are all that it has."""
    with Image.open(path) as image:
        raw_mode = _raw_mode(image) or ""
        deep = image.mode.startswith(("I", "F")) or ("16" in raw_mode and raw_mode != "BGR;16")
        lost = {
            "more than 8 bits a channel": deep,
            f"colours of the kind {image.mode}": image.mode in ("CMYK", "LAB", "HSV", "YCbCr"),
            "transparency": is_transparent(image),
            "further frames": getattr(image, "n_frames", 1) > 1,
        }
    return ", ".join(name for name, is_lost in lost.items() if is_lost) or None


def is_transparent(image: Image.Image) -> bool:
    """Whether any pixel of a picture is transparent, in part or as a whole."""
    if not image.has_transparency_data:
        return False
    image = image.convert("LA") if image.mode == "La" else image
    return bool(np.asarray(image.convert("RGBA"))[..., 3].min() < 255)


def _opened(source):
    return io.BytesIO(source) if isinstance(source, bytes) else source


def _eight_bits(image):
    """The upright image of an open file, at most 8 bits a channel, with its transparent colour in the same scale."""
    raw_mode = _raw_mode(image)
    upright = _upright(image)
    if image.mode == "F":
        raise Unreadable("its pixels are floats, whose range is unknown")
    if image.mode.startswith("I"):
        white_is_zero = getattr(image, "tag_v2", {}).get(ExifTags.Base.PhotometricInterpretation) == 0
        return _upper_byte(upright, 12 if raw_mode == "I;12" else 16, white_is_zero)
    # Pillow keeps the transparent colour of a PNG in the file's scale, even if it rescales the pixels.
    transparency = upright.info.get("transparency")
    if raw_mode in _GREY_STEPS and isinstance(transparency, int):
        upright.info["transparency"] = transparency * _GREY_STEPS[raw_mode]
    elif raw_mode == "RGB;16B" and isinstance(transparency, tuple):
        upright.info["transparency"] = tuple(value >> 8 for value in transparency)
    return upright


def _raw_mode(image):
    """Pillow's name of the pixel layout in the file, or None. Available only before the pixels are read."""
    arguments = image.tile[0].args if image.tile else None
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else None


def _upright(image):
    image.load()
    try:
        Image.Exif().load(image.info.get("exif", b""))  # raises for broken data, which opening a JPEG hides
        image.getexif()  # also keeps the data in the image
    except Exception:  # broken EXIF data raise errors of many classes
        warnings.warn("EXIF data cannot be read, so the picture may lie on its side", stacklevel=2)
        return image
    image.info.pop("exif", None)  # or Pillow would rewrite it, and fail for data that it can read but not write
    return ImageOps.exif_transpose(image)


def _upper_byte(image, bits, white_is_zero):
    """Integer greys as mode "L", or "LA" if one level means transparent."""
    levels = np.asarray(image).astype(np.int64)
    if levels.min() < 0 or levels.max() >= 2**bits:
        raise Unreadable(f"its pixels are integers of more than {bits} bits, whose range is unknown")
    opaque = levels != image.info.get("transparency", -1)
    grey = np.uint8(levels >> (bits - 8))
    image = Image.fromarray(255 - grey if white_is_zero else grey)
    if not opaque.all():
        image.putalpha(Image.fromarray(np.uint8(255 * opaque)))
    return image


def _on_background(image, background):
    """An image of at most 8 bits a channel as RGB, composited on the background."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("LA") if image.mode == "La" else image  # the only conversion from La that Pillow supports
    behind = Image.new("RGBA", image.size, (*background, 255))
    return Image.alpha_composite(behind, image.convert("RGBA")).convert("RGB")


def _resized(image, image_size):
    """The largest central part with the aspect ratio of (H, W), resized to it."""
    (height, width), (columns, rows) = image_size, image.size
    kept_rows = min(rows, max(1, columns * height // width))
    kept_columns = min(columns, max(1, rows * width // height))
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    # Not `resize(box=…)`, which blends in pixels from outside the box.
    image = image.crop((left, top, left + kept_columns, top + kept_rows))
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _reason(source, error):
    if isinstance(error, UnidentifiedImageError):
        size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
        return "an empty file" if not size else "no picture of a format that Pillow can read"
    lines = (getattr(error, "strerror", None) or str(error)).splitlines()
    return lines[0] if lines else type(error).__name__
