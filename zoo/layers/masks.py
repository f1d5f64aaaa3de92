"""Random masks of images, for training on all the ways in which values can be missing."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from keras import ops, saving

from zoo.layers.noise import Noise
from zoo.runtime import checks
from zoo.runtime.types import Config, Tensor

KINDS = ("halves", "pixels", "blocks", "all")
_USUAL = {"halves": 3.0, "pixels": 2.0, "blocks": 2.0, "all": 1.0}
_DRAWS = 7  # uniform numbers of an example: its kind, side, height, width, row, column, share


@saving.register_keras_serializable("zoo")
class RandomMasks(Noise):
    """A random mask for each image of a batch: 1 is observed, 0 is missing.

    The mask of an image is of one kind:

    - "halves": the top, bottom, left or right half is missing.
    - "pixels": each pixel is missing with the same chance, a number between 0.1 and 0.95 drawn for the image.
    - "blocks": a block is missing, at a random place, whose sides are 0.25 to 0.6 of those of the image.
    - "all": everything is missing.

    The masks depend on the seed, on the number of earlier draws (a weight, which is saved), and on the replica.

    Args:
        kinds: dict from these names to floats >= 0, how often a kind is drawn relative to the others. None for
            {"halves": 3, "pixels": 2, "blocks": 2, "all": 1}.
        seed: int, or None for a new random seed at each construction.

    Call arguments:
        x: `[B,H,W,C]`, which gives the shape alone.

    Returns:
        float32 `[B,H,W,1]`.

    Raises:
        ValueError: for another kind, a negative number, and for data that are not images of a fixed size.

    Example:
        >>> zoo.layers.RandomMasks({"halves": 1, "blocks": 1}, seed=0)(images).shape
        TensorShape([32, 28, 28, 1])
    """

    def __init__(self, kinds: Mapping[str, float] | None = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        if kinds is not None and not isinstance(kinds, Mapping):
            checks.fail("kinds", f"a dict from any of {', '.join(KINDS)} to numbers, or None", kinds)
        kinds = dict(_USUAL if kinds is None else kinds)
        for name, weight in kinds.items():
            checks.one_of("kinds", name, KINDS)
            checks.number("kinds", weight, 0.0)
        if not sum(kinds.values()) > 0:
            checks.fail("kinds", "a dict with a number > 0", kinds)
        self.kinds = kinds

    def call(self, x: Tensor) -> Tensor:
        if len(x.shape) != 4 or None in x.shape[1:3]:
            expected = "images [B, H, W, C] of a fixed size; masks of other data are given as `labels`"
            checks.fail("x", expected, f"shape {tuple(x.shape)}")
        number, (height, width) = ops.shape(x)[0], x.shape[1:3]
        uniform = self.draw(tf.random.stateless_uniform, (number, _DRAWS))
        noise = self.draw(tf.random.stateless_uniform, (number, height, width, 1))
        kind, *rest = ops.split(uniform, _DRAWS, axis=1)
        chosen = self._chosen(kind)
        top, bottom, left, right = _box(chosen, rest, height, width)
        rows, columns = ops.arange(height, dtype="float32"), ops.arange(width, dtype="float32")
        row_inside, column_inside = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
        box = row_inside[:, :, None, None] & column_inside[:, None, :, None]
        share = (0.1 + 0.85 * rest[-1]) * chosen["pixels"]
        return tf.where(box | (noise < share[:, :, None, None]), 0.0, 1.0)

    def _chosen(self, kind):
        """A dict of float32 `[B,1]`, 1 for the kind of an example, from uniform numbers `[B,1]`."""
        total, low, chosen = sum(self.kinds.values()), 0.0, {}
        for name in KINDS:
            high = low + self.kinds.get(name, 0.0) / total
            chosen[name] = ops.cast((kind >= low) & (kind < high), "float32")
            low = high
        return chosen

    def get_config(self) -> Config:
        return {**super().get_config(), "kinds": self.kinds}


def _box(chosen, uniform, height, width):
    """Top, bottom, left and right of the missing box, float32 `[B,1]` each; an empty one for single pixels."""
    side, tall, wide, row, column, _ = uniform
    side = ops.floor(4.0 * side)
    rows, columns = (ops.floor(size * (0.25 + 0.35 * share) + 0.5) for size, share in ((height, tall), (width, wide)))
    top, left = ops.floor(row * (height - rows + 1.0)), ops.floor(column * (width - columns + 1.0))

    def ends(first, last, start, length, size):
        middle = float(size // 2)
        low = tf.where(side == last, middle, 0.0)
        high = tf.where(side == first, middle, float(size))
        begin = chosen["halves"] * low + chosen["blocks"] * start
        return begin, chosen["halves"] * high + chosen["blocks"] * (start + length) + chosen["all"] * size

    return (*ends(0, 1, top, rows, height), *ends(2, 3, left, columns, width))
