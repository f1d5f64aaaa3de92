"""VAE on CelebA faces, cut to the face and resized to 64×64: a mixture of logistics over 8-bit colours.

    python recipes/celeba_vae.py

Hardware: 2.5 GB of memory for the images; a GPU is worth having. No figure is promised: the dataset was out of reach
where this was written, and the recipe was run on made-up images of its shape only.
"""

import zoo
from zoo import networks, training
from zoo.runtime import checks


def add_flags(parser):
    parser.add_argument("--latent-dim", type=int, default=128, help="default: %(default)s")
    parser.add_argument("--image-size", type=int, default=64, help="a multiple of 16 (default: %(default)s)")


def build(flags, image_shape):
    checks.multiple("--image-size", flags.image_size, 16)
    likelihood = zoo.likelihoods.DiscretizedLogisticMixture(components=5, channels=3)
    encoder = networks.conv_encoder(image_shape, flags.latent_dim, filters=(32, 64, 128, 256), blocks=1, dense=512)
    params = (*image_shape[:2], likelihood.params_size(3))
    decoder = networks.conv_decoder(params, flags.latent_dim, filters=(256, 128, 64, 32), blocks=1, dense=512)
    return zoo.VAE(encoder, decoder, likelihood, seed=flags.seed)


RECIPE = training.Recipe(
    "celeba_vae",
    __doc__,
    image_shape=(64, 64, 3),
    build=build,
    dataset="celeb_a",
    epochs=20,
    batch_size=64,
    add_flags=add_flags,
)


def main(argv=None):
    return training.main(RECIPE, argv)


if __name__ == "__main__":
    main()
