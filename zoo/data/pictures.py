"""Loads the pictures of a folder."""

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
    """Loads the pictures of a folder and its subfolders, without labels, and splits them.

    Reads every picture format that Pillow opens, by the file ending in upper or lower case: .png, .jpg, .webp, .tif,
    .gif, .bmp, .avif and rarer ones, but no documents or films. It takes the first of several frames or pages, skips
    names that begin with a dot, and follows links.

    Each picture is turned upright by its EXIF orientation, put on `background` where it is transparent, and converted
    to 8-bit RGB: 16-bit values keep their upper byte, and colour profiles are not applied. Then it is cropped around
    its centre to the aspect ratio of `image_size` and resized with antialiasing. The pixels of a picture that already
    has this size are unchanged.

    A picture counts once, even if several links lead to it or copies have the same pixels after resizing. No picture is
    therefore in two splits. Pictures are in the order of their paths relative to the folder.

    A line on stderr names each file that cannot be read, with the reason; others count the files that are left out. A
    tenth of the pictures is for validation and a tenth for testing, at least one each. A single picture is used for all
    three splits, and of two pictures one for validation and testing; a line on stderr says so.

    Args:
        directory: path.
        image_size: (H, W), or an int for squares, at least 1.
        disk_folder: as in `load`.
        background: (red, green, blue), ints from 0 to 255, the colour behind transparent pixels; white by default.

    Returns:
        `Splits` of colour images, uint8 `[N,H,W,3]`.

    Raises:
        ValueError: for an `image_size` or a `background` of another form.
        DataError: if there is no such folder, or it has no picture that can be read.
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
    if len(images) < 3:
        again = "for training and validation" if len(images) == 1 else "for validation"
        print(f"too few pictures for three splits: the test picture is {again} too", file=sys.stderr)
    if len(images) == 1:
        return Splits(images, images, images)
    train, test = cut(images, max(1, len(images) // 10))
    if len(train) == 1:
        return Splits(train, test, test)
    return Splits(*cut(train, validation_size(len(train))), test)


def _pictures(paths, image_size, background, disk_folder):
    """`Images` of picture files, in their order. Skips broken files and copies, and names them on stderr."""
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
        for warning in sorted(set(warnings) - told):  # each text once, as it may be the same for every file
            print(f"read {path}, with a warning: {warning}", file=sys.stderr)
        told.update(warnings)
        # A hash of pixels, not of file bytes: the same picture in two formats must not be in two splits.
        first = firsts.setdefault(hashlib.sha256(pixels.tobytes()).digest(), path)
        if first is not path:
            copies.append(f"{path} of {first}")
            continue
        images[len(firsts) - 1 : len(firsts)] = pixels[None]
    if copies:
        print(f"left out {len(copies)} × copied, with the same pixels: {folders.some(copies, 1)}", file=sys.stderr)
    return Images(images).take(slice(len(firsts)))
