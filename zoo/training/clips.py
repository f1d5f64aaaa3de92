"""What the recipes of moving digits share: their flags, their clips, and the figures of predicted frames."""

import dataclasses
import functools
import pathlib

import keras
import numpy as np

from zoo import applications, data, evaluation
from zoo.runtime import checks
from zoo.training.options import flag

DRAWS = 10  # futures of a clip, of which errors are means
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
        for name in ("frames", "past", "digits", "clips", "test_clips"):
            checks.positive_int("--" + name.replace("_", "-"), getattr(self, name))
        if self.past >= self.frames:
            checks.fail("--past", f"below --frames, {self.frames}", self.past)

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, 1)."""
        return (self.frames, self.size, self.size, 1)


@functools.lru_cache(1)
def load(flags: ClipFlags) -> data.Clips:
    """The clips that the flags of a recipe ask for. They do not depend on `--seed`."""
    return data.load_moving_digits(
        flags.clips, flags.test_clips, flags.test_clips, flags.data_dir, flags.sample,
        size=flags.size, frames=flags.frames, number=flags.digits,
    )  # fmt: skip


def floats(clips: np.ndarray) -> np.ndarray:
    """uint8 clips as float32 in [0, 1]."""
    return clips.astype(np.float32) / np.float32(255.0)


def training_data(flags: ClipFlags) -> str:
    """The clips in words, for `card.json`."""
    return f"moving digits, made of {'the sample of ' if flags.sample else ''}MNIST"


def report(
    flags: ClipFlags, model: keras.Model, test: np.ndarray, folder: pathlib.Path, seed: int
) -> dict[str, list[float]]:
    """Writes `futures.gif`, and returns the squared errors of predicted frames of test clips, float32 `[N,T,H,W,1]`."""
    past = test[:, : flags.past]
    found = applications.futures(model, past, DRAWS, seed=seed)
    errors = evaluation.prediction_errors(found, test[:, flags.past :], past[:, -1])
    frames = applications.side_by_side(test[:_SHOWN], *found[:_SHOWN, :_FUTURES].swapaxes(0, 1), past=flags.past)
    applications.save_animation(folder / "futures.gif", frames, frames_per_second=4, scale=3)
    return {f"squared_error_{name}": [float(step) for step in values] for name, values in errors.items()}
