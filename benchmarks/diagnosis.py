"""Finds the eight faults that `zoo.evaluation.diagnose` names in small models that have them, and none in healthy ones.

    python benchmarks/diagnosis.py
    python benchmarks/diagnosis.py --models beta_4 overfitted

Each model is trained for some seconds, on the samples of MNIST, Fashion-MNIST and CIFAR-10 that come with the package,
reduced to 14×14 or 16×16 pixels, or on numbers that the script draws. Prints a row for each model: the planted fault,
what was found, and the seconds for training and diagnosis. The exit status is 1 if a planted fault is missed, or if
anything is found in a healthy model.
"""

import argparse
import dataclasses
import functools
import time
from collections.abc import Callable

import zoo
from zoo import callbacks, data, likelihoods, networks, priors

import keras
import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Case:
    """A model to train and the fault that it has; `fault` is empty for a healthy one.

    `train` returns the model and the arrays for `diagnose`: data, validation, labels, validation labels.
    """

    fault: str
    train: Callable[[], tuple]


@functools.cache
def pictures(name, size=14):
    """Training images, validation images and the labels of both: the sample's validation and test parts together."""
    splits = data.load(name, image_size=size, sample=True)
    parts = splits.train, splits.validation, splits.test
    (x, y), (v, w), (t, u) = ((part.images.astype("float32") / 255, part.labels) for part in parts)
    return x, np.concatenate([v, t]), y, np.concatenate([w, u])


