"""Compression of images to files, with the models of the zoo as the model of an entropy coder."""

from zoo.codec._archive import compress, decompress, describe

__all__ = ["compress", "decompress", "describe"]
