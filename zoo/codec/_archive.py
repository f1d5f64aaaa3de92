"""Images to bytes and back."""

import math
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import keras
import numpy as np

import zoo
from zoo import models
from zoo.codec import _container, _tiles
from zoo.codec._bits_back import BitsBack
from zoo.codec._codes import Codes
from zoo.codec._note import Note, Progress
from zoo.codec._passes import weights_digest
from zoo.priors import StandardNormal
from zoo.runtime import checks, startup
from zoo.runtime.types import ArrayLike

Images = np.ndarray | list[np.ndarray]

LOSSY, RESIDUAL, BITS_BACK = "codes", "codes and pixels", "bits back"
_MAX_VALUES, _MAX_IMAGES = 1 << 33, 1 << 24
_GIVEN = ("one", "array", "list")


def compress(
    model: keras.Model,
    images: ArrayLike | Sequence[ArrayLike],
    lossless: bool | None = None,
    names: Sequence[str] | None = None,
    verify: bool = True,
    progress: Progress | None = None,
    rate_weight: float = 0.0,
) -> bytes:
    """Compresses images to the bytes of one file, which `decompress` with the same model reads.

    A VQ-VAE with a prior writes the codes, which are lossy, or the codes and the pixels given the codes, lossless. A
    VAE with a standard normal prior, or a hierarchical VAE, is lossless, by bits-back coding: an image takes the
    negative ELBO in bits on average, and the file some bits more to begin with. docs/codec.md explains the file.

    Args:
        model: a `zoo.VQVAE` with an unconditional prior; or a `zoo.VAE` (not conditional) or `zoo.HierarchicalVAE`,
            with a likelihood of pixels.
        images: uint8 or floats in [0, 1]: `[H,W,C]`, `[N,H,W,C]`, or a list of `[H,W,C]` of any sizes, which are cut
            into tiles of the model's size. For a lossless file floats must be k/255; for a Bernoulli likelihood, 0 or 1
            (uint8: 0 or 255).
        lossless: bool; None: False for a VQ-VAE, and True for the others, which have no other kind.
        names: strs, one for each image, kept in the file; or None.
        verify: bool, whether the bytes are decompressed and compared before they are returned. It takes as long again.
        progress: function of (images done, images), or of tiles where they have other sizes; called after each batch.
        rate_weight: float >= 0, for smaller lossy files. 0 writes the nearest code of each vector. Above 0 the code of
            the least d + rate_weight · bits is written: d is the squared distance from the vector, divided by the mean
            squared distance of neighbouring codes; bits are −log₂ of the code's probability, given those before it.

    Returns:
        bytes.

    Raises:
        ValueError: for a model or images that cannot be compressed, and for a `rate_weight` above 0 where the file is
            lossless or a vector has several codes.
        ImportError: without the packages of `pip install 'vae-zoo[codec]'`.

    Example:
        >>> binary = np.round(images)  # the model's likelihood is Bernoulli
        >>> written = zoo.codec.compress(model, binary)
        >>> bool(np.all(zoo.codec.decompress(model, written) == binary))
        True
    """
    checks.extra("codec", "constriction", "scipy")
    checks.boolean("verify", verify)
    if lossless is not None:
        checks.boolean("lossless", lossless)
    scheme = _scheme(model, lossless)
    if checks.number("rate_weight", rate_weight, 0.0) and scheme != LOSSY:
        checks.fail("rate_weight", "0, unless a VQ-VAE writes a lossy file", rate_weight)
    found, shapes, given = _tiles.check_images(images, model.image_shape[-1])
    if names is not None and (
        isinstance(names, str) or len(names) != len(found) or any(not isinstance(name, str) for name in names)
    ):
        checks.fail("names", f"{len(found)} strings, one for each image", names)
    dtype = "uint8" if found[0].dtype == np.uint8 else "float32"
    codec = _codec(model, scheme, rate_weight)
    if scheme == LOSSY:
        if isinstance(found, np.ndarray):
            found = found.astype(dtype, copy=False)
        else:
            found = [image.astype(dtype) for image in found]
    else:
        found = _to_levels(found, codec.levels)
    tiles = _tiles.Tiles(found, model.image_shape[:2])
    note = Note(len(tiles), progress)
    words, settings = codec.write(tiles, note)
    header = {
        "scheme": scheme,
        "class": type(model).__name__,
        "weights": weights_digest(model),
        "networks": codec.digest(settings),
        "made": _environment(),
        "given": given,
        "dtype": dtype,
        "shapes": shapes if given == "list" else [len(shapes), *shapes[0]],
        "names": names and list(names),
        "settings": settings,
        "check": note.check,
    }
    data = _container.pack({key: value for key, value in header.items() if value is not None}, words)
    if verify:
        _decompress(model, data, None, codec)  # raises an error unless the check fits
    return data


