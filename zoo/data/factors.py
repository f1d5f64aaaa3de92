"""Images with known factors, from arrays or from TFDS: what scores of disentanglement are measured on."""

from collections.abc import Sequence

import numpy as np

from zoo.data import sources
from zoo.runtime import checks, disk, startup
from zoo.runtime.types import PathLike

_PREFIX = "label_"


class FactorImages:
    """Images and the factors that each was made from, for the scores of `zoo.evaluation`.

    Args:
        images: uint8 `[N,H,W,C]`, in memory or a `zoo.runtime.disk.DiskArray`. Not every combination of factors needs
            to be among them.
        factor_values: integers >= 0, `[N,F]`.
        factor_names: F strs.
        factor_sizes: F ints, the number of values of each factor; None for the largest value that occurs, plus 1.

    Raises:
        ValueError: for arrays of other shapes or types, and for values outside `factor_sizes`.

    Example:
        >>> colour, size = np.divmod(np.arange(32), 8)
        >>> data = zoo.data.FactorImages(np.uint8(255 * images), np.stack([colour, size], axis=1), ["colour", "size"])
        >>> data.factor_sizes
        (4, 8)
    """

    def __init__(
        self,
        images: np.ndarray | disk.DiskArray,
        factor_values: np.ndarray,
        factor_names: Sequence[str],
        factor_sizes: Sequence[int] | None = None,
    ) -> None:
        if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
            checks.fail("images", "a uint8 array of shape [N,H,W,C]", f"{images.dtype} of shape {images.shape}")
        values, shape = np.asarray(factor_values), (len(images), len(factor_names))
        if values.dtype.kind not in "iu" or values.shape != shape:
            checks.fail("factor_values", f"integers of shape {list(shape)}", f"{values.dtype} of shape {values.shape}")
        self._images, self._factors = images, values.astype(np.int32)
        self.factor_names = tuple(factor_names)
        self.factor_sizes = tuple(map(int, values.max(axis=0) + 1 if factor_sizes is None else factor_sizes))
        if values.min() < 0 or np.any(values >= self.factor_sizes):
            found = f"{values.min(axis=0)} to {values.max(axis=0)}"
            checks.fail("factor_values", f"integers >= 0 and below {self.factor_sizes}", found)
        # For each factor, the indices ordered by its value, and where each value begins.
        self._order = [np.argsort(column, kind="stable") for column in values.T]
        self._starts = [
            np.searchsorted(column[order], np.arange(size + 1))
            for column, order, size in zip(values.T, self._order, self.factor_sizes)
        ]

    def __len__(self) -> int:
        return len(self._images)

    def images(self, which: np.ndarray) -> np.ndarray:
        """The images at the indices `which`, integers `[N]`: uint8 `[N,H,W,C]`."""
        return self._images[which]

    def factors(self, which: np.ndarray) -> np.ndarray:
        """The factors of the images at the indices `which`, integers `[N]`: int32 `[N,F]`."""
        return self._factors[which]

    def sharing(self, factor: int, number: int, rng: np.random.Generator) -> np.ndarray:
        """The indices of `number` random images that have the same value of one factor, that of a random image."""
        value = self._factors[rng.integers(len(self)), factor]
        begin, end = self._starts[factor][value : value + 2]
        return self._order[factor][rng.integers(begin, end, size=number)]


def load_factors(
    name: str = "dsprites",
    data_dir: PathLike | None = None,
    split: str = "train",
    disk_folder: PathLike | None = None,
) -> FactorImages:
    """Loads a TFDS dataset whose factors are its features "label_…": "dsprites", "shapes3d", "smallnorb".

    Args:
        name: str, of TFDS.
        data_dir: as in `zoo.data.load`.
        split: str, of TFDS; "train[:10%]" for a part. All of dSprites is 3 GB of images.
        disk_folder: path of a folder to keep the images on disk while they are used; None keeps them in memory.

    Returns:
        `FactorImages`. A factor is called "shape" for the feature "label_shape".

    Raises:
        ValueError: for a dataset without such features.
        DataError: if the dataset is not available.
        zoo.runtime.disk.NoRoom: if the disk cannot hold the images.
    """
    import tensorflow_datasets as tfds  # here, as importing zoo must not import it

    builder = sources.prepared(name, data_dir)
    labels = [feature for feature in builder.info.features if feature.startswith(_PREFIX)]
    if not labels:
        checks.fail("name", 'a dataset with features "label_…"', name)
    sizes = [builder.info.features[label].num_classes for label in labels]
    number, shape = builder.info.splits[split].num_examples, builder.info.features["image"].shape
    images, values = disk.empty((number, *shape), np.uint8, disk_folder), np.empty((number, len(labels)), np.int32)
    once = tfds.ReadConfig(try_autocache=False)  # TFDS would keep small datasets in memory
    dataset = builder.as_dataset(split=split, shuffle_files=False, read_config=once)
    start, scale = 0, 255 // sources.SOURCES.get(name, sources.Source()).top
    with startup.quiet():
        for chunk in dataset.batch(disk.rows_at_once((0, *shape), np.uint8)).as_numpy_iterator():
            rows = slice(start, start + len(chunk["image"]))
            images[rows] = chunk["image"] * np.uint8(scale)
            values[rows] = np.stack([chunk[label] for label in labels], axis=1)
            start = rows.stop
    kept = slice(start)
    names = [label.removeprefix(_PREFIX) for label in labels]
    return FactorImages(disk.take(images, kept), values[kept], names, sizes)
