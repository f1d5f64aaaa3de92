"""The categorical likelihood."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import likelihoods, random
from zoo.likelihoods import Categorical

LOGITS = np.log(np.float32([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])) + 7.0  # a constant changes nothing


def test_log_prob_is_the_log_of_the_chosen_probabilities():
    x = Categorical.one_hot([[1, 2]], 3)
    np.testing.assert_allclose(Categorical().log_prob(x, LOGITS[None]), [np.log(0.5) + np.log(0.8)], rtol=1e-5)
    np.testing.assert_allclose(Categorical().mean(LOGITS), [[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]], rtol=1e-5)
    assert Categorical().params_size(3) == 3


def test_a_place_of_zeros_counts_nothing():
    x = Categorical.one_hot([[1, -1]], 3)  # −1 is no class
    np.testing.assert_allclose(Categorical().log_prob(x, LOGITS[None]), [np.log(0.5)], rtol=1e-5)


def test_a_mask_keeps_or_drops_whole_places():
    x, params = Categorical.one_hot([[1, 2]], 3), tf.constant(LOGITS[None])
    mask = tf.constant([[[0.0] * 3, [1.0] * 3]])
    np.testing.assert_allclose(Categorical().observed_log_prob(x, params, mask), [np.log(0.8)], rtol=1e-5)


def test_samples_are_one_hot_with_the_probabilities():
    params = tf.tile(LOGITS[None], (4000, 1, 1))
    x = Categorical().sample(params, random.row_seeds(0, 4000)).numpy()
    assert set(np.unique(x)) == {0.0, 1.0} and np.all(x.sum(axis=-1) == 1.0)
    np.testing.assert_allclose(x.mean(axis=0), np.exp(LOGITS - 7.0), atol=0.03)


@pytest.mark.filterwarnings("error")
def test_a_single_class_is_certain_without_a_warning():
    np.testing.assert_array_equal(Categorical().mean(tf.constant([[-3.0], [7.0]])), [[1.0], [1.0]])


def test_one_hot_and_classes_are_inverse():
    classes = np.random.default_rng(0).integers(0, 5, (3, 4))
    np.testing.assert_array_equal(Categorical.classes(Categorical.one_hot(classes, 5)), classes)
    with pytest.raises(ValueError, match="Expected `num_classes` to be an integer >= 1. Received: num_classes=0"):
        Categorical.one_hot(classes, 0)


def test_by_name_and_config():
    assert type(likelihoods.get("categorical")) is Categorical
    config = keras.saving.serialize_keras_object(Categorical())
    assert config["registered_name"] == "zoo>Categorical" and type(likelihoods.get(config)) is Categorical
