"""Rendered sprites: their order, their geometry, and splits in which no image is seen twice."""

import itertools

import numpy as np
import pytest

from zoo import data

SIZES = (3, 6, 40, 32, 32)


def centre(image):
    """The mean row and column of the white pixels."""
    return np.argwhere(image[..., 0]).mean(axis=0)


def test_order_is_that_of_dsprites():
    sprites = data.Sprites()
    assert len(sprites) == 737280 and sprites.factor_sizes == SIZES
    assert sprites.factor_names == ("shape", "scale", "orientation", "x", "y")
    # The last factor varies fastest: y after 1, x after 32, orientation after 1,024, scale after 40,960.
    places = np.array([0, 1, 32, 1024, 40960, 245760, 737279])
    expected = [[0] * 5, [0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0]]
    np.testing.assert_array_equal(sprites.factors(places), [*expected, [2, 5, 39, 31, 31]])
    np.testing.assert_array_equal(sprites.indices(sprites.factors(places)), places)


@pytest.mark.parametrize("size", [64, 32, 16, 8])
def test_images_are_black_and_white_and_the_same_by_place_and_by_factors(size):
    sprites = data.Sprites(size)
    places = np.random.default_rng(0).integers(len(sprites), size=50)
    images = sprites.images(places)
    assert images.dtype == np.uint8 and images.shape == (50, *sprites.image_shape) == (50, size, size, 1)
    assert set(np.unique(images)) == {0, 255}
    assert images.max(axis=(1, 2, 3)).min() == 255  # none is empty
    np.testing.assert_array_equal(images, sprites.images(sprites.factors(places)))
    np.testing.assert_array_equal(images[7], sprites.images(places[7:8])[0])


def test_a_step_of_x_moves_by_a_pixel_to_the_right_and_one_of_y_downwards():
    sprites = data.Sprites(64)
    for shape, scale, orientation in itertools.product(range(3), (0, 5), (0, 7)):
        first, right, down, far = sprites.images(
            np.array([[shape, scale, orientation, x, y] for x, y in ((3, 5), (4, 5), (3, 6), (31, 31))])
        )
        np.testing.assert_array_equal(right, np.roll(first, 1, axis=1))
        np.testing.assert_array_equal(down, np.roll(first, 1, axis=0))
        np.testing.assert_array_equal(far, np.roll(first, (26, 28), axis=(0, 1)))


def test_no_sprite_is_cut_off():
    """At the corners of the grid each sprite is as large as in the middle."""
    sprites = data.Sprites(64)
    turned = [(shape, 5, orientation) for shape in range(3) for orientation in range(40)]
    middle = sprites.images(np.array([[*each, 15, 15] for each in turned]))
    for x, y in ((0, 0), (0, 31), (31, 0), (31, 31)):
        corner = sprites.images(np.array([[*each, x, y] for each in turned]))
        np.testing.assert_array_equal(corner, np.roll(middle, (y - 15, x - 15), axis=(1, 2)))
        assert not corner[:, [0, -1]].any() and not corner[:, :, [0, -1]].any()


def test_square_and_ellipse_have_their_sizes():
    """A square of side 21.6, an ellipse of half-axes 15 and 9.5, and at the smallest scale half of that."""
    sprites = data.Sprites(64)
    factors = np.array([[0, 5, 0, 15, 15], [1, 5, 0, 15, 15], [0, 0, 0, 15, 15]])
    square, ellipse, small = sprites.images(factors)[..., 0] // 255
    # Of a pixel 10.5 to 11.5 from the centre, two of four points lie within 10.8; of the corners one.
    assert square.sum() == 23**2 - 4 and square[31, 20:43].all() and not square[31, [19, 43]].any()
    # 4.5 to 5.5 lies within 5.4 with all of its points.
    assert small.sum() == 11**2 and small[31, 26:37].all()
    np.testing.assert_allclose(ellipse.sum(), np.pi * 15 * 9.5, rtol=0.03)
    for image in (square, ellipse, small):
        np.testing.assert_allclose(centre(image[..., None]), 31)  # place 16 + 15


