"""Networks over clips `[B,T,H,W,C]`: the frames become channels of one image, or of one image for each few frames."""

from collections.abc import Sequence

import keras
from keras import layers, ops

from zoo.networks import _blocks
from zoo.networks.conv import conv_encoder
from zoo.networks.residual import residual_decoder, residual_encoder
from zoo.runtime import checks
from zoo.runtime.types import Shape, Tensor


def clip_encoder(
    clip_shape: Shape, latent_dim: int, filters: Sequence[int] = (32, 64), blocks: int = 0, dense: int = 256
) -> keras.Model:
    """`conv_encoder` over the frames of a clip as channels: for q(z|clip), or for a prior p(z|past).

    Args:
        clip_shape: (T, H, W, C).
        latent_dim, filters, blocks, dense: as in `conv_encoder`.

    Returns:
        keras.Model from `[B,T,H,W,C]` to `[B, 2·latent_dim]`.

    Example:
        >>> zoo.networks.clip_encoder((10, 32, 32, 1), latent_dim=16).output_shape
        (None, 32)
    """
    frames, height, width, channels = _four(clip_shape)
    inputs = keras.Input(clip_shape)
    network = conv_encoder((height, width, frames * channels), latent_dim, filters, blocks, dense)
    return keras.Model(inputs, network(_to_channels(inputs)), name="clip_encoder")


def clip_features(
    clip_shape: Shape, features: int, filters: int = 64, downsamples: int = 2, blocks: int = 1
) -> keras.Model:
    """`residual_encoder` over the frames of a clip as channels: a grid that keeps the places of what it shows.

    Args:
        clip_shape: (T, H, W, C).
        features: int >= 1, channels of the grid.
        filters, downsamples, blocks: as in `residual_encoder`.

    Returns:
        keras.Model from `[B,T,H,W,C]` to `[B, H/2**downsamples, W/2**downsamples, features]`.
    """
    frames, height, width, channels = _four(clip_shape)
    inputs = keras.Input(clip_shape)
    network = residual_encoder((height, width, frames * channels), features, filters, downsamples, blocks)
    return keras.Model(inputs, network(_to_channels(inputs)), name="clip_features")


def clip_decoder(grid_shape: Shape, clip_shape: Shape, filters: int = 64, blocks: int = 1) -> keras.Model:
    """`residual_decoder` to the frames of a clip as channels.

    Args:
        grid_shape: (h, w, c).
        clip_shape: (T, h·2**n, w·2**n, parameters per pixel).
        filters, blocks: as in `residual_decoder`.

    Returns:
        keras.Model from `[B,h,w,c]` to `[B, *clip_shape]`.
    """
    frames, height, width, params = _four(clip_shape)
    inputs = keras.Input(grid_shape)
    network = residual_decoder(grid_shape, frames * params, filters, _upsamples(grid_shape, (height, width)), blocks)
    x = layers.Reshape((height, width, frames, params))(network(inputs))
    return keras.Model(inputs, layers.Permute((3, 1, 2, 4))(x), name="clip_decoder")


def chunk_encoder(
    clip_shape: Shape, chunk: int, code_dim: int = 64, filters: int = 64, downsamples: int = 3, blocks: int = 1
) -> keras.Model:
    """The encoder of a VQ-VAE over space and time: `residual_encoder` over each `chunk` frames as channels.

    The codes of a clip are a grid whose rows are the chunks, in the order of time, and whose columns are the places of
    a chunk, by rows. The codes of a chunk depend on its frames alone: those of the past do not show the future, and a
    prior over codes continues a clip row by row.

    Args:
        clip_shape: (T, H, W, C), T a multiple of `chunk`.
        chunk: int >= 1, frames.
        code_dim, filters, downsamples, blocks: as in `residual_encoder`.

    Returns:
        keras.Model from `[B,T,H,W,C]` to `[B, T/chunk, h·w, code_dim]`, h and w being H and W / 2**downsamples.

    Example:
        >>> zoo.networks.chunk_encoder((10, 32, 32, 1), chunk=2).output_shape
        (None, 5, 16, 64)
    """
    frames, height, width, channels = _four(clip_shape)
    chunks = checks.multiple("clip_shape", frames, checks.positive_int("chunk", chunk)) // chunk
    inputs = keras.Input(clip_shape)
    network = residual_encoder((height, width, chunk * channels), code_dim, filters, downsamples, blocks)
    x = network(_to_channels(ops.reshape(inputs, (-1, chunk, height, width, channels))))
    x = ops.reshape(x, (-1, chunks, x.shape[1] * x.shape[2], code_dim))
    return keras.Model(inputs, x, name="chunk_encoder")


def chunk_decoder(
    clip_shape: Shape, chunk: int, code_dim: int = 64, filters: int = 64, upsamples: int = 3, blocks: int = 1
) -> keras.Model:
    """The decoder of a VQ-VAE over space and time, the mirror image of `chunk_encoder`.

    Args:
        clip_shape: (T, H, W, parameters per pixel), T a multiple of `chunk`.
        chunk: int >= 1, frames.
        code_dim, filters, upsamples, blocks: as in `residual_decoder`.

    Returns:
        keras.Model from `[B, T/chunk, h·w, code_dim]` to `[B, *clip_shape]`.
    """
    frames, height, width, params = _four(clip_shape)
    chunks = checks.multiple("clip_shape", frames, checks.positive_int("chunk", chunk)) // chunk
    _blocks.check_divisible((height, width, params), upsamples, "clip_shape")
    grid = (height // 2**upsamples, width // 2**upsamples, code_dim)
    inputs = keras.Input((chunks, grid[0] * grid[1], code_dim))
    network = residual_decoder(grid, chunk * params, filters, upsamples, blocks)
    x = network(ops.reshape(inputs, (-1, *grid)))
    x = layers.Permute((3, 1, 2, 4))(layers.Reshape((height, width, chunk, params))(x))
    return keras.Model(inputs, ops.reshape(x, (-1, *clip_shape)), name="chunk_decoder")


def _to_channels(x: Tensor) -> Tensor:
    """Frames as channels: `[B,T,H,W,C]` to `[B,H,W,T·C]`."""
    _, frames, height, width, channels = x.shape
    return layers.Reshape((height, width, frames * channels))(layers.Permute((2, 3, 1, 4))(x))


def _four(clip_shape):
    _blocks.require_channels_last()
    return _blocks.sizes("clip_shape", clip_shape, "(T, H, W, C)")


def _upsamples(grid_shape, size):
    times = size[0] // grid_shape[0]
    if times < 2 or times & (times - 1) or tuple(side * times for side in grid_shape[:2]) != size:
        checks.fail("clip_shape", f"of a height and width {grid_shape[:2]} times a power of 2", size)
    return times.bit_length() - 1
