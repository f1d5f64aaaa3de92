"""A linear Gaussian model, whose posterior and conditional distributions have closed forms."""

import numpy as np

import zoo
from zoo import networks
from zoo.likelihoods import Gaussian, Masked

SIGMA = 0.5
BIAS = np.array([1.0, -1.0, 0.5, 0.0])
# Orthogonal columns: the posterior is then diagonal, as the encoder's is.
WEIGHTS = np.array([[1.0, 0.5], [1.0, -0.5], [-0.5, 1.0], [0.5, 1.0]])


def vae(masked=False):
    """x = W z + b + σ ε with z ~ N(0, I), and the encoder that is its true posterior of complete data.

    With `masked` the model takes the values beside their mask, and ignores the latter.
    """
    size = len(BIAS)
    encoder = networks.mlp_encoder((2 * size if masked else size,), 2, hidden=())
    decoder = networks.mlp_decoder((size,), 2, hidden=())
    precision = (WEIGHTS**2).sum(0) / SIGMA**2 + 1.0
    to_mean = WEIGHTS / SIGMA**2 / precision
    rows = np.zeros((size if masked else 0, 2))
    kernel = np.concatenate([np.concatenate([to_mean, rows]), np.zeros((size + len(rows), 2))], axis=1)
    encoder.set_weights([kernel, np.concatenate([-BIAS @ to_mean, -np.log(precision)])])
    decoder.set_weights([WEIGHTS.T, BIAS])
    likelihood = Gaussian(SIGMA, range=None)
    return zoo.VAE(encoder, decoder, Masked(likelihood) if masked else likelihood, seed=0)


def draw(number, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(number, 2))
    return (z @ WEIGHTS.T + BIAS + SIGMA * rng.normal(size=(number, len(BIAS)))).astype(np.float32)


def conditional(x, observed):
    """Mean and covariance of the missing values given the observed ones: `[N,missing]`, `[missing,missing]`."""
    seen = np.asarray(observed, bool)
    covariance = WEIGHTS @ WEIGHTS.T + SIGMA**2 * np.eye(len(BIAS))
    gain = covariance[np.ix_(~seen, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    mean = BIAS[~seen] + (x[:, seen] - BIAS[seen]) @ gain.T
    return mean, covariance[np.ix_(~seen, ~seen)] - gain @ covariance[np.ix_(seen, ~seen)]
