"""Training images that are read from shards whenever they are needed."""

import dataclasses
import functools
import sys
from collections.abc import Sequence

import numpy as np
from PIL import Image

from zoo.data import decoding
from zoo.data.errors import DataError
from zoo.data.shards import indexing
from zoo.data.shards.indexing import ShardIndex
from zoo.data.shards.records import Record, digest
from zoo.data.splits import Images


@dataclasses.dataclass(frozen=True)
class ShardedImages:
    """The training images of shards, which `zoo.data.batches` streams.

    Args:
        indices: `ShardIndex` of each shard.
        level: int, the level of the split; see `zoo.data.shards.indexing`.
        image_shape: (H, W, C), with 1 or 3 channels.
        buffer: int >= 1, the number of images in memory from which the next one is drawn.
        background: (red, green, blue), the colour behind transparent pixels.
        static: int, the seed of static binarisation, or None for none.
    """

    indices: Sequence[ShardIndex]
    level: int
    image_shape: tuple[int, int, int]
    buffer: int
    background: tuple[int, int, int] = (255, 255, 255)
    static: int | None = None
    skipped: dict[tuple[str, int], str] = dataclasses.field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return sum(index.number(self.level) for index in self.indices)

    @functools.cached_property
    def labelled(self) -> bool:
        """Whether every record has a label, which int32 can hold."""
        least, largest = self.label_range or (0, 0)
        return -(2**31) <= least <= largest < 2**31 and all(
            index.labelled == sum(index.zeros) for index in self.indices
        )

    @property
    def fingerprint(self) -> str:
        """The content of the shards in a few words, wherever they are."""
        return indexing.fingerprint(self.indices)

    @property
    def label_range(self) -> tuple[int, int] | None:
        """(least, largest) label of all records, or None without any."""
        labels = [label for index in self.indices for label in index.labels or ()]
        return (min(labels), max(labels)) if labels else None

    def of_worker(self, worker: int, workers: int) -> list[ShardIndex]:
        """The shards of one of several workers: no shard has two, and their images are divided as evenly as possible.

        Raises:
            DataError: if there are fewer shards than workers.
        """
        if len(self.indices) < workers:
            raise DataError(
                f"Expected a shard or more for each of the {workers} workers. Received: {len(self.indices)} in all"
            )
        numbers = [0] * workers
        shares: list[list[ShardIndex]] = [[] for _ in range(workers)]
        for index in sorted(self.indices, key=lambda index: (-index.number(self.level), index.path)):
            least = numbers.index(min(numbers))
            numbers[least] += index.number(self.level)
            shares[least].append(index)
        return shares[worker]

    def require_shares(self, batch_size: int, workers: int, replicas: int) -> None:
        """Raises `DataError` unless each replica gets an image or more in each step."""
        steps = -(-len(self) // batch_size)
        for worker in range(workers if workers > 1 else 0):
            number = sum(index.number(self.level) for index in self.of_worker(worker, workers))
            if number // steps < replicas // workers:
                raise DataError(
                    f"Expected shards that divide the images evenly among {workers} workers. Received: {number} of "
                    f"{len(self)} images for worker {worker}, in {steps} steps"
                )

    def skip(self, path: str, index: int, reason: str) -> None:
        """Names a record that cannot be used on stderr, once."""
        if (path, index) not in self.skipped:
            self.skipped[path, index] = reason
            print(f"skipped {path}, record {index}: {reason}", file=sys.stderr)

    def pixels(self, path: str, record: Record) -> tuple[np.ndarray, int] | None:
        """The decoded picture, uint8 `[H,W,C]`, and its label (0 without one); None if it cannot be decoded."""
        try:
            pixels = decoding.decode(record.image, self.image_shape[:2], self.background)
        except decoding.Unreadable as error:
            self.skip(path, record.index, str(error))
            return None
        if self.image_shape[2] == 1:
            pixels = np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
        if self.static is not None:
            draws = np.random.default_rng((self.static, int.from_bytes(digest(record.image), "big")))
            pixels = binary(pixels, draws)
        return pixels, (record.label or 0) if self.labelled else 0


def binary(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Each pixel as 0 or 255, with its grey level as the probability of 255."""
    draws = generator.integers(0, 255, pixels.shape, dtype=np.uint8)
    return np.where(draws < pixels, np.uint8(255), np.uint8(0))


@dataclasses.dataclass(frozen=True)
class StreamedSplits:
    """The splits of shards. `validation` and `test` are held in memory or on disk, like those of other data."""

    train: ShardedImages
    validation: Images
    test: Images
