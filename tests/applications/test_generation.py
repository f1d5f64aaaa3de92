"""Closed walks through the latent space."""

import numpy as np
import pytest
import tiny_models

from zoo.applications import between, walk
from zoo.applications._latents import prior_embeddings

X = np.random.default_rng(0).uniform(size=(3, 4, 4, 1)).astype("float32")


def test_a_walk_passes_the_samples_of_its_seed_and_closes():
    model = tiny_models.vae(latents=3)
    frames = walk(model, num_points=3, num_steps=4, seed=2)
    assert frames.shape == (12, 4, 4, 1) and frames.dtype == np.float32
    np.testing.assert_allclose(frames[::4], model.sample(3, seed=2), atol=1e-6)
    z = prior_embeddings(model, 3, seed=2)
    last = between(z[2:], z[:1], 0.75, "spherical")
    np.testing.assert_allclose(frames[-1:], model.decode_embedding(last), atol=1e-6)


def test_a_walk_passes_examples():
    model = tiny_models.vae(latents=3)
    frames = walk(model, num_steps=5, images=X)
    np.testing.assert_allclose(frames[::5], model.reconstruct(X), atol=1e-6)


def test_a_frame_has_the_label_of_the_nearer_point():
    model = tiny_models.cvae()
    frames = walk(model, num_points=2, num_steps=4, seed=0, labels=[2, 1])
    z = prior_embeddings(model, 2, seed=0, labels=[2, 1])
    points = np.stack([between(z, z[::-1], t / 4, "spherical") for t in range(4)], axis=1).reshape(8, -1)
    np.testing.assert_allclose(frames, model.decode(points, np.array([2, 2, 2, 1, 1, 1, 1, 2], np.int32)), atol=1e-6)


def test_one_label_holds_for_all_frames():
    model = tiny_models.cvae()
    frames = walk(model, num_points=2, num_steps=2, seed=0, labels=2)
    np.testing.assert_array_equal(frames, walk(model, num_points=2, num_steps=2, seed=0, labels=[2, 2]))
    assert np.abs(frames - walk(model, num_points=2, num_steps=2, seed=0, labels=[1])).max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_points": 1}, "Expected `num_points` to be an integer >= 2. Received: num_points=1"),
        ({"num_steps": 0}, "Expected `num_steps` to be an integer >= 1"),
        ({"images": X[:1]}, "Expected `num_points` to be an integer >= 2"),
        ({"temperature": -0.1}, "Expected `temperature` to be a finite number >= 0"),
        ({"labels": [0, 1, 2]}, "Expected `labels` to be one label, or 2, one for each point"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        walk(tiny_models.cvae(), **{"num_points": 2, "labels": 0, "seed": 0, **arguments})
