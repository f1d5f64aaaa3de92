"""placeholder"""

import dataclasses

import zoo
from zoo import data, networks, training


@dataclasses.dataclass(frozen=True)
class Flags:
    method: str = training.flag("factor", "the model", choices=("beta", "tc", "factor"))
    beta: float = training.flag(4.0, "weight of the KL (beta) or of the total correlation (tc)")
    gamma: float = training.flag(20.0, "weight of the total correlation (factor)")
    latent_dim: int = training.flag(10, "dimensions of z")
    image_size: int = training.flag(32, "64, as in dSprites, 32 or 16", choices=(64, 32, 16))


def build(flags, image_shape, seed):
    filters = (16, 32, 32) if flags.image_size < 64 else (16, 32, 32, 32)
    encoder = networks.conv_encoder(image_shape, flags.latent_dim, filters, dense=128)
    decoder = networks.conv_decoder(image_shape, flags.latent_dim, filters[::-1], dense=128)
    if flags.method == "beta":
        return zoo.BetaVAE(encoder, decoder, beta=flags.beta, seed=seed)
    if flags.method == "tc":
        return zoo.BetaTCVAE(encoder, decoder, dataset_size=len(data.Sprites()), beta=flags.beta, seed=seed)
    return zoo.FactorVAE(encoder, decoder, gamma=flags.gamma, seed=seed)


def load(flags, image_shape, disk_folder):
    return data.Sprites(image_shape[0]).splits(disk_folder=disk_folder)


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=lambda flags: (flags.image_size, flags.image_size, 1),
    build=build,
    flags=Flags,
    load=load,
    training_data=lambda flags: f"sprites of {flags.image_size} × {flags.image_size}, rendered",
    batch_size=64,
)
