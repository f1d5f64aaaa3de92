"""A likelihood in the units of the data, by one of standardised data."""

import keras
import numpy as np
import pytest
from scipy import stats

from zoo import random
from zoo.likelihoods import Gaussian, Masked, Standardized

X = np.float32([[[19.0, 1000.0], [25.0, 1020.0]]])
PARAMS = np.float32([[[0.5, -1.0], [0.0, 2.0]]])
MEANS, DEVIATIONS = np.array([20.0, 1013.0]), np.array([5.0, 8.0])


def test_it_is_a_density_of_the_data_in_their_units():
    layer = Standardized(Gaussian(0.5, range=None), MEANS, DEVIATIONS, ["t", "p"])
    expected = stats.norm(MEANS + DEVIATIONS * PARAMS, 0.5 * DEVIATIONS).logpdf(X).sum()
    np.testing.assert_allclose(layer.log_prob(X, PARAMS), [expected], rtol=1e-5)
    np.testing.assert_allclose(layer.mean(PARAMS), MEANS + DEVIATIONS * PARAMS, rtol=1e-6)
    noise = np.asarray(random.normal(np.int32([3]), (2, 2)))
    drawn = layer.sample(PARAMS, np.int32([3]))
    np.testing.assert_allclose(drawn, MEANS + DEVIATIONS * (PARAMS + 0.5 * noise), rtol=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.names == ("t", "p") and again.likelihood.scale == 0.5
    np.testing.assert_array_equal(again.mean(PARAMS), layer.mean(PARAMS))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((Gaussian(0.5), [0.0], [1.0]), "Expected `likelihood` to be a zoo.likelihoods.Likelihood on the real line"),
        ((Gaussian(0.5, range=None), [0.0], [0.0]), "Expected `deviations` to be a finite number > 0"),
        ((Gaussian(0.5, range=None), [0.0], [1.0, 2.0]), "Expected `deviations` to be of the length of means, 1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Standardized(*arguments)


def test_data_of_other_channels_are_refused():
    with pytest.raises(ValueError, match="Expected `x` to be of 2 channels"):
        Standardized(Gaussian(0.5, range=None), MEANS, DEVIATIONS).params_size(3)


def test_the_observed_values_are_judged_in_their_units():
    layer = Standardized(Gaussian(0.5, range=None), MEANS, DEVIATIONS)
    values = stats.norm(MEANS + DEVIATIONS * PARAMS, 0.5 * DEVIATIONS).logpdf(X)
    for mask in (np.ones_like(X), np.float32([[[1, 0], [0, 1]]]), np.float32([[[0, 0], [0, 1]]])):
        found = layer.observed_log_prob(X, PARAMS, mask)
        np.testing.assert_allclose(found, [(values * mask).sum()], rtol=1e-5)
    masked = Masked(layer)
    mask = np.float32([[[1, 0], [1, 1]]])
    np.testing.assert_allclose(masked.log_prob(Masked.beside(X, mask), PARAMS), [(values * mask).sum()], rtol=1e-5)


def test_places_of_coupled_channels_are_judged_whole():
    class Coupled(Gaussian):
        couples_channels = True

    layer = Standardized(Coupled(0.5, range=None), MEANS, DEVIATIONS)
    np.testing.assert_allclose(
        layer.observed_log_prob(X, PARAMS, np.ones_like(X)), layer.log_prob(X, PARAMS), rtol=1e-5
    )
    second = layer.log_prob(X[:, 1:], PARAMS[:, 1:])
    np.testing.assert_allclose(layer.observed_log_prob(X, PARAMS, np.float32([[[0, 0], [1, 1]]])), second, rtol=1e-5)
