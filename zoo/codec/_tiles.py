"""Images of any size as tiles of a model's size."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from zoo.runtime import checks
from zoo.runtime.types import ArrayLike


class Tiles:
    """The tiles of images, by rows. An image is enlarged to whole tiles by its last row and column.

    Args:
        images: `[N,H,W,C]`, or a sequence of `[H,W,C]` of any sizes.
        size: (h, w) of a tile.
    """

    def __init__(self, images: Sequence[np.ndarray] | np.ndarray, size: tuple[int, int]) -> None:
        self._images, self._size = images, size
        # Images of the model's size are their own tiles.
        self._whole = images if isinstance(images, np.ndarray) and images.shape[1:3] == tuple(size) else None
        self._ends = np.cumsum([number_of_tiles(image.shape, size) for image in images])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, rows: slice) -> np.ndarray:
        if self._whole is not None:
            return self._whole[rows]
        return np.stack([self._tile(number) for number in range(*rows.indices(len(self)))])

    def _tile(self, number):
        which = int(np.searchsorted(self._ends, number, side="right"))
        image, (height, width) = self._images[which], self._size
        across = math.ceil(image.shape[1] / width)
        place = number - (int(self._ends[which - 1]) if which else 0)
        top, left = place // across * height, place % across * width
        tile = image[top : top + height, left : left + width]
        missing = ((0, height - tile.shape[0]), (0, width - tile.shape[1]), (0, 0))
        return np.pad(tile, missing, mode="edge")


def number_of_tiles(shape: Sequence[int], size: tuple[int, int]) -> int:
    return math.ceil(shape[0] / size[0]) * math.ceil(shape[1] / size[1])


def join(tiles: np.ndarray, shapes: Sequence[Sequence[int]]) -> Iterator[np.ndarray]:
    """The images of the given shapes from their tiles `[N,h,w,C]`."""
    start, (height, width) = 0, tiles.shape[1:3]
    for shape in shapes:
        down, across = math.ceil(shape[0] / height), math.ceil(shape[1] / width)
        grid = tiles[start : start + down * across].reshape(down, across, height, width, -1)
        whole = grid.swapaxes(1, 2).reshape(down * height, across * width, -1)
        yield whole[: shape[0], : shape[1]]
        start += down * across


def check_images(images: ArrayLike, channels: int) -> tuple[Sequence[np.ndarray] | np.ndarray, list[list[int]], str]:
    """Images as a sequence of `[H,W,C]`, their shapes, and how they were given: "one", "array" or "list".

    Raises:
        ValueError: for anything but uint8 or floats in [0, 1] of `channels` channels.
    """
    if isinstance(images, np.ndarray) or hasattr(images, "__array__"):
        array = checks.numpy_array("images", images)
        if array.ndim not in (3, 4) or 0 in array.shape:
            checks.fail("images", "[H, W, C], [N, H, W, C] or a list of [H, W, C]", f"shape {array.shape}")
        given, images = ("one", array[None]) if array.ndim == 3 else ("array", array)
        _check_values(array, channels)
        return images, [list(images.shape[1:])] * len(images), given
    if not isinstance(images, (list, tuple)) or not images:
        checks.fail("images", "[H, W, C], [N, H, W, C] or a list of [H, W, C]", images)
    found = [checks.numpy_array("images", image) for image in images]
    for image in found:
        if image.ndim != 3 or 0 in image.shape:
            checks.fail("images", "a list of [H, W, C]", f"one of shape {image.shape}")
        _check_values(image, channels)
    if len({image.dtype for image in found}) > 1:
        checks.fail("images", "a list of one dtype", sorted({str(image.dtype) for image in found}))
    return found, [list(image.shape) for image in found], "list"


def _check_values(image, channels):
    if image.shape[-1] != channels:
        checks.fail("images", f"of {channels} channels, as the model takes", f"shape {image.shape}")
    if image.dtype == np.uint8:
        return
    if not np.issubdtype(image.dtype, np.floating):
        checks.fail("images", "uint8, or floats in [0, 1]", f"dtype {image.dtype}")
    if not (np.min(image) >= 0.0 and np.max(image) <= 1.0):  # also false for NaN
        checks.fail("images", "floats in [0, 1]", f"values from {np.min(image)} to {np.max(image)}")
