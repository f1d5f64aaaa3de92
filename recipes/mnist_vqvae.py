"""VQ-VAE on MNIST with 7×7 codes out of 128, 16 numbers each, and a transformer that samples codes of new digits.

    python recipes/mnist_vqvae.py
    python recipes/mnist_vqvae.py --prior pixelcnn

The second command reuses the trained VQ-VAE of the first, and fits another prior to its codes.

Hardware: two CPU cores, 1.3 GB of memory. Time: 14 minutes on one of them, reserved for it.
Test split, seed 0: cross entropy of the transformer 0.967 nats per code, of the codes' frequencies alone 2.868; mean
squared error over data variance 0.0589, perplexity 18 of 128.

Codebook and networks are close to those of the VQ-VAE example on keras.io, where a PixelCNN of 1.05 million parameters
reaches 1.034 nats per code; the transformer has 0.63 million. Nats per code compare only between codes of about the
same information: an EMA codebook with revival, as in `cifar10_vqvae`, uses all 128 codes and needs more nats for each.
"""

import dataclasses

import zoo
from zoo import networks, training


@dataclasses.dataclass(frozen=True)
class Flags(training.quantizers.QuantizerFlags):
    num_codes: int = 128
    code_dim: int = 16
    levels: tuple[int, ...] = (5, 5, 5)
    filters: int = training.flag(64, "channels of the networks")


def build(flags, image_shape, seed):
    # The codebook of the example on keras.io: learned by gradient from uniform values, without revival of dead codes.
    quantizer = training.quantizers.build(flags, seed, codebook="gradient", initialization="uniform", revival=0.0)
    # Without residual blocks a code sees only 10×10 pixels: all empty regions get the same code.
    encoder = networks.residual_encoder(image_shape, quantizer.code_dim, flags.filters, blocks=0)
    decoder = networks.residual_decoder(encoder.output_shape[1:], image_shape[-1], flags.filters, blocks=0)
    # σ² is half the variance of MNIST, 0.0949: the loss is the squared error over this variance.
    return zoo.VQVAE(encoder, decoder, quantizer, zoo.likelihoods.Gaussian(0.218), commitment_cost=0.25)


PRIOR = training.Prior(
    build=training.priors.builder(transformer=(128, 3, 4), pixelcnn=(56, 5)),
    epochs=4,
    sample_epochs=15,
    batch_size=64,
    learning_rate=2e-3,
    warmup_steps=200,
)

main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=(28, 28, 1),
    build=build,
    flags=Flags,
    dataset="mnist",
    prior=PRIOR,
    epochs=4,
    sample_epochs=20,
    batch_size=64,
)
