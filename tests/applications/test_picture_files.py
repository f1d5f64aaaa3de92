"""Grids, and files that hold the pixels that were given."""

import numpy as np
import pytest
from PIL import Image

from zoo.applications import grid, save_animation, save_image, save_images

RNG = np.random.default_rng(0)


def test_a_grid_by_hand():
    images = np.arange(3, dtype=np.float32).reshape(3, 1, 1, 1) / 4
    expected = [[1, 1, 1, 1, 1], [1, 0, 1, 0.25, 1], [1, 1, 1, 1, 1], [1, 0.5, 1, 1, 1], [1, 1, 1, 1, 1]]
    np.testing.assert_array_equal(grid(images)[..., 0], expected)
    np.testing.assert_array_equal(grid(images, columns=3, gap=0)[..., 0], [[0, 0.25, 0.5]])
    np.testing.assert_array_equal(grid(images, columns=2, gap=0, fill=0.75)[..., 0], [[0, 0.25], [0.5, 0.75]])


def test_rows_of_images_stay_rows():
    images = RNG.uniform(size=(2, 5, 3, 4, 3)).astype("float32")
    whole = grid(images, gap=2)
    assert whole.shape == (2 * 5 + 2, 5 * 6 + 2, 3)
    np.testing.assert_array_equal(whole[7:10, 14:18], images[1, 2])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_holds_the_rounded_levels(channels, tmp_path):
    image = RNG.uniform(-0.1, 1.1, size=(5, 6, channels))
    path = save_image(tmp_path / "new" / "a.png", image, scale=2)
    levels = np.round(255 * np.clip(image, 0, 1)).repeat(2, axis=0).repeat(2, axis=1)
    read = np.asarray(Image.open(path)).reshape(10, 12, channels)
    assert np.abs(read - levels).max() == 0
    assert [each.name for each in path.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image: (255 * image).astype(np.uint8), "floating-point. Received: dtype=uint8. Divide by 255"),
        (lambda image: 255 * image, r"in \[0, 1\]. Received: images='values from 0 to 255'"),
        (lambda image: 2 * image - 1, r"in \[0, 1\]. Received: images='values from -1 to 1'"),
        (lambda image: image / 0.0, "in .*values from nan to nan"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_a_picture_of_another_range_is_refused(change, message, tmp_path):
    image = np.array([[[0.0], [1.0]]])
    for save in (save_image, lambda path, image: save_images(path.with_suffix(""), image[None])):
        with pytest.raises(ValueError, match=f"Expected `images` to be {message}"):
            save(tmp_path / "a.png", change(image))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_an_animation_holds_its_frames(ending, tmp_path):
    frames = RNG.integers(0, 256, (4, 8, 8, 1)) / 255
    path = save_animation(tmp_path / f"a{ending}", frames, frames_per_second=10, scale=3)
    with Image.open(path) as animation:
        assert (animation.n_frames, animation.size, animation.info["loop"]) == (4, (24, 24), 0)
        for number in range(4):
            animation.seek(number)
            read = np.asarray(animation.convert("L"), np.int32)[::3, ::3]
            np.testing.assert_array_equal(read, np.round(255 * frames[number, ..., 0]))
            assert animation.info["duration"] == 100


@pytest.mark.parametrize(("rate", "lasting"), [(40, [20, 30, 30, 20]), (24, [40, 40, 40, 50]), (50, [20] * 4)])
def test_the_frames_of_a_gif_last_as_long_as_asked_on_average(rate, lasting, tmp_path):
    path = save_animation(tmp_path / "a.gif", RNG.uniform(size=(4, 8, 8, 1)), frames_per_second=rate)
    found = []
    with Image.open(path) as animation:
        for number in range(4):
            animation.seek(number)
            found.append(animation.info["duration"])
    assert found == lasting


def test_a_folder_gets_all_pictures_or_none(tmp_path):
    images = RNG.uniform(size=(2, 4, 4, 1))
    assert save_images(tmp_path / "all", images, ["b", "a"]) == [tmp_path / "all/b.png", tmp_path / "all/a.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "all/a.png")), np.round(255 * images[1, ..., 0]))
    with pytest.raises(ValueError, match="Expected `names` to be 2 different names. Received: names=\\['a'\\]"):
        save_images(tmp_path / "none", images, ["a"])
    for names in (["a", "a"], ["../a", "b"], ["/a", "b"], ["a/b", "c"], ["a\\b", "c"], ["", "c"], [1, 2]):
        with pytest.raises(ValueError, match="Expected `names` to be"):
            save_images(tmp_path / "none", images, names)
    with pytest.raises(ValueError, match="Expected `folder` to be a new or an empty folder"):
        save_images(tmp_path / "all", images)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: grid(np.zeros((4, 4, 1))), r"Expected `images` to be of shape \[N,H,W,C\]"),
        (lambda path: grid(np.zeros((0, 4, 4, 1))), "one at least"),
        (lambda path: grid(np.zeros((2, 4, 4, 1)), columns=0), "Expected `columns` to be an integer >= 1"),
        (lambda path: grid(np.zeros((2, 4, 4, 1)), gap=-1), "Expected `gap` to be an integer >= 0"),
        (
            lambda path: save_image(path / "a.gif", np.zeros((4, 4, 1))),
            "Expected `path` to be a file that ends in .png",
        ),
        (lambda path: save_image(path / "a.png", np.zeros((4, 4, 2))), r"Expected `images` to be of shape \[N,H,W,1\]"),
        (lambda path: save_image(path / "a.png", np.zeros((4, 4, 1)), 0), "Expected `scale` to be an integer >= 1"),
        (lambda path: save_animation(path / "a.png", np.zeros((2, 4, 4, 1))), "ends in .gif, .webp"),
        (lambda path: save_animation(path / "a.gif", np.zeros((2, 4, 4, 1)), 51), "Expected `frames_per_second`"),
    ],
)
def test_wrong_arguments_are_refused_and_leave_nothing(call, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        call(tmp_path)
    assert list(tmp_path.iterdir()) == []
