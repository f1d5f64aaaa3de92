"""Straight lines through the latent space."""

import keras
import numpy as np
import pytest

import zoo
from zoo.applications import interpolate

RNG = np.random.default_rng(0)
START, END = RNG.uniform(size=(2, 3, 4, 4, 1)).astype("float32")


def vae(cls=zoo.VAE, classes=0, **kwargs):
    encoder = zoo.networks.mlp_encoder((4, 4, 1 + classes), 2, hidden=())
    return cls(encoder, zoo.networks.mlp_decoder((4, 4, 1), 2 + classes, hidden=()), **kwargs)


def vq_vae():
    encoder = zoo.networks.residual_encoder((4, 4, 1), 3, filters=4, downsamples=1, blocks=0)
    decoder = zoo.networks.residual_decoder((2, 2, 3), 1, filters=4, upsamples=1, blocks=0)
    quantizer = zoo.quantizers.VectorQuantizer(16, 3, seed=0)
    quantizer.embeddings.assign(0.3 * RNG.normal(size=(16, 3)))
    return zoo.VQVAE(encoder, decoder, quantizer)


def hierarchical_vae():
    encoder = zoo.networks.bottom_up_encoder((4, 4, 1), (4, 2), 5, 4, blocks=1)
    model = zoo.HierarchicalVAE(encoder, zoo.networks.TopDown((4, 4, 1), (4, 2), 1, 2, 5, 4))
    for weight in model.trainable_weights:  # at first its latents say nothing of the image
        weight.assign_add(RNG.normal(0, 0.3, weight.shape))
    return model


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
    model = vae(zoo.CVAE, classes=3, num_classes=3)
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
