"""A line on standard error that shows how far the work is."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

_SECONDS_ON_TERMINAL = 0.1
_SECONDS_IN_LOG = 30.0


class Progress:
    """Shows the progress of long work: a line that is overwritten on a terminal, and a line each 30 s elsewhere.

    Call it with a description, the number of steps done and the number of all steps. `of` gives a function of the two
    numbers alone.
    """

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._began: dict[str, float] = {}
        self._shown = time.monotonic()
        self._width = 0

    def __call__(self, description: str, done: int, total: int) -> None:
        now = time.monotonic()
        began = self._began.setdefault(description, now)
        wait = _SECONDS_ON_TERMINAL if self._on_terminal else _SECONDS_IN_LOG
        if now - self._shown < wait:
            return
        self._shown = now
        left = (now - began) * (total - done) / done if done else 0.0
        text = f"{description}: {done} of {total}" + (f", {_duration(left)} left" if left >= 1.0 else "")
        if self._on_terminal:
            sys.stderr.write("\r" + text[:100].ljust(self._width))
            self._width = len(text[:100])
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def of(self, description: str) -> Callable[[int, int], None]:
        """A function of (steps done, all steps)."""
        return lambda done, total: self(description, done, total)

    def clear(self) -> None:
        """Wipes the line off a terminal."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.clear()


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
