"""CVAE of moving digits: predicts the next frames of a clip from its past ones, with several draws.

    python recipes/moving_mnist_cvae.py
    python recipes/moving_mnist_cvae.py --sample

Digits of MNIST move through a frame and leave its borders in a random direction (`zoo.data.MovingDigits`): what comes
after a bounce is open. The model is a `zoo.FutureVAE` with a learned prior p(z|past). Written to --output:

- `model.keras` and `export/`, a SavedModel and a TFLite file: `sample` takes `labels`, the past frames, and `seed`;
- `futures.gif`, a row for each test clip: the clip, then three futures of its past, which is darker;
- `metrics.json`: −ELBO of the next frames in nats, and squared errors of predicted frames, summed over a frame.

--sample makes the clips from the small set of digits that ships with the package.

Hardware: two CPU cores. Time of --sample: 2.5 minutes of CPU time. Seed 0, test clips: −ELBO 341.8 nats, of which the
KL is 8.8; squared error of the mean of ten draws 16 in the first frame and 25 in the sixth, of a copy of the last frame
38 and 50.
"""

import argparse
import pathlib
import time

import zoo

# isort: split
import keras
import numpy as np

from zoo import data, networks
from zoo.runtime import checks, files
from zoo.training.clips import fit, floats, load, report


def build(flags):
    """The model; its networks see frames as channels."""
    side, past, ahead = flags.size, flags.past, flags.frames - flags.past
    past_shape = (past, side, side, 1)
    features = networks.clip_features(past_shape, flags.filters, flags.filters)
    encoder = networks.clip_encoder((flags.frames, side, side, 1), flags.latent_dim, (32, flags.filters), dense=128)
    prior = networks.clip_encoder(past_shape, flags.latent_dim, (32, flags.filters), dense=128)
    grid = (side // 4, side // 4, flags.filters + flags.latent_dim)
    decoder = networks.clip_decoder(grid, (ahead, side, side, 1), flags.filters, blocks=2)
    return zoo.FutureVAE(encoder, decoder, features, prior=zoo.priors.ConditionalGaussian(prior), seed=flags.seed)


def train(flags, clips):
    model, past = build(flags), flags.past
    train, validation = floats(clips.train), floats(clips.validation)
    fit(model, flags, flags.epochs, train[:, past:], train[:, :past], (validation[:, past:], validation[:, :past]))
    return model


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", action="store_true", help="digits of the small set that ships with the package")
    parser.add_argument("--data-dir", help="folder of TFDS datasets")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/moving_mnist_cvae"))
    parser.add_argument("--size", type=int, default=32, choices=(16, 32, 64), help="side of a frame")
    parser.add_argument("--frames", type=int, default=10, help="of a clip; default: %(default)s")
    parser.add_argument("--past", type=int, default=4, help="frames that are given; default: %(default)s")
    parser.add_argument("--digits", type=int, default=1, help="the most digits of a clip; default: %(default)s")
    parser.add_argument("--clips", type=int, default=8000, help="for training; default: %(default)s")
    parser.add_argument("--test-clips", type=int, default=500, help="for testing, and as many for validation")
    parser.add_argument("--epochs", type=int, help="default: 20, with --sample 7")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--latent-dim", type=int, default=16, help="dimensions of z; default: %(default)s")
    parser.add_argument("--filters", type=int, default=64, help="channels of the networks; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of weights, clips, order, noise and futures")
    parser.add_argument("--no-export", action="store_true", help="leave out the SavedModel and the TFLite file")
    flags = parser.parse_args(argv)
    if flags.epochs is None:
        flags.epochs = 7 if flags.sample else 20
    try:
        for name in ("frames", "past", "digits", "clips", "test_clips", "epochs", "batch_size", "filters"):
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
    metrics = {"training_cpu_seconds": round(time.process_time() - began, 1), "parameters": model.count_params()}
    held = {"x": test[:, flags.past :], "labels": test[:, : flags.past]}
    metrics |= {
        "test": {name: float(value) for name, value in model.evaluate(held, verbose=0, return_dict=True).items()}
    }
    metrics |= report(flags, model, test)
    files.save_model(model, flags.output / "model.keras")
    files.write_json(flags.output / "metrics.json", metrics)
    if not flags.no_export:
        model.export(flags.output / "export")
        model.export(flags.output / "export" / "model.tflite")
    for name, values in metrics.items():
        print(f"{name}: {np.round(values, 2).tolist() if isinstance(values, list) else values}")
    return metrics


if __name__ == "__main__":
    main()
