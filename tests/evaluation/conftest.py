"""A VAE of linear networks, whose posterior and likelihood have closed forms."""

import keras
import numpy as np
import pytest

import zoo


def _vae(projection, log_var, loadings, bias=0.0, make=zoo.VAE, likelihood=None, **kwargs):
    """q(z|x) = N((x − ½) P, e^log_var),   p(x|z) with the decoder's output z W + bias.

    P is `[16,D]`, W `[D,16·params]`; images are 4×4.
    """
    latent_dim = len(log_var)
    x = keras.Input((4, 4, 1))
    dense = keras.layers.Dense(2 * latent_dim)
    encoder = keras.Model(x, dense(keras.layers.Flatten()(x)))
    mean_bias = -0.5 * np.sum(projection, axis=0)
    dense.set_weights([np.hstack([projection, np.zeros_like(projection)]), np.hstack([mean_bias, log_var])])
    z = keras.Input((latent_dim,))
    params = np.shape(loadings)[1] // 16
    dense = keras.layers.Dense(16 * params)
    decoder = keras.Model(z, keras.layers.Reshape((4, 4, params))(dense(z)))
    dense.set_weights([np.asarray(loadings), np.broadcast_to(bias, (16 * params,))])
    return make(encoder, decoder, likelihood or zoo.likelihoods.Gaussian(0.5, range=None), **kwargs)


@pytest.fixture(scope="module", autouse=True)
def _mode(mode_of_module):
    """Few figures are of graphs: tests/cli has commands that compute them as users do."""


@pytest.fixture
def linear_vae():
    """Function of (projection, log_var, loadings, bias, make, likelihood) that gives the VAE."""
    return _vae


@pytest.fixture
def hierarchical():
    """A small hierarchical VAE of two layers, 1×1×2 and 4×4×2, not trained."""
    encoder = zoo.networks.bottom_up_encoder((4, 4, 1), scales=(4, 1), width=4, hidden=4, blocks=1)
    decoder = zoo.networks.TopDown((4, 4, 1), scales=(4, 1), layers=(1, 1), width=4, hidden=4, latent_dim=2)
    return zoo.HierarchicalVAE(encoder, decoder, seed=0)


@keras.saving.register_keras_serializable("tests")
class Sign(zoo.quantizers.Quantizer):
    """Two codes for each number: 1 above 0, else 0."""

    num_codes, code_dim = 2, 1

    def call(self, z_e, training=False):
        codes = keras.ops.cast(z_e[..., 0] > 0, "int32")
        none = keras.ops.zeros(keras.ops.shape(z_e)[:1])
        return {"z_q": self.lookup(codes), "codes": codes, "codebook": none, "commitment": none}

    def lookup(self, codes):
        return 2.0 * keras.ops.cast(codes, "float32")[..., None] - 1.0


@pytest.fixture
def sign_vae():
    """A VQ-VAE of 4×4 images that rounds each pixel to 0.25 or 0.75, by the code 0 or 1."""
    x = keras.Input((4, 4, 1))
    encoder = keras.Model(x, keras.layers.Rescaling(1.0, -0.5)(x))
    z = keras.Input((4, 4, 1))
    decoder = keras.Model(z, keras.layers.Rescaling(0.25)(z))
    return zoo.VQVAE(encoder, decoder, Sign(), zoo.likelihoods.Gaussian(0.5))
