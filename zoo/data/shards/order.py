"""The order of the training records of a worker in an epoch, as a function of the seed and the epoch alone.

The shards come in a random order. Their records, one after the other, make a stream, and the stream is cut into blocks
as long as the buffer: the records of a block are shuffled. Whoever begins at a given place therefore needs to read from
the beginning of its block, and can leave out the shards before.
"""

import functools
from collections.abc import Sequence

import numpy as np

_SHARDS, _BLOCK = 0, 1  # two kinds of draws


class Order:
    """The order of an epoch.

    Args:
        numbers: ints >= 0 `[S]`, the number of records of each shard.
        buffer: int >= 1, the number of records of a block.
        key: ints >= 0, such as seed, epoch and worker; None for the order in which the records are stored.
    """

    def __init__(self, numbers: Sequence[int], buffer: int, key: tuple[int, ...] | None = None) -> None:
        self.number, self.buffer, self._key = sum(numbers), buffer, key
        count = len(numbers)
        shards = range(count) if key is None else np.random.default_rng((*key, _SHARDS)).permutation(count)
        self.shards = [int(shard) for shard in shards]
        self._block = functools.lru_cache(2)(self._shuffled)

    def source(self, place: int) -> int:
        """The position in the stream of the record that comes at `place`."""
        block, within = divmod(place, self.buffer)
        return block * self.buffer + int(self._block(block)[within])

    def sources(self, first: int) -> set[int]:
        """The positions in the stream of the records from `first` to the end of its block."""
        block, within = divmod(first, self.buffer)
        return {block * self.buffer + int(source) for source in self._block(block)[within:]}

    def _shuffled(self, block):
        size = min(self.buffer, self.number - block * self.buffer)
        if self._key is None:
            return np.arange(size)
        return np.random.default_rng((*self._key, _BLOCK, block)).permutation(size)
