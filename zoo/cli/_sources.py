"""Splits of datasets, as a model takes them."""

import difflib
import functools
import os
import pathlib
import sys
import tempfile

import keras
import numpy as np

from zoo import data
from zoo.cli._data import Data
from zoo.cli._files import in_channels
from zoo.evaluation import FactorData
from zoo.runtime.types import Shape

SPRITES = "sprites"  # rendered by zoo.data.Sprites


def load(
    name: str, shape: Shape | None, split: str, data_dir: str | None, sample: bool, option: str = "--data"
) -> Data:
    """A split of a TFDS dataset, in the shape of an example. `option` gave the name, for errors.

    Raises:
        ValueError: if the dataset is not available, or the model takes no images.
    """
    if shape is not None and len(shape) != 3:
        raise ValueError(
            f"Expected {option} to be arrays, as the model takes examples of shape {shape}. Received: {name}"
        )
    image_size = None if shape is None else (shape[0], shape[1])
    _require_known(name, data_dir, option)
    try:
        native, splits = _loaded(name, image_size, data_dir, sample)
    except (data.DataError, RuntimeError) as error:
        raise ValueError(str(error)) from error
    part = getattr(splits, split)
    if image_size is not None and native[:2] != image_size:
        stored = "of several sizes" if None in native[:2] else f"of {native[0]}×{native[1]} pixels"
        print(f"resized the images of {name}, {stored}, to {image_size[0]}×{image_size[1]}", file=sys.stderr)
    channels = part.images.shape[-1] if shape is None else shape[-1]
    if channels != part.images.shape[-1]:
        print(f"converted the images of {name} to {'grey' if channels == 1 else 'colours'}", file=sys.stderr)
    images = in_channels(np.asarray(part.images[:]), channels)
    about = f"{split} split of {'the bundled sample of ' if sample else ''}{name}"
    return Data(images, part.labels, about, split, [str(number) for number in range(len(images))])


def load_factors(name: str, model: keras.Model, data_dir: str | None) -> FactorData | None:
    """The images of a dataset with their factors: sprites or dsprites in the size of the model; None for others."""
    shape = model.example_shape
    if name == SPRITES and _renders(shape):
        return data.Sprites(shape[0])
    if name == "dsprites" and shape == (64, 64, 1):
        return data.load_factors(name, data_dir, disk_folder=tempfile.gettempdir())  # 3 GB of images
    return None


@functools.lru_cache(maxsize=1)  # the training images are asked for after the test images
def _loaded(name, image_size, data_dir, sample):
    """The shape of the images as they are stored, and the splits."""
    if name == SPRITES and not sample:
        if not _renders(image_size and (*image_size, 1)):
            raise data.DataError(
                f"Expected a model of images of 64, 32, 16 or 8 pixels for sprites. Received: {image_size}"
            )
        return (*image_size, 1), data.Sprites(image_size[0]).splits()
    return data.image_shape(name, data_dir, sample), data.load(name, data_dir, image_size, sample)


def _renders(shape):
    return shape is not None and len(shape) == 3 and shape[0] == shape[1] and shape[0] in (64, 32, 16, 8)


def _require_known(name, data_dir, option):
    """Raises ValueError for a name that is neither TFDS's nor a folder of prepared data. TFDS would search for 20 s."""
    import tensorflow_datasets as tfds

    if name == SPRITES:
        return
    own, known = name.split(":")[0], tfds.list_builders(with_community_datasets=False)
    folders = (data_dir, os.environ.get("TFDS_DATA_DIR"), tfds.core.constants.DATA_DIR)
    if own in known or any(folder and pathlib.Path(folder, own).is_dir() for folder in folders):
        return
    near = difflib.get_close_matches(own, known, 1, 0.6)
    hint = f". Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"Expected {option} to be a file, a folder or a dataset of TFDS. Received: {name!r}{hint}")
