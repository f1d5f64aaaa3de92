"""Predictive checks, of models whose samples are known."""

import math

import numpy as np
import pytest

import zoo
from zoo.evaluation import predictive_checks
from zoo.evaluation.criticism import log_power, position


def constant(value, size=4, likelihood=None):
    """A VAE that gives images of `value` everywhere."""
    encoder = zoo.networks.mlp_encoder((size, size, 1), 1, hidden=())
    decoder = zoo.networks.mlp_decoder((size, size, 1), 1, hidden=())
    decoder.layers[-2].set_weights([np.zeros((1, size * size)), np.full(size * size, value - 0.5)])
    return zoo.VAE(encoder, decoder, likelihood or zoo.likelihoods.Gaussian())


def test_differences_are_in_standard_deviations_of_the_data():
    x = np.repeat(np.float32([0.2, 0.4]), 16 * 10).reshape(20, 4, 4, 1)
    figures = {figure.name: figure for figure in predictive_checks(constant(0.5), x, split="val")}
    assert list(figures) == ["check_mean", "check_variance", "check_sparsity"]
    mean = figures["check_mean"]
    deviation = 0.1 * math.sqrt(20 / 19)
    np.testing.assert_allclose(mean.value, 0.2 / deviation, rtol=1e-4)
    np.testing.assert_allclose(mean.error, 1 / math.sqrt(20), rtol=1e-4)
    assert mean.about == "data 0.3, samples 0.5, position 1.00"
    assert (mean.split, mean.num_examples, mean.seed) == ("val", 20, 0)
    assert figures["check_sparsity"].about == "data 0, samples 0, position 0.50"


def test_the_error_is_of_data_and_samples():
    x = np.repeat(np.float32([0.2, 0.4]), 16 * 10).reshape(20, 4, 4, 1)
    model = constant(0.5)
    model.decoder.layers[-2].set_weights([np.full((1, 16), 0.1), np.zeros(16)])
    figure = predictive_checks(model, x, seed=3)[0]
    sampled, real = (each.mean(axis=(1, 2, 3)) for each in (model.sample(20, seed=3).numpy(), x))
    expected = math.sqrt(real.var(ddof=1) / 20 + sampled.var(ddof=1) / 20) / real.std(ddof=1)
    np.testing.assert_allclose(figure.error, expected, rtol=1e-3)


def test_sparsity_is_the_share_of_values_near_the_lowest():
    x = np.ones((4, 16), "float32")
    x[:2, :8], x[2:, :4] = 0.009, 0.0
    figures = {figure.name: figure for figure in predictive_checks(constant(1.0), x.reshape(4, 4, 4, 1))}
    assert figures["check_sparsity"].about == "data 0.375, samples 0, position 0.00"


def test_samples_of_the_data_themselves_agree():
    draw = np.random.default_rng(0)
    latents = draw.normal(size=(600, 4, 4, 1)).astype("float32")
    encoder = zoo.networks.mlp_encoder((4, 4, 1), 16, hidden=())
    decoder = zoo.networks.mlp_decoder((4, 4, 1), 16, hidden=())
    decoder.layers[-2].set_weights([np.eye(16), np.zeros(16)])
    model = zoo.VAE(encoder, decoder, zoo.likelihoods.Gaussian(1.0, range=None))
    for figure in predictive_checks(model, latents):
        assert abs(figure.value) < 4 * figure.error < 0.3, figure
    values = {figure.name: figure.value for figure in predictive_checks(model, 2 * latents)}
    # Half the deviation of the data: a quarter of their variance, and twice as many values near 0.
    assert values["check_variance"] < -1.0 and values["check_sparsity"] > 0.2


def test_other_statistics_can_be_given():
    x = np.repeat(np.float32([0.2, 0.4]), 16).reshape(2, 4, 4, 1)
    (figure,) = predictive_checks(constant(0.5), x, statistics={"corner": lambda x: x[:, 0, 0, 0]})
    assert figure.name == "check_corner" and figure.about.startswith("data 0.3, samples 0.5")


@pytest.mark.parametrize(("cycles", "band"), [(1, 0), (2, 1), (4, 2), (8, 3)])
def test_a_wave_has_its_power_in_its_band(cycles, band):
    wave = np.cos(2 * np.pi * cycles * np.arange(16) / 16)
    images = np.broadcast_to(wave[None, :, None, None], (2, 16, 16, 3))
    power = log_power(images)
    assert power.shape == (2, 4) and power.argmax(axis=1).tolist() == [band, band]
    assert np.delete(power[0], band).max() < -9 < 0 < power[0, band] + 2


def test_the_power_of_white_noise_is_its_variance_in_every_band():
    noise = 3.0 * np.random.default_rng(0).normal(size=(500, 16, 16, 1))
    np.testing.assert_allclose((10 ** log_power(noise)).mean(axis=0), 9.0, rtol=0.1)


def test_images_have_a_spectrum():
    x = np.random.default_rng(0).uniform(size=(6, 16, 16, 1)).astype("float32")
    figures = {figure.name: figure for figure in predictive_checks(constant(0.5, 16), x)}
    assert [name for name in figures if "spectrum" in name] == [
        f"check_spectrum_{band}" for band in ("low", "middle", "high", "highest")
    ]
    assert figures["check_spectrum_highest"].value < -5


def test_positions_by_hand():
    assert position(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0])) == 0.5
    assert position(np.array([3.0]), np.array([1.0, 2.0, 4.0])) == pytest.approx(2 / 3)


def test_a_single_image_is_refused():
    with pytest.raises(ValueError, match="Expected `images` to be at least two. Received: images='1'"):
        predictive_checks(constant(0.5), np.zeros((1, 4, 4, 1), "float32"))


@pytest.mark.parametrize(
    ("statistic", "message"),
    [
        (lambda x: x.mean(), "a function to a number for each example"),
        (lambda x: x.reshape(len(x), -1), "a function to a number for each example"),
        (lambda x: x[:3].mean(axis=(1, 2, 3)), "a function to a number for each example"),
        (lambda x: np.full(len(x), np.nan), "a function to finite numbers"),
    ],
)
def test_statistics_that_are_no_number_for_each_example_are_refused(statistic, message):
    x = np.random.default_rng(0).uniform(size=(6, 4, 4, 1)).astype("float32")
    with pytest.raises(ValueError, match=rf"Expected `statistics\['own'\]` to be {message}"):
        predictive_checks(constant(0.5), x, statistics={"own": statistic})


def test_a_statistic_that_does_not_vary_over_the_data_is_left_out():
    same = np.full((4, 4, 4, 1), 0.25, np.float32)
    assert [figure.name for figure in predictive_checks(constant(0.5), same)] == ["check_variance", "check_sparsity"]
    report = zoo.evaluation.evaluate(constant(0.5), same, metrics=["criticism"])
    assert report.left_out["check_mean"] == "it is the same for all images, and another for samples"
