"""More labelled examples."""

import numpy as np
import pytest
import tiny_models

import zoo
from zoo.applications import jitter, sample_labelled

X = np.random.default_rng(0).uniform(size=(6, 4, 4, 1)).astype("float32")
LABELS = np.array([0, 1, 2, 2, 1, 0], np.int32)


def test_samples_come_with_their_labels():
    model = tiny_models.cvae()
    images, labels = sample_labelled(model, 2, seed=4, temperature=0.8)
    np.testing.assert_array_equal(labels, [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(images, model.sample(6, seed=4, temperature=0.8, labels=labels))
    assert sample_labelled(model, 3, classes=[2], seed=4)[1].tolist() == [2, 2, 2]


def test_jitter_adds_noise_in_proportion_to_the_spread_of_each_latent():
    model = tiny_models.vae(latents=3)
    images, labels = jitter(model, X, LABELS, num_copies=2, scale=0.5, seed=9)
    e = np.asarray(model.embed(X))
    noise = np.asarray(zoo.random.normal(zoo.random.row_seeds(9, 12), (3,)))
    points = np.repeat(e, 2, axis=0) + 0.5 * e.std(axis=0) * noise
    np.testing.assert_allclose(images, model.decode(points.astype(np.float32)), atol=1e-5)
    np.testing.assert_array_equal(labels, np.repeat(LABELS, 2))


def test_jitter_decodes_with_the_labels_of_a_conditional_model():
    model = tiny_models.cvae()
    images, labels = jitter(model, X, LABELS, scale=0.0)
    np.testing.assert_allclose(images, model.reconstruct(X, LABELS), atol=1e-5)
    np.testing.assert_array_equal(labels, LABELS)
    assert jitter(tiny_models.vq_vae(), X, seed=0)[1] is None


def test_the_same_seed_gives_the_same_examples_and_another_one_others():
    model = tiny_models.vae()
    first, again, other = (jitter(model, X, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample_labelled(tiny_models.vae(), 2), "Expected `model` to be a model that samples classes.*'VAE'"),
        (lambda: sample_labelled(tiny_models.cvae(), 0), "Expected `num_per_class` to be an integer >= 1"),
        (lambda: sample_labelled(tiny_models.cvae(), 1, classes=[3]), "Expected `labels`"),
        (lambda: sample_labelled(tiny_models.cvae(), 1, classes=[0.5]), "Expected `classes` to be a list of integers"),
        (lambda: jitter(tiny_models.vae(), X[:1]), "Expected `images` to be two examples at least"),
        (lambda: jitter(tiny_models.vae(), X, scale=-1.0), "Expected `scale` to be a finite number >= 0"),
        (lambda: jitter(tiny_models.vae(), X, num_copies=0), "Expected `num_copies` to be an integer >= 1"),
        (lambda: jitter(tiny_models.vae(), X, LABELS[:3]), "Expected `labels` to be one for each of 6 examples"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
