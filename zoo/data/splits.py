"""Images in memory or on disk, and their splits for training, validation and testing."""

import dataclasses

import numpy as np

from zoo.runtime import checks, disk

_SPLIT_SEED = 20140514  # the same validation images for each seed of a run, as runs must compare


@dataclasses.dataclass(frozen=True)
class Images:
    """uint8 images `[N,H,W,C]`, in memory or a `zoo.runtime.disk.DiskArray`, and int32 labels `[N]` or None."""

    images: np.ndarray | disk.DiskArray
    labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            received = f"{self.images.dtype} of shape {self.images.shape}"
            checks.fail("images", "a uint8 array of shape [N,H,W,C]", received)
        if self.labels is not None and self.labels.shape != self.images.shape[:1]:
            checks.fail("labels", f"an array of shape [{len(self.images)}]", self.labels.shape)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: np.ndarray | slice) -> "Images":
        """Some of the images and their labels."""
        return Images(disk.take(self.images, indices), None if self.labels is None else self.labels[indices])


@dataclasses.dataclass(frozen=True)
class Splits:
    """The three splits of a dataset. `validation` is cut from the training images; `test` is for the final figures."""

    train: Images
    validation: Images
    test: Images


def validation_size(number: int) -> int:
    """The number of images to hold out of `number` training images: a tenth, at least 1, at most 5,000."""
    return min(max(1, number // 10), 5000)


def cut(images: Images, number: int) -> tuple[Images, Images]:
    """Splits off `number` images, the same ones at each call; returns (rest, cut)."""
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(images))
    return images.take(np.sort(order[number:])), images.take(np.sort(order[:number]))


def binarize(images: Images, seed: int) -> Images:
    """Static binarisation: each pixel becomes 0 or 255, once, with its grey level as the probability of 255."""
    binary = disk.empty_like(images.images)
    for number, part in enumerate(disk.chunks(images.images)):
        grey = images.images[part]
        draws = np.random.default_rng((seed, number)).integers(0, 255, grey.shape, dtype=np.uint8)
        binary[part] = np.where(draws < grey, np.uint8(255), np.uint8(0))
    return Images(binary, images.labels)


def pixel_variance(images: Images, binarized: bool = False) -> float:
    """The variance of all values of `images`, scaled to [0, 1]; of binary draws with these means, if `binarized`."""
    pixels = images.images
    counts = sum(np.bincount(pixels[part].ravel(), minlength=256) for part in disk.chunks(pixels))
    levels = np.arange(256) / 255.0
    mean = np.average(levels, weights=counts)
    if binarized:
        return float(mean * (1.0 - mean))
    return float(np.average(np.square(levels - mean), weights=counts))
