"""The ELBO of kl_weight="auto" against twelve weights set by hand, on three datasets with two networks each.

    python benchmarks/kl_weight.py --data-dir DIR --output kl_weight.jsonl
    python benchmarks/kl_weight.py --data-dir DIR --output kl_weight.jsonl --settings mnist-mlp mnist-conv

A setting is a dataset and a network: MNIST, dynamically binarised, with a Bernoulli likelihood; Fashion-MNIST and
CIFAR-10 with a Gaussian. By hand, the Gaussian has the library's default scale, 0.1, and the weight of the KL is one of
twelve, a factor of 2 apart; the Bernoulli's are a factor of √2 apart. The runs of a setting have the same initial
weights, batches and number of steps. A weight set by hand does not change within a run; the automatic one of a
Bernoulli rises in the first third of the steps, at most 500, as `zoo.VAE` has it.

Every run is judged on the same test images by its ELBO. For a Gaussian that is the ELBO under the best single scale for
the run's own reconstructions of training images: a fixed scale of 0.1 would be judged for what it is, and not for its
networks. The best of the twelve is chosen by the test images themselves, which favours it.

Writes a line of JSON for each run, as soon as it is done, and prints a table. The same command goes on where it was
stopped: runs in the file are not made again.
"""

import argparse
import json
import math
import pathlib
import time

import zoo
from zoo import data, networks

import keras
import machine
import numpy as np

BY_HAND = {"bernoulli": [2.0 ** (k / 2) for k in range(-5, 7)], "gaussian": [2.0**k for k in range(-6, 6)]}
DATASETS = {
    "mnist": ("mnist", "bernoulli", (28, 28, 1)),
    "fashion": ("fashion_mnist", "gaussian", (28, 28, 1)),
    "cifar": ("cifar10", "gaussian", (32, 32, 3)),
}
SETTINGS = [f"{dataset}-{network}" for network in ("mlp", "conv") for dataset in DATASETS]


def build(network, likelihood, shape, weight, flags):
    """A compiled model: weight "auto", or a number, which the caller assigns."""
    make = {"mlp": (networks.mlp_encoder, networks.mlp_decoder), "conv": (networks.conv_encoder, networks.conv_decoder)}
    sizes = {"mlp": [{"hidden": (256,)}] * 2, "conv": [{"filters": f, "dense": 64} for f in ((16, 32), (32, 16))]}
    keras.utils.set_random_seed(flags.seed)
    encoder, decoder = (part(shape, flags.latent_dim, **size) for part, size in zip(make[network], sizes[network]))
    model = zoo.VAE(encoder, decoder, likelihood, seed=flags.seed, kl_weight="auto" if weight == "auto" else None)
    rate = keras.optimizers.schedules.CosineDecay(flags.learning_rate, flags.steps)  # a constant one leaves noise
    model.compile(keras.optimizers.Adam(rate), steps_per_execution=50)
    model.build_optimizers()
    return model


def variables(model):
    return [*model.variables, *model.optimizer.variables]


def run(model, weight, splits, dynamic, flags):
    """Trains the model, whose variables are at their initial values, and judges it: dict of figures."""
    began, cpu_began = time.perf_counter(), time.process_time()
    if weight != "auto":
        model.kl_weight.assign(weight)
    settings = {"seed": flags.seed, "shuffle": True, "dynamic": dynamic, "epochs": None}
    model.fit(
        data.batches(splits.train, flags.batch_size, **settings),
        steps_per_epoch=flags.steps, epochs=1, shuffle=False, verbose=0,
    )  # fmt: skip
    figures = judge(model, splits, flags)
    return figures | {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began}


def judge(model, splits, flags):
    """ELBO, reconstruction and KL of test images in nats, at a sample of the posterior for each; and the scale."""
    parts = (splits.test, splits.train.take(slice(len(splits.test))))
    test, train = (part.images.astype(np.float32) / 255 for part in parts)
    if isinstance(model.likelihood, zoo.likelihoods.Bernoulli):
        scale, (reconstruction, kl) = None, nats(model, test, flags.seed)
    else:
        scale = math.sqrt(np.mean(errors(model, train, flags.seed)[0]))
        squared, kl = errors(model, test, flags.seed)
        reconstruction = 0.5 * squared.sum(axis=1) / scale**2 + squared.shape[1] * math.log(scale * math.sqrt(math.tau))
    elbo = -(reconstruction + kl)
    error = float(np.std(elbo, ddof=1) / math.sqrt(len(elbo)))
    means = {"elbo": elbo, "reconstruction": reconstruction, "kl": kl}
    return {name: float(np.mean(each)) for name, each in means.items()} | {"elbo_error": error, "scale": scale}


