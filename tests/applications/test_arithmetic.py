"""Directions of attributes, and steps along them."""

import numpy as np
import pytest
import tiny_models

from zoo.applications import add_attribute, attribute_direction

X = np.random.default_rng(0).uniform(size=(6, 4, 4, 1)).astype("float32")
HAS = np.array([True, False, False, True, False, False])


@pytest.mark.parametrize("make", [tiny_models.vae, tiny_models.vq_vae, tiny_models.hierarchical_vae])
def test_a_direction_is_the_difference_of_two_means(make):
    model = make()
    e = np.asarray(model.embed(X))
    direction = attribute_direction(model, X, HAS)
    np.testing.assert_allclose(direction, (e[0] + e[3]) / 2 - (e[1] + e[2] + e[4] + e[5]) / 4, atol=1e-6)
    np.testing.assert_array_equal(attribute_direction(model, X, HAS.astype(int)), direction)
    for strength in (0.0, 0.5, -2.0):
        moved = add_attribute(model, X[:2], direction, strength)
        np.testing.assert_allclose(moved, model.decode_embedding(e[:2] + strength * direction), atol=1e-5)


def test_adding_and_taking_away_gives_the_reconstruction_again():
    """With the embedding of an image and its direction known, both steps lead back."""
    model = tiny_models.vae()
    e = np.asarray(model.embed(X[:1]))
    direction = np.float32([0.5, -1.0])
    there = e + direction
    np.testing.assert_allclose(model.decode(there - direction), add_attribute(model, X[:1], direction, 0.0), atol=1e-6)
    assert np.abs(np.asarray(model.decode(there)) - add_attribute(model, X[:1], direction, -1.0)).max() > 1e-3


def test_a_conditional_model_keeps_its_labels():
    model = tiny_models.cvae()
    labels = np.array([0, 1, 2, 2, 1, 0], np.int32)
    e = np.asarray(model.embed(X, labels))
    direction = attribute_direction(model, X, HAS, labels)
    moved = add_attribute(model, X, direction, labels=labels)
    np.testing.assert_allclose(moved, model.decode(e + direction, labels), atol=1e-6)


@pytest.mark.parametrize(
    "has", [HAS[:5], HAS[:, None], HAS.astype(float), np.full(6, 2), np.ones(6, bool), np.zeros(6, bool)]
)
def test_an_attribute_of_another_form_is_refused(has):
    with pytest.raises(ValueError, match="Expected `has_attribute` to be "):
        attribute_direction(tiny_models.vae(), X, has)


@pytest.mark.parametrize(
    ("direction", "strength", "message"),
    [
        (np.zeros(3), 1.0, r"Expected `direction` to be of shape \[B, 2\]"),
        (np.zeros(2), np.nan, "Expected `strength` to be a finite number"),
    ],
)
def test_wrong_steps_are_refused(direction, strength, message):
    with pytest.raises(ValueError, match=message):
        add_attribute(tiny_models.vae(), X, direction, strength)
