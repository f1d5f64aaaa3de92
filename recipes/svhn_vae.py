"""VAE on SVHN house numbers, 32×32, with a mixture of logistics over 8-bit colours, as bits per dim require.

    python recipes/svhn_vae.py

Hardware: a GPU is recommended. No figure is promised: the dataset was not available, and the recipe has only been run
on synthetic images of the same shape.
"""

import dataclasses

import zoo
from zoo import networks, training


@dataclasses.dataclass(frozen=True)
class Flags:
    latent_dim: int = training.flag(64, "dimensions of z")


def build(flags, image_shape, seed):
    likelihood = zoo.likelihoods.DiscretizedLogisticMixture(components=5, channels=3)
    encoder = networks.conv_encoder(image_shape, flags.latent_dim, filters=(32, 64, 128), blocks=1)
    params = (*image_shape[:2], likelihood.params_size(3))
    decoder = networks.conv_decoder(params, flags.latent_dim, filters=(128, 64, 32), blocks=1)
    return zoo.VAE(encoder, decoder, likelihood, seed=seed)


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=(32, 32, 3),
    build=build,
    flags=Flags,
    dataset="svhn_cropped",
    epochs=30,
    batch_size=64,
)
