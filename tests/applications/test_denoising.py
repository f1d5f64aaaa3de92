"""Noise by its moments, and its removal where the clean image is known in closed form."""

import keras
import linear
import numpy as np
import pytest
from scipy import ndimage

import zoo
from zoo.applications import add_noise, denoise

GREY = np.full((40, 10, 10, 2), 0.5, np.float32)


def test_gaussian_noise_has_its_deviation_and_its_seed():
    noisy = add_noise(GREY, "gaussian", 0.1, seed=3)
    assert abs(noisy.std() - 0.1) < 0.004 and abs(noisy.mean() - 0.5) < 0.004
    np.testing.assert_array_equal(noisy, add_noise(GREY, "gaussian", 0.1, seed=3))
    np.testing.assert_allclose(noisy[:5], add_noise(GREY[:5], "gaussian", 0.1, seed=3), atol=1e-6)
    assert np.abs(noisy - add_noise(GREY, "gaussian", 0.1, seed=4)).mean() > 0.05
    assert np.abs(noisy[0] - noisy[1]).mean() > 0.05
    wild = add_noise(GREY, "gaussian", 3.0)
    assert wild.min() == 0.0 and wild.max() == 1.0


def test_salt_and_pepper_sets_a_share_of_whole_pixels():
    noisy = add_noise(GREY, "salt_and_pepper", 0.3)
    hit = noisy[..., 0] != 0.5
    assert abs(hit.mean() - 0.3) < 0.03
    np.testing.assert_array_equal(noisy[..., 0], noisy[..., 1])
    assert set(np.unique(noisy)) == {0.0, 0.5, 1.0}
    assert abs((noisy == 1).mean() - 0.15) < 0.02
    np.testing.assert_array_equal(add_noise(GREY, "salt_and_pepper", 0.0), GREY)


def test_a_blur_spreads_a_point_and_keeps_its_sum():
    point = np.zeros((1, 21, 21, 1), np.float32)
    point[0, 10, 10] = 1.0
    blurred = add_noise(point, "blur", 1.5)[0, :, :, 0]
    places = np.arange(21) - 10
    np.testing.assert_allclose(blurred.sum(), 1.0, rtol=1e-5)
    np.testing.assert_allclose((blurred.sum(axis=1) * places**2).sum(), 1.5**2, rtol=0.01)
    np.testing.assert_allclose(blurred[10, 12] / blurred[10, 10], np.exp(-0.5 * (2 / 1.5) ** 2), rtol=1e-4)
    np.testing.assert_allclose(add_noise(GREY, "blur", 2.0), GREY, rtol=1e-5)  # edges are mirrored
    np.testing.assert_array_equal(add_noise(point, "blur", 0.0), point)


def test_a_blur_is_a_gaussian_filter_that_repeats_the_pixels_at_the_edges():
    x = np.random.default_rng(0).uniform(size=(3, 9, 12, 2)).astype(np.float32)
    expected = ndimage.gaussian_filter(x, (0.0, 1.5, 1.5, 0.0), mode="reflect", truncate=4.0)
    np.testing.assert_allclose(add_noise(x, "blur", 1.5), expected, atol=1e-5)


def test_a_model_that_was_trained_on_pairs_removes_noise():
    keras.utils.set_random_seed(0)
    encoder, decoder = zoo.networks.mlp_encoder((4,), 2, ()), zoo.networks.mlp_decoder((4,), 2, ())
    model = zoo.BetaVAE(encoder, decoder, zoo.likelihoods.Gaussian(0.3, range=None), beta=0.1, seed=0)
    clean = np.random.default_rng(0).normal(size=(2000, 2)).astype(np.float32) @ linear.WEIGHTS.T.astype(np.float32)
    noisy = clean + np.random.default_rng(1).normal(scale=0.5, size=clean.shape).astype(np.float32)
    model.compile(keras.optimizers.Adam(2e-2))
    model.fit(noisy, clean, epochs=8, batch_size=200, verbose=0)
    assert np.mean((denoise(model, noisy) - clean) ** 2) < 0.7 * np.mean((noisy - clean) ** 2)
    with pytest.raises(ValueError, match="Expected `deviation` to be None"):
        denoise(model, noisy, deviation=0.5)


def test_a_plain_vae_finds_the_mode_of_the_posterior_under_the_noise():
    """With x = W z + b + noise of variance s², the mode is (W'W + s² I)⁻¹ W'(x − b)."""
    model, deviation = linear.vae(), 2.0
    x = linear.draw(5)
    gram = linear.WEIGHTS.T @ linear.WEIGHTS + deviation**2 * np.eye(2)
    mode = np.linalg.solve(gram, linear.WEIGHTS.T @ (x - linear.BIAS).T).T
    found = denoise(model, x, deviation=deviation, steps=400)
    np.testing.assert_allclose(found, mode @ linear.WEIGHTS.T + linear.BIAS, atol=0.02)
    np.testing.assert_allclose(denoise(model, x), model.reconstruct(x), atol=1e-6)
    np.testing.assert_allclose(denoise(model, x, deviation=deviation, steps=0), model.reconstruct(x), atol=1e-5)


