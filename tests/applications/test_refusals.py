"""Arrays and models that the uses of a model refuse, wherever they come in."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import applications, codec, data, evaluation, networks

IMAGES = np.random.default_rng(0).uniform(size=(60, 4, 4, 1)).round().astype(np.float32)
HIDDEN = np.ma.masked_array(IMAGES, IMAGES > 0.5)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    shape = (4, 4, 1)
    return zoo.VAE(networks.mlp_encoder(shape, 2, ()), networks.mlp_decoder(shape, 2, ()), "bernoulli", seed=0)


USES = {
    "detector": lambda model, x: applications.AnomalyDetector(model).fit(x),
    "features": lambda model, x: applications.FeatureExtractor(model).fit(x),
    "impute": lambda model, x: applications.impute(model, x, np.ones((4, 4, 1))),
    "denoise": lambda model, x: applications.denoise(model, x),
    "interpolate": lambda model, x: applications.interpolate(model, x[:1], x[1:2]),
    "compress": lambda model, x: codec.compress(model, x),
    "evaluate": lambda model, x: evaluation.evaluate(model, x),
}
OF_ARRAYS = {
    "noise": lambda model, x: applications.add_noise(x, "gaussian", 0.1),
    "batches": lambda model, x: data.example_batches(x, 8),
    "grid": lambda model, x: applications.grid(x),
}
OF_MODELS = {
    "walk": lambda model, x: applications.walk(model),
    "traverse": lambda model, x: applications.traverse(model, x[:1]),
    "relabel": lambda model, x: applications.relabel(model, x, [0], [1]),
    "jitter": lambda model, x: applications.jitter(model, x),
    "map": lambda model, x: applications.latent_map(model, x),
    "manifold": lambda model, x: applications.manifold(model),
    "explore": lambda model, x: applications.explore(model, x, None, "page.html"),
    "direction": lambda model, x: applications.attribute_direction(model, x, x[:, 0, 0, 0] > 0),
    "vary": lambda model, x: applications.vary_levels(model, x, 1),
    "futures": lambda model, x: applications.futures(model, x[:, None]),
    "labelled": lambda model, x: applications.sample_labelled(model, 1),
    "errors": lambda model, x: evaluation.reconstruction_error(model, [x]),
    "diagnose": lambda model, x: evaluation.diagnose(model, x),
    "export": lambda model, x: zoo.export.export(model, "model"),
    "preset": lambda model, x: zoo.save_preset(model, "model", "A model."),
}


@pytest.mark.parametrize("use", USES | OF_MODELS)
def test_models_of_other_kinds_are_refused(use, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="Expected `model` to be a model of the zoo, such as zoo.from_preset gives"):
        (USES | OF_MODELS)[use](other, IMAGES)
    assert not list(tmp_path.iterdir())


COUNTED = {
    "walk": lambda model, x: applications.walk(model, images=x),
    "jitter": OF_MODELS["jitter"],
    "direction": lambda model, x: applications.attribute_direction(model, x, [True, False]),
    "vary": lambda model, x: applications.vary_levels(model, x, 1),
    "mix": lambda model, x: applications.mix_levels(model, x, IMAGES, 1),
}


@pytest.mark.parametrize("use", COUNTED)
def test_a_dataset_whose_length_is_that_of_its_batches_is_refused(model, use, monkeypatch):
    monkeypatch.setattr("zoo.applications.style_transfer.num_levels", lambda model: 2)
    with pytest.raises(ValueError, match="Expected `(images|content)` to be an array of numbers. Received: .*Batch"):
        COUNTED[use](model, tf.data.Dataset.from_tensor_slices(IMAGES).batch(30))


@pytest.mark.parametrize("use", USES | OF_ARRAYS)
def test_masked_values_are_refused_before_anything_is_computed(model, use):
    with pytest.raises(ValueError, match="to be an array without a mask. Received: .* masked values"):
        (USES | OF_ARRAYS)[use](model, HIDDEN)


def test_masked_values_of_a_series_are_missing():
    series = data.Series(np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False]), gaps="cut")
    np.testing.assert_array_equal(series.values[:, 0], [1.0, np.nan, 3.0])


def test_detectors_name_another_shape_and_a_dataset(model):
    detector = applications.AnomalyDetector(model).fit(IMAGES)
    with pytest.raises(
        ValueError, match=r"Expected `x` to have the shape \[B, 4, 4, 1\]. Received: shape \(60, 2, 4, 1"
    ):
        detector.predict(IMAGES[:, :2])
    with pytest.raises(ValueError, match="Expected `x` to be an array of numbers. Received: x='_Batch"):
        detector.fit(tf.data.Dataset.from_tensor_slices(IMAGES).batch(8))
