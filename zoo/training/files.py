"""Files that appear whole or not at all."""

import contextlib
import csv
import json
import os
import pathlib
import shutil


@contextlib.contextmanager
def replacing(path):
    """Gives a path beside `path` to write to; what lies there at the end takes its place, on an error nothing does.

    The temporary name keeps the ending, as Keras and matplotlib choose the format by it.
    """
    path = pathlib.Path(path)
    scratch = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield scratch
        if path.is_dir():  # a folder cannot be renamed onto another
            shutil.rmtree(path)
        os.replace(scratch, path)
    finally:
        if scratch.is_dir():
            shutil.rmtree(scratch)
        else:
            scratch.unlink(missing_ok=True)


def write_json(path, value):
    with replacing(path) as scratch:
        scratch.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_csv(path, rows):
    """Dicts as rows; the columns are all keys, in the order of their first appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with replacing(path) as scratch, open(scratch, "w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def save_model(model, path):
    with replacing(path) as scratch:
        model.save(scratch)