def test_values_beyond_the_range_of_a_plain_model_are_clipped():
    model = zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ()))
    x = np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype(np.float32)
    np.testing.assert_array_equal(denoise(model, x), model.reconstruct(np.clip(x, 0, 1)))
    for wrong, message in ((255 * np.clip(x, 0, 1), r"to lie in \[-10, 11\]"), (np.inf * x, "to be finite")):
        for deviation in (None, 0.1):
            with pytest.raises(ValueError, match=f"Expected `x` {message}"):
                denoise(model, wrong, deviation)


def test_what_noise_does_not_explain_is_refused_by_a_model_of_pairs_too():
    model = zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ()))
    model.compile("sgd")
    clean = np.random.default_rng(0).uniform(size=(8, 4, 4, 1)).astype(np.float32)
    noisy = clean + np.random.default_rng(1).normal(size=clean.shape).astype(np.float32)
    with pytest.raises(ValueError, match=r"Expected `x` to lie in \[-10, 11\]"):
        model.fit(255 * clean, clean, verbose=0)
    model.fit(noisy, clean, verbose=0)
    for method in (model.reconstruct, lambda x: denoise(model, x)):
        assert np.isfinite(method(noisy)).all()
        with pytest.raises(ValueError, match=r"Expected `x` to lie in \[-10, 11\]"):
            method(255 * clean)


def test_weights_say_that_their_model_removes_noise(tmp_path):
    def make():
        return zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ()))

    model, plain = make(), make()
    model.compile("sgd")
    clean = np.random.default_rng(0).uniform(size=(8, 4, 4, 1)).astype(np.float32)
    noisy = clean - 0.5
    model.fit(noisy, clean, verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    plain.save_weights(tmp_path / "plain.weights.h5")
    again = make()
    again.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(denoise(again, noisy), denoise(model, noisy))
    plain.predict(clean, verbose=0)
    plain.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_allclose(plain.predict(noisy, verbose=0), again.reconstruct(noisy), rtol=1e-5)
    plain.load_weights(tmp_path / "plain.weights.h5")
    assert again.denoises and not plain.denoises


def test_noise_may_reach_ten_times_the_width_of_the_range():
    networks = zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ())
    model = zoo.VAE(*networks, zoo.likelihoods.Gaussian(0.1, range=(-1, 1)))
    x = np.linspace(-20.9, 20.9, 16, dtype=np.float32).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(denoise(model, x), model.reconstruct(np.clip(x, -1, 1)))
    with pytest.raises(ValueError, match=r"Expected `x` to lie in \[-21, 21\]"):
        denoise(model, 1.01 * x)


def test_a_model_on_the_real_line_takes_any_precision():
    model, x = linear.vae(), linear.draw(3)
    expected = denoise(model, x, deviation=0.5, steps=2)
    np.testing.assert_array_equal(denoise(model, x.astype(np.float64), deviation=0.5, steps=2), expected)
    half = x.astype(np.float16)
    expected = denoise(model, half.astype(np.float32), deviation=0.5, steps=2)
    np.testing.assert_array_equal(denoise(model, half, deviation=0.5, steps=2), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((GREY, "snow", 0.1), "Expected `kind` to be one of 'gaussian'"),
        ((GREY, "salt_and_pepper", 1.5), "Expected `level` to be a finite number >= 0 and <= 1"),
        ((GREY, "gaussian", -1.0), "Expected `level` to be a finite number >= 0"),
        ((GREY[0], "blur", 1.0), "Expected `x` to be floats"),
        ((GREY.astype(int), "gaussian", 1.0), "Expected `x` to be floats"),
        ((GREY[:0], "gaussian", 1.0), "Expected `x` to be floats"),
        ((255 * GREY, "gaussian", 0.1), r"Expected `x` to lie in \[0, 1\]"),
        ((GREY * np.nan, "salt_and_pepper", 0.1), "Expected `x` to be finite"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        add_noise(*arguments)


@pytest.mark.parametrize("deviation", [25.0, 1e-25, 0.0])
def test_deviations_beyond_those_of_noise_are_refused(deviation):
    model = zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ()))
    with pytest.raises(ValueError, match="Expected `deviation` to be a finite number >= 1e-06 and <= 10"):
        denoise(model, np.zeros((2, 4, 4, 1), np.float32), deviation)


def test_calls_share_a_graph_whatever_the_noise_and_the_steps():
    model = linear.vae()
    for deviation, steps in ((1.0, 3), (2.0, 3), (2.0, 5)):
        denoise(model, linear.draw(5), deviation=deviation, steps=steps)
    assert model.functions["zoo.applications.denoise"].experimental_get_tracing_count() == 1
    model.prior = zoo.priors.StandardNormal(2)
    assert "zoo.applications.denoise" not in model.functions