@functools.cache
def shapes(number=4000, size=12):
    """Bright squares: three factors, two for the place and one for the brightness, and a little noise."""
    draw = np.random.default_rng(0)
    place, light = draw.uniform(2, size - 3, (number, 2)), draw.uniform(0.3, 1.0, number)
    grid = np.arange(size)
    bumps = [np.exp(-np.square(grid[None] - place[:, axis, None]) / 3.0) for axis in (0, 1)]
    images = light[:, None, None] * bumps[0][:, :, None] * bumps[1][:, None, :]
    images = np.clip(images + draw.normal(0, 0.02, images.shape), 0, 1)[..., None].astype("float32")
    return images[: number // 2], images[number // 2 :], None, None


@functools.cache
def table(number=4000, columns=10):
    """Standardised rows of numbers: three factors, mixed linearly, and noise."""
    draw = np.random.default_rng(1)
    factors, mixing = draw.normal(size=(number, 3)), draw.normal(size=(3, columns))
    rows = factors @ mixing + 0.5 * draw.normal(size=(number, columns))
    rows = ((rows - rows.mean(axis=0)) / rows.std(axis=0)).astype("float32")
    return rows[: number // 2], rows[number // 2 :], None, None


def dense(shape, latent_dim, params=1, conditions=0, hidden=(128,)):
    """Encoder and decoder for examples of `shape`, with `params` numbers a pixel."""
    inputs, outputs = (*shape[:-1], shape[-1] + conditions), (*shape[:-1], shape[-1] * params)
    encoder = networks.mlp_encoder(inputs, latent_dim, hidden=hidden)
    return encoder, networks.mlp_decoder(outputs, latent_dim + conditions, hidden=hidden)


def fit(model, arrays, epochs=15, rate=2e-3, warmup=0.3, batch_size=64, **kwargs):
    """Trains `model`, the weight of the KL rising for the share `warmup` of the steps; 0 for a constant weight."""
    x, _, labels, _ = arrays
    model.compile(keras.optimizers.Adam(rate), steps_per_execution=8)
    steps = int(warmup * epochs * len(x) / batch_size)
    rise = [callbacks.KLWarmup(steps)] if steps else []
    targets = labels if model.conditional else None
    model.fit(x, targets, epochs=epochs, batch_size=batch_size, verbose=0, callbacks=rise, **kwargs)
    return (model, *arrays)


def vae(arrays, latent_dim=8, make=zoo.VAE, params=1, conditions=0, hidden=(128,), training=None, **kwargs):
    """Trains a dense model on `arrays`."""
    networks_ = dense(arrays[0].shape[1:], latent_dim, params, conditions, hidden)
    return fit(make(*networks_, seed=0, **kwargs), arrays, **(training or {}))


def few(arrays, number):
    x, validation, y, w = arrays
    return x[:number], validation, None if y is None else y[:number], w


# Models with a fault.


def collapsed():
    """The KL weighs so much at first that all latents collapse; the weight of 1 that follows is too late."""
    arrays = pictures("mnist")
    model, *_ = vae(arrays, make=zoo.BetaVAE, beta=1.0, training={"epochs": 0, "warmup": 0})
    model.kl_weight.assign(30.0)
    fit(model, arrays, epochs=8, warmup=0)
    model.kl_weight.assign(1.0)
    return fit(model, arrays, epochs=2, rate=1e-4, warmup=0)


def dead_encoder():
    """The units of the encoder's hidden layer are 0 for every image: no training can revive them."""
    arrays = pictures("mnist")
    encoder, decoder = dense((14, 14, 1), 8)
    encoder.layers[2].bias_initializer = keras.initializers.Constant(-100.0)
    encoder.layers[2].bias.assign(np.full(128, -100.0))
    return fit(zoo.VAE(encoder, decoder, seed=0), arrays, epochs=5)


def hierarchical(training=None, name="fashion_mnist", **kwargs):
    """Trains two layers, of 4×4 and 8×8 places."""
    arrays = pictures(name, 16)
    encoder = networks.bottom_up_encoder((16, 16, 1), scales=(4, 2), width=16, hidden=16, blocks=1)
    decoder = networks.TopDown((16, 16, 1), scales=(4, 2), layers=(1, 1), width=16, hidden=16, latent_dim=4)
    model = zoo.HierarchicalVAE(encoder, decoder, OPTIMAL(), seed=0, **kwargs)
    return fit(model, arrays, **{"epochs": 8, "rate": 3e-3, **(training or {})})


def collapsed_layer():
    """Two layers, trained with a KL weight of 3, without a warm-up, on the cross-entropy of small grey digits."""
    arrays = pictures("mnist", 16)
    model, *_ = hierarchical(training={"epochs": 0, "warmup": 0})
    model.likelihood = likelihoods.Bernoulli()
    model.kl_weight.assign(3.0)
    fit(model, arrays, epochs=3, warmup=0)
    model.kl_weight.assign(1.0)
    return fit(model, arrays, epochs=1, rate=1e-4, warmup=0)


def vq(num_codes=32, likelihood=None, training=None, prior=False, name="mnist", spread=None, **kwargs):
    """Trains a VQ-VAE; `spread` is the standard deviation of the initial code vectors."""
    arrays = pictures(name, 16)
    shape = arrays[0].shape[1:]
    encoder = networks.residual_encoder(shape, code_dim=4, filters=16, downsamples=2, blocks=1)
    decoder = networks.residual_decoder((4, 4, 4), params=shape[-1], filters=16, upsamples=2, blocks=1)
    quantizer = zoo.quantizers.VectorQuantizer(num_codes, 4, seed=0, **kwargs)
    model = zoo.VQVAE(encoder, decoder, quantizer, likelihood or likelihoods.Gaussian("optimal"))
    if spread:
        quantizer.embeddings.assign(spread * np.random.default_rng(0).normal(size=(num_codes, 4)))
    fit(model, arrays, **{"epochs": 4, "warmup": 0, **(training or {})})
    if prior:
        codes = model.encode(arrays[0])
        fitted = priors.PixelCNN(num_codes, codes.shape[1:], width=16, depth=2, seed=0)
        fitted.compile("adam", steps_per_execution=8)
        fitted.fit(codes, epochs=2, batch_size=64, verbose=0)
        model.prior = fitted
    return (model, *arrays)


def out_of_range():
    """The first batch, which `fit` checks of a dataset, lies in [0, 1]; the others are scaled to [-1, 1]."""
    x, validation, *labels = pictures("mnist")
    model, *_ = vae(pictures("mnist"), training={"epochs": 0, "warmup": 0})
    x = np.concatenate([x[:64], 2.0 * x[64:] - 1.0])
    model.fit(tf.data.Dataset.from_tensor_slices(x).batch(64), epochs=3, verbose=0)
    return (model, x, 2.0 * validation - 1.0, *labels)


def not_divided():
    """A good model, and data from 0 to 255."""
    model, x, validation, *labels = vae(pictures("mnist"), training={"epochs": 3})
    return (model, 255.0 * x, 255.0 * validation, *labels)


MNIST, FASHION = functools.partial(pictures, "mnist"), functools.partial(pictures, "fashion_mnist")
OPTIMAL = functools.partial(likelihoods.Gaussian, "optimal")
REAL = functools.partial(likelihoods.Gaussian, "optimal", range=None)
LONG = {"epochs": 40}

CASES = {
    "collapsed": Case("posterior_collapse", collapsed),
    "dead_encoder": Case("posterior_collapse", dead_encoder),
    "collapsed_layer": Case("posterior_collapse", collapsed_layer),
    "beta_4": Case("kl_weight_high", lambda: vae(MNIST(), make=zoo.BetaVAE, beta=4.0)),
    "beta_30": Case("kl_weight_high", lambda: vae(MNIST(), make=zoo.BetaVAE, beta=30.0)),
    "beta_0.03": Case("kl_weight_low", lambda: vae(MNIST(), make=zoo.BetaVAE, beta=0.03)),
    "autoencoder": Case("kl_weight_low", lambda: vae(FASHION(), make=zoo.BetaVAE, beta=0.0, likelihood=OPTIMAL())),
    "many_codes": Case("unused_codes", lambda: vq(512, codebook="gradient", initialization="uniform", spread=6.0)),
    "no_revival": Case("unused_codes", lambda: vq(512, revival=0.0)),
    "scale_1": Case("decoder_variance", lambda: vae(MNIST(), likelihood=likelihoods.Gaussian(1.0))),
    "scale_0.01": Case("decoder_variance", lambda: vae(FASHION(), likelihood=likelihoods.Gaussian(0.01))),
    "overfitted": Case("overfitting", lambda: vae(few(MNIST(), 150), hidden=(256, 256), training={"epochs": 300})),
    "signed": Case("data_range", out_of_range),
    "not_divided": Case("data_range", not_divided),
    "latents_40": Case("too_many_latents", lambda: vae(MNIST(), 40, training=LONG)),
    "latents_16": Case("too_many_latents", lambda: vae(table(), 16, likelihood=REAL(), training=LONG)),
    # Healthy models.
    "vae": Case("", lambda: vae(MNIST())),
    "beta_2": Case("", lambda: vae(MNIST(), make=zoo.BetaVAE, beta=2.0)),
    "iwae": Case("", lambda: vae(MNIST(), make=zoo.IWAE)),
    "cvae": Case("", lambda: vae(MNIST(), make=zoo.CVAE, num_classes=10, conditions=10)),
    "free_bits": Case("", lambda: vae(FASHION(), likelihood=OPTIMAL(), free_bits=0.25)),
    "mixture_prior": Case("", lambda: vae(MNIST(), prior=priors.MixtureOfGaussians(8, 10, seed=0))),
    "flow_prior": Case("", lambda: vae(FASHION(), prior=priors.Flow(8, couplings=2, hidden=32, seed=0))),
    "eight_bit": Case("", lambda: vae(FASHION(), params=2, likelihood="discretized_logistic")),
    "info_vae": Case("", lambda: vae(MNIST(), make=zoo.InfoVAE, alpha=0.5, lambda_=100.0)),
    "tc_vae": Case("", lambda: vae(MNIST(), make=zoo.BetaTCVAE, dataset_size=3600, beta=3.0)),
    "colour": Case("", lambda: vae(pictures("cifar10", 8), 12, likelihood=OPTIMAL())),
    "table": Case("", lambda: vae(table(), 3, likelihood=REAL(), training=LONG)),
    "shapes": Case("", lambda: vae(shapes(), 3, likelihood=OPTIMAL(), training=LONG)),
    "hierarchical": Case("", hierarchical),
    "vq_vae": Case("", vq),
    "vq_vae_prior": Case("", lambda: vq(prior=True, likelihood="gaussian")),
}


def run(case):
    """Trains and diagnoses a model: the findings, and the seconds of both."""
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    model, x, validation, labels, validation_labels = case.train()
    trained = time.perf_counter()
    if model.label_source() is None:
        labels = validation_labels = None
    findings = zoo.evaluation.diagnose(model, x, validation, labels, validation_labels)
    return findings, trained - start, time.perf_counter() - trained


def is_right(case, findings):
    """Whether a planted fault is among the findings, or a healthy model has none."""
    found = [finding.fault for finding in findings]
    return case.fault in found if case.fault else not found


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--verbose", action="store_true", help="print the findings in full")
    flags = parser.parse_args(argv)
    print("| model | planted | found | right | training s | diagnosis s |\n|---|---|---|---|---|---|", flush=True)
    wrong = []
    for name in flags.models:
        findings, training, diagnosis = run(CASES[name])
        right = is_right(CASES[name], findings)
        found = ", ".join(finding.fault for finding in findings) or "nothing"
        row = [name, CASES[name].fault or "healthy", found, "yes" if right else "NO", f"{training:.0f}"]
        print(f"| {' | '.join(row)} | {diagnosis:.1f} |", flush=True)
        if flags.verbose:
            print(*(f"  {finding}" for finding in findings), sep="\n", flush=True)
        if not right:
            wrong.append(name)
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
