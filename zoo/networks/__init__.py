"""Builders of the usual encoders and decoders: functional Keras models.

Any Keras model of the same shapes can replace them. An encoder for Gaussian latents gives `[B, 2·latent_dim]`: means,
then log-variances. A decoder gives the likelihood's parameters, `params_size(channels)` per pixel, without an
activation. No network here normalises over the batch: the result for an example depends neither on the other examples
nor on the number of replicas.
"""

from zoo.networks.conv import conv_decoder, conv_encoder
from zoo.networks.conv1d import conv1d_decoder, conv1d_encoder, conv1d_grid_decoder, conv1d_grid_encoder
from zoo.networks.mlp import mlp_critic, mlp_decoder, mlp_encoder
from zoo.networks.patch import patch_discriminator
from zoo.networks.receptive_field import AnySize, any_size
from zoo.networks.residual import residual_decoder, residual_encoder
from zoo.networks.text import TextDecoder, TextEncoder
from zoo.networks.top_down import TopDown, bottom_up_encoder
from zoo.networks.unet import unet_decoder
from zoo.networks.video import chunk_decoder, chunk_encoder, clip_decoder, clip_encoder, clip_features

__all__ = [
    "AnySize",
    "TextDecoder",
    "TextEncoder",
    "TopDown",
    "any_size",
    "bottom_up_encoder",
    "chunk_decoder",
    "chunk_encoder",
    "clip_decoder",
    "clip_encoder",
    "clip_features",
    "conv1d_decoder",
    "conv1d_encoder",
    "conv1d_grid_decoder",
    "conv1d_grid_encoder",
    "conv_decoder",
    "conv_encoder",
    "mlp_critic",
    "mlp_decoder",
    "mlp_encoder",
    "patch_discriminator",
    "residual_decoder",
    "residual_encoder",
    "unet_decoder",
]
