"""Pictures and arrays from files, as a model takes them."""

import pathlib
import sys
import zipfile
from collections.abc import Sequence

import keras
import numpy as np
from PIL import ExifTags, Image

from zoo import data
from zoo.cli._data import ARRAYS, Data
from zoo.data import decoding, folders
from zoo.evaluation.rows import takes_grey_levels
from zoo.fitting import inputs
from zoo.runtime.types import Shape

WHITE = (255, 255, 255)
_ON_ITS_SIDE = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_KEYS = {"images": ("images", "x", "image", "x_test", "arr_0"), "labels": ("labels", "y", "label", "y_test")}


def load(
    paths: Sequence[pathlib.Path],
    model: keras.Model,
    shape: Shape | None,
    split: str | None,
    option: str = "--data",
    incomplete: bool = False,
) -> Data:
    """The images of an array file, of picture files, or of a folder of pictures.

    Args:
        paths: that exist.
        model: that takes floats.
        shape: of an example; None for any.
        split: str, of a folder; or None.
        option: str, which gave `paths`, for errors.
        incomplete: bool, whether arrays may have NaN.
    """
    for path in paths:
        if not path.exists():
            hint = "" if path.suffix or len(paths) > 1 else ", and no dataset"
            raise ValueError(f"Expected {option} to exist. Received: {path}, no such file{hint}")
    inputs.require_data_of_floats("MODEL", model)
    if len(paths) == 1 and paths[0].suffix.lower() in ARRAYS:
        if split is not None:
            raise ValueError(f"Expected --split with a dataset or a folder only. Received: {paths[0]}")
        return _read_array(paths[0], shape, option, incomplete)
    if shape is not None and len(shape) != 3:
        raise ValueError(f"Expected {option} to be arrays, for examples of shape {shape}. Received: {paths[0]}")
    if split is not None:
        return _read_split(paths, shape, split)
    return _read_pictures(_list(paths), shape, option)


def read_whole(paths: Sequence[pathlib.Path], channels: int, exact: bool = False) -> tuple[list[np.ndarray], list[str]]:
    """Pictures in their own sizes, uint8 `[H,W,C]`, and their names: their paths within the folder that was given.

    A line on stderr says what is not kept of a picture, such as its transparency; with `exact`, ValueError.
    """
    images, names = [], []
    for given in paths:
        if not given.exists():
            raise ValueError(f"Expected --data to exist. Received: {given}, no such file")
        for path, named in _list([given]):
            read = _read_picture(path, named, None, 3)
            if read is not None:
                _tell_of_loss(path, decoding.loss(path), read[0], channels, exact)
                images.append(in_channels(read[0][None], channels)[0])
                names.append(path.name if named else path.relative_to(given).as_posix())
    if not images:
        raise ValueError("Expected pictures. Received: files, none of which can be read")
    return images, names


def _tell_of_loss(path, lost, pixels, channels, exact):
    if channels == 1 and np.ptp(pixels, axis=-1).any():
        lost = f"{lost}, colours" if lost else "colours"
    if lost and exact:
        raise ValueError(f"Expected pictures that --lossless can keep whole. Received: {path}, with {lost}")
    if lost:
        print(f"{path}: not kept: {lost}", file=sys.stderr)


def read_labels(text: str, number: int) -> np.ndarray:
    """Labels from --data-labels: one for all images, one for each, or a .npy file: int32 `[N]` or float32 `[N,d]`."""
    if text.endswith(".npy"):
        labels = _numpy(pathlib.Path(text).expanduser(), "--data-labels")
    else:
        try:
            labels = np.array([int(part) for part in text.split(",")])
        except ValueError:
            raise ValueError(f"Expected --data-labels to be integers or a .npy file. Received: {text}") from None
        labels = np.repeat(labels, number) if len(labels) == 1 else labels
    if labels.dtype.kind not in "iuf" or labels.ndim not in (1, 2) or len(labels) != number:
        received = f"{labels.dtype} of shape {labels.shape}"
        raise ValueError(f"Expected --data-labels to have a label for each of {number} images. Received: {received}")
    return _of_32_bits(labels, "--data-labels")


