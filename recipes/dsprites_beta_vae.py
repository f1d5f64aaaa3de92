"""β-VAE on dSprites with a rising capacity: position, scale and orientation come apart.

    python recipes/dsprites_beta_vae.py

Hardware: 3 GB of memory for the images; a GPU is worth having. No figure is promised: the dataset was out of reach
where this was written, and the recipe was run on made-up images of its shape only.

After Burgess et al. 2018, "Understanding disentangling in β-VAE". dSprites has no test split: TFDS's one split is cut
into nine parts for training and one for testing, the same at each run.
"""

import zoo
from zoo import callbacks, networks, training


def add_flags(parser):
    parser.add_argument("--capacity", type=float, default=25.0, help="C at the end, in nats (default: %(default)s)")
    parser.add_argument("--gamma", type=float, default=1000.0, help="weight of |KL - C| (default: %(default)s)")
    parser.add_argument("--latent-dim", type=int, default=10, help="default: %(default)s")


def build(flags, image_shape):
    # The network of Burgess et al. 2018, appendix A: four convolutions of 32 filters, 256 units.
    encoder = networks.conv_encoder(image_shape, flags.latent_dim, filters=(32, 32, 32, 32))
    decoder = networks.conv_decoder(image_shape, flags.latent_dim, filters=(32, 32, 32, 32))
    return zoo.BetaVAE(
        encoder, decoder, "bernoulli", capacity=flags.capacity, gamma=flags.gamma, seed=flags.seed
    )  # fmt: skip


def warmup(flags, total_steps):
    return [callbacks.CapacityWarmup(steps=max(1, total_steps // 2))]


RECIPE = training.Recipe(
    "dsprites_beta_vae",
    __doc__,
    image_shape=(64, 64, 1),
    build=build,
    dataset="dsprites",
    epochs=20,
    batch_size=64,
    learning_rate=5e-4,
    add_flags=add_flags,
    callbacks=warmup,
)


def main(argv=None):
    return training.main(RECIPE, argv)


if __name__ == "__main__":
    main()
