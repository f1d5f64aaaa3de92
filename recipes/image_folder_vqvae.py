"""VQ-VAE on a folder of your own pictures, and a transformer that samples codes of new ones.

    python recipes/image_folder_vqvae.py --images DIR

The pictures may be of any size and number, in subfolders too, and in every format that Pillow opens. Each is turned
upright by its EXIF orientation, put on white where it is transparent, cropped to the shape of --image-size, a side or
a height and a width, and resized to it.
Copies of a picture count once, and no test picture is trained on. Broken files are named and skipped. A few pictures
are enough for good reconstructions, but not for good samples: `--prior none` leaves the transformer out.

Hardware: two CPU cores. Time without the prior: 2,000 steps at least, which take 100 seconds at 64×64; then it grows
with the number of pictures.
No figure is promised, as it depends on your pictures. For 300 images of CIFAR-10, enlarged to 64×64, the squared error
of 30 held-out ones was 0.023 times their variance.
"""

import dataclasses
import pathlib

import zoo
from zoo import data, networks, training
from zoo.runtime import checks


@dataclasses.dataclass(frozen=True)
class Flags:
    images: pathlib.Path = training.flag(help="the folder; or give --shards")
    image_size: int | tuple[int, ...] = training.flag(64, "side, or height and width: multiples of 2 ** downsamples")
    downsamples: int = training.flag(2, "halvings between picture and codes")
    num_codes: int = training.flag(512, "K")
    code_dim: int = training.flag(64, "D")
    filters: int = training.flag(64, "channels of the networks")

    def __post_init__(self):
        for side in self.sides:
            checks.multiple("--image-size", side, 2 ** checks.positive_int("--downsamples", self.downsamples))
        checks.image_size("--image-size", self.image_size)

    @property
    def sides(self):
        return self.image_size if isinstance(self.image_size, tuple) else (self.image_size, self.image_size)


def load(flags, image_shape, disk_folder):
    return data.load_folder(flags.images, image_shape[:2], disk_folder)


def build(flags, image_shape, seed):
    encoder = networks.residual_encoder(image_shape, flags.code_dim, flags.filters, flags.downsamples)
    decoder = networks.residual_decoder(encoder.output_shape[1:], image_shape[-1], flags.filters, flags.downsamples)
    quantizer = zoo.quantizers.VectorQuantizer(flags.num_codes, flags.code_dim, seed=seed)
    return zoo.VQVAE(encoder, decoder, quantizer, zoo.likelihoods.Gaussian(0.178), commitment_cost=0.19)


PRIOR = training.Prior(
    build=training.priors.builder(transformer=(96, 3, 4), pixelcnn=(36, 8), dropout=0.2),
    epochs=20,
    minimum_steps=1000,
    batch_size=16,
    warmup_steps=100,
)

SHARP = training.Sharp(epochs=5, minimum_steps=1000, learning_rate=3e-4)

main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=lambda flags: (*flags.sides, 3),
    build=build,
    flags=Flags,
    load=load,
    source="images",
    training_data=lambda flags: f"the images in {flags.images}",
    prior=PRIOR,
    sharp=SHARP,
    epochs=20,
    minimum_steps=2000,
    batch_size=16,
)
