"""VQ-VAE on CIFAR-10 with 8×8 codes out of 1,024, 8 numbers each, and a transformer that samples codes of new images.

    python recipes/cifar10_vqvae.py --mixed-precision
    python recipes/cifar10_vqvae.py --mixed-precision --prior pixelcnn
    python recipes/cifar10_vqvae.py --mixed-precision --decoder sharp

The second command reuses the trained VQ-VAE of the first, and fits another prior to its codes. The third reuses VQ-VAE
and prior, and trains the decoder further for sharp images: three minutes of CPU time, after which the test split has a
Fréchet distance of reconstructions of 16 to 21 instead of 56, and 0.24 dB less PSNR, over five seeds (docs/sharp.md).

Hardware: two CPU cores, 1.9 GB of memory. Time of the first command, on one core of an AMD EPYC with bfloat16: 72
minutes of CPU time, and 32 more for the transformer; 63 and 26 minutes of wall time. In float32 a training step takes
about a fifth longer.
Test split, seed 0: mean squared error over data variance 0.0430 in bfloat16, and 0.0425 in the float32 of the exports;
perplexity 853 of 1,024, every code in use. Cross entropy of the test images' codes, in nats per code: transformer
5.501, the codes' frequencies 6.751. 512 codes of 64 numbers, with ReLU, no norm and a rate of 1e-3, gave 0.0497, 425,
4.819 and 6.053.

`--sample` trains on the bundled 1,800 images, with 512 codes, a network of half the width and a codebook of faster
moving averages. It takes 190 seconds of CPU time on an AMD EPYC: 116 for the VQ-VAE, 34 for the prior, the rest for
figures and exports. Mean squared error over data variance of the 400 test images 0.0757, perplexity 448, transformer
4.858 nats per code, frequencies 6.134.

After van den Oord et al. 2017, "Neural Discrete Representation Learning". Compare with the notebook that its authors
published with Sonnet: 0.056 and 326, on training batches.
"""

import dataclasses

import zoo
from zoo import networks, training

_CODEBOOK = training.quantizers.WITH_CODEBOOK


@dataclasses.dataclass(frozen=True)
class Flags(training.quantizers.QuantizerFlags):
    # Under --sample there are 1,700 steps instead of 35,000. About twenty codes are in use before the first revival,
    # which comes after 350 steps at a decay of 0.99, and after 115 at 0.97.
    filters: int = training.flag(128, "channels of the networks", sample=64)
    num_codes: int = training.flag(1024, "K, for vq and residual", sample=512, only=_CODEBOOK)
    code_dim: int = training.flag(8, "D, for vq and residual", only=_CODEBOOK)
    decay: float = training.flag(
        0.99, "momentum of the codebook's averages, for vq and residual", sample=0.97, only=_CODEBOOK
    )
    commitment_cost: float = training.flag(0.19, "weight of the commitment loss", only=_CODEBOOK)
    gradient: str = training.flag(
        "straight_through",
        "gradient of the encoder, for vq and residual",
        choices=("straight_through", "rotation"),
        only=_CODEBOOK,
    )


def build(flags, image_shape, seed):
    quantizer = training.quantizers.build(flags, seed, gradient=flags.gradient, decay=flags.decay)
    settings = {"filters": flags.filters, "activation": "silu", "normalization": "rms"}
    encoder = networks.residual_encoder(image_shape, quantizer.code_dim, **settings)
    decoder = networks.residual_decoder(encoder.output_shape[1:], image_shape[-1], **settings)
    # σ² is half the variance of CIFAR-10, 0.0632: the loss is the squared error over this variance, as in the paper's
    # code.
    return zoo.VQVAE(encoder, decoder, quantizer, zoo.likelihoods.Gaussian(0.178), flags.commitment_cost)


PRIOR = training.Prior(
    build=training.priors.builder(), epochs=8, sample_epochs=10, batch_size=64, learning_rate=2e-3, warmup_steps=500
)

SHARP = training.Sharp(epochs=1, sample_epochs=5, learning_rate=3e-4)

main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=(32, 32, 3),
    build=build,
    flags=Flags,
    dataset="cifar10",
    prior=PRIOR,
    sharp=SHARP,
    epochs=25,
    sample_epochs=30,
    batch_size=32,
    learning_rate=2e-3,
    warmup_steps=500,
)
