"""Images by dataset name, from a folder, from shards, or as arrays, and batches of them for training; and tables."""

from zoo.data.batches import batches, code_batches, steps_per_epoch
from zoo.data.errors import DataError
from zoo.data.factors import FactorImages, load_factors
from zoo.data.moving_digits import Clips, MovingDigits, load_moving_digits
from zoo.data.pictures import load_folder
from zoo.data.shards import ShardedImages, StreamedSplits, load_shards, write_shards
from zoo.data.sources import SAMPLES, SOURCES, Source, image_shape, load
from zoo.data.splits import Images, Splits, binarize, cut, pixel_variance, validation_size
from zoo.data.sprites import Sprites
from zoo.data.tables import Schema, Table

__all__ = [
    "SAMPLES",
    "SOURCES",
    "Clips",
    "DataError",
    "FactorImages",
    "Images",
    "MovingDigits",
    "Schema",
    "ShardedImages",
    "Source",
    "Splits",
    "Sprites",
    "StreamedSplits",
    "Table",
    "batches",
    "binarize",
    "code_batches",
    "cut",
    "image_shape",
    "load",
    "load_factors",
    "load_folder",
    "load_moving_digits",
    "load_shards",
    "pixel_variance",
    "steps_per_epoch",
    "validation_size",
    "write_shards",
]
