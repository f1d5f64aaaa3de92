"""Images by dataset name, from a folder, from shards or as arrays, and batches; clips, tables, series, sound, text."""

from zoo.data.batches import batches, code_batches, example_batches, steps_per_epoch
from zoo.data.docstrings import STANDARD_LIBRARY, docstring_sentences
from zoo.data.errors import DataError
from zoo.data.factors import FactorImages, load_factors
from zoo.data.formants import made_digits
from zoo.data.moving_digits import Clips, MovingDigits, load_moving_digits
from zoo.data.pictures import load_folder
from zoo.data.schemas import Schema
from zoo.data.series import Series
from zoo.data.shards import ShardedImages, StreamedSplits, load_shards, write_shards
from zoo.data.sounds import Sounds, load_sounds, load_spoken_digits, read_wav, resample, write_wav
from zoo.data.sources import SAMPLES, SOURCES, Source, image_shape, load
from zoo.data.splits import Images, Splits, binarize, cut, pixel_variance, validation_size
from zoo.data.sprites import Sprites
from zoo.data.tables import Table
from zoo.data.texts import Text, Vocabulary

__all__ = [
    "SAMPLES",
    "SOURCES",
    "STANDARD_LIBRARY",
    "Clips",
    "DataError",
    "FactorImages",
    "Images",
    "MovingDigits",
    "Schema",
    "Series",
    "ShardedImages",
    "Sounds",
    "Source",
    "Splits",
    "Sprites",
    "StreamedSplits",
    "Table",
    "Text",
    "Vocabulary",
    "batches",
    "binarize",
    "code_batches",
    "cut",
    "docstring_sentences",
    "example_batches",
    "image_shape",
    "load",
    "load_factors",
    "load_folder",
    "load_moving_digits",
    "load_shards",
    "load_sounds",
    "load_spoken_digits",
    "made_digits",
    "pixel_variance",
    "read_wav",
    "resample",
    "steps_per_epoch",
    "validation_size",
    "write_shards",
    "write_wav",
]
