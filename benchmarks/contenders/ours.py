"""This project, as a recipe trains: its data, its compile, its callbacks."""

import math
import pathlib
import tempfile

import zoo
from zoo import data, networks, training
from zoo.runtime import cores
from zoo.training import monitors, optimizer, stage
from zoo.training.checkpoints import Checkpoints

import keras


def mlp_vae():
    encoder = networks.mlp_encoder((28, 28, 1), latent_dim=20, hidden=(400,))
    decoder = networks.mlp_decoder((28, 28, 1), latent_dim=20, hidden=(400,))
    return zoo.VAE(encoder, decoder, "bernoulli", seed=0)


def conv_vae():
    """The networks of recipes/mnist_vae.py."""
    encoder = networks.conv_encoder((28, 28, 1), 32, filters=(32, 64), blocks=1)
    decoder = networks.conv_decoder((28, 28, 1), 32, filters=(64, 32), blocks=1)
    return zoo.VAE(encoder, decoder, "bernoulli", seed=0)


def vq_vae():
    """The model of recipes/cifar10_vqvae.py."""
    encoder = networks.residual_encoder((32, 32, 3), 64, filters=128)
    decoder = networks.residual_decoder((8, 8, 64), 3, filters=128)
    quantizer = zoo.quantizers.VectorQuantizer(512, 64, seed=0)
    return zoo.VQVAE(encoder, decoder, quantizer, zoo.likelihoods.Gaussian(0.178), commitment_cost=0.19)


MODELS = {"mlp_vae": mlp_vae, "conv_vae": conv_vae, "vq_vae": vq_vae}


def start(model, precision, images, batch_size, threads):
    with cores.sub_batches(threads):
        return _start(model, precision, images, batch_size, threads)


def _start(model, precision, images, batch_size, threads):
    keras.utils.set_random_seed(0)
    keras.mixed_precision.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision])
    images = data.Images(images)
    network = MODELS[model]()
    recipe = training.Recipe(model, "", images.images.shape[1:], build=MODELS[model], batch_size=batch_size)
    long = stage.Plan.of(recipe, len(images), batch_size, epochs=1000)  # so that the learning rate stays as it is
    stage.compile_model(network, recipe, recipe.learning_rate, long)
    position = monitors.Position(0)
    folder = pathlib.Path(tempfile.mkdtemp())
    callbacks = [
        position,
        optimizer.Averages(network),
        monitors.StopOnNonFinite(position, Checkpoints(folder / "checkpoints", {})),
        keras.callbacks.TensorBoard(folder / "logs", write_graph=False, profile_batch=0),
        monitors.Progress(position, long.total_steps, long.epochs),
        monitors.StopOnSignal(position, monitors.Agreement(network.distribute_strategy)),
    ]

    def run(steps):
        batches = data.batches(images, batch_size, shuffle=True, epochs=None, first_step=position.step)
        with cores.sub_batches(threads):
            history = network.fit(batches, steps_per_epoch=steps, callbacks=callbacks, shuffle=False, verbose=0)
        return history.history["loss"][0]

    return sum(math.prod(weight.shape) for weight in network.trainable_weights), run
