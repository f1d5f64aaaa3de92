"""VQ-VAE of moving digits over space and time, and a transformer that continues clips.

    python recipes/moving_mnist_vqvae.py
    python recipes/moving_mnist_vqvae.py --sample

The codes of a clip are a grid with a row for every two frames (`zoo.networks.chunk_encoder`). The transformer is a
prior over these grids: given the rows of the past it samples those of the future, and without any whole clips.
Written to --output:

- `model.keras` and `export/`, a SavedModel whose signature `continue` takes `x`, clips of which the first frames count,
  `seed` and `temperature`;
- `futures.gif`, a row for each test clip: the clip, then three futures of its past, which is darker;
- `samples.gif`, clips that the prior made;
- `metrics.json`: −log p in nats, and squared errors of predicted frames, summed over a frame.

--sample makes the clips from the small set of digits that ships with the package.

Hardware: two CPU cores. Time of --sample: 2.7 minutes of CPU time, too short for good futures. Seed 0, test clips:
−ELBO 706 nats; squared error of the mean of ten draws 22 in the first frame and 26 in the sixth, of a copy 38 and 50.
"""

import argparse
import pathlib
import time

import zoo

# isort: split
import keras
import numpy as np
import tensorflow as tf

from zoo import applications, data, networks
from zoo.export.signatures import Signature
from zoo.runtime import checks, files
from zoo.training.clips import fit, floats, load, report

CHUNK, DOWNSAMPLES = 2, 3


def build(flags):
    """The VQ-VAE and its prior, which is not attached yet."""
    shape = (flags.frames, flags.size, flags.size, 1)
    encoder = networks.chunk_encoder(shape, CHUNK, flags.code_dim, flags.filters, DOWNSAMPLES)
    decoder = networks.chunk_decoder(shape, CHUNK, flags.code_dim, flags.filters, DOWNSAMPLES)
    quantizer = zoo.quantizers.VectorQuantizer(flags.num_codes, flags.code_dim, seed=flags.seed)
    model = zoo.VQVAE(encoder, decoder, quantizer, "bernoulli")
    grid, settings = encoder.output_shape[1:3], {"depth": 3, "heads": 4, "dropout": 0.1, "seed": flags.seed}
    prior = zoo.priors.Transformer(quantizer.num_codes, grid, width=flags.width, **settings)
    return model, prior


def train(flags, clips):
    model, prior = build(flags)
    train, validation = floats(clips.train), floats(clips.validation)
    # The first output is the share of white pixels: otherwise the codes of all places become that of empty ones.
    white = train.mean()
    bias = model.decoder.trainable_weights[-1]
    bias.assign(np.full(bias.shape, np.log(white / (1.0 - white))))
    fit(model, flags, flags.epochs, train, validation=(validation,))
    codes, others = (np.asarray(model.encode(part)) for part in (train, validation))
    fit(prior, flags, flags.prior_epochs, codes, validation=(others,))
    model.prior = prior
    return model


def show_samples(flags, model):
    samples = np.asarray(model.sample(16, seed=flags.seed)).swapaxes(0, 1)
    grids = np.stack([applications.grid(step, fill=0.3) for step in samples])
    applications.save_animation(flags.output / "samples.gif", grids, frames_per_second=4, scale=3)


def export(flags, model):
    """Writes a SavedModel with the usual signatures, and one that continues clips."""
    rows = flags.past // CHUNK

    def go_on(x, seed, temperature):
        codes = model.prior.draw(seed, temperature, given=model.encode(x)[:, :rows])
        return {"x": model.decode(codes), "codes": codes}

    inputs = {
        "x": tf.TensorSpec((None, *model.image_shape), tf.float32, "x"),
        "seed": tf.TensorSpec((None,), tf.int32, "seed"),
        "temperature": tf.TensorSpec((None,), tf.float32, "temperature"),
    }
    case = {
        "x": np.asarray(model.sample(2, seed=0)), "seed": np.arange(2, dtype=np.int32),
        "temperature": np.ones(2, np.float32),
    }  # fmt: skip
    model.export(flags.output / "export", more={"continue": Signature(go_on, inputs)}, more_cases={"continue": case})


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", action="store_true", help="digits of the small set that ships with the package")
    parser.add_argument("--data-dir", help="folder of TFDS datasets")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/moving_mnist_vqvae"))
    parser.add_argument("--size", type=int, default=32, choices=(16, 32, 64), help="side of a frame")
    parser.add_argument("--frames", type=int, default=10, help="of a clip, an even number; default: %(default)s")
    parser.add_argument("--past", type=int, default=4, help="frames that are given, an even number; default: 4")
    parser.add_argument("--digits", type=int, default=1, help="the most digits of a clip; default: %(default)s")
    parser.add_argument("--clips", type=int, help="for training; default: 8000, with --sample 4000")
    parser.add_argument("--test-clips", type=int, default=500, help="for testing, and as many for validation")
    parser.add_argument("--epochs", type=int, help="of the VQ-VAE; default: 10, with --sample 3")
    parser.add_argument("--prior-epochs", type=int, help="of the transformer; default: 20, with --sample 3")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--num-codes", type=int, default=128, help="K; default: %(default)s")
    parser.add_argument("--code-dim", type=int, default=16, help="length of a code vector; default: %(default)s")
    parser.add_argument("--filters", type=int, default=64, help="channels of the networks; default: %(default)s")
    parser.add_argument("--width", type=int, default=96, help="of the transformer; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of weights, clips, order, noise and futures")
    parser.add_argument("--no-export", action="store_true", help="leave out the SavedModel")
    flags = parser.parse_args(argv)
    flags.clips = flags.clips or (4000 if flags.sample else 8000)
    flags.epochs = flags.epochs or (3 if flags.sample else 10)
    flags.prior_epochs = flags.prior_epochs or (3 if flags.sample else 20)
    try:
        for name in ("frames", "past"):
            checks.multiple("--" + name, getattr(flags, name), CHUNK)
        for name in ("digits", "clips", "test_clips", "epochs", "prior_epochs", "batch_size", "filters"):
            checks.positive_int("--" + name.replace("_", "-"), getattr(flags, name))
        if flags.past >= flags.frames:
            checks.fail("--past", f"below --frames, {flags.frames}", flags.past)
        files.require_writable("--output", flags.output)
        return flags, load(flags)
    except (ValueError, data.DataError) as error:
        parser.error(str(error))


def main(argv=None):
    flags, clips = parse(argv)
    keras.utils.set_random_seed(flags.seed)
    flags.output.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    model, test = train(flags, clips), floats(clips.test)
    metrics = {"training_cpu_seconds": round(time.process_time() - began, 1)}
    metrics["test"] = {name: float(value) for name, value in model.evaluate(test, verbose=0, return_dict=True).items()}
    metrics["test"]["elbo"] = float(np.mean(model.log_prob(test)))
    metrics |= report(flags, model, test)
    show_samples(flags, model)
    files.save_model(model, flags.output / "model.keras")
    files.write_json(flags.output / "metrics.json", metrics)
    if not flags.no_export:
        export(flags, model)
    for name, values in metrics.items():
        print(f"{name}: {np.round(values, 2).tolist() if isinstance(values, list) else values}")
    return metrics


if __name__ == "__main__":
    main()
