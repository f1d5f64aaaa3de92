"""Where commands write: checks before the work begins, and the line that says what was written."""

import argparse
import collections
import json
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.runtime import checks

if TYPE_CHECKING:
    import numpy as np

ANIMATIONS = (".gif", ".webp")
_WRITTEN = ("output", "json", "html", "export", "heat_maps")  # options that name what is written
_DATA = ("data", "normal", "training_data", "validation")  # those that name data, also a folder of them
_READ = ("model", "mask", "data_labels", "file")  # and those that name another file which is read
EACH = "where each image is a file of its own"  # in errors
PICTURES = (".png", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def add_argument(parser: argparse.ArgumentParser, text: str) -> None:
    """Adds --output; `text` says what may be given."""
    parser.add_argument("--output", required=True, metavar="PATH", help=text)


def check_file(path: str, endings: Sequence[str]) -> pathlib.Path:
    """The path of a file to write, which need not exist.

    Raises:
        ValueError: for another ending, a folder, or a place that cannot be written to. Nothing is made.
    """
    file = pathlib.Path(path).expanduser()
    if file.suffix.lower() not in endings:
        checks.fail("--output", f"a file that ends in {', '.join(endings)}", path)
    if file.is_dir():
        checks.fail("--output", "a file", f"{path}, which is a folder")
    _require_place(file, path)
    return file


def check_folder(path: str, name: str = "--output") -> pathlib.Path:
    """The path of a new or empty folder, the value of the option `name`.

    Raises:
        ValueError: for a folder with files in it, a file, or a place that cannot be written to. Nothing is made.
    """
    folder = pathlib.Path(path).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        checks.fail(name, "a new or an empty folder", path)
    _require_place(folder, path, name)
    return folder


def place(path: str, name: str = "--output") -> pathlib.Path:
    """The path of a file or folder, the value of the option `name`.

    Raises:
        ValueError: for a place that cannot be written to. Nothing is made.
    """
    found = pathlib.Path(path).expanduser()
    _require_place(found, path, name)
    return found


def require_different(*paths: str | None) -> None:
    """Raises a ValueError for a path that is given for two outputs."""
    given = [_resolved(path) for path in paths if path is not None]
    again = [str(path) for path in given if given.count(path) > 1]
    if again:
        raise ValueError(f"Expected a path of its own for each output. Received: {again[0]} for {len(again)}")


def require_apart(args: argparse.Namespace) -> None:
    """Raises ValueError for an output that would replace a file that the command reads, or one in a folder of data.

    A line on stderr tells of new pictures in a folder of data.
    """
    written = {name: getattr(args, name) for name in _WRITTEN if isinstance(getattr(args, name, None), str)}
    read: dict[str, list] = {}
    for name in (*_DATA, *_READ):
        value = getattr(args, name, None)
        values = value if isinstance(value, (list, tuple)) else [value]
        read[name] = [_resolved(each) for each in values if isinstance(each, str)]
    for name, text in written.items():
        path = _resolved(text)
        if not path.is_file():
            data = [above for option in _DATA for above in read[option] if above.is_dir() and above in path.parents]
            if data and path.suffix.lower() in (*PICTURES, *ANIMATIONS, ""):
                print(f"{text} lies in {data[0]}: its pictures will be data for the next command", file=sys.stderr)
            continue
        for option, paths in read.items():
            if path in paths or option in _DATA and any(above in paths for above in path.parents):
                checks.fail(f"--{name.replace('_', '-')}", f"another file than those of `{option}`", text)
        if any(path in _files_of_preset(above) for above in path.parents):
            checks.fail(f"--{name.replace('_', '-')}", "another file than those of a preset", text)


def _files_of_preset(folder):
    manifest = folder / "preset.json"
    if not manifest.is_file():
        return []
    try:
        return [manifest, *(folder / name for name in json.loads(manifest.read_text(encoding="utf-8"))["files"])]
    except (ValueError, KeyError, TypeError):  # damaged
        return [manifest]


def _resolved(path):
    return pathlib.Path(path).expanduser().resolve()


def check_report(path: str | None, name: str) -> pathlib.Path | None:
    """The path of a file of any ending, the value of the option `name`; None for None.

    Raises:
        ValueError: for a folder, or a file in a folder that does not exist or cannot be written to.
    """
    if path is None:
        return None
    file = pathlib.Path(path).expanduser()
    if file.is_dir() or not file.absolute().parent.is_dir():
        checks.fail(name, "a file in a folder that exists", path)
    _require_place(file, path, name)
    return file


def check_file_or_folder(path: str, endings: Sequence[str]) -> tuple[pathlib.Path, bool]:
    """The path and whether it is a folder: one without an ending."""
    if pathlib.Path(path).suffix or not path:
        return check_file(path, endings), False
    return check_folder(path), True


def write_rows(path: pathlib.Path, rows: "np.ndarray", frames_per_second: float, scale: int) -> None:
    """Writes images `[R,S,H,W,C]`: a picture with a row for each R; or an animation of the steps S, there and back."""
    import numpy as np

    from zoo import applications

    if path.suffix.lower() not in ANIMATIONS:
        applications.save_image(path, applications.grid(rows), scale)
        return
    steps = rows.shape[1]
    there_and_back = [*range(steps), *range(steps - 2, 0, -1)]
    frames = np.stack([applications.grid(rows[:, step]) for step in there_and_back])
    applications.save_animation(path, frames, frames_per_second, scale)


def in_rows(parts: Sequence["np.ndarray"], columns: int) -> "np.ndarray":
    """Images `[N,H,W,C]` of several kinds, those of one number below each other, in rows of at most `columns`.

    Returns:
        `[R,columns,H,W,C]`, filled up with white.
    """
    import numpy as np

    number = len(parts[0])
    columns = min(columns, number)
    rows = []
    for start in range(0, number, columns):
        for part in parts:
            row = part[start : start + columns]
            rows.append(np.concatenate([row, np.ones((columns - len(row), *row.shape[1:]), row.dtype)]))
    return np.stack(rows)


def report(command: str, written: Sequence[os.PathLike] | os.PathLike, **more: object) -> None:
    """Prints one line of JSON: the command, the paths that it wrote, and more."""
    paths = [written] if isinstance(written, os.PathLike) else written
    print(json.dumps({"command": command, "output": [str(path) for path in paths], **more}))


def places(names: Sequence[str]) -> list[pathlib.PurePosixPath]:
    """Relative paths for PNGs, which keep the names' endings where two would be equal otherwise, such as a.jpg.png.

    Raises:
        ValueError: for names that lead out of a folder, and for equal ones.
    """
    paths = []
    for name in names:
        path = pathlib.PurePosixPath(str(name).replace("\\", "/"))
        if path.is_absolute() or not path.name or ".." in path.parts or ":" in name:
            raise ValueError(f"Expected names of pictures within a folder. Received: {name!r}")
        paths.append(path)
    short, whole = (
        [path.with_suffix(".png") for path in paths],
        [path.with_name(f"{path.name}.png") for path in paths],
    )
    often = collections.Counter(short)
    mixed = [long if often[brief] > 1 else brief for brief, long in zip(short, whole)]
    for places in (mixed, whole):  # a.png and a.jpg beside a.jpg.png need all endings, and a.jpg beside a folder a.png
        folders = {above for path in places for above in path.parents}
        if len(set(places)) == len(places) and not folders & set(places):
            return places
    raise ValueError(f"Expected different names of pictures. Received: {collections.Counter(names).most_common(1)[0]}")


def _require_place(path, received, name="--output"):
    """Raises ValueError unless `path` can be made in the nearest folder above it that exists."""
    above = next(parent for parent in path.absolute().parents if parent.exists() or parent.is_symlink())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        checks.fail(name, "in a folder that can be written to", received)
