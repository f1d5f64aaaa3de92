"""VQ-VAE of moving digits over space and time, and a transformer that continues clips.

    python recipes/moving_mnist_vqvae.py
    python recipes/moving_mnist_vqvae.py --sample

The codes of a clip are a grid with a row for every two frames (`zoo.networks.chunk_encoder`). The transformer is a
prior over these grids: given the rows of the past it samples those of the future; given no rows, whole clips.
Written to --output, besides the files of all recipes:

- `futures.gif`, a row for each test clip: the clip, then three futures of its past, which is darker;
- `samples.gif`, clips that the prior made;
- `metrics.json`: the ELBO in nats, and the squared error of each predicted frame, summed over its pixels: of one draw,
  of the mean of ten draws, of the best of them, and of a copy of the last frame.

The SavedModel has one more signature, `continue`: it takes `x`, whole clips whose frames after --past are ignored,
`seed` and `temperature`. With `--prior none` there are neither futures nor samples.

--sample makes the clips from the small set of digits that ships with the package.

Hardware: two CPU cores. Time: 9.2 minutes of CPU time, and 3.0 with --sample, too short for good futures. Seed 0, test
clips: −ELBO 520 nats; squared error of the mean of ten draws 17 in the first frame and 24 in the sixth, of a copy 37
and 47. With --sample: 694 nats; 22 and 26, of a copy 38 and 50.
"""

import dataclasses

import zoo
from zoo import applications, networks, training
from zoo.export.signatures import Signature
from zoo.runtime import checks
from zoo.training import clips

# isort: split
import numpy as np
import tensorflow as tf

CHUNK, DOWNSAMPLES = 2, 3


@dataclasses.dataclass(frozen=True)
class Flags(clips.ClipFlags):
    frames: int = training.flag(10, "of a clip, an even number")
    past: int = training.flag(4, "frames that are given, an even number")
    clips: int = training.flag(8000, "for training", sample=4000)
    num_codes: int = training.flag(128, "K")
    code_dim: int = training.flag(16, "length of a code vector")
    filters: int = training.flag(64, "channels of the networks")
    width: int = training.flag(96, "of the transformer")

    def __post_init__(self):
        super().__post_init__()
        for name in ("frames", "past"):
            checks.multiple("--" + name, getattr(self, name), CHUNK)
        checks.positive_int("--filters", self.filters)


def load(flags, shape, disk_folder):
    return clips.splits(flags)


def build(flags, shape, seed):
    encoder = networks.chunk_encoder(shape, CHUNK, flags.code_dim, flags.filters, DOWNSAMPLES)
    decoder = networks.chunk_decoder(shape, CHUNK, flags.code_dim, flags.filters, DOWNSAMPLES)
    # The first outputs are the share of white pixels: otherwise all places learn the code of an empty one.
    white = clips.floats(clips.load(flags).train).mean()
    bias = decoder.trainable_weights[-1]
    bias.assign(np.full(bias.shape, np.log(white / (1.0 - white))))
    quantizer = zoo.quantizers.VectorQuantizer(flags.num_codes, flags.code_dim, seed=seed)
    return zoo.VQVAE(encoder, decoder, quantizer, "bernoulli")


def build_prior(kind, num_codes, grid_shape, seed, sample, width):
    return zoo.priors.Transformer(num_codes, grid_shape, width=width, depth=3, heads=4, dropout=0.1, seed=seed)


def finish(flags, model, splits, folder, seed):
    if not model.can_sample:
        return {}
    samples = np.asarray(model.sample(16, seed=seed)).swapaxes(0, 1)
    grids = np.stack([applications.grid(step, fill=0.3) for step in samples])
    applications.save_animation(folder / "samples.gif", grids, frames_per_second=4, scale=3)
    return clips.report(flags, model, splits.test, folder, seed)


def exporter(flags, model):
    """Exports a SavedModel with the usual signatures, and one that continues clips; and TFLite files."""
    rows = flags.past // CHUNK

    def continued(x, seed, temperature):
        codes = model.prior.draw(seed, temperature, given=model.encode(x)[:, :rows])
        return {"x": model.decode(codes), "codes": codes}

    inputs = {
        "x": tf.TensorSpec((None, *model.image_shape), tf.float32, "x"),
        "seed": tf.TensorSpec((None,), tf.int32, "seed"),
        "temperature": tf.TensorSpec((None,), tf.float32, "temperature"),
    }

    def export(path, images, **kwargs):
        if path.suffix != ".tflite" and model.can_sample:
            x = images[:2]
            case = {"x": x, "seed": np.arange(len(x), dtype=np.int32), "temperature": np.ones(len(x), np.float32)}
            kwargs |= {"more": {"continue": Signature(continued, inputs)}, "more_cases": {"continue": case}}
        return model.export(path, images=images, **kwargs)

    return export


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=lambda flags: flags.clip_shape,
    build=build,
    flags=Flags,
    load=load,
    training_data=clips.training_data,
    examples=clips.examples(finish, most=8, exporter=exporter),  # few, as exports sample code by code
    prior=training.Prior(
        build=build_prior,
        kinds=("transformer",),
        settings=lambda flags: {"width": flags.width},
        epochs=20,
        sample_epochs=3,
        batch_size=32,
        warmup_steps=50,
    ),
    epochs=10,
    sample_epochs=3,
    batch_size=32,
    warmup_steps=50,
)
