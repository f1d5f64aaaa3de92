"""Finds the picture files of a folder, each once, in an order that depends only on their names."""

import collections
import dataclasses
import os
import pathlib
import stat
from collections.abc import Collection, Sequence

# Folders of thumbnails, metadata and deleted files: macOS archives, Synology, Windows.
_SYSTEM = ("__macosx", "@eadir", "$recycle.bin")


@dataclasses.dataclass
class Found:
    """The content of a folder.

    Attributes:
        pictures: paths, sorted as strings relative to the folder.
        broken: pairs (path, reason) of links, folders and files that cannot be used.
        others: the number of files of each other ending.
        hidden: hidden files and folders, relative to the folder.
        again: files and folders found a second time, through links, relative to the folder.
    """

    pictures: list[pathlib.Path] = dataclasses.field(default_factory=list)
    broken: list[tuple[pathlib.Path, str]] = dataclasses.field(default_factory=list)
    others: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    hidden: list[pathlib.Path] = dataclasses.field(default_factory=list)
    again: list[pathlib.Path] = dataclasses.field(default_factory=list)

    def messages(self) -> list[str]:
        """A line for each broken file, and one for each kind of files that was left out."""
        lines = [f"skipped {path}: {reason}" for path, reason in sorted(self.broken)]
        if number := self.others.total():
            which = "1 file that is no picture" if number == 1 else f"{number} files that are no pictures"
            kinds = [f"{count} × {ending or 'no ending'}" for ending, count in self.others.most_common()]
            lines.append(f"left out {which} Pillow can read: {some(kinds, 6)}")
        if self.hidden:
            lines.append(f"left out {len(self.hidden)} × hidden: {some(self.hidden)}")
        if self.again:
            lines.append(f"left out {len(self.again)} × linked, counted already: {some(self.again)}")
        return lines


def some(things: Sequence[object], number: int = 3) -> str:
    """The first few of a list: "a, b, c and 4 more"."""
    more = f" and {len(things) - number} more" if len(things) > number else ""
    return ", ".join(str(thing) for thing in things[:number]) + more


def find(directory: pathlib.Path, endings: Collection[str]) -> Found:
    """Lists the pictures of a folder and its subfolders.

    Links are followed last: an added link never changes the path under which another picture is found. A file or folder
    that is reached twice, by symbolic or hard links, counts once, and loops of links end. Names that begin with a
    dot are left out.

    Args:
        directory: `pathlib.Path` of a folder.
        endings: collection of str, the endings of picture files in lower case, with the dot.

    Returns:
        `Found`.
    """
    found = Found()
    seen: set[tuple[int, int] | str] = set()
    paths, links = [directory], collections.deque[pathlib.Path]()
    while paths or links:
        path = paths.pop() if paths else links.popleft()
        try:
            entries = _visit(path, endings, found, seen)
        except OSError as error:
            found.broken.append((path, _reason(path, error)))
            continue
        below: list[pathlib.Path] = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in _SYSTEM:
                found.hidden.append(entry.relative_to(directory))
            else:
                (links if entry.is_symlink() else below).append(entry)
        paths += reversed(below)  # reversed, as `paths` is a stack
    found.pictures.sort(key=lambda path: path.relative_to(directory).as_posix())
    found.hidden.sort()
    found.again = sorted(path.relative_to(directory) for path in found.again)
    return found


def _visit(path, endings, found, seen):
    """Records a file in `found`, or returns the sorted entries of a folder. Skips what is in `seen`."""
    status = os.stat(path)
    is_folder, ending = stat.S_ISDIR(status.st_mode), path.suffix.lower()
    if not is_folder and ending not in endings:
        found.others[ending] += 1
        return []
    if not is_folder and not stat.S_ISREG(status.st_mode):
        found.broken.append((path, "no regular file"))  # opening a pipe would block
        return []
    # Some network file systems have no inode numbers.
    identity = (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)
    if identity in seen:
        found.again.append(path)
        return []
    seen.add(identity)
    if is_folder:
        return sorted(pathlib.Path(path, name) for name in os.listdir(path))
    found.pictures.append(path)
    return []


def _reason(path, error):
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"a broken link to {os.readlink(path)}"
    return error.strerror or type(error).__name__
