"""VQ-VAE on CIFAR-10: 8×8 codes out of 512, 64 numbers each, and a transformer over them that draws new images.

    python recipes/cifar10_vqvae.py
    python recipes/cifar10_vqvae.py --prior pixelcnn

The second command finds the VQ-VAE of the first trained, and fits another prior to its codes.

Hardware: two CPU cores, 1.9 GB of memory. Time: 50 to 70 minutes of CPU, for the transformer 30 to 40 more; by the
clock 69 and 29 on a machine that did other work too.
Test split, seed 0: mean squared error over data variance 0.0497, perplexity 425 of 512, every code in use. Cross
entropy of the test images' codes, in nats a code: transformer 4.819, the codes' frequencies 6.053. After 4 of its 8
epochs, on the codes of another run, the transformer had 4.906 and a PixelCNN of as many parameters 4.937.

`--sample`, on the bundled 1,800 images: a network of half the width and a codebook that follows faster. 167 seconds of
CPU on two AMD EPYC cores with oneDNN held to AVX2, of which 107 train the VQ-VAE, 32 the prior, and 14 go to the
exports. Mean squared error over data variance of the 400 test images 0.0748, perplexity 427, transformer 4.741 nats a
code, frequencies 6.088.

After van den Oord et al. 2017, "Neural Discrete Representation Learning". The figures to compare with are 0.056 and
326, on training batches, of the notebook that its authors published with Sonnet.
"""

import dataclasses

import zoo
from zoo import networks, training


@dataclasses.dataclass(frozen=True)
class Flags(training.quantizers.QuantizerFlags):
    # The defaults under --sample are for 1,700 steps instead of 35,000: about twenty codes are in use before the first
    # revival, which comes after 350 steps at a decay of 0.99, and after 115 at 0.97.
    filters: int = training.flag(128, "channels of the networks", sample=64)
    decay: float = training.flag(0.99, "of the codebook, not of fsq", sample=0.97)
    commitment_cost: float = training.flag(0.19, "weight of the commitment")
    gradient: str = training.flag("straight_through", "not of fsq", choices=("straight_through", "rotation"))


def build(flags, image_shape, seed):
    quantizer = training.quantizers.build(flags, seed, gradient=flags.gradient, decay=flags.decay)
    encoder = networks.residual_encoder(image_shape, quantizer.code_dim, flags.filters)
    decoder = networks.residual_decoder(encoder.output_shape[1:], image_shape[-1], flags.filters)
    # σ² is half the variance of CIFAR-10, 0.0632: the squared error counts in units of it, as in the paper's code.
    return zoo.VQVAE(encoder, decoder, quantizer, zoo.likelihoods.Gaussian(0.178), flags.commitment_cost)


PRIOR = training.Prior(
    build=training.priors.builder(), epochs=8, sample_epochs=10, batch_size=64, learning_rate=2e-3, warmup_steps=500
)

main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=(32, 32, 3),
    build=build,
    flags=Flags,
    dataset="cifar10",
    prior=PRIOR,
    epochs=25,
    sample_epochs=30,
    batch_size=32,
)
