"""CVAE of moving digits: predicts the next frames of a clip from its past ones, with several draws.

    python recipes/moving_mnist_cvae.py
    python recipes/moving_mnist_cvae.py --sample

Digits of MNIST move through a frame and bounce off its borders in a random direction (`zoo.data.MovingDigits`): several
futures are possible. The model is a `zoo.FutureVAE` with a learned prior p(z|past). Written to --output, besides the
files of all recipes:

- `futures.gif`, a row for each test clip: the clip, then three futures of its past, which is darker;
- `metrics.json`: the ELBO of the next frames in nats, and the squared error of each predicted frame, summed over its
  pixels: of one draw, of the mean of ten draws, of the best of them, and of a copy of the last frame.

The exported signature `sample` takes the past frames as `labels`.

--sample makes the clips from the small set of digits that ships with the package.

Hardware: two CPU cores. Time: 3.6 minutes of CPU time, and 2.5 with --sample. Seed 0, test clips: −ELBO 284.4 nats,
with a KL of 13.5; squared error of the mean of ten draws 15 in the first frame and 24 in the sixth, of a copy 37 and
47. With --sample: 339.4 nats and 7.0; 17 and 25, of a copy 38 and 50.
"""

import dataclasses

import zoo
from zoo import networks, training
from zoo.runtime import checks
from zoo.training import clips


@dataclasses.dataclass(frozen=True)
class Flags(clips.ClipFlags):
    latent_dim: int = training.flag(16, "dimensions of z")
    filters: int = training.flag(64, "channels of the networks")

    def __post_init__(self):
        super().__post_init__()
        checks.positive_int("--filters", self.filters)


def load(flags, shape, disk_folder):
    return clips.splits(flags, flags.past)


def build(flags, shape, seed):
    """The model; its networks see frames as channels."""
    side, past, ahead = flags.size, flags.past, flags.frames - flags.past
    past_shape = (past, side, side, 1)
    features = networks.clip_features(past_shape, flags.filters, flags.filters)
    encoder = networks.clip_encoder(flags.clip_shape, flags.latent_dim, (32, flags.filters), dense=128)
    prior = networks.clip_encoder(past_shape, flags.latent_dim, (32, flags.filters), dense=128)
    grid = (side // 4, side // 4, flags.filters + flags.latent_dim)
    decoder = networks.clip_decoder(grid, (ahead, side, side, 1), flags.filters, blocks=2)
    return zoo.FutureVAE(encoder, decoder, features, prior=zoo.priors.ConditionalGaussian(prior, seed), seed=seed)


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=lambda flags: (flags.frames - flags.past, flags.size, flags.size, 1),
    build=build,
    flags=Flags,
    load=load,
    training_data=clips.training_data,
    examples=clips.examples(),
    epochs=20,
    sample_epochs=7,
    batch_size=32,
    learning_rate=2e-3,
    warmup_steps=50,
)
