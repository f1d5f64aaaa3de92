"""The line that shows progress."""

import io

import pytest

from zoo.cli import _progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A list whose only element is the time."""
    now = [0.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_shows_one_line(clock, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with _progress.Progress() as progress:
        progress("reading", 0, 100)
        clock[0] = 10.0
        progress("reading", 20, 100)
        clock[0] = 10.01  # too soon
        progress("reading", 21, 100)
    assert terminal.getvalue() == "\rreading: 20 of 100, 40 s left" + "\r" + " " * 29 + "\r"


def test_a_file_gets_few_lines(clock, monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    with _progress.Progress() as progress:
        for step in range(101):
            clock[0] = float(step)
            progress.of("reading")(step, 100)
    assert log.getvalue().splitlines() == [f"reading: {30 * n} of 100, {100 - 30 * n} s left" for n in (1, 2, 3)]
