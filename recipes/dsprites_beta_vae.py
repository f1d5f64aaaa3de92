"""β-VAE on dSprites with a rising capacity, which separates position, scale and orientation.

    python recipes/dsprites_beta_vae.py

Hardware: 3 GB of memory for the images; a GPU is recommended. No figure is promised: the dataset was not available,
and the recipe has only been run on synthetic images of the same shape.

After Burgess et al. 2018, "Understanding disentangling in β-VAE". dSprites has no test split: a tenth of TFDS's only
split is held out for testing, the same images in each run.
"""

import dataclasses

import zoo
from zoo import callbacks, networks, training


@dataclasses.dataclass(frozen=True)
class Flags:
    capacity: float = training.flag(25.0, "C at the end, in nats")
    gamma: float = training.flag(1000.0, "weight of |KL - C|")
    latent_dim: int = training.flag(10, "dimensions of z")


def build(flags, image_shape, seed):
    # The network of Burgess et al. 2018, appendix A: four convolutions of 32 filters, 256 units.
    encoder = networks.conv_encoder(image_shape, flags.latent_dim, filters=(32, 32, 32, 32))
    decoder = networks.conv_decoder(image_shape, flags.latent_dim, filters=(32, 32, 32, 32))
    return zoo.BetaVAE(encoder, decoder, "bernoulli", capacity=flags.capacity, gamma=flags.gamma, seed=seed)


def warmup(flags, total_steps):
    return [callbacks.CapacityWarmup(steps=max(1, total_steps // 2))]


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=(64, 64, 1),
    build=build,
    flags=Flags,
    dataset="dsprites",
    epochs=20,
    batch_size=64,
    learning_rate=5e-4,
    callbacks=warmup,
)