def _of_32_bits(labels, option):
    if labels.dtype.kind == "f":
        return labels.astype(np.float32)
    labels = labels[:, 0] if labels.shape[1:] == (1,) else labels  # as in Keras's CIFAR-10
    if labels.size and not -(2**31) <= int(labels.min()) <= int(labels.max()) < 2**31:
        raise ValueError(f"Expected {option} to be labels of 32 bits. Received: {labels.min()} to {labels.max()}")
    return labels.astype(np.int32)


def in_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """uint8 images with another number of channels, 1 or 3. Grey is ITU-R 601 luma, as in Pillow."""
    if images.shape[-1] == channels:
        return images
    if images.shape[-1] == 1:
        return np.repeat(images, channels, axis=-1)
    if channels != 1:
        raise ValueError(f"Expected a model of 1 or 3 channels. Received: {channels} channels")
    grey = np.empty((*images.shape[:-1], 1), np.uint8)
    for row, image in enumerate(images):  # one at a time, to bound the memory
        grey[row, ..., 0] = np.asarray(Image.fromarray(image).convert("L"))
    return grey


def _list(paths):
    """The picture files among `paths` and in the folders among them, and whether each was named itself."""
    files = []
    for path in paths:
        if not path.is_dir():
            files.append((path, True))
            continue
        found = folders.find(path, decoding.endings())
        for line in found.messages():
            print(line, file=sys.stderr)
        if not found.pictures:
            raise ValueError(f"Expected a folder of pictures. Received: {path}, with no picture in it")
        files += [(picture, False) for picture in found.pictures]
    return files


def _read_pictures(files, shape, option):
    size = _size(files[0][0]) if shape is None else shape[:2]
    channels = 3 if shape is None else shape[-1]
    images, names, resized = [], [], []
    lost: dict[str, int] = {}
    for path, named in files:
        read = _read_picture(path, named, size, channels, option)
        if read is None:
            continue
        pixels, own = read
        images.append(pixels[None])
        names.append(str(path))
        resized += [own] if own != size else []
        kinds = decoding.loss(path)
        if kinds:
            lost[kinds] = lost.get(kinds, 0) + 1
    if not images:
        raise ValueError(f"Expected pictures. Received: {len(files)} files, none of which can be read")
    if resized:
        some = folders.some(sorted({f"{height}×{width}" for height, width in resized}))
        print(
            f"cropped and resized {len(resized)} of {len(images)} pictures to {size[0]}×{size[1]} pixels, from {some}",
            file=sys.stderr,
        )
    for kinds, number in lost.items():
        print(f"not kept of {number} of {len(images)} pictures: {kinds}", file=sys.stderr)
    about = f"{len(images)} pictures" if len(images) > 1 else f"the picture {names[0]}"
    return Data(np.concatenate(images), None, about, "given", names)


def _read_picture(path, named, size, channels, option="--data"):
    """The pixels of a picture, uint8 `[H,W,C]` of a size, or of its own if None; and its own size.

    None, with a line on stderr, for a file that cannot be read; ValueError if it was named itself.
    """
    try:
        own = _size(path)
        pixels, _ = decoding.read(path, own if size is None else size, WHITE)
    except decoding.Unreadable as error:
        if named:
            raise ValueError(f"Expected {option} to be pictures. Received: {path}, {error}") from error
        print(f"skipped {path}: {error}", file=sys.stderr)
        return None
    return in_channels(pixels[None], channels)[0], own


def _read_split(paths, shape, split):
    if len(paths) > 1 or not paths[0].is_dir():
        raise ValueError(f"Expected --split with a dataset or a folder only. Received: {paths[0]}")
    if shape is None:
        raise ValueError("Expected a model of one image size, as --split cuts the folder by its pictures")
    try:
        part = getattr(data.load_folder(paths[0], shape[:2]), split)
    except data.DataError as error:
        raise ValueError(str(error)) from error
    images = in_channels(part.images, shape[-1])
    return Data(images, None, f"{split} split of {paths[0]}", split, [str(row) for row in range(len(images))])


