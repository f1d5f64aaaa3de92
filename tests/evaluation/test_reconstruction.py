"""Reconstruction errors, of models that give what they are told to."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.applications._anomaly_signature import score_of
from zoo.evaluation import reconstruction_error, reconstruction_similarity, similarity


def constant_model(value):
    """A VAE that gives `value` everywhere, whatever the image."""
    encoder = zoo.networks.mlp_encoder((2, 2, 1), 1, hidden=())
    z = keras.Input((1,))
    dense = keras.layers.Dense(4, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(value - 0.5))
    return zoo.VAE(encoder, keras.Model(z, keras.layers.Reshape((2, 2, 1))(dense(z))), zoo.likelihoods.Gaussian())


def images(*values):
    return np.repeat(np.array(values, "float32"), 4).reshape(-1, 2, 2, 1)


def test_mse_and_psnr_by_hand():
    result = reconstruction_error(constant_model(0.3), [images(0.3, 0.5, 0.1)])
    # Errors 0, 0.2 and −0.2: 0.08 / 3.
    np.testing.assert_allclose(result["mse"], 0.08 / 3, rtol=1e-5)
    np.testing.assert_allclose(result["psnr"], -10 * math.log10(0.08 / 3), rtol=1e-5)
    assert set(result) == {"mse", "psnr"}


def masked_model():
    """A VAE of four values beside their mask that gives 0.5 for each."""
    keras.utils.set_random_seed(0)
    encoder, decoder = zoo.networks.mlp_encoder((8,), 1, ()), zoo.networks.mlp_decoder((4,), 1, ())
    decoder.set_weights([np.zeros_like(weight) for weight in decoder.get_weights()])
    return zoo.VAE(encoder, decoder, zoo.likelihoods.Masked(zoo.likelihoods.Gaussian()), seed=0)


def test_missing_values_have_no_error():
    masked = zoo.likelihoods.Masked.beside([[0.1, 0.5, 0.9, 0.0], [0.5, 0.2, 0, 0]], [[1, 1, 1, 0], [1, 1, 0, 0]])
    model = masked_model()
    expected = (0.16 + 0.16 + 0.09) / 5  # of five known values
    np.testing.assert_allclose(reconstruction_error(model, [masked])["mse"], expected, rtol=1e-5)
    report = zoo.evaluation.evaluate(model, masked.numpy(), masked.numpy(), ["reconstruction"])
    assert [figure.name for figure in report.figures] == ["mse"] and "missing" in str(report.left_out)
    np.testing.assert_allclose(report.figures[0].value, ((0.16 + 0.16) / 3 + 0.09 / 2) / 2, rtol=1e-5)
    detector = zoo.applications.AnomalyDetector(model, "reconstruction", 0.4).fit(np.repeat(masked, 2, axis=0))
    np.testing.assert_allclose(-detector.score_samples(masked), [0.32, 0.09], rtol=1e-5)
    expected = [[0.16, 0, 0.16, 0, 0, 0, 0, 0], [0, 0.09, 0, 0, 0, 0, 0, 0]]
    np.testing.assert_allclose(detector.heat_map(masked), expected, atol=1e-6)
    np.testing.assert_allclose(score_of(detector, tf.constant(masked)), [0.32, 0.09], rtol=1e-5)


def test_every_value_counts_once_whatever_the_batches():
    model = constant_model(0.5)
    batches = [images(0.5, 0.5, 0.5), images(0.9)]
    # 0.16 / 4 for the four images; the mean of the batches' own errors would be 0.08.
    np.testing.assert_allclose(reconstruction_error(model, batches)["mse"], 0.04, rtol=1e-5)


def test_a_model_that_gives_the_mean_everywhere_has_an_error_of_the_variance():
    data = images(0.2, 0.4, 0.9)
    result = reconstruction_error(constant_model(0.5), [data], variance=float(data.var()))
    np.testing.assert_allclose(result["mse_over_variance"], 1.0, rtol=1e-5)
    np.testing.assert_allclose(result["mse"], data.var(), rtol=1e-5)


@pytest.mark.parametrize("cls", [zoo.VAE, zoo.VQVAE])
def test_it_is_the_error_of_reconstruct(cls):
    data = np.random.default_rng(0).uniform(size=(5, 4, 4, 1)).astype("float32")
    if cls is zoo.VQVAE:
        quantizer = zoo.quantizers.VectorQuantizer(4, 3, initialization="uniform", seed=0)
        encoder = zoo.networks.residual_encoder((4, 4, 1), 3, filters=4, downsamples=1, blocks=0)
        decoder = zoo.networks.residual_decoder((2, 2, 3), 1, filters=4, upsamples=1, blocks=0)
        model = zoo.VQVAE(encoder, decoder, quantizer)
    else:
        encoder = zoo.networks.mlp_encoder((4, 4, 1), 2, hidden=())
        model = zoo.VAE(encoder, zoo.networks.mlp_decoder((4, 4, 1), 2, hidden=()))
    expected = np.square(model.reconstruct(data) - data).mean()
    np.testing.assert_allclose(reconstruction_error(model, [data[:3], data[3:]])["mse"], expected, rtol=1e-4)


def test_a_conditional_model_is_given_its_labels():
    encoder = zoo.networks.mlp_encoder((2, 2, 1 + 3), 2, hidden=())
    model = zoo.CVAE(encoder, zoo.networks.mlp_decoder((2, 2, 1), 2 + 3, hidden=()), num_classes=3)
    data, labels = images(0.1, 0.5, 0.8), np.array([0, 1, 2], "int32")
    expected = np.square(model.reconstruct(data, labels) - data).mean()
    np.testing.assert_allclose(reconstruction_error(model, [(data, labels)])["mse"], expected, rtol=1e-4)
    other = reconstruction_error(model, [(data, labels[::-1].copy())])["mse"]
    assert abs(other - expected) > 1e-5


def pictures(number, size, channels=1, seed=0):
    """Smooth random images in [0, 1]."""
    coarse = np.random.default_rng(seed).uniform(size=(number, 8, 8, channels)).astype("float32")
    return tf.image.resize(coarse, (size, size), "bicubic").numpy().clip(0.0, 1.0)


def ssim_parts(a, b):
    """Luminance and contrast-structure maps of two grey images, from the formulas of Wang et al. 2004."""
    offsets = np.arange(11) - 5.0
    window = np.exp(-np.square(offsets) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2
    a, b = (np.lib.stride_tricks.sliding_window_view(each.astype("float64"), (11, 11)) for each in (a, b))

    def mean(patches):
        return (patches * window).sum((-1, -2))

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b, both = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2, mean(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (np.square(mean_a) + np.square(mean_b) + c1)
    return luminance, (2 * both + c2) / (var_a + var_b + c2)


def test_similarity_is_that_of_the_formulas():
    a, b = pictures(3, 28), pictures(3, 28, seed=1) * 0.3 + pictures(3, 28) * 0.6
    found = similarity(a, b)
    for i in range(3):
        np.testing.assert_allclose(found["psnr"][i], -10 * np.log10(np.square(a[i] - b[i]).mean()), rtol=1e-5)
        luminance, structure = ssim_parts(a[i, ..., 0], b[i, ..., 0])
        np.testing.assert_allclose(found["ssim"][i], (luminance * structure).mean(), rtol=1e-3)
        halves = (each[i, ..., 0].reshape(14, 2, 14, 2).mean((1, 3)) for each in (a, b))
        coarse = np.multiply(*ssim_parts(*halves)).mean()
        # 2 scales: weights 0.0448 and 0.2856 over their sum.
        expected = structure.mean() ** (0.0448 / 0.3304) * coarse ** (0.2856 / 0.3304)
        np.testing.assert_allclose(found["ms_ssim"][i], expected, rtol=1e-3)


def test_equal_images_are_alike_in_full():
    found = similarity(pictures(2, 44, 3), pictures(2, 44, 3))
    np.testing.assert_allclose(found["ssim"], 1.0, rtol=1e-6)
    np.testing.assert_allclose(found["ms_ssim"], 1.0, rtol=1e-6)
    assert np.isinf(found["psnr"]).all()


@pytest.mark.parametrize(
    "size, names", [(8, ["psnr"]), (16, ["psnr", "ssim"]), (22, ["ms_ssim", "psnr", "ssim"])], ids=str
)
def test_measures_that_small_images_cannot_have_are_left_out(size, names):
    assert sorted(similarity(pictures(1, size), pictures(1, size, seed=1))) == names


def test_images_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"Expected `others` to be images \[B,H,W,C\] as `images`"):
        similarity(pictures(1, 16), pictures(2, 16))


def test_a_models_similarity_is_the_mean_over_images_with_its_error():
    encoder = zoo.networks.mlp_encoder((24, 24, 1), 2, hidden=())
    model = zoo.VAE(encoder, zoo.networks.mlp_decoder((24, 24, 1), 2, hidden=()), seed=0)
    x = pictures(5, 24)
    each = similarity(x, model.reconstruct(x))
    found = reconstruction_similarity(model, [x[:2], x[2:]])
    assert set(found) == {"psnr", "psnr_error", "ssim", "ssim_error", "ms_ssim", "ms_ssim_error"}
    for name, values in each.items():
        np.testing.assert_allclose(found[name], values.mean(), rtol=1e-4)
        np.testing.assert_allclose(found[f"{name}_error"], values.std(ddof=1) / np.sqrt(5), rtol=1e-3)


@pytest.mark.parametrize("measure", [reconstruction_error, reconstruction_similarity])
def test_batches_that_are_none_or_of_another_range_are_refused(measure):
    model = constant_model(0.3)
    with pytest.raises(ValueError, match="Expected `batches` to be one batch or more. Received: batches='none'"):
        measure(model, [])
    with pytest.raises(ValueError, match=r"Expected `x` to lie in \[0, 1\]. .* Divide by 255"):
        measure(model, [255.0 * images(0.3, 0.5)])
    with pytest.raises(ValueError, match=r"It lacks the axis of the batch: x\[None\]"):
        measure(model, images(0.3, 0.5))
