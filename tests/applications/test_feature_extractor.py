"""Embeddings as features, clusters and few-label classification."""

import pickle

import keras
import numpy as np
import pytest
from sklearn import base, linear_model, pipeline
from sklearn.exceptions import NotFittedError

import zoo
from zoo.applications import FeatureExtractor, cluster, few_label_accuracy

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(size=(20, 4, 4, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return zoo.VAE(zoo.networks.mlp_encoder((4, 4, 1), 3, ()), zoo.networks.mlp_decoder((4, 4, 1), 3, ()))


def test_features_are_embeddings_of_images_and_of_rows(model):
    features = FeatureExtractor(model).fit(IMAGES)
    np.testing.assert_array_equal(features.transform(IMAGES), model.embed(IMAGES))
    np.testing.assert_array_equal(features.transform(IMAGES.reshape(20, 16).astype(float)), model.embed(IMAGES))
    assert list(features.get_feature_names_out()) == [f"featureextractor{i}" for i in range(3)]
    standard = FeatureExtractor(model, standardize=True).fit_transform(IMAGES)
    np.testing.assert_allclose(standard.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=0), 1.0, rtol=1e-4)


def test_an_extractor_is_cloned_and_pickled_and_works_in_a_pipeline(model):
    features = base.clone(FeatureExtractor(model, standardize=True))
    labels = np.repeat([0, 1], 10)
    classifier = pipeline.make_pipeline(features, linear_model.LogisticRegression(C=1e4)).fit(IMAGES, labels)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict(IMAGES), classifier.predict(IMAGES))


def test_a_number_that_is_always_the_same_is_not_blown_up(model):
    same = np.repeat(IMAGES[:1], 5, axis=0)
    features = FeatureExtractor(model, standardize=True).fit(same).transform(IMAGES[:2])
    np.testing.assert_allclose(features, model.embed(IMAGES[:2]) - model.embed(IMAGES[:1]), atol=1e-5)
    with pytest.raises(NotFittedError):
        FeatureExtractor(model).transform(IMAGES)
    with pytest.raises(ValueError, match="Expected `standardize` to be True or False. Received: standardize='no'"):
        FeatureExtractor(model, standardize="no").fit(IMAGES)


def test_clusters_that_lie_apart_are_the_labels(model):
    labels = np.repeat([0, 1], 10)
    images = (0.1 * IMAGES + 0.8 * labels[:, None, None, None]).astype(np.float32)
    found = cluster(model, images, 2, labels)
    assert found["adjusted_rand_index"] == 1.0
    assert len(set(found["clusters"][:10])) == len(set(found["clusters"][10:])) == 1
    first = model.embed(images).numpy()[:10].mean(axis=0)
    np.testing.assert_allclose(found["centers"][found["clusters"][0]], first, atol=1e-4)
    with pytest.raises(ValueError, match="Expected `num_clusters` to be at most the number of examples, 20"):
        cluster(model, images, 21)


def test_few_labels_are_enough_where_classes_lie_apart_and_useless_where_there_are_none():
    labels = np.arange(400) % 4
    apart = np.eye(4)[labels] * 10 + RNG.normal(size=(400, 4))
    found = few_label_accuracy(apart, labels, apart, labels, per_class=3)
    assert found["nearest"] > 0.98 and found["linear"] > 0.98
    noise = RNG.normal(size=(400, 4))
    found = few_label_accuracy(noise, labels, RNG.normal(size=(400, 4)), labels, per_class=5)
    assert abs(found["nearest"] - 0.25) < 0.08 and abs(found["linear"] - 0.25) < 0.08
    assert 0.0 < found["nearest_deviation"] < 0.1
    with pytest.raises(ValueError, match="Expected `per_class` to be at most 100"):
        few_label_accuracy(noise, labels, noise, labels, per_class=101)


def test_features_and_labels_must_be_as_many():
    features, labels = np.zeros((20, 2)), np.arange(20) % 2
    for given, name in (
        ((features, labels[:15], features, labels), "labels"),
        ((features, labels, features, labels[:, None]), "test_labels"),
    ):
        with pytest.raises(ValueError, match=rf"Expected `{name}` to be an array of shape \[20\]"):
            few_label_accuracy(*given)
