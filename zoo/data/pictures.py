"""The pictures of a folder."""

import hashlib
import pathlib
import sys

import numpy as np

from zoo.data import decoding, folders
from zoo.data.errors import DataError
from zoo.data.splits import Images, Splits, cut, validation_size
from zoo.runtime import checks, disk
from zoo.runtime.types import PathLike


def load_folder(
    directory: PathLike,
    image_size: int | tuple[int, int],
    disk_folder: PathLike | None = None,
    background: tuple[int, int, int] = (255, 255, 255),
) -> Splits:
    """The pictures of a folder and its subfolders, split; no labels.

    Reads every picture format that Pillow opens, by file ending in either case: .png, .jpg, .webp, .tif, .gif, .bmp,
    .avif and rarer ones, but no documents or films. Of several frames or pages it takes the first. Names that begin
    with a dot are left out. Links are followed.

    Each picture is turned upright by its EXIF orientation, put on `background` where it is transparent, and converted
    to 8-bit RGB: 16-bit values keep their upper byte, and colour profiles are not applied. Then it is cut around its
    centre to the aspect ratio of `image_size` and resized with antialiasing. A picture that already has that size is
    left to the bit.

    A picture counts once, however many links lead to it and however many copies have the same pixels after resizing,
    so no picture is in two parts of the split. The order is that of the paths relative to the folder.

    stderr names each file that cannot be read, with the reason, and counts the files that are left out. A tenth of the
    pictures is for validation and a tenth for testing, at least one each; a single picture serves for all three.

    Args:
        directory: path.
        image_size: (H, W), or an int for squares, at least 1.
        disk_folder: as in `load`.
        background: (red, green, blue), ints from 0 to 255, the colour behind transparent pixels. White by default.

    Returns:
        `Splits` of colour images, uint8 `[N,H,W,3]`.

    Raises:
        ValueError: for an `image_size` or a `background` of another form.
        DataError: if there is no such folder, or no picture in it that can be read.
        zoo.runtime.disk.NoRoom: if the disk cannot hold the images.
    """
    image_size = checks.image_size("image_size", image_size)
    background = checks.colour("background", background)
    directory = pathlib.Path(directory).expanduser()
    if not directory.is_dir():
        raise DataError(f"Expected a folder of images. Received: {str(directory)!r}, which is no folder.")
    found = folders.find(directory, decoding.endings())
    for line in found.messages():
        print(line, file=sys.stderr)
    if not found.pictures:
        kinds = f"{decoding.usual_endings()} or another format of pictures that Pillow reads"
        raise DataError(f"There is no image in {str(directory)!r}, nor in its subfolders. Expected files of {kinds}.")
    images = _pictures(found.pictures, image_size, background, disk_folder)
    if not len(images):
        raise DataError(f"None of the {len(found.pictures)} images in {str(directory)!r} can be read.")
    if len(images) == 1:
        return Splits(images, images, images)
    train, test = cut(images, max(1, len(images) // 10))
    if len(train) == 1:
        return Splits(train, test, test)
    return Splits(*cut(train, validation_size(len(train))), test)


def _pictures(paths, image_size, background, disk_folder):
    """`Images` of picture files, in their order. Broken files and copies are left out, and named on stderr."""
    images = disk.empty((len(paths), *image_size, 3), np.uint8, disk_folder)
    firsts: dict[bytes, pathlib.Path] = {}
    told: set[str] = set()
    copies = []
    for path in paths:
        try:
            pixels, warnings = decoding.read(path, image_size, background)
        except decoding.Unreadable as error:
            print(f"skipped {path}: {error}", file=sys.stderr)
            continue
        for warning in sorted(set(warnings) - told):  # once each: the same one may hold for every file
            print(f"read {path}, with a warning: {warning}", file=sys.stderr)
        told.update(warnings)
        # Pixels rather than file bytes: the same picture in two formats must not be in two parts of the split either.
        first = firsts.setdefault(hashlib.sha256(pixels.tobytes()).digest(), path)
        if first is not path:
            copies.append(f"{path} of {first}")
            continue
        images[len(firsts) - 1 : len(firsts)] = pixels[None]
    if copies:
        print(f"left out {len(copies)} × copied, with the same pixels: {folders.some(copies, 1)}", file=sys.stderr)
    return Images(images).take(slice(len(firsts)))
