"""Data beside the range of the likelihood."""

import numpy as np
import pytest

import zoo
from zoo.evaluation import Examples
from zoo.evaluation.diagnosis.data_range import data_range, is_out_of_range, is_scaled_twice

GRID = (np.arange(32) * 8 / 255).astype("float32").reshape(2, 4, 4, 1)
ENCODER = zoo.networks.mlp_encoder((4, 4, 1), 2, hidden=())


def values(x, likelihood="bernoulli"):
    model = zoo.VAE(ENCODER, zoo.networks.mlp_decoder((4, 4, 1), 2, hidden=()), likelihood)
    return data_range(model, Examples(model, np.asarray(x)))


def test_a_share_of_the_values_outside():
    x = GRID.copy()
    x[0, 0, 0, 0], x[1, 0, 0, 0] = -0.5, 1.5
    found = values(x)
    assert (found.low, found.high, found.outside) == (-0.5, 1.5, 2 / 32) and is_out_of_range(found)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_values_that_are_no_numbers(wrong):
    x = GRID.copy()
    x[0, 0, 0, 0] = wrong
    found = values(x)
    assert found.invalid == 1 / 32 and np.isfinite([found.low, found.high]).all() and is_out_of_range(found)
    assert is_out_of_range(values(np.full_like(GRID, wrong)))


def test_values_divided_twice():
    assert is_scaled_twice(values(GRID / 255)) and is_out_of_range(values(GRID / 255))
    assert not is_scaled_twice(values(np.zeros_like(GRID)))


def test_eight_bit_values_off_their_grid():
    assert values(GRID, "discretized_logistic").off_grid == 0.0
    off = values(GRID + 0.4 / 255, "discretized_logistic")
    assert off.off_grid == 1.0 and is_out_of_range(off)
    assert not is_out_of_range(values(GRID + 0.4 / 255))


def test_the_real_line_has_no_outside_and_rounding_none_either():
    assert not is_out_of_range(values(1000 * GRID, zoo.likelihoods.Gaussian(range=None)))
    assert not is_out_of_range(values(GRID - 5e-4))
    assert not is_out_of_range(values(2 * GRID - 1, zoo.likelihoods.Gaussian(range=(-1, 1))))