def _size(path):
    """(H, W) of a picture once it is upright."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            on_its_side = image.getexif().get(ExifTags.Base.Orientation) in _ON_ITS_SIDE
    except Exception as error:  # broken files raise errors of many classes
        empty = path.is_file() and not path.stat().st_size
        reason = "an empty file" if empty else "no picture of a format that Pillow can read"
        raise decoding.Unreadable(reason) from error
    return (width, height) if on_its_side else (height, width)


def read_arrays(path: pathlib.Path, option: str = "--data") -> tuple[np.ndarray, np.ndarray | None]:
    """The array of a .npy file, or the examples and labels of a .npz file, as they are; None without labels."""
    found = _numpy(path, option)
    if isinstance(found, np.ndarray):
        return found, None
    with found:
        key = _key(found, "images") or (found.files[0] if len(found.files) == 1 else None)
        if key is None:
            raise ValueError(f"Expected an array named images in {path}. Received: {', '.join(found.files)}")
        label_key = _key(found, "labels")
        return found[key], None if label_key is None else found[label_key]


def _read_array(path, shape, option, incomplete):
    found, labels = read_arrays(path, option)
    images = _as_images(found, path, shape, incomplete)
    if labels is not None:
        if labels.ndim < 1 or len(labels) != len(images) or labels.dtype.kind not in "iuf":
            received = f"{labels.dtype} of shape {labels.shape}"
            raise ValueError(f"Expected a label for each of the {len(images)} images in {path}. Received: {received}")
        labels = _of_32_bits(labels, f"the labels of {path}")
    return Data(images, labels, f"{len(images)} examples of {path}", "given", [str(row) for row in range(len(images))])


def require_grey_levels(model: keras.Model, found: Data) -> None:
    """Raises ValueError for levels from 0 to 255 where the model takes floats in other units."""
    if found.images.dtype == np.uint8 and not takes_grey_levels(model):
        raise ValueError(
            "Expected floats in the units of the model, as it takes no grey levels. Received: integers from "
            f"{found.description}"
        )


def _numpy(path, option):
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else "no array file that NumPy can read"
        raise ValueError(f"Expected {option} to be a .npy or .npz file. Received: {path}, {reason}") from error


def _key(archive, kind):
    return next((name for name in _KEYS[kind] if name in archive.files), None)


def _as_images(array, path, shape, incomplete):
    """An array as uint8 or float32 `[N, …]` of examples of a shape."""
    if shape is not None and array.shape == tuple(shape[:-1]) and shape[-1] == 1:
        array = array[..., None]
    if shape is not None and array.shape == tuple(shape):
        array = array[None]
    if shape is not None and array.shape[1:] == tuple(shape[:-1]) and shape[-1] == 1:
        array = array[..., None]
    if array.ndim < 2 or not len(array) or (shape is not None and array.shape[1:] != tuple(shape)):
        expected = "[N, …]" if shape is None else f"[N,{','.join(map(str, shape))}]"
        raise ValueError(f"Expected images of shape {expected} in {path}. Received: {array.dtype} of {array.shape}")
    if array.dtype == bool:
        return array.astype(np.float32)
    if array.dtype.kind in "iu":
        if array.min() < 0 or array.max() > 255:
            received = f"{array.min()} to {array.max()}"
            raise ValueError(f"Expected integers from 0 to 255, or floats, in {path}. Received: {received}")
        if array.max() == 1:
            way = "integers up to 255; data of 0 and 1 as floats or bools"
            raise ValueError(f"Expected {way} in {path}. Received: integers of 0 and 1")
        return array.astype(np.uint8)
    if array.dtype.kind != "f" or not (np.isfinite(array) | (incomplete & np.isnan(array))).all():
        received = array.dtype if array.dtype.kind != "f" else "values that are not finite"
        raise ValueError(f"Expected integers from 0 to 255, or floats, in {path}. Received: {received}")
    return array.astype(np.float32)
