"""VQ-VAE on CIFAR-10: 8×8 codes out of 512, 64 numbers each.

    python recipes/cifar10_vqvae.py

Hardware: two CPU cores, 1.5 GB of memory. Time: 48 minutes of CPU, 52 minutes on a machine that did other work too.
Test split, seed 0: mean squared error over data variance 0.0493, perplexity 427 of 512, every code in use.

After van den Oord et al. 2017, "Neural Discrete Representation Learning". The figures to compare with are 0.056 and
326, on training batches, of the notebook that its authors published with Sonnet.
"""

import zoo
from zoo import networks, training


def add_flags(parser):
    add = parser.add_argument
    add("--num-codes", type=int, default=512, help="K (default: %(default)s)")
    add("--code-dim", type=int, default=64, help="D (default: %(default)s)")
    add("--filters", type=int, default=128, help="channels of the networks (default: %(default)s)")
    add("--commitment-cost", type=float, default=0.19, help="weight of the commitment (default: %(default)s)")
    add("--gradient", choices=("straight_through", "rotation"), default="straight_through")


def build(flags, image_shape):
    encoder = networks.residual_encoder(image_shape, flags.code_dim, flags.filters)
    grid = encoder.output_shape[1:]
    decoder = networks.residual_decoder(grid, image_shape[-1], flags.filters)
    quantizer = zoo.layers.VectorQuantizer(flags.num_codes, flags.code_dim, gradient=flags.gradient, seed=flags.seed)
    # σ² is half the variance of CIFAR-10, 0.0632: the squared error counts in units of it, as in the paper's code.
    return zoo.VQVAE(encoder, decoder, quantizer, zoo.layers.Gaussian(0.178), flags.commitment_cost)


RECIPE = training.Recipe(
    "cifar10_vqvae",
    __doc__,
    image_shape=(32, 32, 3),
    build=build,
    dataset="cifar10",
    epochs=25,
    sample_epochs=30,
    batch_size=32,
    add_flags=add_flags,
)


def main(argv=None):
    return training.main(RECIPE, argv)


if __name__ == "__main__":
    main()
