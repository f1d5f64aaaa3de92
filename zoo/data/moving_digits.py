"""Clips of handwritten digits that move and bounce: rendered on demand from pictures of digits."""

import dataclasses
from typing import Literal

import numpy as np

from zoo.data.sources import load
from zoo.data.splits import Images
from zoo.runtime import checks
from zoo.runtime.types import PathLike

_SIDE = 28  # of a digit of MNIST, in the paper's frames of 64
_SPEEDS = (0.1, 0.2)  # the share of the room that a digit crosses in a frame


@dataclasses.dataclass(frozen=True)
class Clips:
    """uint8 clips `[N,T,H,W,1]` of digits of three splits: no digit of `test` is in `train`."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


class MovingDigits:
    """Clips in which digits move through a square and bounce off its borders.

    After Srivastava et al. 2015, "Unsupervised Learning of Video Representations using LSTMs", section 4.2: digits of
    28 pixels in frames of 64, with a random place and direction; overlapping digits are joined by the maximum.
    Deviations: smaller frames hold digits that are reduced alike; the speed is random, from a tenth to a fifth of the
    room in a frame; and frames are binary unless `binary` is False. With `bounce="random"` a digit leaves a border in a
    random direction, so one past has several futures (Denton & Fergus 2018, "Stochastic Video Generation with a Learned
    Prior", section 4.1).

    Clip i depends on `seed` and i alone.

    Args:
        digits: `zoo.data.Images` of 28×28, or uint8 `[N,28,28,1]`.
        size: int, the side of a frame: 64, 32 or 16.
        frames: int >= 1, T.
        number: int >= 1, the most digits of a clip; each number from 1 on is as likely.
        bounce: "mirror", the angle of incidence; or "random".
        binary: bool, whether pixels are 0 and 255 alone.
        seed: int.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> digits = zoo.data.load("mnist", sample=True).test
        >>> zoo.data.MovingDigits(digits, size=32, frames=10).clips(np.arange(3)).shape
        (3, 10, 32, 32, 1)
    """

    def __init__(
        self,
        digits: Images | np.ndarray,
        size: int = 32,
        frames: int = 10,
        number: int = 2,
        bounce: Literal["mirror", "random"] = "random",
        binary: bool = True,
        seed: int = 0,
    ) -> None:
        images = digits if isinstance(digits, Images) else Images(np.asarray(digits))
        if images.images.shape[1:] != (_SIDE, _SIDE, 1) or not len(images):
            checks.fail("digits", f"of shape [N, {_SIDE}, {_SIDE}, 1]", images.images.shape)
        self.digits = images.images
        self.size = checks.one_of("size", size, (64, 32, 16))
        self.frames = checks.positive_int("frames", frames)
        self.number = checks.positive_int("number", number)
        self.bounce = checks.one_of("bounce", bounce, ("mirror", "random"))
        self.binary = checks.boolean("binary", binary)
        self.seed = checks.integer("seed", seed, 0)

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, 1)."""
        return (self.frames, self.size, self.size, 1)

    def clips(self, indices: np.ndarray) -> np.ndarray:
        """Renders clips: integers >= 0 `[N]` to uint8 `[N,T,H,W,1]`."""
        indices = np.asarray(indices)
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            checks.fail("indices", "integers of shape [N]", f"{indices.dtype} of shape {indices.shape}")
        made = np.zeros((len(indices), *self.clip_shape), np.uint8)
        for clip, index in zip(made, indices):
            draw = np.random.default_rng((self.seed, int(index)))
            for _ in range(draw.integers(1, self.number, endpoint=True)):
                self._add(clip[..., 0], draw)
        return made

    def _add(self, clip, draw):
        digit = self._digit(self.digits[int(draw.integers(len(self.digits)))])
        room = self.size - len(digit)
        for frame, (top, left) in zip(clip, np.rint(room * self.path(draw)).astype(int)):
            place = frame[top : top + len(digit), left : left + len(digit)]
            np.maximum(place, digit, out=place)

    def _digit(self, image):
        """A digit in the size of the frames, by the means of squares of pixels."""
        by = 64 // self.size
        side = _SIDE // by
        grey = image[..., 0].reshape(side, by, side, by).mean(axis=(1, 3))
        return np.where(grey >= 128, np.uint8(255), np.uint8(0)) if self.binary else np.rint(grey).astype(np.uint8)

    def path(self, draw: np.random.Generator) -> np.ndarray:
        """The places of a digit in the T frames, float `[T,2]` from 0 to 1, down and to the right."""
        speed = draw.uniform(*_SPEEDS)
        place, velocity = draw.uniform(size=2), speed * _direction(draw)
        places = [place]
        for _ in range(self.frames - 1):
            place = place + velocity
            beyond = (place < 0.0) | (place > 1.0)
            if beyond.any():
                inward = np.where(place < 0.0, 1.0, -1.0)
                if self.bounce == "mirror":
                    place = np.where(beyond, 2.0 * np.clip(place, 0.0, 1.0) - place, place)
                    velocity = np.where(beyond, inward * np.abs(velocity), velocity)
                else:
                    place = np.clip(place, 0.0, 1.0)
                    velocity = speed * _direction(draw)
                    velocity = np.where(beyond, inward * np.abs(velocity), velocity)
            places.append(place)
        return np.stack(places)


def _direction(draw):
    angle = draw.uniform(0.0, 2.0 * np.pi)
    return np.array([np.sin(angle), np.cos(angle)])


def load_moving_digits(
    train: int,
    validation: int,
    test: int,
    data_dir: PathLike | None = None,
    sample: bool = False,
    seed: int = 0,
    **kwargs: object,
) -> Clips:
    """Clips of the digits of MNIST's splits, in memory.

    Args:
        train, validation, test: ints >= 1, numbers of clips; those of `test` show digits of MNIST's test split, and
            those of `validation` digits that are not in `train`.
        data_dir, sample: as in `zoo.data.load`.
        seed: int >= 0, of the training clips. The validation and test clips do not depend on it.
        **kwargs: as in `MovingDigits`.

    Returns:
        `Clips`.

    Example:
        >>> zoo.data.load_moving_digits(8, 2, 2, sample=True, size=32, frames=10).train.shape
        (8, 10, 32, 32, 1)
    """
    splits = load("mnist", data_dir, sample=sample)
    parts = []
    seed = checks.integer("seed", seed, 0)
    # The paths of a clip depend on its seed and number alone: equal ones would be learned.
    of_train = seed + 2 if seed else 0
    for name, number, own in (("train", train, of_train), ("validation", validation, 1), ("test", test, 2)):
        made = MovingDigits(getattr(splits, name), seed=own, **kwargs)  # type: ignore[arg-type]
        parts.append(made.clips(np.arange(checks.positive_int(name, number))))
    return Clips(*parts)
