"""A replica without an example, in a last batch of few, leaves the weights that one replica has."""

import conformance
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import zoo
from zoo import networks

X = conformance.images(1)[0]
ATTRIBUTES = np.full((1, 2), 0.5, "float32")


class NormedPrior(zoo.priors.PixelCNN):
    """A code prior with statistics of the batch."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.norm = layers.BatchNormalization()
        self.norm.build((None, *self.grid_shape, self.num_codes))

    def call(self, codes, labels=None, training=False):
        logits = super().call(codes, labels, training=training) + keras.ops.one_hot(codes, self.num_codes)
        return self.norm(logits, training=training)


def hierarchical():
    # Its scale follows the batch, and must not see what fills a share.
    return conformance._hierarchical(zoo.likelihoods.Gaussian("optimal"), (4,), (6,), 1, (2,))


def sharpening():
    critic = keras.Sequential(
        [keras.Input((None, None, 1)), layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Conv2D(1, 1)]
    )
    model = zoo.VAE(networks.mlp_encoder((8, 8, 1), 2, ()), networks.mlp_decoder((8, 8, 1), 2, ()), seed=0)
    return zoo.Sharpening(model, critic=critic, perceptual_weight=0.0, critic_steps=0, freeze=False, seed=0)


def conditional_prior():
    network = keras.Sequential(
        [keras.Input((2,)), layers.Reshape((1, 2, 1)), layers.Conv2D(3, 1), layers.ReLU(), layers.Flatten()]
    )
    network.add(layers.Dense(4))
    encoder, decoder = networks.mlp_encoder((8, 8, 3), 2, ()), networks.mlp_decoder((8, 8, 1), 4, ())
    return zoo.CVAE(encoder, decoder, num_attributes=2, prior=zoo.priors.ConditionalGaussian(network), seed=0)


MODELS = {
    "hierarchical": (hierarchical, (X,)),
    "sharpening": (sharpening, (X,)),
    "code prior": (lambda: NormedPrior(5, (2, 2), width=4, depth=1, seed=0), (np.int32([[[0, 1], [2, 3]]]),)),
    "conditional prior": (conditional_prior, (X, ATTRIBUTES)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("run_eagerly", [True, False], ids=["eager", "graph"])
def test_the_weights_are_those_of_one_replica(name, run_eagerly):
    make, data = MODELS[name]
    weights = []
    for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        keras.utils.set_random_seed(0)
        with strategy.scope():
            model = make()
            critic = {"critic_optimizer": keras.optimizers.SGD(1e-3)} if name == "sharpening" else {}
            model.compile(keras.optimizers.SGD(1e-3), run_eagerly=run_eagerly, **critic)
        model.fit(*data, verbose=0)
        weights.append(model.get_weights())
        for weight in model.weights:  # batch normalisation keeps its statistics on each replica
            copies = [np.asarray(copy) for copy in strategy.experimental_local_results(weight.value)]
            np.testing.assert_allclose(copies, copies[:1] * len(copies), rtol=1e-4, atol=1e-6, err_msg=weight.path)
    assert all(np.isfinite(each).all() for each in weights[0])
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_no_example_at_all_is_refused():
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = zoo.VAE(networks.mlp_encoder((8, 8, 1), 2, ()), networks.mlp_decoder((8, 8, 1), 2, ()), seed=0)
        model.compile("adam")
    for verb in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match="example"):
            verb(X[:0], verbose=0)
