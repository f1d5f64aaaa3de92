"""The sharp decoder of cifar10_vqvae beside the plain one: the same codes, decoded by both.

    python recipes/classifier.py --dataset cifar10 --seed 1 --epochs 8 --output runs/third
    python benchmarks/sharp.py --data-dir DIR --third runs/third/classifier.keras --seeds 0 1 2 3 4

For each seed: trains the last stage of `recipes/cifar10_vqvae.py --decoder sharp` on the shipped model, and
writes a line of JSON. The judges took no part in the training: the shipped classifier for the Fréchet distance, and
another classifier, trained with another seed, for the perceptual distance. A run that was stopped goes on where it was.
`--split validation` is for choosing settings. Further flags are the recipe's: --decoder-epochs 1.

    python benchmarks/sharp.py --data-dir DIR --cost
    python benchmarks/sharp.py --data-dir DIR --pictures docs --model runs/sharp/seed0/model.keras

The first prints the CPU seconds of a training step of the stage beside those of the model's own training; the second
draws the pictures of docs/sharp.md.
"""

import argparse
import dataclasses
import functools
import importlib.util
import json
import pathlib
import time

import zoo
from zoo import data, evaluation
from zoo.training import decoder_stage, stage
from zoo.training import flags as recipe_flags

import keras
import machine
import numpy as np
from PIL import Image

RECIPE = pathlib.Path(__file__).parents[1] / "recipes" / "cifar10_vqvae.py"
ROWS = 500


def in_slices(function, *arrays):
    slices = (slice(at, at + ROWS) for at in range(0, len(arrays[0]), ROWS))
    return np.concatenate([np.array(function(*(array[rows] for array in arrays))) for rows in slices])


def third_network(path):
    """The distance in the features of a classifier after each of its resolutions."""
    classifier = keras.saving.load_model(path, compile=False)
    taps = [layer.output for layer in classifier.layers if isinstance(layer, keras.layers.Add)]
    return zoo.layers.PerceptualDistance(keras.Model(classifier.inputs, taps))


class Judge:
    """Measures decoders of the same codes by networks that took no part in their training."""

    def __init__(self, model, splits, flags):
        self.features = evaluation.features.load("cifar10_classifier")
        self.of_training = self.features.embed(splits.train.images)
        images = getattr(splits, flags.split).images[: flags.limit]
        self.of_images = self.features.embed(images)
        self.images = images.astype(np.float32) / 255.0
        self.variance = data.pixel_variance(splits.train)
        self.third = third_network(flags.third)
        self.codes = in_slices(model.encode, self.images)
        self.sampled = None
        if flags.samples:
            seeds = zoo.random.row_seeds(0, flags.samples)
            self.sampled = in_slices(lambda rows: model.generate(rows, np.ones(len(rows), np.float32))[1], seeds)

    def __call__(self, model):
        """dict of figures of the reconstructions and of the samples."""
        made = in_slices(model.decode, self.codes)
        squared = np.mean(np.square(made - self.images), axis=(1, 2, 3))
        features = self.features.embed(made)
        figures = {
            "mse_over_variance": float(squared.mean() / self.variance),
            "psnr": float(-10 * np.log10(squared.mean())),
            "psnr_per_image": float(np.mean(-10 * np.log10(squared))),
            "frechet_to_training": evaluation.frechet_distance(features, self.of_training),
            "frechet_to_originals": evaluation.frechet_distance(features, self.of_images, groups=0),
            "third": float(in_slices(self.third, self.images, made).mean()),
        }
        if self.sampled is not None:
            of_samples = self.features.embed(in_slices(model.decode, self.sampled))
            figures["frechet_of_samples"] = evaluation.frechet_distance(of_samples, self.of_training)
        return figures


def run_seed(recipe, judge, splits, seed, flags):
    """Trains the stage for a seed, and returns the figures of its decoder."""
    folder = flags.output / f"seed{seed}"
    argv = ["--decoder", "sharp", "--seed", str(seed), "--output", str(folder), *flags.recipe_flags]
    own = recipe_flags.parse(recipe, argv)
    model = zoo.from_preset("cifar10_vqvae")
    batches = functools.partial(_batches, own.batch_size, seed)
    started, busy = time.monotonic(), time.process_time()
    done = decoder_stage.train(recipe.sharp, own, model, splits, batches)
    seconds = {"seconds": time.monotonic() - started, "cpu_seconds": time.process_time() - busy}
    return {**judge(model), "decoder": done.about["decoder"], "went_back": done.went_back, **seconds}


def _batches(batch_size, seed, images, context=None, **kwargs):
    return data.batches(images, batch_size, context=context, seed=seed, **kwargs)


