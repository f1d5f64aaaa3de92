"""The distributions that the codec's scripts yield, against closed forms."""

import keras
import numpy as np
import pytest
from scipy import stats

import zoo
from zoo import likelihoods

pytest.importorskip("constriction")

from zoo.codec import _coder, _latents, _pixels, _tiles  # noqa: E402  (after the skip)

RNG = np.random.default_rng(0)


def tables_of(script, symbols):
    """The parameters of the models that a script yields."""
    return [model[1:] for _, model in _coder.known(script, symbols)]


def test_bins_have_equal_mass_under_the_prior_and_the_posterior_is_a_difference_of_cdfs():
    grid = _latents.LatentGrid((2,), [2, 0])
    mean, scale = np.array([[0.3, 5.0]]), np.array([[0.5, 0.1]])
    ((table,),) = tables_of(grid.posterior(mean, scale), [np.array([1])])
    edges = stats.norm.ppf([0.0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(table, np.diff(stats.norm.cdf(edges, 0.3, 0.5))[None], rtol=1e-6)
    medians = grid.medians(np.array([[1, 0]], np.int32))
    np.testing.assert_allclose(medians, [[stats.norm.ppf(0.375), 0.0]], rtol=1e-6)


def test_information_of_drawn_bins_is_the_entropy_on_average():
    grid = _latents.LatentGrid((1,), [3])
    mean, scale = np.full((20_000, 1), 0.3), np.full((20_000, 1), 0.5)
    _, information = grid.draw(mean, scale, RNG.random(mean.shape))
    masses = np.diff(stats.norm.cdf(stats.norm.ppf(np.arange(9) / 8), 0.3, 0.5))
    assert information.mean() == pytest.approx(-np.sum(masses * np.log2(masses)), rel=0.02)


@pytest.mark.parametrize(
    "likelihood, spread",
    [(likelihoods.DiscretizedLogistic(), 0.3), (likelihoods.DiscretizedLogisticMixture(3, 3), 1.0)],
    ids=["discretized_logistic", "discretized_logistic_mixture"],
)
def test_tables_of_pixels_are_the_likelihoods_probabilities(likelihood, spread):
    x = RNG.integers(0, 256, (2, 3, 3, 3), dtype=np.uint8)
    x[0, 0, 0] = 0, 255, 128
    params = spread * RNG.standard_normal((2, 3, 3, likelihood.params_size(3))).astype(np.float32)
    symbols = _pixels.symbols(likelihood, x)
    tables = [table for (table,) in tables_of(_pixels.script(likelihood, params, 3), symbols)]
    for table in tables:
        np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-5)
    log_prob = sum(np.log(table[np.arange(len(table)), values]).sum() for table, values in zip(tables, symbols))
    expected = np.sum(likelihood.log_prob(x.astype(np.float32) / np.float32(255), params))
    assert log_prob == pytest.approx(expected, rel=1e-4)


def test_bernoulli_pixels():
    logits = RNG.standard_normal((1, 2, 2, 1)).astype(np.float32)
    ((probabilities,),) = tables_of(_pixels.script(likelihoods.Bernoulli(), logits, 1), [np.zeros(4, np.uint8)])
    np.testing.assert_allclose(probabilities, keras.ops.sigmoid(logits.reshape(-1)), rtol=1e-6)


def test_gaussian_pixels_are_in_levels():
    likelihood = likelihoods.Gaussian(0.1)
    mean, scale = tables_of(_pixels.script(likelihood, np.zeros((1, 1, 1, 1), np.float32), 1), [np.zeros(1)])[0]
    np.testing.assert_allclose([mean[0], scale[0]], [127.5, 25.5], rtol=1e-6)


def test_likelihoods_without_probabilities_of_pixels_are_refused():
    with pytest.raises(ValueError, match="range"):
        _pixels.levels(likelihoods.Gaussian(range=None))
    with pytest.raises(ValueError, match="likelihood of pixels"):
        _pixels.levels(likelihoods.Masked(likelihoods.Bernoulli()))


def test_tiles_join_to_the_image():
    images = [RNG.integers(0, 256, shape, dtype=np.uint8) for shape in ((5, 7, 1), (4, 4, 1), (1, 9, 1))]
    tiles = _tiles.Tiles(images, (4, 4))
    assert len(tiles) == 4 + 1 + 3
    everything = tiles[0:8]
    np.testing.assert_array_equal(everything[1, :, 2, 0], images[0][:4, 6, 0])
    np.testing.assert_array_equal(everything[1, :, 3, 0], images[0][:4, 6, 0])  # the last column again
    for image, expected in zip(_tiles.join(everything, [image.shape for image in images]), images, strict=True):
        np.testing.assert_array_equal(image, expected)


def test_a_stack_that_runs_empty_says_so():
    stack = _coder.Stack(np.arange(1, 9, dtype=np.uint32), seal=True)
    grid = _latents.LatentGrid((100,), [12] * 100)
    with pytest.raises(EOFError):
        stack.read(grid.prior(1))


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"vae-zoo\[codec\]"):
        zoo.codec.compress(None, [])
