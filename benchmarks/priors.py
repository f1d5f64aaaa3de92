"""−log p(x) of MNIST under different priors, and of the IWAE: the same networks, the same steps.

    python benchmarks/priors.py --data-dir DIR
    python benchmarks/priors.py --data-dir DIR --contenders standard_normal flow --split validation

Each contender is a VAE, or an IWAE of 5 samples, with two dense layers of 300 units on either side and 40 latents. It
is trained on dynamically binarised MNIST by Adam with a cosine decay, the weight of the KL rising over the first steps.
Prints −log p(x) in nats, the importance-weighted bound with --num-samples samples (Burda et al. 2016, eq. (8)) on the
first --images images of a split, binarised once; and the difference to the first contender, image by image, with its
standard error. --split validation is for choosing settings. --save keeps the nats of each image as soon as a contender
is done; contenders found in that file are not trained again, and the same command prints their table.
"""

import argparse
import json
import math
import pathlib
import time

import zoo
from zoo import data, networks, priors

import keras
import machine
import numpy as np

SHAPE = (28, 28, 1)


def vae(flags, prior=None, model=zoo.VAE, **kwargs):
    hidden = (flags.units, flags.units)
    encoder = networks.mlp_encoder(SHAPE, flags.latent_dim, hidden)
    decoder = networks.mlp_decoder(SHAPE, flags.latent_dim, hidden)
    return model(encoder, decoder, "bernoulli", seed=flags.seed, prior=prior, **kwargs)


def standard_normal(flags, images):
    return vae(flags)


def mixture(flags, images):
    return vae(flags, priors.MixtureOfGaussians(flags.latent_dim, flags.components, seed=flags.seed))


def vamp(flags, images):
    prior = priors.VampPrior(flags.latent_dim, SHAPE, flags.components, seed=flags.seed)
    prior.initialize(images.take(slice(10 * flags.components)).images.astype(np.float32) / 255)
    return vae(flags, prior)


def flow(flags, images):
    return vae(flags, priors.Flow(flags.latent_dim, flags.couplings, flags.coupling_units, seed=flags.seed))


def iwae(flags, images):
    return vae(flags, model=zoo.IWAE, num_samples=5)


def iwae_dreg(flags, images):
    return vae(flags, model=zoo.IWAE, num_samples=5, gradient="dreg")


# Functions of the flags and of the training images that give an untrained model.
CONTENDERS = {
    "standard_normal": standard_normal,
    "mixture": mixture,
    "vamp": vamp,
    "flow": flow,
    "iwae": iwae,
    "iwae_dreg": iwae_dreg,
}


def train(model, images, flags):
    steps = flags.epochs * data.steps_per_epoch(len(images), flags.batch_size)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(flags.learning_rate, steps)))
    batches = data.batches(images, flags.batch_size, seed=flags.seed, shuffle=True, dynamic=True, epochs=None)
    warmup = [zoo.callbacks.KLWarmup(round(flags.warmup * steps))] if flags.warmup else []
    length = {"steps_per_epoch": steps // flags.epochs, "epochs": flags.epochs}
    model.fit(batches, callbacks=warmup, shuffle=False, verbose=2, **length)


def nats(model, images, flags):
    """−log p(x) of images, binarised once by the seed, and −ELBO: float32 `[N]` each."""
    x = data.binarize(images, flags.seed).images.astype(np.float32) / 255
    return [-model.log_prob(x, number, flags.seed).numpy() for number in (flags.num_samples, 1)]


def compete(name, splits, flags):
    """Trains and measures a contender: dict of figures, and −log p(x) of each image."""
    keras.utils.set_random_seed(flags.seed)
    model = CONTENDERS[name](flags, splits.train)
    began = time.perf_counter()
    train(model, splits.train, flags)
    trained = time.perf_counter()
    images = getattr(splits, flags.split)
    log_prob, elbo = nats(model, images.take(slice(flags.images)), flags)
    figures = {
        "parameters": int(sum(np.prod(weight.shape) for weight in model.trainable_weights)),
        "elbo": float(elbo.mean()),
        "training_seconds": trained - began,
        "log_prob_seconds": time.perf_counter() - trained,
    }
    return figures, log_prob


def standard_error(values):
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def table(results):
    """The rows of a table, from pairs of figures and −log p(x) of the same images; differences are to the first."""
    reference = next(iter(results.values()))[1]
    rows = ["| prior | weights | −log p(x) | ahead of the first | −ELBO | training, s |", "|---|---|---|---|---|---|"]
    for name, (figures, log_prob) in results.items():
        ahead = reference - log_prob
        gap = "" if log_prob is reference else f"{ahead.mean():.2f} ± {standard_error(ahead):.2f}"
        rows.append(
            f"| {name} | {figures['parameters']:,} | {log_prob.mean():.2f} ± {standard_error(log_prob):.2f} | {gap} | "
            f"{figures['elbo']:.2f} | {figures['training_seconds']:.0f} |"
        )
    return rows


def saved(path):
    """The results in a file that `save` wrote; none without one."""
    if path is None or not path.exists():
        return {}
    with np.load(path) as file:
        figures = json.loads(str(file["figures"]))
        return {name: (figures[name], file[name]) for name in figures}


def save(path, results):
    figures = {name: figures for name, (figures, _) in results.items()}
    np.savez(path, figures=json.dumps(figures), **{name: log_prob for name, (_, log_prob) in results.items()})


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", help="where TFDS finds MNIST; default: $TFDS_DATA_DIR")
    parser.add_argument("--sample", action="store_true", help="the bundled sample of MNIST in its place")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--epochs", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=128, help="default: %(default)s")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="default: %(default)s")
    parser.add_argument("--warmup", type=float, default=0.2, help="share of the steps; default: %(default)s")
    parser.add_argument("--units", type=int, default=300, help="of a dense layer; default: %(default)s")
    parser.add_argument("--latent-dim", type=int, default=40, help="default: %(default)s")
    parser.add_argument("--components", type=int, default=500, help="of the mixtures; default: %(default)s")
    parser.add_argument("--couplings", type=int, default=8, help="of the flow; default: %(default)s")
    parser.add_argument("--coupling-units", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="default: %(default)s")
    parser.add_argument("--images", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--num-samples", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=pathlib.Path, help="a file.npz of all results")
    flags = parser.parse_args(argv)

    print(machine.line())
    splits = data.load("mnist", flags.data_dir, sample=flags.sample)
    results = saved(flags.save)
    for name in flags.contenders:
        if name in results:
            continue
        print(f"{name}:", flush=True)
        results[name] = compete(name, splits, flags)
        if flags.save:
            save(flags.save, results)
    print("\n".join(table(results)), flush=True)
    return results


if __name__ == "__main__":
    main()
