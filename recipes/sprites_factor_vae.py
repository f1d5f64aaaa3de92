"""FactorVAE on rendered sprites with the factors of dSprites; a β-VAE or a β-TCVAE with --method.

    python recipes/sprites_factor_vae.py
    python recipes/sprites_factor_vae.py --method beta --beta 4
    python recipes/sprites_factor_vae.py --method tc --beta 4

The images are rendered and need no download: a square, an ellipse or a heart of 6 sizes, in 40 orientations, at 32 × 32
places (`zoo.data.Sprites`). The networks are dense, as those of Higgins et al. 2017 for dSprites, and narrower: on two
CPU cores a step takes a quarter of the time that it takes with convolutions.

FIGURES

After Kim & Mnih 2018, "Disentangling by Factorising", whose networks are convolutional and whose images are 64×64.
"""

import dataclasses

import zoo
from zoo import data, networks, training


@dataclasses.dataclass(frozen=True)
class Flags:
    method: str = training.flag("factor", "FactorVAE, β-VAE or β-TCVAE", choices=("factor", "beta", "tc"))
    gamma: float = training.flag(20.0, "weight of the total correlation, for factor")
    beta: float = training.flag(6.0, "weight of the KL, for beta; of the total correlation, for tc")
    latent_dim: int = training.flag(10, "dimensions of z")
    hidden: tuple[int, ...] = training.flag((256, 256), "units of the hidden layers of encoder and decoder")
    image_size: int = training.flag(32, "64 is the size of dSprites", choices=(64, 32, 16, 8))
    images: int = training.flag(100_000, "training images")


def build(flags, image_shape, seed):
    encoder = networks.mlp_encoder(image_shape, flags.latent_dim, flags.hidden)
    decoder = networks.mlp_decoder(image_shape, flags.latent_dim, flags.hidden[::-1])
    if flags.method == "beta":
        return zoo.BetaVAE(encoder, decoder, "bernoulli", beta=flags.beta, seed=seed)
    if flags.method == "tc":
        return zoo.BetaTCVAE(encoder, decoder, "bernoulli", flags.images, beta=flags.beta, seed=seed)
    return zoo.FactorVAE(encoder, decoder, "bernoulli", gamma=flags.gamma, seed=seed)


def load(flags, image_shape, disk_folder):
    return data.Sprites(image_shape[0]).splits(flags.images, disk_folder=disk_folder)


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=lambda flags: (flags.image_size, flags.image_size, 1),
    build=build,
    flags=Flags,
    load=load,
    training_data=lambda flags: f"{flags.images} images of zoo.data.Sprites({flags.image_size})",
    epochs=20,
    batch_size=64,
    jit_compile=True,
    steps_per_execution=50,
)