def decompress(model: keras.Model, data: bytes, progress: Progress | None = None) -> Images:
    """Decompresses what `compress` wrote with the same model.

    Args:
        model: the model that the file was written with.
        data: bytes.
        progress: as in `compress`.

    Returns:
        images as they were given: uint8 or float32; `[H,W,C]`, `[N,H,W,C]` or a list of `[H,W,C]`.

    Raises:
        ValueError: for data that was cut or altered, is of another kind or a newer version, or was written with another
            model; and where the networks give other results here than where the file was written, down to the last
            bit: with another version of TensorFlow, for example, another processor or number of threads. Never are
            wrong pixels returned: a checksum of them, or of a lossy file's codes, is in the file.
        ImportError: without the packages of `pip install 'vae-zoo[codec]'`.
    """
    checks.extra("codec", "constriction", "scipy")
    return _decompress(model, data, progress)


def describe(data: bytes) -> dict[str, Any]:
    """The header of a compressed file, whose keys docs/codec.md explains; `names` are those given to `compress`.

    Raises:
        ValueError: for data that was cut or altered, is of another kind or a newer version.
    """
    return _container.unpack(data)[0]


def _decompress(model, data, progress, codec=None):
    header, words = _container.unpack(data)
    scheme = checks.one_of("data", header.get("scheme"), (LOSSY, RESIDUAL, BITS_BACK))
    _require_model(model, header)
    if scheme != _scheme(model, scheme == RESIDUAL if isinstance(model, models.VQVAE) else None):
        checks.fail("data", f"a file for a {type(model).__name__}", f"one of the scheme {scheme!r}")
    shapes, number = _checked_shapes(header, model)
    settings = header.get("settings")
    if not isinstance(settings, dict):
        checks.fail("data", "a file with settings", settings)
    codec = _codec(model, scheme) if codec is None else codec
    codec.configure(settings)
    if codec.digest(settings) != header.get("networks"):
        raise ValueError(_other_results(header.get("made")))
    try:
        tiles, check = _read(codec, scheme, words, settings, Note(number, progress))
    except EOFError:
        raise ValueError(_wrong("it ended early, or too late")) from None
    if check != header.get("check"):
        raise ValueError(_wrong("the checksum of its content differs"))
    images = _restored(tiles, shapes, checks.one_of("data", header.get("dtype"), ("uint8", "float32")), codec.levels)
    given = checks.one_of("data", header.get("given"), _GIVEN)
    return images if given == "list" else images[0] if given == "one" else np.stack(images)


# The scheme.


def _scheme(model, lossless):
    checks.zoo_model(model)
    if isinstance(model, models.VQVAE):
        if model.prior is None or model.prior.conditional:
            kind = "no prior" if model.prior is None else "a prior of labels"
            checks.fail("model", "a VQVAE with a prior over its codes, without labels", f"one with {kind}")
        return RESIDUAL if lossless else LOSSY
    if lossless is False:
        checks.fail("lossless", f"None or True, as a {type(model).__name__} compresses without loss", lossless)
    if model.conditional:
        checks.fail("model", "one without labels", f"a conditional {type(model).__name__}")
    if isinstance(model, models.VAE) and not isinstance(model.prior, StandardNormal):
        checks.fail("model", "a VAE with a standard normal prior", f"one with a {type(model.prior).__name__}")
    return BITS_BACK


def _codec(model, scheme, rate_weight=0.0):
    return BitsBack(model) if scheme == BITS_BACK else Codes(model, scheme == RESIDUAL, rate_weight)


