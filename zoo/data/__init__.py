"""Images by dataset name, from a folder, or as arrays, and batches of them for training; tables, series and sounds."""

from zoo.data.batches import batches, code_batches, steps_per_epoch
from zoo.data.errors import DataError
from zoo.data.factors import FactorImages, load_factors
from zoo.data.formants import made_digits
from zoo.data.pictures import load_folder
from zoo.data.series import Series
from zoo.data.sounds import Sounds, load_sounds, load_spoken_digits, read_wav, resample, write_wav
from zoo.data.sources import SAMPLES, SOURCES, Source, image_shape, load
from zoo.data.splits import Images, Splits, binarize, cut, pixel_variance, validation_size
from zoo.data.sprites import Sprites
from zoo.data.tables import Schema, Table

__all__ = [
    "SAMPLES",
    "SOURCES",
    "DataError",
    "FactorImages",
    "Images",
    "Schema",
    "Series",
    "Sounds",
    "Source",
    "Splits",
    "Sprites",
    "Table",
    "batches",
    "binarize",
    "code_batches",
    "cut",
    "image_shape",
    "load",
    "load_factors",
    "load_folder",
    "load_sounds",
    "load_spoken_digits",
    "made_digits",
    "pixel_variance",
    "read_wav",
    "resample",
    "steps_per_epoch",
    "validation_size",
    "write_wav",
]
