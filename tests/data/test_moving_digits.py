"""Clips of moving digits: their paths by hand, and that a clip depends on the seed and its number alone."""

import numpy as np
import pytest

from zoo import data
from zoo.data import MovingDigits

DIGITS = np.zeros((3, 28, 28, 1), np.uint8)
for number, image in enumerate(DIGITS):  # a bar of its own height, as wide as the image
    image[: 8 * (number + 1)] = 255


class Angle:
    """Stands for a generator whose every uniform number is a given one."""

    def __init__(self, *numbers):
        self.numbers = iter(numbers)

    def uniform(self, low=0.0, high=1.0, size=None):
        made = [low + (high - low) * next(self.numbers) for _ in range(size or 1)]
        return np.array(made) if size else made[0]


def test_a_mirror_folds_the_straight_path():
    """From (0.2, 0.5) with a speed of 0.2 to the right, along the columns: 0.5, 0.7, 0.9, 1.1 → 0.9, …"""
    path = MovingDigits(DIGITS, size=16, frames=9, bounce="mirror").path(Angle(1.0, 0.2, 0.5, 0.0))
    np.testing.assert_allclose(path[:, 0], 0.2, atol=1e-12)
    np.testing.assert_allclose(path[:, 1], [0.5, 0.7, 0.9, 0.9, 0.7, 0.5, 0.3, 0.1, 0.1], atol=1e-12)


def test_a_random_bounce_stops_at_the_border_and_leaves_it_inwards():
    """It arrives at the right border, and a direction of 45° beyond it becomes one of 45° away from it."""
    path = MovingDigits(DIGITS, size=16, frames=4).path(Angle(1.0, 0.2, 0.9, 0.0, 0.125))
    away = 0.2 * np.sqrt(0.5)
    np.testing.assert_allclose(path, [[0.2, 0.9], [0.2, 1.0], [0.2 + away, 1 - away], [0.2 + 2 * away, 1 - 2 * away]])


def test_a_clip_depends_on_the_seed_and_its_number_alone():
    clips = MovingDigits(DIGITS, size=16, frames=5, number=2, seed=3)
    made = clips.clips(np.arange(6))
    np.testing.assert_array_equal(clips.clips(np.array([4, 1])), made[[4, 1]])
    assert len({clip.tobytes() for clip in made}) == 6
    other = MovingDigits(DIGITS, size=16, frames=5, number=2, seed=4).clips(np.arange(6))
    assert all((a != b).any() for a, b in zip(made, other))


def test_every_frame_shows_whole_digits_at_the_places_of_their_path():
    """A digit of 28 pixels has 7 in a frame of 16: bars of 2, 4 and 6 rows of 7 pixels, one of them or two."""
    clips = MovingDigits(DIGITS, size=16, frames=6, number=1).clips(np.arange(40))
    assert clips.shape == (40, 6, 16, 16, 1) and set(np.unique(clips)) == {0, 255}
    ink = (clips > 0).sum(axis=(2, 3, 4))
    assert np.all(ink == ink[:, :1]) and set(ink[:, 0]) == {14, 28, 42}
    two = MovingDigits(DIGITS, size=16, frames=6, number=2).clips(np.arange(40))
    assert 42 < (two > 0).sum(axis=(2, 3, 4)).max() <= 84


def test_grey_frames_hold_the_means_of_squares_of_pixels():
    digit = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), dtype=np.uint8)
    clip = MovingDigits(digit, size=32, frames=1, number=1, binary=False).clips(np.arange(1))[0, 0, :, :, 0]
    rows, columns = np.flatnonzero(clip.any(axis=1)), np.flatnonzero(clip.any(axis=0))
    expected = np.rint(digit[0, :, :, 0].reshape(14, 2, 14, 2).mean(axis=(1, 3)))
    np.testing.assert_array_equal(clip[rows[0] : rows[0] + 14, columns[0] : columns[0] + 14], expected)


def test_splits_have_digits_of_their_own():
    found = data.load_moving_digits(3, 2, 4, sample=True, size=16, frames=2)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [3, 2, 4]
    digits = data.load("mnist", sample=True).test
    np.testing.assert_array_equal(found.test, MovingDigits(digits, 16, 2, seed=2).clips(np.arange(4)))
    again = data.load_moving_digits(3, 2, 4, sample=True, seed=7, size=16, frames=2)
    assert (again.train != found.train).any()
    np.testing.assert_array_equal(again.test, found.test)
    train = data.load("mnist", sample=True).train
    held_out = [MovingDigits(train, 16, 2, seed=own).clips(np.arange(3)) for own in (1, 2)]
    for seed in range(4):  # the paths of the clips that are held out are those of no seed
        clips = data.load_moving_digits(3, 1, 1, sample=True, seed=seed, size=16, frames=2).train
        assert all((clips != others).any() for others in held_out)
    np.testing.assert_array_equal(found.train, MovingDigits(train, 16, 2, seed=0).clips(np.arange(3)))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"digits": np.zeros((2, 8, 8, 1), np.uint8)}, r"`digits` to be of shape \[N, 28, 28, 1\]"),
        ({"size": 20}, "`size` to be one of 64, 32, 16"),
        ({"bounce": "stop"}, "`bounce` to be one of 'mirror', 'random'"),
        ({"binary": "no"}, "`binary` to be"),
    ],
)
def test_other_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MovingDigits(**{"digits": DIGITS, **arguments})
