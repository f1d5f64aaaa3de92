"""The arguments of commands that choose data, and their images."""

import argparse
import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.cli import _models

if TYPE_CHECKING:
    import keras
    import numpy as np

ARRAYS = (".npy", ".npz")
SPLITS = ("train", "validation", "test")
OPTIONS = ("data", "data_dir", "split", "sample", "data_labels", "limit")


@dataclasses.dataclass(frozen=True)
class Data:
    """Images for a model, in its size and with its channels.

    Attributes:
        images: `[N,H,W,C]`, uint8, or float32 in [0, 1] where the data has floats; data that is no image, `[N, …]`.
        labels: int32 `[N]` or float32 `[N,d]`; None if the data has none.
        description: str, such as "test split of mnist" or "12 pictures".
        split: str, "train", "validation" or "test"; "given" for files that are no split of a dataset.
        names: for each image the path of its file, or its number in the split or array, as str.
    """

    images: "np.ndarray"
    labels: "np.ndarray | None"
    description: str
    split: str
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.images)

    def floats(self) -> "np.ndarray":
        """The images as float32: uint8 is divided by 255."""
        import numpy as np

        scale = np.float32(255.0 if self.images.dtype == np.uint8 else 1.0)
        return self.images.astype(np.float32) / scale

    def file_names(self) -> list[str]:
        """A name for a file of each image: 00000, 00001, …, and that of its picture, if it comes from one."""
        paths = [None if name.isdecimal() else pathlib.PurePath(name) for name in self.names]
        stems = ["" if path is None else "_" + path.stem.replace("\\", "_") for path in paths]
        return [f"{row:05d}{stem}" for row, stem in enumerate(stems)]

    def take(self, rows: "slice | np.ndarray | Sequence[int]") -> "Data":
        """Some of the images, by a slice or an array of their numbers."""
        import numpy as np

        names = [self.names[row] for row in np.arange(len(self))[rows]]
        labels = None if self.labels is None else self.labels[rows]
        return dataclasses.replace(self, images=self.images[rows], labels=labels, names=names)


def binarized(found: Data, seed: int) -> Data:
    """Data whose pixels are drawn as 0 or 255; ValueError unless they are uint8."""
    from zoo import data

    if found.images.dtype != "uint8":
        raise ValueError(f"Expected images of uint8, as they are to be binarised. Received: {found.images.dtype}")
    return dataclasses.replace(found, images=data.binarize(data.Images(found.images), seed).images[:])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --data, --data-dir, --split, --sample, --data-labels and --limit."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        nargs="+",
        metavar="DATA",
        help="a dataset of TFDS such as mnist; pictures, or a folder of them; or a .npy or .npz file with images, "
        "uint8 or floats in [0, 1]; by default the dataset that the preset's card names",
    )
    group.add_argument("--data-dir", metavar="FOLDER", help="where TFDS keeps datasets; default: TFDS_DATA_DIR")
    group.add_argument(
        "--split",
        choices=SPLITS,
        help="of a dataset, by default test; of a folder of pictures, which is otherwise taken as a whole",
    )
    group.add_argument("--sample", action="store_true", help="read the small part of a dataset that comes with vae-zoo")
    group.add_argument(
        "--data-labels",
        metavar="LABELS",
        help="labels for pictures and arrays: 3 for all, 3,1,4 for each, or a .npy file",
    )
    group.add_argument("--limit", type=positive, metavar="N", help="use the first N images only")


def are_files(given: Sequence[str] | None) -> bool:
    """Whether what an option of data names are files or folders, not a dataset."""
    return given is not None and len(given) > 0 and pathlib.Path(given[0]).expanduser().exists()


def with_data(args: argparse.Namespace, given: Sequence[str] | None, **changes: object) -> argparse.Namespace:
    """`args` with other data. Options of datasets, which may be about `args.data`, do not count for files."""
    changed = {"data": given, **changes}
    if are_files(given):
        changed |= {"sample": False, "data_dir": None}
    return argparse.Namespace(**{**vars(args), **changed})