def _require_model(model, header):
    own = weights_digest(model)
    if header.get("weights") != own:
        wrote = f"a {header.get('class')} of weights {header.get('weights')}"
        checks.fail("model", f"the one that wrote the file, {wrote}", f"a {type(model).__name__} of {own}")


# Pixels.


def _to_levels(images, levels):
    """Images as uint8 from 0 to `levels` − 1, if they are on this grid."""

    if isinstance(images, list):
        return [_levels_of(image, levels) for image in images]
    # Image by image: the floats of all at once would take many times their memory.
    whole = np.empty(images.shape, np.uint8)
    for number, image in enumerate(images):
        whole[number] = _levels_of(image, levels)
    return whole


def _levels_of(image, levels):
    if image.dtype == np.uint8:
        scaled = image if levels == 256 else image / np.float32(255.0)
    else:
        scaled = image.astype(np.float64) * (levels - 1)
    whole = np.rint(scaled).astype(np.uint8)
    if np.abs(whole - scaled).max(initial=0.0) > 1e-3:
        grid = "0 or 1 (uint8: 0 or 255)" if levels == 2 else "uint8 or floats k/255"
        off = float(np.asarray(image).reshape(-1)[np.argmax(np.abs(whole - scaled))])
        checks.fail("images", f"{grid} for a lossless file", f"the value {off}")
    return whole


def _restored(tiles, shapes, dtype, levels):
    images = []
    for image in _tiles.join(tiles, shapes):
        if image.dtype == np.uint8:
            image = image * np.uint8(255 // (levels - 1)) if dtype == "uint8" else image / np.float32(levels - 1)
        elif dtype == "uint8":
            image = np.rint(image * np.float32(255.0)).astype(np.uint8)
        images.append(image)
    return images


def _checked_shapes(header, model):
    """The shapes of a file's images, and the number of their tiles; ValueError for those that cannot be."""
    shapes, repeats = header.get("shapes"), 1
    if header.get("given") != "list" and isinstance(shapes, list) and len(shapes) == 4:
        repeats, shapes = shapes[0], [shapes[1:]]
    fits = isinstance(shapes, list) and shapes and checks.is_integer(repeats) and 0 < repeats <= _MAX_IMAGES
    for shape in shapes if fits else ():
        fits = fits and isinstance(shape, list) and len(shape) == 3 and shape[2] == model.image_shape[-1]
        fits = fits and all(checks.is_integer(size) and size > 0 for size in shape)
    if not fits or repeats * sum(math.prod(shape) for shape in shapes) > _MAX_VALUES:
        checks.fail("data", f"a file with shapes of images of at most {_MAX_VALUES} values", str(shapes)[:100])
    tiles = sum(_tiles.number_of_tiles(shape, model.image_shape[:2]) for shape in shapes)
    return shapes * repeats, repeats * tiles


# Reading, and checks of it.


def _read(codec, scheme, words, settings, note):
    """The tiles of a file in order, and the checksum of them, or of their codes."""
    parts = []
    for start, checked, images in codec.read(words, settings):
        note(start, checked)
        parts.append(images)
    note.require_all()
    return np.concatenate(parts[::-1] if scheme == BITS_BACK else parts), note.check


# Where a file was made.


def _environment():
    import tensorflow as tf

    threads = tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count()
    packages = {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy", "scipy", "constriction")}
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "")
    processor = startup.cpu_model() or platform.machine()
    return {"vae-zoo": zoo.__version__, **packages, "processor": processor, "threads": threads, "oneDNN": onednn}


def _other_results(made):
    here = _environment()
    made = made if isinstance(made, dict) else {}
    differing = [
        f"{name} {made.get(name)} there, {value} here" for name, value in here.items() if made.get(name) != value
    ]
    return (
        "Expected the model's networks to give the same results as where `data` was written, to the last bit, as the "
        f"entropy coder needs. Received: other results ({'; '.join(differing) or 'in the same environment'})"
    )


def _wrong(found):
    return (
        "Expected `data` to give the content that was written. Received: other content, and nothing is returned "
        f"({found}): the networks may give other results here, such as with another number of threads"
    )
