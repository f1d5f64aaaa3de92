"""Prediction of the next frames of moving digits: a CVAE, a VQ-VAE with a prior, an unconditional VAE, and a copy.

    python recipes/moving_mnist_cvae.py --sample --no-export
    python recipes/moving_mnist_vqvae.py --sample --no-export
    python benchmarks/video.py --sample

The models of the recipes are read from runs/ (--cvae, --vqvae). The unconditional VAE is trained here, for --epochs, on
the same future frames. It has as many latents as the CVAE, and the CVAE's decoder with its weights, over a grid that a
dense layer makes of z instead of features of the past. All predict the next frames of the same test clips, whose digits
are in no training clip.

The squared error is summed over the pixels of a frame and its mean taken over the future frames: of one draw; of the
mean of ten draws, which is what a single guess should be; and of the best of the ten, which shows whether they cover
what came. The errors behind ± are standard errors over the test clips. Prints the table of `benchmarks/video.md`.
"""

import argparse
import importlib.util
import math
import pathlib
import time

import zoo

# isort: split
from zoo import applications, evaluation, networks
from zoo.training import flags as flags_of_runs
from zoo.training.clips import DRAWS, floats, load

import keras
import machine
import numpy as np

RECIPE = pathlib.Path(__file__).parents[1] / "recipes" / "moving_mnist_cvae.py"
BATCH_SIZE, SEED = 32, 0


def recipe():
    spec = importlib.util.spec_from_file_location(RECIPE.stem, RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unconditional(flags, epochs, clips, decoder_of_cvae):
    """A VAE of the future frames alone."""
    ahead, side = flags.frames - flags.past, flags.size
    grid = decoder_of_cvae.input_shape[1:]
    z = keras.Input((flags.latent_dim,))
    spread = keras.layers.Reshape(grid)(keras.layers.Dense(math.prod(grid), activation="relu")(z))
    of_grid = networks.clip_decoder(grid, (ahead, side, side, 1), flags.filters, blocks=2)
    of_grid.set_weights(decoder_of_cvae.get_weights())
    encoder = networks.clip_encoder((ahead, side, side, 1), flags.latent_dim, (32, flags.filters), dense=128)
    model = zoo.VAE(encoder, keras.Model(z, of_grid(spread)), seed=SEED)
    train, validation = (floats(part)[:, flags.past :] for part in (clips.train, clips.validation))
    steps = epochs * -(-len(train) // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - 50), warmup_target=2e-3, warmup_steps=min(50, steps)
    )
    model.compile(keras.optimizers.Adam(rate))
    model.fit(train, batch_size=BATCH_SIZE, epochs=epochs, validation_data=(validation,), verbose=2)
    return model


def row(name, futures, truth, last):
    """A row of the table: means over steps, with standard errors over the clips; and the mean of draws by step."""
    each = [
        evaluation.prediction_errors(futures[i : i + 1], truth[i : i + 1], last[i : i + 1]) for i in range(len(truth))
    ]
    found = {kind: np.stack([errors[kind] for errors in each]) for kind in each[0]}
    figures = []
    for kind in ("draw", "mean", "best"):
        of_clips = found[kind].mean(axis=1)
        figures.append(f"{of_clips.mean():.1f} ± {of_clips.std(ddof=1) / np.sqrt(len(of_clips)):.1f}")
    steps = ", ".join(f"{step:.0f}" for step in found["mean"].mean(axis=0))
    return f"| {name} | {' | '.join(figures)} | {steps} |"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", action="store_true", help="digits of the small set, as in the recipes' runs")
    parser.add_argument("--data-dir")
    parser.add_argument("--epochs", type=int, default=2, help="of the unconditional VAE; default: %(default)s")
    parser.add_argument("--cvae", type=pathlib.Path, default=pathlib.Path("runs/moving_mnist_cvae/model.keras"))
    parser.add_argument("--vqvae", type=pathlib.Path, default=pathlib.Path("runs/moving_mnist_vqvae/model.keras"))
    own = parser.parse_args(argv)
    if not own.cvae.exists():
        parser.error(f"--cvae takes the model of a run of {RECIPE.name}, whose decoder is needed. Received: {own.cvae}")
    script = recipe()
    given = ["--sample"] * own.sample + (["--data-dir", own.data_dir] if own.data_dir else [])
    flags = flags_of_runs.parse(script.main.recipe, given).own
    clips = load(flags)
    keras.utils.set_random_seed(SEED)
    test = floats(clips.test)
    past, truth = test[:, : flags.past], test[:, flags.past :]
    rows = [row("copy of the last frame", np.repeat(past[:, None, -1:], truth.shape[1], axis=2), truth, past[:, -1])]
    began = time.process_time()
    model = unconditional(flags, own.epochs, clips, keras.models.load_model(own.cvae).decoder)
    spent = time.process_time() - began
    samples = np.asarray(model.sample(len(test) * DRAWS, seed=SEED))
    rows.append(row("unconditional VAE", samples.reshape(len(test), DRAWS, *truth.shape[1:]), truth, past[:, -1]))
    for name, path in (("CVAE", own.cvae), ("VQ-VAE, prior", own.vqvae)):
        if not path.exists():
            print(f"{name}: left out, as there is no {path}")
            continue
        predicted = applications.futures(keras.models.load_model(path), past, DRAWS, seed=SEED)
        rows.append(row(name, predicted, truth, past[:, -1]))
    table = ["| | one draw | mean of 10 draws | best of 10 | mean of draws, by frame |", "|---|---|---|---|---|", *rows]
    print(machine.line(), f"unconditional VAE: {spent:.0f} seconds of CPU time", *table, sep="\n")
    return rows


if __name__ == "__main__":
    main()
