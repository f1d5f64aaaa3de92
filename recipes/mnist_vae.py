"""VAE on MNIST, dynamically binarised: gated dense layers, 40 latents, trained on the importance-weighted bound.

    python recipes/mnist_vae.py
    python recipes/mnist_vae.py --prior flow --epochs 150 --importance-samples 5
    python recipes/mnist_vae.py --latent-dim 2 --binarization none --importance-samples 1

Hardware: two CPU cores, 1.1 GB of memory. Time: 36 minutes of CPU time, 65 minutes of wall time beside other work.
Test split, seed 0: −ELBO 90.4 nats; the importance-weighted bound of 8 samples, the loss, is 86.3 nats, and that of
5,000 is in the card of the preset `mnist_vae`. With 5 samples −ELBO is 89.9 nats, and the bound of 5,000 is 0.2 nats
worse: more samples make a better decoder, and an encoder that fits a single sample less.

The second command has a flow as its prior, and takes 86 minutes of CPU time. −ELBO 85.1 nats, loss 83.2 nats; the bound
of 5,000 samples, on the first 2,000 test images, is 82.2 ± 0.5 nats (benchmarks/priors.md).

The third command trains a plain VAE on grey levels, whose two latents `python -m zoo explore` can show as a map.
"""

import dataclasses

import zoo
from zoo import networks, training


@dataclasses.dataclass(frozen=True)
class Flags:
    latent_dim: int = training.flag(40, "dimensions of z")
    hidden: tuple[int, ...] = training.flag((300, 300), "units of the hidden layers of encoder and decoder")
    importance_samples: int = training.flag(8, "K of the importance-weighted bound; 1 trains on the ELBO")
    latent_prior: str = training.flag("standard_normal", "p(z)", choices=training.priors.OF_LATENTS, name="prior")


def build(flags, image_shape, seed):
    encoder = networks.mlp_encoder(image_shape, flags.latent_dim, flags.hidden, activation="gated")
    decoder = networks.mlp_decoder(image_shape, flags.latent_dim, flags.hidden, activation="gated")
    prior = training.priors.of_latents(flags.latent_prior, flags.latent_dim, image_shape, seed)
    if flags.importance_samples == 1:
        return zoo.VAE(encoder, decoder, likelihood="bernoulli", seed=seed, prior=prior)
    return zoo.IWAE(encoder, decoder, "bernoulli", flags.importance_samples, "dreg", seed=seed, prior=prior)


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=(28, 28, 1),
    build=build,
    flags=Flags,
    dataset="mnist",
    binarization="dynamic",
    batch_size=128,
    epochs=200,
    sample_epochs=25,
    warmup_steps=500,
    ema=0.999,
    steps_per_execution=50,
)
