"""VAE on CelebA, cropped to the face and resized to 64×64, with a mixture of logistics over 8-bit colours.

    python recipes/celeba_vae.py

Hardware: 2.5 GB of memory for the images; a GPU is recommended. No figure is promised: the dataset was not available,
and the recipe has only been run on synthetic images of the same shape.
"""

import dataclasses

import zoo
from zoo import networks, training
from zoo.runtime import checks


@dataclasses.dataclass(frozen=True)
class Flags:
    latent_dim: int = training.flag(128, "dimensions of z")
    image_size: int = training.flag(64, "a multiple of 16")

    def __post_init__(self):
        checks.multiple("--image-size", self.image_size, 16)


def build(flags, image_shape, seed):
    likelihood = zoo.likelihoods.DiscretizedLogisticMixture(components=5, channels=3)
    encoder = networks.conv_encoder(image_shape, flags.latent_dim, filters=(32, 64, 128, 256), blocks=1, dense=512)
    params = (*image_shape[:2], likelihood.params_size(3))
    decoder = networks.conv_decoder(params, flags.latent_dim, filters=(256, 128, 64, 32), blocks=1, dense=512)
    return zoo.VAE(encoder, decoder, likelihood, seed=seed)


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=lambda flags: (flags.image_size, flags.image_size, 3),
    build=build,
    flags=Flags,
    dataset="celeb_a",
    epochs=20,
    batch_size=64,
)