def test_orientations_repeat_by_the_symmetry_of_the_shape_alone():
    """A square looks the same after 90°, an ellipse after 180°, a heart after a whole turn."""
    sprites = data.Sprites(64)
    for shape, distinct in enumerate((10, 20, 40)):
        turns = np.array([[shape, 5, orientation, 9, 22] for orientation in range(40)])
        images = sprites.images(turns).reshape(40, -1)
        np.testing.assert_array_equal(images, np.tile(images[:distinct], (40 // distinct, 1)))
        assert len(np.unique(images, axis=0)) == distinct


def test_a_quarter_turn_turns_the_heart():
    upright, turned = data.Sprites(64).images(np.array([[2, 5, 0, 15, 15], [2, 5, 10, 15, 15]]))[..., 0]
    # The picture's middle is a corner of four pixels, the sprite's is the centre of pixel 31.
    around = slice(31 - 16, 31 + 17)
    np.testing.assert_array_equal(turned[around, around], np.rot90(upright[around, around], -1))
    assert (turned != upright).any()


def test_pixels_of_a_smaller_image_are_white_where_half_of_them_is_covered():
    sprites = [data.Sprites(size) for size in (64, 32, 16)]
    factors = np.random.default_rng(0).integers(0, SIZES, (300, 5))
    large, *others = (each.images(factors)[..., 0] for each in sprites)
    for small in others:
        pixel = 64 // small.shape[1]
        share = large.reshape(300, 64 // pixel, pixel, 64 // pixel, pixel).mean(axis=(2, 4)) / 255
        assert np.all(small[share > 0.75] == 255) and np.all(small[share < 0.25] == 0)
        assert np.mean((share > 0.5) == (small == 255)) > 0.99


def test_sharing_keeps_one_factor_and_draws_the_others():
    sprites = data.Sprites(8)
    for factor, size in enumerate(SIZES):
        factors = sprites.factors(sprites.sharing(factor, 500, np.random.default_rng(factor)))
        distinct = [len(np.unique(column)) for column in factors.T]
        assert distinct[factor] == 1
        assert [d for k, d in enumerate(distinct) if k != factor] == [s for k, s in enumerate(SIZES) if k != factor]
        assert 0 <= factors[0, factor] < size


def test_splits_are_the_same_at_each_call_and_share_no_image(tmp_path):
    sprites = data.Sprites(16)
    splits = sprites.splits(3000, 200, 400)
    again = sprites.splits(3000, 200, 400, disk_folder=tmp_path)
    parts = (splits.train, splits.validation, splits.test)
    assert [len(part) for part in parts] == [3000, 200, 400]
    for part, other in zip(parts, (again.train, again.validation, again.test)):
        np.testing.assert_array_equal(part.images, other.images[np.arange(len(other))])
        np.testing.assert_array_equal(part.labels, other.labels)
        np.testing.assert_allclose(np.bincount(part.labels) / len(part), 1 / 3, atol=0.1)


def test_no_training_image_shows_what_another_split_shows():
    """Small images coincide often, and squares of the same size by their symmetry in images of any size."""
    splits = data.Sprites(16).splits(3000, 1000, 30_000)
    train, validation, test = (
        {image.tobytes() for image in part.images} for part in (splits.train, splits.validation, splits.test)
    )
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [3000, 1000, 30_000]
    assert len(test) < 27_000  # there are doubles
    assert not train & test and not train & validation and not validation & test


def test_there_are_fewer_training_images_if_all_others_have_been_seen():
    class Few(data.Sprites):
        factor_sizes = (3, 1, 40, 2, 2)

    distinct = 4 * (10 + 20 + 40)
    splits = Few(64).splits(train=379, validation=1, test=100)
    seen, new = ({image.tobytes() for image in part.images} for part in (splits.test, splits.train))
    assert len(splits.train) < 379 and len(seen) + 1 + len(new) == distinct


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: data.Sprites(48), "Expected `image_size` to be one of 64, 32, 16, 8. Received: image_size=48"),
        (lambda: data.Sprites(8).images(np.zeros(3)), r"`which` to be integers of shape \[N\] or \[N,5\].*float64"),
        (lambda: data.Sprites(8).images(np.zeros((3, 4), int)), r"of shape \(3, 4\)"),
        (lambda: data.Sprites(8).images(np.array([737280])), "below 737280"),
        (lambda: data.Sprites(8).images(np.array([[0, 0, 40, 0, 0]])), r"below \(3, 6, 40, 32, 32\)"),
        (lambda: data.Sprites(8).images(np.array([-1])), "integers >= 0"),
        (lambda: data.Sprites(8).splits(737280), "Expected `train` to be at most 722280"),
        (lambda: data.Sprites(8).splits(test=0), "`test` to be an integer >= 1"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
