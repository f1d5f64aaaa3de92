"""Splits of datasets, as a model takes them."""

import difflib
import os
import pathlib
import sys

import keras
import numpy as np

from zoo import data
from zoo.cli._data import Data
from zoo.cli._files import in_channels
from zoo.runtime import startup


def load(name: str, model: keras.Model, split: str, data_dir: str | None, sample: bool) -> Data:
    """A split of a TFDS dataset, in the size of the model.

    Raises:
        ValueError: if the dataset is not available, or the model takes no images.
    """
    shape = model.example_shape
    if shape is not None and len(shape) != 3:
        raise ValueError(
            f"Expected --data to be arrays, as the model takes examples of shape {shape}. Received: {name}"
        )
    image_size = None if shape is None else (shape[0], shape[1])
    _require_known(name, data_dir)
    try:
        with startup.quiet():
            native = data.image_shape(name, data_dir, sample)
            part = getattr(data.load(name, data_dir, image_size, sample), split)
    except (data.DataError, RuntimeError) as error:
        raise ValueError(str(error)) from error
    if image_size is not None and native[:2] != image_size:
        stored = "of several sizes" if None in native[:2] else f"of {native[0]}×{native[1]} pixels"
        print(f"resized the images of {name}, {stored}, to {image_size[0]}×{image_size[1]}", file=sys.stderr)
    channels = part.images.shape[-1] if shape is None else shape[-1]
    if channels != part.images.shape[-1]:
        print(f"converted the images of {name} to {'grey' if channels == 1 else 'colours'}", file=sys.stderr)
    images = in_channels(np.asarray(part.images[:]), channels)
    about = f"{split} split of {'the bundled sample of ' if sample else ''}{name}"
    return Data(images, part.labels, about, split, [str(number) for number in range(len(images))])


def _require_known(name, data_dir):
    """Raises ValueError for a name that is neither TFDS's nor a folder of prepared data. TFDS would search for 20 s."""
    import tensorflow_datasets as tfds

    own, known = name.split(":")[0], tfds.list_builders(with_community_datasets=False)
    folders = (data_dir, os.environ.get("TFDS_DATA_DIR"), tfds.core.constants.DATA_DIR)
    if own in known or any(folder and pathlib.Path(folder, own).is_dir() for folder in folders):
        return
    near = difflib.get_close_matches(own, known, 1, 0.6)
    hint = f". Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"Expected --data to be a file, a folder or a dataset of TFDS. Received: {name!r}{hint}")
