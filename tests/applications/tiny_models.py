"""Models of 4×4 images, untrained, whose latents depend on the image. Each is made and compiled once for a process."""

import functools

import numpy as np

import zoo


def moved(model, seed=0):
    """The model with other weights; at first its latents may say nothing of the image."""
    draw = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign_add(draw.normal(0, 0.3, weight.shape))
    return model


@functools.cache
def vae(latents=2, classes=0, **kwargs):
    encoder = zoo.networks.mlp_encoder((4, 4, 1 + classes), latents, hidden=())
    decoder = zoo.networks.mlp_decoder((4, 4, 1), latents + classes, hidden=())
    return moved(zoo.CVAE(encoder, decoder, classes, **kwargs) if classes else zoo.VAE(encoder, decoder, **kwargs))


def cvae(latents=2):
    return vae(latents, classes=3)


@functools.cache
def vq_vae(quantizer=None):
    encoder = zoo.networks.residual_encoder((4, 4, 1), 3, filters=4, downsamples=1, blocks=0)
    decoder = zoo.networks.residual_decoder((2, 2, 3), 1, filters=4, upsamples=1, blocks=0)
    quantizer = quantizer or zoo.quantizers.VectorQuantizer(16, 3, seed=0)
    draw = np.random.default_rng(0)
    for level in getattr(quantizer, "quantizers", [quantizer]):
        level.embeddings.assign(0.3 * draw.normal(size=level.embeddings.shape))
    return zoo.VQVAE(encoder, decoder, quantizer)


@functools.cache
def residual_vq_vae():
    return vq_vae(zoo.quantizers.ResidualQuantizer(8, 3, depth=2, seed=0))


@functools.cache
def hierarchical_vae():
    encoder = zoo.networks.bottom_up_encoder((4, 4, 1), (4, 2), 5, 4, blocks=1)
    return moved(zoo.HierarchicalVAE(encoder, zoo.networks.TopDown((4, 4, 1), (4, 2), 1, 2, 5, 4)))
