"""CVAE on MNIST, dynamically binarised: digits on demand.

    python recipes/mnist_cvae.py

Hardware: two CPU cores. Time: 20 minutes of CPU, 26 on a machine that did other work too.
Test split, seed 0: −ELBO of log p(x|y) 87.7 nats; a classifier reads 97.2 % of the samples as the digit asked for
(benchmarks/mnist_digits.py).
"""

import zoo
from zoo import networks, training
from zoo.runtime import checks

NUM_CLASSES = 10


def add_flags(parser):
    parser.add_argument("--latent-dim", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--labels", type=int, nargs="+", help="the digits in samples.png (default: all)")


def build(flags, image_shape):
    for label in flags.labels or ():
        if not 0 <= label < NUM_CLASSES:
            checks.fail("--labels", f"from 0 to {NUM_CLASSES - 1}", label)
    height, width, channels = image_shape
    encoder_shape = (height, width, channels + NUM_CLASSES)
    # Small enough to ship: most weights are in the dense layers, between 7·7·32 numbers and 96.
    size = {"filters": (32, 32), "blocks": 1, "dense": 96}
    encoder = networks.conv_encoder(encoder_shape, flags.latent_dim, **size)
    decoder = networks.conv_decoder(image_shape, flags.latent_dim + NUM_CLASSES, **size)
    return zoo.CVAE(encoder, decoder, NUM_CLASSES, likelihood="bernoulli", seed=flags.seed)


RECIPE = training.Recipe(
    "mnist_cvae",
    __doc__,
    image_shape=(28, 28, 1),
    build=build,
    dataset="mnist",
    binarization="dynamic",
    batch_size=64,
    epochs=20,
    sample_epochs=25,
    add_flags=add_flags,
)


def main(argv=None):
    return training.main(RECIPE, argv)


if __name__ == "__main__":
    main()
