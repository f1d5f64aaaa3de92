"""The models that the conformance suite checks: one entry each, every argument at a non-default value."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import layers

import zoo
from zoo import networks

LATENTS = 3
SHAPE = (8, 8, 1)


@keras.saving.register_keras_serializable("tests")
class OwnEncoder(keras.Model):
    """A user's network: subclassed, with an argument of its own, built by its first call."""

    def __init__(self, units, outputs, **kwargs):
        super().__init__(**kwargs)
        self.units, self.outputs = units, outputs
        self.hidden = layers.Dense(units, "tanh")
        self.out = layers.Dense(outputs)

    def call(self, x):
        return self.out(self.hidden(layers.Flatten()(x)))

    def get_config(self):
        return {**super().get_config(), "units": self.units, "outputs": self.outputs}


@dataclasses.dataclass(frozen=True)
class Entry:
    """How to make a model, and the attributes that must survive saving."""

    make: Callable
    attributes: dict
    conditional: bool = False


def _mlp(inputs=SHAPE, conditions=0, params=1):
    return {
        "encoder": networks.mlp_encoder((*inputs[:2], inputs[2] + conditions), LATENTS, hidden=(16,)),
        "decoder": networks.mlp_decoder((*inputs[:2], params), LATENTS + conditions, hidden=(16,)),
    }


def _vae():
    return zoo.VAE(**_mlp(params=2), likelihood="discretized_logistic", free_bits=0.25, seed=3, name="other")


def _own_networks():
    decoder = networks.mlp_decoder(SHAPE, LATENTS, hidden=(16,))
    return zoo.VAE(OwnEncoder(9, 2 * LATENTS), decoder, zoo.layers.Gaussian("learned", momentum=0.5), seed=3)


def _beta_vae():
    return zoo.BetaVAE(**_mlp(), likelihood="bernoulli", beta=2.5, free_bits=0.125, seed=3)


def _capacity():
    return zoo.BetaVAE(**_mlp(), likelihood=zoo.layers.Gaussian("optimal", 0.9), capacity=4.5, gamma=7.0, seed=3)


def _cvae():
    return zoo.CVAE(**_mlp(conditions=4), num_classes=4, likelihood=zoo.layers.Gaussian(0.3), free_bits=0.5, seed=3)


def _quantizer(**kwargs):
    return zoo.layers.VectorQuantizer(12, 6, decay=0.9, gradient="rotation", revival=0.1, seed=3, **kwargs)


def _vq_vae(quantizer, likelihood):
    return zoo.VQVAE(
        networks.residual_encoder(SHAPE, 6, 8, blocks=1),
        networks.residual_decoder((2, 2, 6), likelihood.params_size(1), 8, blocks=1),
        quantizer,
        likelihood,
        commitment_cost=0.75,
    )


ENTRIES = {
    "vae": Entry(_vae, {"free_bits": 0.25, "seed": 3, "name": "other"}),
    "own_networks": Entry(
        _own_networks, {"encoder.units": 9, "likelihood.scale": "learned", "likelihood.momentum": 0.5}
    ),
    "beta_vae": Entry(_beta_vae, {"beta": 2.5, "free_bits": 0.125, "seed": 3}),
    "capacity": Entry(_capacity, {"capacity": 4.5, "gamma": 7.0, "likelihood.scale": "optimal"}),
    "cvae": Entry(_cvae, {"num_classes": 4, "likelihood.scale": 0.3, "free_bits": 0.5}, conditional=True),
    "vq_vae": Entry(
        lambda: _vq_vae(_quantizer(), zoo.layers.Gaussian(0.25)),
        {
            "commitment_cost": 0.75,
            "likelihood.scale": 0.25,
            "quantizer.num_codes": 12,
            "quantizer.code_dim": 6,
            "quantizer.decay": 0.9,
            "quantizer.gradient": "rotation",
            "quantizer.revival": 0.1,
            "quantizer.seed": 3,
        },
    ),
    "vq_vae_gradient": Entry(
        lambda: _vq_vae(
            _quantizer(codebook="gradient", initialization="uniform"),
            zoo.layers.DiscretizedLogisticMixture(components=2, channels=1),
        ),
        {"quantizer.codebook": "gradient", "quantizer.initialization": "uniform", "likelihood.components": 2},
    ),
}


def images(number=32, seed=0):
    """Blobs of two kinds on the 8-bit grid, so that there is something to learn: `[N,8,8,1]`, labels `[N]`."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 4, number).astype(np.int32)
    rows, columns = np.mgrid[:8, :8]
    centre = np.stack([2 + 3 * (labels // 2), 2 + 3 * (labels % 2)], axis=-1) + draw.normal(0, 0.3, (number, 2))
    squared = (rows - centre[:, :1, None]) ** 2 + (columns - centre[:, 1:, None]) ** 2
    return (np.rint(255 * np.exp(-squared / 4)) / 255).astype(np.float32)[..., None], labels
