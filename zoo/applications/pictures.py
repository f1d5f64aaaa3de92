"""Image arrays as files: single images, grids of them, and animations. Pillow writes them."""

import math
import pathlib
from collections.abc import Sequence

import numpy as np

from zoo.fitting import inputs
from zoo.runtime import checks, files
from zoo.runtime.types import ArrayLike, PathLike

STILLS = (".png", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
ANIMATIONS = (".gif", ".webp")
_BEYOND = 0.5  # how far a likelihood on the real line may leave [0, 1], which is then clipped


def pixels(images: ArrayLike) -> np.ndarray:
    """Grey levels of images in [0, 1]: uint8 of the same shape; values that lie somewhat outside are clipped.

    Raises:
        ValueError: for integers, NaN and infinity, and for images of another range, such as [0, 255] or [−1, 1].
    """
    images = checks.numpy_array("images", images)
    inputs.require_floating("images", images)
    low, high = (float(images.min()), float(images.max())) if images.size else (0.0, 1.0)
    if not (low >= -_BEYOND and high <= 1.0 + _BEYOND):  # NaN fails as well
        checks.fail("images", "in [0, 1]", f"values from {low:g} to {high:g}")
    return np.round(255.0 * np.clip(images.astype(np.float32), 0.0, 1.0)).astype(np.uint8)


def grid(images: ArrayLike, columns: int | None = None, gap: int = 1, fill: float = 1.0) -> np.ndarray:
    """One image with others side by side, row by row.

    Args:
        images: float `[N,H,W,C]` in [0, 1]; or `[R,N,H,W,C]`, R rows.
        columns: int >= 1, the images in a row; None for a square, or for the N of `[R,N,H,W,C]`.
        gap: int >= 0, pixels around each image.
        fill: float in [0, 1], the grey of the gaps and of places without an image.

    Returns:
        float32 array `[R·(H + gap) + gap, columns·(W + gap) + gap, C]`.

    Raises:
        ValueError: for images of another rank, none at all, or an argument out of range.

    Example:
        >>> zoo.applications.grid(model.sample(10, seed=0), columns=5, gap=2).shape
        (62, 152, 1)
    """
    images = checks.numpy_array("images", images).astype(np.float32)
    if images.ndim not in (4, 5) or 0 in images.shape:
        checks.fail("images", "of shape [N,H,W,C] or [R,N,H,W,C], one at least", f"shape {images.shape}")
    if images.ndim == 5:
        columns = images.shape[1] if columns is None else columns
        images = images.reshape(-1, *images.shape[2:])
    number, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(number)) if columns is None else checks.positive_int("columns", columns)
    gap, fill = checks.integer("gap", gap, 0), checks.number("fill", fill, 0.0, 1.0)
    rows = math.ceil(number / columns)
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), fill, np.float32)
    for index, image in enumerate(images):
        top, left = (index // columns) * (height + gap) + gap, (index % columns) * (width + gap) + gap
        canvas[top : top + height, left : left + width] = image
    return canvas


def save_image(path: PathLike, image: ArrayLike, scale: int = 1) -> pathlib.Path:
    """Writes an image, whole or not at all.

    Args:
        path: path; its ending is the format: .png, .webp, .jpg, .bmp or .tif.
        image: float `[H,W,C]` in [0, 1]; C is 1 for grey or 3 for colour.
        scale: int >= 1, the side of a pixel in the file.

    Returns:
        the path.

    Raises:
        ValueError: for another ending or shape.

    Example:
        >>> zoo.applications.save_image("samples.png", zoo.applications.grid(images), scale=2)
        PosixPath('samples.png')
    """
    target = _path(path, STILLS)
    (picture,) = _pillow(checks.numpy_array("image", image)[None], scale)
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(target) as scratch:
        picture.save(scratch)
    return target


def save_images(folder: PathLike, images: ArrayLike, names: Sequence[str] | None = None) -> list[pathlib.Path]:
    """Writes each image as a PNG file of a folder, all of them or none.

    Args:
        folder: path of a new or empty folder.
        images: float `[N,H,W,C]` in [0, 1].
        names: strs, the files' names without their ending; None for 00000, 00001, …

    Returns:
        the paths.

    Raises:
        ValueError: for a folder with files in it, images of another shape, or names that are equal or lead elsewhere.

    Example:
        >>> zoo.applications.save_images("samples", images[:2])
        [PosixPath('samples/00000.png'), PosixPath('samples/00001.png')]
    """
    folder = pathlib.Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        checks.fail("folder", "a new or an empty folder", str(folder))
    pictures = _pillow(checks.numpy_array("images", images), 1)
    names = [f"{index:05d}" for index in range(len(pictures))] if names is None else list(names)
    if len(names) != len(pictures) or len(set(names)) != len(names):
        checks.fail("names", f"{len(pictures)} different names", names)
    for name in names:
        if not name or not isinstance(name, str) or pathlib.PurePath(name).name != name or "\\" in name:
            checks.fail("names", "names of files, without a folder", name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(folder) as scratch:
        scratch.mkdir()
        for name, picture in zip(names, pictures):
            picture.save(scratch / f"{name}.png")
    return [folder / f"{name}.png" for name in names]


def save_animation(path: PathLike, frames: ArrayLike, frames_per_second: float = 12.0, scale: int = 1) -> pathlib.Path:
    """Writes an animation that repeats for ever, whole or not at all.

    Args:
        path: path; its ending is the format: .gif or .webp.
        frames: float `[F,H,W,C]` in [0, 1].
        frames_per_second: float >= 0.01, at most 50, which is the most that browsers show of a GIF. A GIF counts in
            hundredths of a second; its frames last different numbers of them, so that the mean is right.
        scale: int >= 1, the side of a pixel in the file.

    Returns:
        the path.

    Raises:
        ValueError: for another ending or shape, or an argument out of range.

    Example:
        >>> zoo.applications.save_animation("walk.gif", images[:4], scale=4)
        PosixPath('walk.gif')
    """
    target = _path(path, ANIMATIONS)
    rate = checks.number("frames_per_second", frames_per_second, 0.01, 50.0)
    first, *rest = _pillow(checks.numpy_array("frames", frames), scale)
    unit, options = (1, {"lossless": True}) if target.suffix.lower() == ".webp" else (10, {})  # unit in milliseconds
    ends = unit * np.round(np.arange(len(rest) + 2) * 1000 / rate / unit).astype(int)
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(target) as scratch:
        first.save(scratch, save_all=True, append_images=rest, duration=np.diff(ends).tolist(), loop=0, **options)
    return target


def _path(path: PathLike, endings: Sequence[str]) -> pathlib.Path:
    path = pathlib.Path(path)
    if path.suffix.lower() not in endings:
        checks.fail("path", f"a file that ends in {', '.join(endings)}", str(path))
    if path.is_dir():
        checks.fail("path", "a file", f"{path}, a folder")
    return path


def _pillow(images, scale):
    """Pillow images of `[N,H,W,C]`."""
    from PIL import Image

    scale = checks.positive_int("scale", scale)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        checks.fail("images", "of shape [N,H,W,1] or [N,H,W,3], one at least", f"shape {images.shape}")
    large = pixels(images).repeat(scale, axis=1).repeat(scale, axis=2)
    return [Image.fromarray(each[..., 0] if each.shape[-1] == 1 else each) for each in large]
