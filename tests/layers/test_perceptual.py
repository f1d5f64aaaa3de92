"""The perceptual distance: by hand, and its gradient where features are 0."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo.training import perceptual


@pytest.fixture
def distance():
    """In the features k·x + b of two layers, the second on the image's corner alone."""
    image = keras.Input((None, None, 1))
    first = keras.layers.Conv2D(3, 1)
    second = keras.layers.Conv2D(2, 1, strides=2)
    network = keras.Model(image, [first(image), second(image)])
    draw = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(draw.normal(size=weight.shape))
    return zoo.layers.PerceptualDistance(network)


def by_hand(distance, x, y):
    total = 0.0
    for layer, stride in zip(distance.network.layers[1:], (1, 2)):
        kernel, bias = layer.get_weights()
        units = []
        for images in (x, y):
            features = images[:, ::stride, ::stride] * kernel[0, 0] + bias
            units.append(features / np.linalg.norm(features, axis=-1, keepdims=True))
        total = total + np.square(units[0] - units[1]).sum(axis=-1).mean(axis=(1, 2))
    return total


def test_it_is_the_squared_distance_of_unit_vectors_of_features(distance):
    x, y = np.random.default_rng(1).random((2, 4, 5, 3, 1)).astype("float32")
    np.testing.assert_allclose(distance(x, y), by_hand(distance, x, y), rtol=1e-4)
    np.testing.assert_array_equal(distance(x, x), np.zeros(4))
    assert not distance.trainable_weights


def test_its_gradient_is_finite_where_all_features_are_0(distance):
    for weight in distance.network.weights:
        weight.assign(tf.zeros(weight.shape))
    x = tf.Variable(tf.ones((1, 4, 4, 1)))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(distance(x, tf.zeros((1, 4, 4, 1))))
    assert np.isfinite(tape.gradient(value, x)).all()


def test_a_network_of_vectors_is_refused():
    network = keras.Sequential([keras.layers.Input((4, 4, 1)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match=r"Expected `network` to be a model with outputs \[B,h,w,F\]"):
        zoo.layers.PerceptualDistance(network)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_shipped_network_takes_images_of_any_size(channels):
    distance = perceptual.load("cifar10_vgg", channels)
    x = np.random.default_rng(0).random((2, 20, 12, channels)).astype("float32")
    near, far = distance(x, np.clip(x + 0.02, 0, 1)), distance(x, 1.0 - x)
    assert [tuple(each.shape) for each in distance.features(x)] == [(2, 20, 12, 32), (2, 10, 6, 64), (2, 5, 3, 128)]
    assert np.all(np.array(near) > 0) and np.all(np.array(near) < 0.2 * np.array(far))
    with pytest.raises(ValueError, match="Expected `name` to be one of 'cifar10_vgg', 'keras_vgg16'"):
        perceptual.load("vgg19")


def test_vgg16_gets_grey_levels_less_the_means_of_imagenet_in_the_order_blue_green_red(monkeypatch):
    def network(include_top, weights, input_shape):
        assert (include_top, weights) == (False, "imagenet")
        x = inputs = keras.Input(input_shape)
        for name in perceptual._VGG16:
            x = keras.layers.Activation("linear", name=name)(x)
        return keras.Model(inputs, x)

    monkeypatch.setattr(keras.applications, "VGG16", network)
    found = perceptual.load("keras_vgg16").network(np.float32([[[[1.0, 0.6, 0.2]]]]))
    assert len(found) == 5
    for each in found:
        np.testing.assert_allclose(each[0, 0, 0], [51 - 103.939, 153 - 116.779, 255 - 123.68], rtol=1e-5)
