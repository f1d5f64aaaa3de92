"""Random masks: each kind hides what its name says, and the stream goes on after saving."""

import keras
import numpy as np
import pytest

from zoo.layers import RandomMasks

X = np.zeros((200, 8, 12, 2), np.float32)


def drawn(kind, seed=0):
    masks = np.asarray(RandomMasks({kind: 1.0}, seed=seed)(X))
    assert masks.shape == (200, 8, 12, 1) and set(np.unique(masks)) <= {0.0, 1.0}
    return 1 - masks[..., 0]


def test_halves_are_the_four_halves():
    halves = np.zeros((4, 8, 12))
    halves[0, :4], halves[1, 4:], halves[2, :, :6], halves[3, :, 6:] = 1, 1, 1, 1
    found = np.all(drawn("halves")[:, None] == halves, axis=(2, 3))
    assert np.all(found.sum(axis=1) == 1)
    assert np.all(found.sum(axis=0) > 25)  # of 50 expected, with a standard deviation of 6


def test_blocks_are_boxes_of_the_sizes_they_say_anywhere():
    missing = drawn("blocks")
    rows, columns = missing.max(axis=2).sum(axis=1), missing.max(axis=1).sum(axis=1)
    np.testing.assert_array_equal(missing.sum(axis=(1, 2)), rows * columns)
    assert (rows.min(), rows.max()) == (2, 5) and (columns.min(), columns.max()) == (3, 7)
    assert missing.max(axis=0).min() == 1  # every pixel is missing in some image


def test_single_pixels_have_a_share_of_their_own_in_each_image_and_all_is_all():
    shares = drawn("pixels").mean(axis=(1, 2))
    assert 0.02 < shares.min() < 0.25 and 0.8 < shares.max() < 1.0
    assert abs(shares.mean() - 0.525) < 0.06  # the standard error is 0.018
    assert drawn("all").min() == 1


def test_kinds_are_drawn_as_often_as_they_weigh():
    whole = np.asarray(RandomMasks({"all": 3.0, "halves": 1.0}, seed=1)(X)).max(axis=(1, 2, 3)) == 0
    assert abs(whole.mean() - 0.75) < 0.1  # the standard error is 0.03


def test_a_seed_gives_one_stream_which_goes_on_after_its_state_is_restored():
    first, second = RandomMasks(seed=3), RandomMasks.from_config(RandomMasks(seed=3).get_config())
    np.testing.assert_array_equal(first(X), second(X))
    following = np.asarray(first(X))
    np.testing.assert_array_equal(following, second(X))
    assert not np.array_equal(following, np.asarray(first(X)))
    third = RandomMasks(seed=3)
    third.draws.assign(2)
    np.testing.assert_array_equal(following, third(X))


def test_other_kinds_and_other_data_are_refused():
    with pytest.raises(ValueError, match="`kinds` to be one of 'halves', 'pixels', 'blocks', 'all'"):
        RandomMasks({"half": 1.0})
    with pytest.raises(ValueError, match="`kinds` to be a dict from any of halves, pixels"):
        RandomMasks(["halves"])
    with pytest.raises(ValueError, match=r"`x` to be images \[B, H, W, C\] of a fixed size"):
        RandomMasks().call(keras.KerasTensor((None, None, 4, 1)))
    with pytest.raises(ValueError, match="`kinds` to be a dict with a number > 0"):
        RandomMasks({"all": 0.0})
    with pytest.raises(ValueError, match=r"`x` to be images \[B, H, W, C\]"):
        RandomMasks()(keras.ops.zeros((3, 4)))