def load_recipe():
    spec = importlib.util.spec_from_file_location("cifar10_vqvae", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main.recipe


def main():
    flags = parse()
    recipe, splits = load_recipe(), data.load("cifar10", flags.data_dir)
    flags.output.mkdir(parents=True, exist_ok=True)
    if flags.cost:
        return cost(recipe, splits, flags)
    if flags.pictures:
        return pictures(splits, flags)
    judge = Judge(zoo.from_preset("cifar10_vqvae"), splits, flags)
    about = {"split": flags.split, "images": len(judge.images), "samples": flags.samples, "machine": machine.line()}
    _add(flags.results, {"kind": "plain", **about, **judge(zoo.from_preset("cifar10_vqvae"))})
    for seed in flags.seeds:
        figures = run_seed(recipe, judge, splits, seed, flags)
        settings = {**dataclasses.asdict(recipe.sharp), "flags": flags.recipe_flags}
        _add(flags.results, {"kind": "sharp", "seed": seed, **about, **settings, **figures})


def cost(recipe, splits, flags):
    """CPU seconds of a step of either training, in turns; the median of five turns."""
    own = recipe_flags.parse(recipe, ["--output", str(flags.output / "cost")])
    batches = functools.partial(_batches, own.batch_size, 0)
    plan = stage.Plan(1, 1000, 10)
    plain, sharp = zoo.from_preset("cifar10_vqvae"), zoo.from_preset("cifar10_vqvae")
    plain.prior = None
    stage.compile_model(plain, recipe, own.learning_rate, plan)
    sharp = decoder_stage.make(recipe.sharp, own, sharp, plan)
    taken = {"plain": [], "sharp": []}
    for _ in range(6):
        for name, model in (("plain", plain), ("sharp", sharp)):
            images = batches(splits.train, shuffle=True, epochs=None, first_step=0)
            busy = time.process_time()
            model.fit(images, steps_per_epoch=50, epochs=1, verbose=0)
            taken[name].append((time.process_time() - busy) / 50)
    medians = {name: float(np.median(values[1:])) for name, values in taken.items()}  # the first turn traces
    print(json.dumps({**medians, "ratio": medians["sharp"] / medians["plain"], "machine": machine.line()}))


def grid(images, columns):
    """Images `[N,H,W,3]` in [0, 1] as one picture, with a border of a pixel: uint8."""
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1.0)
    rows, (height, width) = -(-len(images) // columns), framed.shape[1:3]
    framed = framed.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    return np.round(255 * framed.reshape(rows * height, columns * width, 3)).astype(np.uint8)


def side_by_side(*grids, scale=2):
    gap = np.full((grids[0].shape[0], 8, 3), 255, np.uint8)
    joined = np.concatenate([part for each in grids for part in (each, gap)][:-1], axis=1)
    picture = Image.fromarray(joined)
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def pictures(splits, flags):
    """Originals, plain and sharp reconstructions; samples of both; and interpolations of both."""
    plain, sharp = zoo.from_preset("cifar10_vqvae"), keras.saving.load_model(flags.model)
    images = splits.test.images[:64].astype(np.float32) / 255.0
    codes = plain.encode(images)
    both = [np.array(model.decode(codes)) for model in (plain, sharp)]
    side_by_side(*(grid(each, 8) for each in (images, *both))).save(flags.pictures / "sharp.png")
    sampled = plain.generate(zoo.random.row_seeds(0, 64), np.ones(64, np.float32))[1]
    side_by_side(*(grid(np.array(model.decode(sampled)), 8) for model in (plain, sharp))).save(
        flags.pictures / "sharp_samples.png"
    )
    steps = [zoo.applications.interpolate(model, images[10:14], images[20:24], num_steps=8) for model in (plain, sharp)]
    rows = [np.array(each).reshape(-1, 32, 32, 3) for each in steps]
    side_by_side(*(grid(each, 8) for each in rows)).save(flags.pictures / "sharp_interpolation.png")


def _add(path, row):
    print(json.dumps(row), flush=True)
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="folder of TFDS datasets (default: TFDS_DATA_DIR)")
    parser.add_argument("--third", type=pathlib.Path, help="classifier.keras of another seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--limit", type=int, default=10_000, help="images (default: %(default)s)")
    parser.add_argument("--samples", type=int, default=2000, help="samples of the prior (default: %(default)s)")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("runs/sharp"))
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("runs/sharp.jsonl"))
    parser.add_argument("--cost", action="store_true", help="print the CPU seconds of a step")
    parser.add_argument("--pictures", type=pathlib.Path, help="draw pictures into this folder")
    parser.add_argument("--model", type=pathlib.Path, help="model.keras of a run, for --pictures")
    flags, flags.recipe_flags = parser.parse_known_args()
    if not flags.cost and not flags.pictures and not flags.third:
        parser.error("the following arguments are required: --third")
    if flags.pictures and not flags.model:
        parser.error("the following arguments are required with --pictures: --model")
    return flags


if __name__ == "__main__":
    main()
