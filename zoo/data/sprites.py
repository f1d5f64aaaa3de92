"""Sprites with the factors of dSprites, rendered on demand: no file, no download."""

import functools

import numpy as np

from zoo.data.splits import Images, Splits
from zoo.runtime import checks, disk
from zoo.runtime.types import PathLike

SHAPES = ("square", "ellipse", "heart")
_SYMMETRY = np.array([10, 20, 40])  # orientations after which a shape looks the same: 90°, 180° and 360°
_SCALES = np.linspace(0.5, 1.0, 6)
_FINE = 64  # places in a row, the pixels of the largest image; one step of a position is one place
_STEPS = 32  # values of a position
_REACH = 16  # no shape reaches further from its centre, in places
_POINTS = 2  # points in a place, in each direction, that are tested for lying inside
_SPLIT_SEED = 20140514
_HASHED_AT_ONCE = 8192


class Sprites:
    """All 737,280 images of a square, an ellipse or a heart, white on black, in the order of dSprites.

    The factors are those of dSprites (Matthey et al. 2017): shape (3), scale (6, from 0.5 to 1), orientation (40), x
    (32) and y (32), of which y varies fastest. Deviations: the orientations are 0, 9, …, 351 degrees, where dSprites
    has 40 from 0 to 360 with both ends; and the outlines are formulas of this module, not dSprites' own drawings. As
    there, some orientations cannot be told apart: a square looks the same after 10 of them, an ellipse after 20.

    Args:
        image_size: int, the side of an image in pixels: 64, as in dSprites, or 32, 16 or 8.

    Example:
        >>> sprites = zoo.data.Sprites(image_size=32)
        >>> sprites.images(np.array([0, len(sprites) - 1])).shape
        (2, 32, 32, 1)
        >>> sprites.factors(np.array([0, len(sprites) - 1]))
        array([[ 0,  0,  0,  0,  0],
               [ 2,  5, 39, 31, 31]], dtype=int32)
    """

    factor_names = ("shape", "scale", "orientation", "x", "y")
    factor_sizes = (len(SHAPES), len(_SCALES), 40, _STEPS, _STEPS)

    def __init__(self, image_size: int = 64) -> None:
        self.image_size = checks.one_of("image_size", image_size, (64, 32, 16, 8))
        self.image_shape = (image_size, image_size, 1)

    def __len__(self) -> int:
        return int(np.prod(self.factor_sizes))

    def factors(self, indices: np.ndarray) -> np.ndarray:
        """The factors of the images at `indices`, integers `[N]`: int32 `[N,5]`, each from 0 to its size − 1."""
        return np.stack(np.unravel_index(indices, self.factor_sizes), axis=-1).astype(np.int32)

    def indices(self, factors: np.ndarray) -> np.ndarray:
        """The indices of the images with `factors`, integers `[N,5]`: int64 `[N]`."""
        return np.ravel_multi_index(tuple(np.asarray(factors).T), self.factor_sizes)

    def images(self, which: np.ndarray) -> np.ndarray:
        """Renders images.

        Args:
            which: integers `[N]`, indices in the order of the set, or `[N,5]`, factors.

        Returns:
            uint8 `[N,image_size,image_size,1]`, of 0 and 255.
        """
        factors = self._checked(which)
        shape, scale, orientation, x, y = factors.T
        windows = _windows(self.image_size)
        return windows[shape, scale, orientation % _SYMMETRY[shape], _STEPS - 1 - y, _STEPS - 1 - x][..., None]

    def sharing(self, factor: int, number: int, rng: np.random.Generator) -> np.ndarray:
        """The indices of `number` random images that have the same random value of one factor: int64 `[number]`."""
        factors = self.factors(rng.integers(len(self), size=number))
        factors[:, factor] = rng.integers(self.factor_sizes[factor])
        return self.indices(factors)

    def splits(
        self,
        train: int = 200_000,
        validation: int = 5_000,
        test: int = 10_000,
        disk_folder: PathLike | None = None,
    ) -> Splits:
        """Random images with their shapes as labels, the same at each call.

        Some images show the same, as a square does after a quarter turn. None is in two of the splits; there can be
        fewer training images than asked for, if too few others are left.

        Args:
            train, validation, test: ints >= 1, numbers of images.
            disk_folder: path of a folder to keep the images on disk while they are used; None keeps them in memory.

        Returns:
            `Splits`.

        Raises:
            ValueError: for numbers that are larger than the set together.
        """
        sizes = [checks.positive_int(n, v) for n, v in (("train", train), ("validation", validation), ("test", test))]
        if sum(sizes) > len(self):
            checks.fail("train", f"at most {len(self) - validation - test}, as there are {len(self)} images", train)
        order = np.random.default_rng(_SPLIT_SEED).permutation(len(self))
        held, rest = order[:test], order[test:]
        seen = self._hashes(held)
        of_validation, rest = self._unlike(rest, validation, seen)
        seen = np.concatenate([seen, self._hashes(of_validation)])
        of_training, _ = self._unlike(rest, train, seen)
        return Splits(*(self._rendered(part, disk_folder) for part in (of_training, of_validation, held)))

    def _unlike(self, indices, number, seen):
        """The first `number` of `indices` whose images are not among those with the hashes `seen`, and the rest."""
        chosen: list[np.ndarray] = []
        while sum(map(len, chosen)) < number and len(indices):
            part, indices = np.split(indices, [min(number, _HASHED_AT_ONCE)])
            chosen.append(part[~np.isin(self._hashes(part), seen)])
        found = np.concatenate(chosen)
        return found[:number], np.concatenate([found[number:], indices])

    def _hashes(self, indices):
        """64 bits for each image: the same for images that show the same, as some do."""
        factors = np.random.default_rng(0).integers(0, 2**64, self.image_size**2 // 64, np.uint64, endpoint=False)
        parts = [indices[begin : begin + _HASHED_AT_ONCE] for begin in range(0, len(indices), _HASHED_AT_ONCE)]
        packed = (np.packbits(self.images(part).reshape(len(part), -1) > 0, axis=1) for part in parts)
        return np.concatenate([np.sum(bits.view(np.uint64) * factors, axis=1) for bits in packed])

    def _rendered(self, indices, disk_folder):
        images = disk.empty((len(indices), *self.image_shape), np.uint8, disk_folder)
        for part in disk.chunks(images):
            images[part] = self.images(indices[part])
        return Images(images, self.factors(indices)[:, 0])

    def _checked(self, which):
        which = np.asarray(which)
        if which.dtype.kind not in "iu" or which.ndim not in (1, 2) or which.shape[1:] not in ((), (5,)):
            checks.fail("which", "integers of shape [N] or [N,5]", f"{which.dtype} of shape {which.shape}")
        if which.size and (which.min() < 0 or np.any(which >= (len(self) if which.ndim == 1 else self.factor_sizes))):
            limit = f"below {len(self)}" if which.ndim == 1 else f"below {self.factor_sizes}"
            checks.fail("which", f"integers >= 0 and {limit}", f"up to {which.max(axis=0)}, from {which.min(axis=0)}")
        return self.factors(which) if which.ndim == 1 else which


@functools.cache
def _windows(image_size):
    """A view `[3,6,40,32,32,image_size,image_size]`: for each sprite, all windows of the canvas around it.

    The centre of a sprite lies in place 47 of a canvas of 95 places. A window has 64 of them: that of position i begins
    at place 31 − i, where the centre has place 16 + i of the image. A pixel of a smaller image covers several places.
    It is white if at least half of its points lie inside the shape.
    """
    pixel, canvas_side = _FINE // image_size, _FINE + _STEPS - 1
    begin = (canvas_side - 2 * _REACH) // 2
    side = canvas_side - pixel + 1
    white = np.zeros((len(SHAPES), len(_SCALES), 40, side, side), np.uint8)
    enough = (_POINTS * pixel) ** 2 / 2
    for shape, scale in np.ndindex(white.shape[:2]):
        points = np.zeros((_SYMMETRY[shape], canvas_side, canvas_side), np.uint16)
        patch = slice(begin, begin + 2 * _REACH + 1)
        points[:, patch, patch] = _points_inside(shape, _SCALES[scale])
        rows = np.add.reduce([points[:, shift : side + shift] for shift in range(pixel)])
        boxes = np.add.reduce([rows[:, :, shift : side + shift] for shift in range(pixel)])
        white[shape, scale, : _SYMMETRY[shape]] = np.where(boxes >= enough, np.uint8(255), np.uint8(0))
    window = _FINE - pixel + 1
    return np.lib.stride_tricks.sliding_window_view(white, (window, window), axis=(3, 4))[..., ::pixel, ::pixel]


def _points_inside(shape, scale):
    """How many points of each place around the centre lie inside a shape, for each orientation: uint16 `[O,33,33]`."""
    count = 2 * _REACH + 1
    at = (np.arange(_POINTS * count) + 0.5) / _POINTS - count / 2
    angle = 2 * np.pi / 40 * np.arange(_SYMMETRY[shape])[:, None, None]
    down, right = at[:, None] / scale, at / scale
    u, v = np.cos(angle) * right + np.sin(angle) * down, np.cos(angle) * down - np.sin(angle) * right
    if SHAPES[shape] == "square":
        inside = np.maximum(np.abs(u), np.abs(v)) < 10.8
    elif SHAPES[shape] == "ellipse":
        inside = np.square(u / 15.0) + np.square(v / 9.5) < 1
    else:
        u, v = u / 11.5, 0.1 - v / 11.5
        inside = (np.square(u) + np.square(v) - 1) ** 3 < np.square(u) * v**3
    return inside.reshape(-1, count, _POINTS, count, _POINTS).sum(axis=(2, 4), dtype=np.uint16)
