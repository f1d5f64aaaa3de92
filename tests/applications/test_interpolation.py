"""Lines and arcs through the latent space."""

import keras
import numpy as np
import pytest
import tiny_models
from tiny_models import hierarchical_vae, vae, vq_vae

import zoo
from zoo.applications import between, interpolate

RNG = np.random.default_rng(0)
START, END = RNG.uniform(size=(2, 3, 4, 4, 1)).astype("float32")


@pytest.mark.parametrize("make", [vae, vq_vae, hierarchical_vae])
@pytest.mark.parametrize("num_steps", [2, 5])
def test_the_ends_are_the_reconstructions_of_the_two_images(make, num_steps):
    model = make()
    frames = interpolate(model, START, END, num_steps=num_steps)
    assert isinstance(frames, np.ndarray) and frames.dtype == np.float32
    assert frames.shape == (3, num_steps, 4, 4, 1)
    np.testing.assert_allclose(frames[:, 0], model.reconstruct(START), atol=1e-5)
    np.testing.assert_allclose(frames[:, -1], model.reconstruct(END), atol=1e-5)
    assert np.abs(frames[:, 0] - frames[:, -1]).max() > 1e-3


def test_frames_stand_at_even_distances_between_the_posterior_means():
    model = vae()
    a, b = model.encode(START)["mean"].numpy(), model.encode(END)["mean"].numpy()
    frames = interpolate(model, START, END, num_steps=5)
    for i in range(5):
        np.testing.assert_allclose(frames[:, i], model.decode(a + i / 4 * (b - a)), rtol=1e-4, atol=1e-5)


def test_all_layers_of_a_hierarchical_vae_go_along_their_lines_at_once():
    model = hierarchical_vae()
    a, b = ([layer["mean"].numpy() for layer in model.encode(x)] for x in (START, END))
    frames = interpolate(model, START, END, num_steps=5)
    for i in range(5):
        point = [a + i / 4 * (b - a) for a, b in zip(a, b, strict=True)]
        np.testing.assert_allclose(frames[:, i], model.decode(point), rtol=1e-4, atol=1e-5)


def test_a_linear_decoder_gives_a_straight_line_of_images():
    encoder = zoo.networks.mlp_encoder((4, 4, 1), 2, hidden=())
    z = keras.Input((2,))
    dense = keras.layers.Dense(16, kernel_initializer=keras.initializers.RandomUniform(-0.01, 0.01, seed=0))
    decoder = keras.Model(z, keras.layers.Reshape((4, 4, 1))(dense(z)))
    model = zoo.VAE(encoder, decoder, zoo.likelihoods.Gaussian())
    frames = interpolate(model, START, END, num_steps=3)
    np.testing.assert_allclose(frames[:, 1], (frames[:, 0] + frames[:, 2]) / 2, atol=1e-6)


def test_a_vq_vae_quantises_the_line_between_its_encoder_outputs():
    model = vq_vae()
    middle = (model.features(START) + model.features(END)) / 2
    frames = interpolate(model, START, END, num_steps=3)
    np.testing.assert_allclose(frames[:, 1], model.decode(model.quantizer(middle)["codes"]), atol=1e-5)


def test_a_conditional_model_keeps_its_labels_along_the_line():
    model = tiny_models.cvae()
    labels = np.array([0, 1, 2], "int32")
    frames = interpolate(model, START, END, num_steps=2, labels=labels)
    np.testing.assert_allclose(frames[:, 0], model.reconstruct(START, labels), atol=1e-5)
    np.testing.assert_allclose(frames[:, 1], model.reconstruct(END, labels), atol=1e-5)
    assert np.abs(frames - interpolate(model, START, END, 2, labels[::-1].copy())).max() > 1e-3


def test_eight_frames_by_default():
    assert interpolate(vae(), START, END).shape[1] == 8


