"""Small priors over two latents, a VAE of two latents, and distributions whose entropies are known."""

import math

import keras
import numpy as np
from keras import layers

import zoo

LATENTS = 2
SHAPE = (2, 3, 1)
CLASSES = 3
OPTIONS = {
    zoo.priors.MixtureOfGaussians: {"components": 3},
    zoo.priors.Flow: {"couplings": 3, "hidden": 8},
    zoo.priors.VampPrior: {"components": 3, "data_shape": SHAPE},
}
KINDS = list(OPTIONS)
CONDITIONAL = [zoo.priors.MixtureOfGaussians, zoo.priors.Flow]


def shaken(layer, scale=0.3, seed=2):
    """The layer with weights far enough from its initial ones that nothing about it is even."""
    draw = np.random.default_rng(seed)
    for weight in layer.trainable_weights:
        weight.assign_add(draw.normal(0, scale, weight.shape))
    return layer


def make(kind, latent_dim=LATENTS, scale=0.2, **kwargs):
    """A prior whose weights are shaken; a VampPrior is attached to a VAE that is shaken too."""
    prior = kind(latent_dim, **{**OPTIONS[kind], "seed": 1, **kwargs})
    if kind is zoo.priors.VampPrior:
        shaken(vae(latent_dim=latent_dim, prior=prior), 0.5)
        return prior
    return shaken(prior, scale)


def vae(prior=None, latent_dim=LATENTS, **kwargs):
    """A VAE whose networks are one dense layer each."""
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([layers.Input(SHAPE), layers.Flatten(), layers.Dense(2 * latent_dim)])
    decoder = keras.Sequential([layers.Input((latent_dim,)), layers.Dense(6), layers.Reshape(SHAPE)])
    return zoo.VAE(encoder, decoder, seed=3, prior=prior, **kwargs)


def cvae(prior=None, **labels):
    keras.utils.set_random_seed(0)
    (conditions,) = labels.values()
    encoder = zoo.networks.mlp_encoder((*SHAPE[:2], 1 + conditions), LATENTS, hidden=(4,))
    decoder = zoo.networks.mlp_decoder(SHAPE, LATENTS + conditions, hidden=(4,))
    return zoo.CVAE(encoder, decoder, seed=3, prior=prior, **labels)


def images(number=32):
    return np.random.default_rng(1).uniform(size=(number, *SHAPE)).astype(np.float32)


def log_normal(z, mean, log_var):
    """log N(z; mean, e^log_var), summed over the last axis."""
    return np.sum(-0.5 * (np.log(2 * np.pi) + log_var + (z - mean) ** 2 / np.exp(log_var)), axis=-1)


def grid(reach=12.0, number=481):
    """Points of a square grid `[number²,2]`, and the area of each."""
    axis = np.linspace(-reach, reach, number, dtype=np.float32)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return points, float(axis[1] - axis[0]) ** 2


def banana(number, seed=0, labels=0):
    """z1 ~ N(labels, 1), z2 = z1² / 2 + N(0, ¼): the map has determinant 1, which keeps the entropy of both noises."""
    noise = np.random.default_rng(seed).normal(size=(number, 2))
    first = noise[:, 0] + labels
    return np.stack([first, first**2 / 2 + 0.5 * noise[:, 1]], axis=1).astype(np.float32)


BANANA_ENTROPY = math.log(2 * math.pi * math.e) + math.log(0.5)


def blobs(number, seed=0, labels=0):
    """One of two normal distributions of standard deviation ½, 8 standard deviations apart."""
    draw = np.random.default_rng(seed)
    side = draw.integers(0, 2, number) * 4.0 - 2.0
    return (draw.normal(0, 0.5, (number, 2)) + np.stack([side + labels, side], axis=1)).astype(np.float32)


BLOBS_ENTROPY = math.log(2) + math.log(2 * math.pi * math.e) + 2 * math.log(0.5)
