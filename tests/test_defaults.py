"""The defaults of public constructors and the order of their arguments: users and saved files rely on them.

An argument that is added goes behind those that are here.
"""

import inspect
import operator

import pytest

import zoo
from zoo import likelihoods

SIGNATURES = {
    "VAE": "encoder, decoder, likelihood='bernoulli', free_bits=0.0, seed=None, prior=None, kl_weight=None",
    "BetaVAE": "encoder, decoder, likelihood='bernoulli', beta=4.0, capacity=None, gamma=1000.0",
    "CVAE": "encoder, decoder, num_classes=None, likelihood='bernoulli', num_attributes=None",
    "IWAE": "encoder, decoder, likelihood='bernoulli', num_samples=5, gradient='standard'",
    "BetaTCVAE": "encoder, decoder, likelihood='bernoulli', dataset_size=None, beta=6.0, alpha=1.0, gamma=1.0",
    "InfoVAE": "encoder, decoder, likelihood='bernoulli', alpha=0.0, lambda_=500.0",
    "FactorVAE": "encoder, decoder, likelihood='bernoulli', gamma=10.0, critic=None",
    "TextVAE": "encoder, decoder, free_bits=0.0, seed=None, prior=None, vocabulary=None",
    "VQVAE": "encoder, decoder, quantizer=None, likelihood='gaussian', commitment_cost=0.25, prior=None",
    "HierarchicalVAE": (
        "encoder, decoder, likelihood='bernoulli', free_bits=0.0, kl_balancing=False, max_log_var=14.0, "
        "seed=None, kl_weight=None"
    ),
    "quantizers.VectorQuantizer": (
        "num_codes=512, code_dim=64, codebook='ema', decay=0.99, gradient='straight_through', initialization='data', "
        "revival=0.03, seed=None"
    ),
    "quantizers.ResidualQuantizer": (
        "num_codes=512, code_dim=64, depth=4, codebook='ema', decay=0.99, gradient='straight_through', "
        "initialization='data', revival=0.03, seed=None"
    ),
    "quantizers.FiniteScalarQuantizer": "levels=(8, 5, 5, 5)",
    "likelihoods.Gaussian": "scale=0.1, momentum=0.99",
    "likelihoods.DiscretizedLogisticMixture": "components=10, channels=3",
    "likelihoods.GaussianColumns": "channels, minimum=0.01",
    "likelihoods.MelSound": "likelihood, iterations=32",
    "likelihoods.Mixed": "likelihoods, channels, columns=None",
    "likelihoods.Ordinal": "levels",
    "likelihoods.Standardized": "likelihood, means, deviations, names=None",
    "layers.Sampling": "seed=None",
    "networks.TopDown": "image_shape, scales=(4, 2), layers=2, latent_dim=8, width=64, hidden=64, activation='relu'",
    "priors.Transformer": (
        "num_codes, grid_shape, num_classes=None, width=128, depth=4, heads=4, dropout=0.0, seed=None"
    ),
    "priors.PixelCNN": (
        "num_codes, grid_shape, num_classes=None, width=64, depth=8, kernel_size=5, dropout=0.0, seed=None"
    ),
    "priors.MixtureOfGaussians": "latent_dim, components=10, num_classes=None, num_attributes=None, seed=None",
    "priors.VampPrior": "latent_dim, data_shape, components=500, seed=None",
    "priors.Flow": "latent_dim, couplings=8, hidden=256, num_classes=None, num_attributes=None, seed=None",
    "callbacks.KLWarmup": "steps=None, start=0.0, cycles=1, ratio=1.0",
    "callbacks.CapacityWarmup": "steps, start=0.0",
    "callbacks.GECO": "target, term='reconstruction', step=0.01, scale=None, warmup=500, bound=8.0",
    "networks.mlp_encoder": "image_shape, latent_dim, hidden=(512, 512), activation='relu'",
    "networks.mlp_decoder": "output_shape, latent_dim, hidden=(512, 512), activation='relu'",
    "networks.mlp_critic": "latent_dim, hidden=(256, 256, 256)",
    "networks.conv_encoder": "image_shape, latent_dim, filters=(32, 64), blocks=0, dense=256, activation='relu'",
    "networks.conv_decoder": "output_shape, latent_dim, filters=(64, 32), blocks=0, dense=256, activation='relu'",
    "networks.conv1d_encoder": ("series_shape, latent_dim, filters=(32, 64), stride=2, dense=128, activation='relu'"),
    "networks.conv1d_decoder": ("output_shape, latent_dim, filters=(64, 32), stride=2, dense=128, activation='relu'"),
    "networks.conv1d_grid_encoder": "series_shape, code_dim=64, filters=128, downsamples=2, blocks=2",
    "networks.conv1d_grid_decoder": "grid_shape, params, filters=128, upsamples=2, blocks=2",
    "networks.residual_encoder": "image_shape, code_dim=64, filters=128, downsamples=2, blocks=2",
    "networks.residual_decoder": "grid_shape, params, filters=128, upsamples=2, blocks=2",
    "networks.bottom_up_encoder": "image_shape, scales=(4, 2), width=64, hidden=64, blocks=2, activation='relu'",
}


def arguments(function):
    """The arguments as they are written, but for `**kwargs` and types."""
    called = function.__init__ if isinstance(function, type) else function  # Python 3.11.2 would take Keras's __new__
    parameters = inspect.signature(called).parameters.values()
    return [
        parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"
        for parameter in parameters
        if parameter.name != "self" and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_and_defaults_are_the_published_ones(name):
    received = ", ".join(arguments(operator.attrgetter(name)(zoo)))
    assert f"{received}, ".startswith(f"{SIGNATURES[name]}, ")


def test_a_likelihood_by_its_name_has_the_published_defaults():
    assert likelihoods.get("gaussian").scale == 0.1
    mixture = likelihoods.get("discretized_logistic_mixture")
    assert (mixture.components, mixture.channels) == (10, 3)