def proposals(model, x, seed):
    """Pairs of images and the model's proposals for them, batch by batch."""
    seeds = zoo.random.fold_in(seed, np.arange(len(x), dtype=np.int32))
    for first in range(0, len(x), 500):
        part = slice(first, first + 500)
        yield x[part], model.propose(x[part], seeds[part])


def nats(model, x, seed):
    """−log p(x|z) and the KL of each image."""
    found = [(-model.judge(part, each.params).numpy(), each.kl.numpy()) for part, each in proposals(model, x, seed)]
    return [np.concatenate(values).astype(np.float64) for values in zip(*found)]


def errors(model, x, seed):
    """Squared errors of each image's values at z, `[N,pixels]`, and the KL of each image."""
    found = [
        (np.square(part - (each.params.numpy() + 0.5)).reshape(len(part), -1), each.kl.numpy())  # 0.5: see Gaussian
        for part, each in proposals(model, x, seed)
    ]
    return [np.concatenate(values).astype(np.float64) for values in zip(*found)]


def load(dataset, flags):
    name, likelihood, _ = DATASETS[dataset]
    splits = data.load(name, flags.data_dir, sample=flags.sample)
    train, test = splits.train.take(slice(flags.train_images)), splits.test.take(slice(flags.images))
    if likelihood == "bernoulli":
        test = data.binarize(test, flags.seed)
    return data.Splits(train, splits.validation, test)


def compete(setting, missing, flags):
    """Yields (weight, figures) for the weights that are missing. A graph is compiled once for those set by hand."""
    dataset, network = setting.split("-")
    _, likelihood, shape = DATASETS[dataset]
    splits, model = load(dataset, flags), None
    for weight in missing:
        if model is None or model.kl_weight_rule:
            model = build(network, likelihood, shape, weight, flags)
            initial = [variable.numpy() for variable in variables(model)]
        for variable, value in zip(variables(model), initial):
            variable.assign(value)
        yield weight, run(model, weight, splits, likelihood == "bernoulli", flags)


def saved(path):
    """The runs in a file; a last line that was cut short is left out."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    runs = []
    for line in lines:
        try:
            runs.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return runs


def table(runs):
    """The rows of a table: for each setting the automatic weight, and the best by hand."""
    rows = [
        "| setting | ELBO, auto | best by hand | its weight | auto ahead, nats | auto ahead | worst by hand |",
        "|---|---|---|---|---|---|---|",
    ]
    for setting in SETTINGS:
        here = {run["weight"]: run for run in runs if run["setting"] == setting}
        automatic = here.pop("auto", None)
        if automatic is None or not here:
            continue
        by_hand = sorted(here.values(), key=lambda run: run["elbo"])
        best = by_hand[-1]
        ahead = automatic["elbo"] - best["elbo"]
        rows.append(
            f"| {setting} | {automatic['elbo']:.1f} ± {automatic['elbo_error']:.1f} | {best['elbo']:.1f} | "
            f"{best['weight']:.3g} of {len(by_hand)} | {ahead:+.2f} | {ahead / abs(best['elbo']):+.2%} | "
            f"{by_hand[0]['elbo']:.1f} |"
        )
    return rows


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="where TFDS finds the datasets; default: $TFDS_DATA_DIR")
    parser.add_argument("--sample", action="store_true", help="the bundled samples in their place")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=SETTINGS, metavar="SETTING")
    parser.add_argument("--train-images", type=int, default=10000, help="default: %(default)s")
    parser.add_argument("--images", type=int, default=1000, help="of the test split; default: %(default)s")
    parser.add_argument("--steps", type=int, default=1500, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=50, help="default: %(default)s")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="at first; default: %(default)s")
    parser.add_argument("--latent-dim", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, required=True, help="a file.jsonl of all runs")
    flags = parser.parse_args(argv)

    print(machine.line(), flush=True)
    runs = saved(flags.output)
    flags.output.write_text("".join(f"{json.dumps(each)}\n" for each in runs))  # without a line that was cut short
    for setting in flags.settings:
        done = {each["weight"] for each in runs if each["setting"] == setting}
        missing = [each for each in ("auto", *BY_HAND[DATASETS[setting.split("-")[0]][1]]) if each not in done]
        for weight, figures in compete(setting, missing, flags) if missing else ():
            runs.append({"setting": setting, "weight": weight, **figures})
            with open(flags.output, "a") as file:
                file.write(f"{json.dumps(runs[-1])}\n")
            print(f"{setting} {weight}: ELBO {figures['elbo']:.2f}, {figures['cpu_seconds']:.1f} CPU s", flush=True)
    print("\n".join(table(runs)), flush=True)
    return runs


if __name__ == "__main__":
    main()
