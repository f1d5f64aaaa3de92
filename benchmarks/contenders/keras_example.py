"""The pattern of the VAE example on keras.io, by fchollet: a layer that samples, a model with three means, `fit`.

The networks are those of the comparison; `fit` takes float32 images in memory, as there.
"""

import math

import keras
import tensorflow as tf
from keras import layers, ops
from ours import MODELS


class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(shape=ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
        self.reconstruction_loss_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self):
        return [self.total_loss_tracker, self.reconstruction_loss_tracker, self.kl_loss_tracker]

    def train_step(self, data):
        with tf.GradientTape() as tape:
            z_mean, z_log_var, z = self.encoder(data)
            reconstruction = self.decoder(z)
            reconstruction_loss = ops.mean(
                ops.sum(keras.losses.binary_crossentropy(data, reconstruction), axis=(1, 2)),
            )
            kl_loss = -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var))
            kl_loss = ops.mean(ops.sum(kl_loss, axis=1))
            total_loss = reconstruction_loss + kl_loss
        grads = tape.gradient(total_loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        self.total_loss_tracker.update_state(total_loss)
        self.reconstruction_loss_tracker.update_state(reconstruction_loss)
        self.kl_loss_tracker.update_state(kl_loss)
        return {
            "loss": self.total_loss_tracker.result(),
            "reconstruction_loss": self.reconstruction_loss_tracker.result(),
            "kl_loss": self.kl_loss_tracker.result(),
        }


def start(model, precision, images, batch_size, threads):
    keras.utils.set_random_seed(0)
    networks = MODELS[model]()
    z_mean, z_log_var = ops.split(networks.encoder.output, 2, axis=-1)
    encoder = keras.Model(networks.encoder.input, [z_mean, z_log_var, Sampling()([z_mean, z_log_var])])
    decoder = keras.Sequential([networks.decoder, layers.Activation("sigmoid")])
    vae = VAE(encoder, decoder)
    vae.compile(optimizer=keras.optimizers.Adam())
    digits = images.astype("float32") / 255

    def run(steps):
        epochs = max(1, steps * batch_size // len(digits))
        history = vae.fit(digits[: steps * batch_size], epochs=epochs, batch_size=batch_size, verbose=0)
        return sum(history.history["loss"]) / epochs

    return sum(math.prod(weight.shape) for weight in vae.trainable_weights), run
