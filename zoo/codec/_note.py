"""What happens after each batch, in writing and in reading."""

import zlib
from collections.abc import Callable

import numpy as np

from zoo.runtime import checks

# Of the images done and all images.
Progress = Callable[[int, int], None]


class Note:
    """Adds up the checksum of a file's content, and reports the progress.

    The sum of the rows' checksums does not depend on the order of the batches.

    Args:
        number: int, the images of the file.
        progress: function, or None.

    Call arguments:
        start: int, the number of the first row.
        values: rows of images, or of codes.
    """

    def __init__(self, number: int, progress: Progress | None) -> None:
        self.number, self.check, self._done, self._progress = number, 0, 0, progress

    def __call__(self, start: int, values: np.ndarray) -> None:
        for place, row in enumerate(values, start):
            self.check += zlib.crc32(np.ascontiguousarray(row).tobytes(), place & 0xFFFFFFFF)
        self._done += len(values)
        if self._done > self.number:
            checks.fail("data", f"a file of {self.number} tiles", f"at least {self._done}")
        if self._progress is not None:
            self._progress(self._done, self.number)

    def restart(self) -> None:
        self.check = self._done = 0

    def require_all(self) -> None:
        if self._done != self.number:
            checks.fail("data", f"a file of {self.number} tiles", self._done)
