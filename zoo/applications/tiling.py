"""Large images by tiles, with the result of the whole image."""

import math
from collections.abc import Callable, Sequence

import keras
import numpy as np

from zoo.networks import receptive_field
from zoo.runtime import checks


def reconstruct_tiled(model: keras.Model, image: np.ndarray, tile: int = 512) -> np.ndarray:
    """Reconstructs an image of any size by tiles, in the memory of a tile beside the image and its codes.

    A tile is encoded, and its codes decoded, with as much of its surroundings as its values depend on: the receptive
    field, which follows from the layers of the networks (`zoo.networks.any_size`). The result is that of the whole
    image at once, up to the rounding of the convolutions. A size that the strides do not divide is filled up by
    repeating the last row and column, which the result is then cut off again.

    Args:
        model: a `zoo.VQVAE` whose networks consist of convolutions.
        image: uint8 `[H,W,C]`, or float `[H,W,C]` in [0, 1].
        tile: int >= 1, the side of a tile in pixels, rounded up to a multiple of the strides.

    Returns:
        float32 array `[H,W,C]` in [0, 1].

    Raises:
        ValueError: for a model whose networks take images of one size, or an image of another kind.

    Example:
        >>> model = zoo.from_preset("cifar10_vqvae")  # trained at 32×32
        >>> photo = np.zeros((50, 70, 3), np.uint8)
        >>> zoo.applications.reconstruct_tiled(model, photo).shape
        (50, 70, 3)
    """
    _require(model)
    image = _checked(model, image)
    multiples = receptive_field.any_size(model.encoder).multiples
    missing = [(0, -size % multiple) for size, multiple in zip(image.shape, multiples)]
    height, width = image.shape[:2]
    if any(more for _, more in missing):
        image = np.pad(image, (*missing, (0, 0)), mode="edge")
    return decode_tiled(model, encode_tiled(model, image, tile), tile)[:height, :width]


def encode_tiled(model: keras.Model, image: np.ndarray, tile: int = 512) -> np.ndarray:
    """The codes of an image, by tiles: those of `model.encode`.

    Args:
        model, tile: as in `reconstruct_tiled`.
        image: uint8 or float `[H,W,C]`, of a size that the strides divide.

    Returns:
        int32 array `[h,w]`.
    """
    _require(model)
    image = _checked(model, image)
    found = receptive_field.any_size(model.encoder)
    for name, size, multiple in zip(("a height", "a width"), image.shape, found.multiples):
        if size % multiple:
            checks.fail("image", f"of {name} divisible by {multiple}", f"shape {image.shape}")

    def run(window):
        codes = np.asarray(model.encode(_floats(window)[None]))[0]
        return codes.reshape(*codes.shape[:1], -1, _codes_of_a_vector(model))

    codes = _by_tiles(run, image, found.axes, _tile(tile, found), (_codes_of_a_vector(model),), np.int32)
    return codes.reshape(len(codes), -1)


def decode_tiled(model: keras.Model, codes: np.ndarray, tile: int = 512) -> np.ndarray:
    """The image of codes, by tiles: that of `model.decode`.

    Args:
        model, tile: as in `reconstruct_tiled`.
        codes: int32 `[h,w]`, of a grid of any size.

    Returns:
        float32 array `[H,W,C]` in [0, 1].
    """
    _require(model)
    codes = np.asarray(codes)
    each = _codes_of_a_vector(model)
    if codes.ndim != 2 or codes.dtype.kind not in "iu" or not codes.size or codes.shape[1] % each:
        checks.fail("codes", "int32 of shape [h, w]", f"{codes.dtype} of shape {codes.shape}")
    vectors = codes.reshape(len(codes), -1, each)
    found = receptive_field.any_size(model.decoder)

    def run(window):
        return np.asarray(model.decode(window.reshape(1, len(window), -1)))[0]

    encoder = receptive_field.any_size(model.encoder)
    inner = [math.ceil(size / axis.stride) for size, axis in zip(_tile(tile, encoder), found.axes)]
    channels = model.known_shape[-1]
    return _by_tiles(run, vectors, found.axes, inner, (channels,), np.float32)


def _by_tiles(
    run: Callable[[np.ndarray], np.ndarray],
    array: np.ndarray,
    axes: Sequence[receptive_field.Axis],
    tile: Sequence[int],
    end: tuple[int, ...],
    dtype: type,
) -> np.ndarray:
    """The output of `run` for a whole array, from windows of one size around tiles of `tile` outputs."""
    whole = tuple(int(size / axis.stride) for size, axis in zip(array.shape, axes))
    result: np.ndarray = np.empty((*whole, *end), dtype)
    rows, columns = (_windows(*each) for each in zip(axes, array.shape, whole, tile))
    for of_row, into_row, from_row in rows:
        for of_column, into_column, from_column in columns:
            result[into_row, into_column] = run(array[of_row, of_column])[from_row, from_column]
    return result


def _windows(axis, size, outputs, tile):
    """For each tile along an axis: the window of the input, the tile's place, and its place in the window's output.

    A window reaches as far around its tile as the receptive field, or to the border of the image, where the layers pad
    with zeros in either case. All windows have one size, as each size needs a compilation.
    """
    before = _up(axis.before, axis.multiple)
    after = _up(max(0, math.floor(axis.after - axis.stride) + 1), axis.multiple)
    length = min(size, _up(axis.stride * tile, axis.multiple) + before + after)
    found = []
    for first in range(0, outputs, tile):
        count = min(tile, outputs - first)
        start = min(max(0, int(axis.stride * first) - before), size - length)
        inside = int((axis.stride * first - start) / axis.stride)
        found.append((slice(start, start + length), slice(first, first + count), slice(inside, inside + count)))
    return found


def _up(value, multiple):
    return math.ceil(value / multiple) * multiple


def _tile(tile, encoder):
    """The sides of a tile in vectors of the grid, as many as fill `tile` pixels."""
    tile = checks.positive_int("tile", tile)
    return [max(1, math.ceil(tile / axis.stride)) for axis in encoder.axes]


def _require(model):
    """Raises ValueError unless the model takes images of any size."""
    for name in ("encoder", "decoder"):
        if not hasattr(model, "takes_any_size"):
            checks.fail("model", "one whose latents are a grid, such as a VQVAE", f"a {type(model).__name__}")
        reason = receptive_field.reason(getattr(model, name))
        if reason is not None:
            checks.fail("model", f"one whose {name} takes images of any size", reason)


def _checked(model, image):
    image, channels = np.asarray(image), model.known_shape[-1]
    if image.ndim != 3 or image.shape[-1] != channels or 0 in image.shape:
        checks.fail("image", f"of shape [H, W, {channels}]", f"shape {image.shape}")
    if image.dtype != np.uint8 and image.dtype.kind != "f":
        checks.fail("image", "uint8, or floats in [0, 1]", f"dtype {image.dtype}")
    return image


def _floats(image):
    return image.astype(np.float32) / np.float32(255.0) if image.dtype == np.uint8 else image.astype(np.float32)


def _codes_of_a_vector(model):
    """How many codes stand for a vector of the grid: several for a `ResidualQuantizer`."""
    vectors = keras.KerasTensor((None, 1, 1, model.quantizer.code_dim), "float32")
    return model.quantizer.compute_output_spec(vectors)["codes"].shape[-1]