@pytest.mark.parametrize("num_steps", [1, 0, -3, 2.5])
def test_fewer_than_two_frames_are_refused(num_steps):
    with pytest.raises(
        ValueError, match=f"Expected `num_steps` to be an integer >= .* Received: num_steps={num_steps}"
    ):
        interpolate(vae(), START, END, num_steps=num_steps)


def test_ends_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"Expected `end` to be of start's shape \(3, 4, 4, 1\). Received: end=\(2, 4"):
        interpolate(vae(), START, END[:2])


def test_an_arc_by_hand():
    """Thirds of a right angle; vectors of other norms; and vectors without an arc, which take the straight line."""
    a, b = np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])
    half, root = 0.5, np.sqrt(3) / 2
    np.testing.assert_allclose(between(a, b, 1 / 3, "spherical"), [[root, 2 * half]], rtol=1e-6)
    np.testing.assert_allclose(between(a, b, 2 / 3, "spherical"), [[half, 2 * root]], rtol=1e-6)
    np.testing.assert_allclose(between(a, b, 0.25), [[0.75, 0.5]], rtol=1e-6)
    for end in (-a, 3 * a, 0 * a):
        np.testing.assert_allclose(between(a, end, 0.25, "spherical"), 0.75 * a + 0.25 * end, rtol=1e-6)


def test_an_arc_keeps_the_norm_of_each_row():
    a, b = RNG.normal(size=(2, 5, 40))
    a, b = (5 * each / np.linalg.norm(each, axis=1, keepdims=True) for each in (a, b))
    np.testing.assert_allclose(np.linalg.norm(between(a, b, 0.3, "spherical"), axis=1), 5.0, rtol=1e-5)
    assert (np.linalg.norm(between(a, b, 0.5), axis=1) < 4.9).all()


def test_spherical_frames_are_the_images_along_the_arc():
    model = vae()
    a, b = (np.asarray(model.embed(x)) for x in (START, END))
    frames = interpolate(model, START, END, num_steps=5, path="spherical")
    for i in range(5):
        expected = model.decode_embedding(between(a, b, i / 4, "spherical"))
        np.testing.assert_allclose(frames[:, i], expected, atol=1e-5)
    assert np.abs(frames[:, 2] - interpolate(model, START, END, num_steps=5)[:, 2]).max() > 1e-4


def test_integers_and_lists_are_numbers():
    for path in ("linear", "spherical"):
        expected = between(np.array([[100.0, 100.0]]), np.array([[100.0, 0.0]]), 0.25, path)
        for a, b in (([[100, 100]], [[100, 0]]), (np.array([[100, 100]], np.int8), np.array([[100, 0]], np.int8))):
            np.testing.assert_array_equal(between(a, b, 0.25, path), expected)


@pytest.mark.parametrize("a", [np.arange(3.0), np.array([[np.nan, 0.0]]), np.array([["a"]])])
def test_points_between_what_are_no_rows_of_numbers_are_refused(a):
    with pytest.raises(ValueError, match=r"Expected `a` to be finite numbers of shape \[B, E\]"):
        between(a, a, 0.5)


def test_another_path_is_refused():
    with pytest.raises(ValueError, match="Expected `path` to be one of 'linear', 'spherical'. Received: path='round'"):
        interpolate(vae(), START, END, path="round")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "sphere"}, "Expected `path` to be one of 'linear', 'spherical'"),
        ({"weight": np.nan}, "Expected `weight` to be a finite number >= 0 and <= 1"),
        ({"b": np.ones((1, 2))}, r"Expected `b` to be of a's shape \(3, 2\)"),
    ],
)
def test_points_between_vectors_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        between(**{"a": np.zeros((3, 2)), "b": np.ones((3, 2)), "weight": 0.5, **arguments})


def test_lists_are_images_as_in_other_methods():
    model = tiny_models.vae()
    images = np.full((2, *model.image_shape), 0.5, np.float32)
    found = interpolate(model, images.tolist(), images.tolist(), 3)
    np.testing.assert_allclose(found, interpolate(model, images, images, 3), atol=1e-6)