def load(
    args: argparse.Namespace,
    model: "keras.Model",
    split: str | None = None,
    need_labels: bool = True,
    option: str = "--data",
    incomplete: bool = False,
) -> Data:
    """Loads the images that the arguments choose.

    Pictures are converted as `zoo.data.load_folder` does it: turned upright, put on white, and cropped and resized to
    the model's size; lines on stderr say so. Arrays must have the model's size.

    Args:
        args: with the attributes that `add_arguments` and `_models.add_argument` set.
        model: a built model of the zoo.
        split: str, another split than `args.split`.
        need_labels: bool, whether data without labels is refused for a model that needs them.
        option: str, the option that gave `args.data`, for errors.
        incomplete: bool, whether values are to be filled in: arrays may have NaN, and a model that takes values beside
            their mask is given the values.

    Returns:
        `Data`, with at least one image.

    Raises:
        ValueError: for data that does not exist, cannot be read, or does not fit the model.
    """
    from zoo.cli import _files, _sources

    require_one_place(args)
    shape = _models.shape_of_values(model) if incomplete else model.example_shape
    given = args.data or [_dataset_of(args.model, option)]
    split = split or args.split
    sources = [pathlib.Path(each).expanduser() for each in given]
    if len(given) == 1 and is_dataset(given[0], sources[0]):
        with contextlib.redirect_stdout(sys.stderr):  # where TFDS and its loader say that they download
            found = _sources.load(given[0], shape, split or "test", args.data_dir, args.sample, option)
    else:
        require_no_dataset_options(args, option, " ".join(given))
        found = _files.load(sources, model, shape, split, option, incomplete)
    _files.require_grey_levels(model, found)
    if args.data_labels is not None:
        found = dataclasses.replace(found, labels=_files.read_labels(args.data_labels, len(found)))
    if args.limit is not None and args.limit < len(found):
        found = found.take(slice(args.limit))
    if need_labels and model.label_source() is not None and found.labels is None:
        raise ValueError(
            f"Expected data with labels, as the model takes them. Received: {found.description}, without labels. Give "
            "them by --data-labels"
        )
    return found


def require_one_place(args: argparse.Namespace) -> None:
    """Raises a ValueError for --data-dir beside --sample."""
    if args.sample and args.data_dir is not None:
        raise ValueError(f"Expected no --data-dir, as --sample takes the bundled images. Received: {args.data_dir}")


def require_no_dataset_options(args: argparse.Namespace, option: str, given: str) -> None:
    """Raises a ValueError for --sample or --data-dir beside files, which are no dataset."""
    for name in ("sample", "data_dir"):
        if getattr(args, name):
            raise ValueError(
                f"Expected {option} to be a dataset, as --{name.replace('_', '-')} is given. Received: {given}"
            )


def dataset(args: argparse.Namespace) -> str | None:
    """The name of the chosen dataset; None for files."""
    given = args.data or [_dataset_of(args.model)]
    path = pathlib.Path(given[0]).expanduser()
    return given[0] if len(given) == 1 and is_dataset(given[0], path) else None


def pictures(args: argparse.Namespace) -> list[pathlib.Path] | None:
    """The picture files and folders that --data names; None for a dataset, an array or a split of a folder."""
    paths = [pathlib.Path(each).expanduser() for each in args.data or ()]
    if not paths or args.split is not None or dataset(args) is not None or paths[0].suffix.lower() in ARRAYS:
        return None
    return paths


def has_splits(args: argparse.Namespace) -> bool:
    """Whether the chosen data has a training split: a dataset or a folder of pictures."""
    return dataset(args) is not None or len(args.data) == 1 and pathlib.Path(args.data[0]).expanduser().is_dir()


def is_dataset(text: str, path: pathlib.Path) -> bool:
    """Whether a value of --data names a dataset: it is no path, and does not look like one."""
    return not path.exists() and not path.suffix and "/" not in text and "\\" not in text


def _dataset_of(model, option="--data"):
    card = _models.read_card(model)
    named = card.get("dataset") or next(iter(card.get("datasets") or ()), None)
    if named is None:
        raise ValueError(f"Expected {option}, as {model} has no card that names a dataset. Received: no {option}")
    return str(named).rpartition("/")[2]  # the hub's "ylecun/mnist" is TFDS's "mnist"


def positive(text: str) -> int:
    """An option's value as an integer >= 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected an integer >= 1, received {text}")
    return value
