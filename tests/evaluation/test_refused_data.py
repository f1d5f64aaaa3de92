"""Data that a model does not take are refused by all that measures it, as by the model's own methods."""

import numpy as np
import pytest

import zoo
from zoo import evaluation
from zoo.applications import AnomalyDetector
from zoo.evaluation import Examples

X = np.random.default_rng(0).uniform(size=(24, 4, 4, 1)).astype("float32")
Y = np.arange(24, dtype=np.int32) % 3
MEASURES = {
    "log_prob": lambda model, x, y: evaluation.log_prob(model, [x if y is None else (x, y)]),
    "importance_bound": lambda model, x, y: evaluation.importance_bound(model, x, y, num_samples=1),
    "latent_terms": lambda model, x, y: evaluation.latent_terms(model, Examples(model, x, y)),
    "likelihood_figures": lambda model, x, y: evaluation.likelihood_figures(model, x, y, num_samples=1),
    "predictive_checks": lambda model, x, y: evaluation.predictive_checks(model, x, y),
    "reconstruction_error": lambda model, x, y: evaluation.reconstruction_error(model, [x if y is None else (x, y)]),
    "reconstruction_similarity": lambda model, x, y: evaluation.reconstruction_similarity(
        model, [x if y is None else (x, y)]
    ),
}
every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)


@pytest.fixture(scope="module")
def vae():
    return zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ()), seed=0)


@pytest.fixture(scope="module")
def cvae():
    encoder, decoder = zoo.networks.mlp_encoder((4, 4, 4), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 5, ())
    return zoo.CVAE(encoder, decoder, num_classes=3, seed=0)


@every_measure
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (255 * X, r"to lie in \[0, 1\]. Received: values from .* Divide by 255"),
        (np.where(X > 0.9, np.nan, X), "to be finite numbers"),
        (X[:, :2], r"to have the shape \[B, 4, 4, 1\]. Received: shape \(24, 2, 4, 1\)"),
    ],
    ids=["range", "nan", "shape"],
)
def test_images(measure, x, message, vae):
    with pytest.raises(ValueError, match=message):
        measure(vae, x, None)


def test_grey_levels_for_a_model_of_other_units_and_tokens():
    for shape, limits in (((4,), None), ((4, 4, 1), (-1, 1))):
        networks = zoo.networks.mlp_encoder(shape, 2, ()), zoo.networks.mlp_decoder(shape, 2, ())
        model = zoo.VAE(*networks, likelihood=zoo.likelihoods.Gaussian(range=limits))
        for use in (evaluation.evaluate, evaluation.diagnose):
            with pytest.raises(ValueError, match="Expected `images` to be floats in the units of the model, .* grey"):
                use(model, np.ones((24, *shape), np.uint8))
    size = {"length": 5, "num_tokens": 259, "latent_dim": 2, "width": 4, "depth": 1, "heads": 1}
    text = zoo.TextVAE(zoo.networks.TextEncoder(**size), zoo.networks.TextDecoder(**size))
    tokens = zoo.data.Vocabulary(5).encode(["a"] * 24)
    for use in (evaluation.evaluate, evaluation.diagnose, lambda model, x: AnomalyDetector(model).fit(x)):
        with pytest.raises(ValueError, match="Expected `model` to be one of images or other floats; TextModel has"):
            use(text, tokens)


def test_training_images_of_another_shape_and_a_single_name(vae):
    with pytest.raises(ValueError, match=r"Expected `training` to be images of test's shape \(4, 4, 1\)"):
        evaluation.evaluate(vae, X, X[:, :2], metrics=["reconstruction"])
    with pytest.raises(ValueError, match=r"Expected `metrics` to be a list of names, such as \['likelihood'\]"):
        evaluation.evaluate(vae, X, metrics="likelihood")


def test_pairs_where_one_array_is_due(vae):
    for use in (lambda: evaluation.evaluate(vae, (X, Y)), lambda: evaluation.diagnose(vae, (X, Y))):
        with pytest.raises(ValueError, match="to be one array of numbers. Received: .*a tuple of parts of different"):
            use()


def test_grey_levels_of_images_on_the_real_line_are_divided_by_255():
    networks = zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ())
    model, levels = zoo.VAE(*networks, likelihood=zoo.likelihoods.Gaussian(range=None)), (255 * X).astype(np.uint8)
    found, expected = (Examples(model, x).float_images() for x in (levels, levels / np.float32(255)))
    np.testing.assert_array_equal(found, expected)


@every_measure
@pytest.mark.parametrize("shift", [1, -1, 2**20])
def test_labels(measure, shift, cvae):
    measure(cvae, X, Y)
    with pytest.raises(ValueError, match="Expected `labels` to be from 0 to 2"):
        measure(cvae, X, Y + shift)


@pytest.mark.parametrize("name", ["log_prob", "reconstruction_error", "reconstruction_similarity"])
def test_batches_are_pairs_for_a_conditional_model(name, cvae, vae):
    measure = getattr(evaluation, name)
    with pytest.raises(ValueError, match="Expected `batches` to be pairs of images and labels, as the model is cond"):
        measure(cvae, [X])
    for none in ([], [X[:0]]):
        with pytest.raises(ValueError, match="Expected (`batches` to be one batch or more|at least one example)"):
            measure(vae, none)


def test_similarity_is_of_images_between_0_and_1():
    for images, message in (
        (255 * X, r"`others` to lie in \[0, 1\]"),
        (np.uint8(255 * X), "`others` to be floating-point. Received: dtype=uint8"),
        (np.full_like(X, np.nan), "`others` to be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluation.similarity(X, images)
    networks = zoo.networks.mlp_encoder((4, 4, 1), 2, ()), zoo.networks.mlp_decoder((4, 4, 1), 2, ())
    signed = zoo.VAE(*networks, zoo.likelihoods.Gaussian(range=(-1, 1)))
    with pytest.raises(ValueError, match=r"Expected `model` to be one of images in \[0, 1\]"):
        evaluation.reconstruction_similarity(signed, [X])


def test_a_variance_and_statistics_are_checked(vae):
    for variance in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="Expected `variance` to be a finite number > 0"):
            evaluation.reconstruction_error(vae, [X], variance)
    with pytest.raises(ValueError, match="Expected `statistics` to be a dict of one function or more"):
        evaluation.predictive_checks(vae, X, statistics={})
