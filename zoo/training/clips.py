"""The parts that the recipes of moving digits share: flags, clips, batches, and the figures of predicted frames."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from zoo import applications, data, evaluation
from zoo.runtime import checks
from zoo.training.options import flag
from zoo.training.recipe import Examples

Clips = TypeVar("Clips", np.ndarray, tf.Tensor)
DRAWS = 10  # futures of a clip that errors are taken over
_SHOWN, _FUTURES = 6, 3


@dataclasses.dataclass(frozen=True)
class ClipFlags:
    """The flags of the clips. The flags of a recipe inherit them, and may change the defaults."""

    sample: bool = flag(False, "digits of the small set that ships with the package")
    data_dir: str | None = flag(None, "folder of TFDS datasets", free=True)
    size: int = flag(32, "side of a frame", choices=(16, 32, 64))
    frames: int = flag(10, "of a clip")
    past: int = flag(4, "frames that are given")
    digits: int = flag(1, "the most digits of a clip")
    clips: int = flag(8000, "for training")
    test_clips: int = flag(500, "for testing, and as many for validation")

    def __post_init__(self) -> None:
        if self.sample and self.data_dir is not None:
            checks.fail("--data-dir", "left out, as --sample takes the bundled images", self.data_dir)
        for name in ("frames", "past", "digits", "clips", "test_clips"):
            checks.positive_int("--" + name.replace("_", "-"), getattr(self, name))
        if self.past >= self.frames:
            checks.fail("--past", f"below --frames, {self.frames}", self.past)

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, 1)."""
        return (self.frames, self.size, self.size, 1)


@dataclasses.dataclass(frozen=True)
class Part:
    """The clips of a split, uint8 `[N,T,H,W,1]`; the first `past` frames of a clip are its label, none for 0."""

    clips: np.ndarray
    past: int = 0

    def __len__(self) -> int:
        return len(self.clips)

    def examples(self, clips: Clips) -> Clips | tuple[Clips, Clips]:
        """Clips `[B,T,H,W,1]` as the model takes them: whole, or the next frames and the past ones as their labels."""
        return (clips[:, self.past :], clips[:, : self.past]) if self.past else clips


@functools.lru_cache(1)
def load(flags: ClipFlags) -> data.Clips:
    """The clips that the flags of a recipe ask for. They do not depend on `--seed`."""
    return data.load_moving_digits(
        flags.clips, flags.test_clips, flags.test_clips, flags.data_dir, flags.sample,
        size=flags.size, frames=flags.frames, number=flags.digits,
    )  # fmt: skip


def splits(flags: ClipFlags, past: int = 0) -> data.Splits:
    """The clips as `Part`s."""
    found = load(flags)
    parts: Any = (Part(each, past) for each in (found.train, found.validation, found.test))
    return data.Splits(*parts)


def batches(part: Part, batch_size: int, **kwargs: Any) -> tf.data.Dataset:
    """Batches of float32 examples in [0, 1]; `kwargs` as in `zoo.data.batches`."""

    def change(clips, _):
        return part.examples(tf.cast(clips, tf.float32) / 255.0)

    return data.example_batches(part.clips, batch_size, change=change, **kwargs)


def floats(clips: np.ndarray) -> np.ndarray:
    """uint8 clips as float32 in [0, 1]."""
    return clips.astype(np.float32) / np.float32(255.0)


def training_data(flags: ClipFlags) -> str:
    """The clips in words, for `card.json`."""
    return f"moving digits, made of {'the sample of ' if flags.sample else ''}MNIST"


def report(
    flags: ClipFlags, model: keras.Model, part: Part, folder: pathlib.Path, seed: int
) -> Mapping[str, float | Sequence[float]]:
    """Writes `futures.gif`, and returns the squared errors of the predicted frames of a part, by the kind of guess."""
    test = floats(part.clips)
    past = test[:, : flags.past]
    found = applications.futures(model, past, DRAWS, seed=seed)
    errors = evaluation.prediction_errors(found, test[:, flags.past :], past[:, -1])
    frames = applications.side_by_side(test[:_SHOWN], *found[:_SHOWN, :_FUTURES].swapaxes(0, 1), past=flags.past)
    applications.save_animation(folder / "futures.gif", frames, frames_per_second=4, scale=3)
    return {f"squared_error_{name}": [float(step) for step in values] for name, values in errors.items()}


def _report_of_test(flags, model, splits, folder, seed):
    return report(flags, model, splits.test, folder, seed)


def examples(
    finish: Callable[..., Mapping[str, float | Sequence[float]]] = _report_of_test,
    most: int | None = None,
    **kwargs: Any,
) -> Examples:
    """How a run treats `Part`s.

    Args:
        finish: as in `zoo.training.Examples`; by default `report` of the test clips.
        most: int, the most clips that exports are checked with; None for any number.
        kwargs: as in `zoo.training.Examples`.
    """

    def some(part, number):
        return part.examples(floats(part.clips[:number][:most]))

    return Examples(noun="clips", batches=batches, finish=finish, some=some, **kwargs)
