"""Errors of predicted frames, by hand."""

import numpy as np
import pytest

from zoo import evaluation


def test_errors_by_hand():
    """One clip of two steps and one pixel: the truth is 1, 0; the last frame was 0.5; three draws."""
    truth = np.array([1.0, 0.0]).reshape(1, 2, 1, 1, 1)
    draws = np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.5]]).reshape(1, 3, 2, 1, 1, 1)
    found = evaluation.prediction_errors(draws, truth, np.full((1, 1, 1, 1), 0.5))
    np.testing.assert_allclose(found["draw"], [1 / 3, 1.25 / 3])
    np.testing.assert_allclose(found["mean"], [1 / 9, 0.25])
    np.testing.assert_allclose(found["best"], [0.0, 0.25])
    np.testing.assert_allclose(found["copy"], [0.25, 0.25])


def test_the_sum_is_over_the_pixels_of_a_frame_and_the_mean_over_clips():
    truth = np.zeros((2, 1, 2, 3, 1))
    draws = np.stack([np.full((1, 1, 2, 3, 1), 1.0), np.full((1, 1, 2, 3, 1), 2.0)])
    assert evaluation.prediction_errors(draws, truth, truth[:, 0])["draw"] == pytest.approx([6 * (1 + 4) / 2])


def test_arrays_that_do_not_fit_are_refused():
    truth = np.zeros((2, 3, 4, 4, 1))
    with pytest.raises(ValueError, match="Expected `futures`"):
        evaluation.prediction_errors(truth, truth, truth[:, 0])
    with pytest.raises(ValueError, match="Expected `last`"):
        evaluation.prediction_errors(truth[:, None], truth, truth[:, 0, :2])


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(
    ("change", "message"),
    [(lambda x: 255 * (x + 1), "values up to"), (lambda x: x.astype(np.uint8), "uint8"), (lambda x: x * np.nan, "nan")],
)
def test_frames_in_other_units_are_refused(place, change, message):
    truth = np.zeros((2, 3, 4, 4, 1))
    arguments = [truth[:, None], truth, truth[:, 0]]
    arguments[place] = change(arguments[place])
    with pytest.raises(ValueError, match=f"Expected `{('futures', 'truth', 'last')[place]}` to be .*{message}"):
        evaluation.prediction_errors(*arguments)
