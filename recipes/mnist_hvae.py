"""Hierarchical VAE on MNIST, dynamically binarised: eight layers of latents at 1×1, 7×7 and 14×14.

    python recipes/mnist_hvae.py --mixed-precision

Hardware: two CPU cores, 2.4 GB of memory. Time: 92 minutes of CPU time, 123 minutes of wall time on a crowded machine.
Test split, seed 0: −ELBO 82.1 nats; −log p(x) with many importance samples is in the card of the preset `mnist_hvae`,
whose run began with --epochs 16, and was stopped and resumed with 12 in the third epoch. Compare with 82.82, the IWAE
with two layers and k = 50 (Burda et al. 2016).
"""

import zoo
from zoo import networks, training

SCALES, WIDTH, HIDDEN = (28, 4, 2), (128, 96, 48), (128, 64, 48)


def build(flags, image_shape, seed):
    encoder = networks.bottom_up_encoder(image_shape, SCALES, WIDTH, HIDDEN, blocks=(1, 2, 2), activation="silu")
    decoder = zoo.networks.TopDown(
        image_shape, SCALES, layers=(2, 4, 2), latent_dim=(32, 16, 8), width=WIDTH, hidden=HIDDEN, activation="silu",
        output_blocks=1, output_width=24,
    )  # fmt: skip
    return zoo.HierarchicalVAE(encoder, decoder, "bernoulli", seed=seed)


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=(28, 28, 1),
    build=build,
    dataset="mnist",
    binarization="dynamic",
    batch_size=32,
    epochs=12,
    sample_epochs=15,
    learning_rate=1e-3,
    warmup_steps=500,
    gradient_clip=200.0,
    skip_threshold=1e4,
    ema=0.999,
)
