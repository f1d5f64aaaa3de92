"""Traversals of latents."""

import numpy as np
import pytest
import tiny_models

from zoo.applications import latent_statistics, traverse

X = np.random.default_rng(0).uniform(size=(10, 4, 4, 1)).astype("float32")


@pytest.mark.parametrize("make", [tiny_models.vae, tiny_models.hierarchical_vae, tiny_models.vq_vae])
def test_each_row_moves_one_latent_of_an_example(make):
    model = make()
    found = traverse(model, X, start=X[3], num_latents=2, num_steps=3, span=2.0)
    statistics = latent_statistics(model, X)
    np.testing.assert_array_equal(found.latents, statistics.order[:2])
    np.testing.assert_array_equal(found.steps, [-2, 0, 2])
    e = np.asarray(model.embed(X[3:4]))
    for row, latent in enumerate(found.latents):
        points = np.repeat(e, 3, axis=0)
        points[:, latent] += np.float32([-2, 0, 2]) * statistics.std[latent]
        np.testing.assert_allclose(found.images[row], model.decode_embedding(points), atol=1e-5)
        np.testing.assert_allclose(found.images[row, 1:2], model.reconstruct(X[3:4]), atol=1e-5)
    assert (found.kl is None) == (make is tiny_models.vq_vae)


def test_without_a_start_the_middle_is_the_mean_of_the_prior():
    model = tiny_models.vae(latents=3)
    found = traverse(model, X, num_latents=9, num_steps=3)
    assert found.images.shape == (3, 3, 4, 4, 1) and (np.diff(found.kl) <= 0).all()
    np.testing.assert_allclose(
        found.images[:, 1], np.repeat(model.decode(np.zeros((1, 3), "float32")), 3, 0), atol=1e-6
    )


def test_of_a_vq_vae_the_middle_is_the_mean_of_the_examples():
    model = tiny_models.vq_vae()
    found = traverse(model, X, num_latents=1, num_steps=3)
    mean = np.asarray(model.embed(X)).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(found.images[0, 1:2], model.decode_embedding(mean), atol=1e-5)


def test_a_conditional_model_has_the_label_of_the_start():
    model = tiny_models.cvae()
    labels = np.repeat([2, 1], 5).astype(np.int32)
    zeros = np.zeros((1, 2), "float32")
    for start_label, expected in ((None, 2), (0, 0)):
        found = traverse(model, X, labels, start_label=start_label, num_latents=1, num_steps=3)
        np.testing.assert_allclose(found.images[0, 1:2], model.decode(zeros, [expected]), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_latents": 0}, "Expected `num_latents` to be an integer >= 1"),
        ({"num_steps": 1}, "Expected `num_steps` to be an integer >= 2"),
        ({"span": 0.0}, "Expected `span` to be a finite number > 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        traverse(tiny_models.vae(), X, **arguments)
