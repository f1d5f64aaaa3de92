"""Hierarchical VAE on CIFAR-10: seven layers of latents at 1×1, 4×4, 8×8 and 16×16.

    python recipes/cifar10_hvae.py --mixed-precision

Hardware: two CPU cores, 4.1 GB of memory. Time: 75 minutes of CPU time, 103 minutes of wall time on a crowded machine.
Test split, seed 0: −ELBO 4.031 bits per dim. All layers are used; the KL of the least used one, at 1×1, is 5.8 nats.
Compare with 4.51, the VAE of van den Oord et al. 2017, and 2.87, the VDVAE of Child 2021. The output of the run is in
docs/cifar10_hvae.log: it began with --epochs 11, and was stopped and resumed with 7 in the second epoch and with 6 in
the fourth, which changes the learning rate of the first steps a little. Its weights are the preset `cifar10_hvae`.
Training diverged with a higher learning rate, and with log-variances within ±14, the range of other models.
"""

import dataclasses
import math

import zoo
from zoo import networks, training

SCALES, WIDTH, HIDDEN = (32, 8, 4, 2), (128, 128, 128, 64), 64


@dataclasses.dataclass(frozen=True)
class Flags:
    components: int = training.flag(5, "logistics per pixel")
    start: str | None = training.flag(None, "a preset's name or folder, such as the export of a run, to begin with")


def build(flags, image_shape, seed):
    likelihood = zoo.likelihoods.DiscretizedLogisticMixture(flags.components, image_shape[-1])
    encoder = networks.bottom_up_encoder(image_shape, SCALES, WIDTH, HIDDEN, blocks=(1, 1, 2, 2), activation="silu")
    decoder = zoo.networks.TopDown(
        (*image_shape[:2], likelihood.params_size(image_shape[-1])),
        SCALES, layers=(1, 1, 2, 3), latent_dim=(32, 16, 16, 8), width=WIDTH, hidden=HIDDEN, activation="silu",
        output_blocks=1,
    )  # fmt: skip
    model = zoo.HierarchicalVAE(encoder, decoder, likelihood, max_log_var=6.0, seed=seed)
    if flags.start is not None:
        model.set_weights(zoo.from_preset(flags.start).get_weights())
    return model


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=(32, 32, 3),
    build=build,
    flags=Flags,
    dataset="cifar10",
    batch_size=16,
    epochs=6,
    sample_epochs=15,
    learning_rate=1e-3,
    warmup_steps=1000,
    gradient_clip=3e4,
    skip_threshold=math.inf,
    ema=0.999,
)
