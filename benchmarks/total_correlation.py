"""How the total correlation of the latents falls with β in a β-TCVAE, on sprites with known factors.

    python benchmarks/total_correlation.py [--steps STEPS] [--seed SEED]

Renders upright squares, ellipses and hearts of 5 sizes at 12 × 12 places (`zoo.data.Sprites`), 2,160 images of 32×32,
each once. Trains one model for each β from the same weights, on the same batches, and a FactorVAE beside them, and
prints a table:

    TC, batch     the mean of what training reports, from batches of 64, over the last tenth of the steps
    TC, all       the estimate from all images at once, where q(z) is known: one sample of z for each
    TC, Gaussian  −½ log det R of the latents' correlations, the part of it that correlations make up
    KL, −log p    the rate and the distortion, nats per image
"""

import argparse
import itertools
import time

import zoo
from zoo import data

import machine
import numpy as np

# isort: split
import keras

BATCH, LATENTS = 64, 6


def sprites():
    """All images, float32 `[2160,32,32,1]`."""
    places = np.linspace(0, 31, 12).round().astype(int)
    factors = itertools.product(range(3), range(1, 6), [0], places, places)
    return data.Sprites(image_size=32).images(np.array([*factors])).astype("float32") / 255


def train(cls, images, steps, seed, **kwargs):
    """A model, and the mean of the total correlation that its last tenth of the steps reported."""
    keras.utils.set_random_seed(seed)
    encoder = zoo.networks.mlp_encoder(images.shape[1:], LATENTS, hidden=(256, 256))
    decoder = zoo.networks.mlp_decoder(images.shape[1:], LATENTS, hidden=(256, 256))
    model = cls(encoder, decoder, "bernoulli", seed=seed, **kwargs)
    critic = {"critic_optimizer": keras.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.9)} if cls is zoo.FactorVAE else {}
    model.compile(zoo.optimizers.Adam(1e-3), **critic)
    epochs = max(1, round(steps * BATCH / len(images)))
    history = model.fit(images, batch_size=BATCH, epochs=epochs, verbose=0).history["total_correlation"]
    return model, np.mean(history[-max(1, epochs // 10) :])


def measure(model, images, seed):
    """Total correlation by all images and by correlations alone, KL and reconstruction: nats."""
    mean, log_var = (np.array(values) for values in model.encode(images).values())
    z = mean + np.exp(log_var / 2) * np.random.default_rng(seed).normal(size=mean.shape).astype("float32")
    estimates = [total_correlation(mean, log_var, rows) for rows in np.array_split(z, 20)]
    gaussian = -0.5 * np.linalg.slogdet(np.corrcoef(z.T))[1]
    figures = model.evaluate(images, batch_size=BATCH, verbose=0, return_dict=True)
    return np.mean(np.concatenate(estimates)), gaussian, figures["kl"], figures["reconstruction"]


def total_correlation(mean, log_var, z):
    """log q(z) − log Π_j q(z_j) of some z, where q(z) is the average of all posteriors."""
    densities = -0.5 * (np.log(2 * np.pi) + log_var + (z[:, None] - mean) ** 2 / np.exp(log_var))  # [b,N,D]

    def log_mean(values):
        largest = values.max(axis=1, keepdims=True)
        return np.log(np.mean(np.exp(values - largest), axis=1)) + largest[:, 0]

    return log_mean(densities.sum(axis=2)) - log_mean(densities).sum(axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args()
    images = sprites()
    print(f"{machine.line()}; {flags.steps} steps, seed {flags.seed}, {len(images)} images\n")
    print(
        "| model | TC, batch | TC, all | TC, Gaussian | KL | −log p(x\\|z) | seconds |\n|---|---|---|---|---|---|---|"
    )
    runs = [
        (f"BetaTCVAE, β = {beta}", zoo.BetaTCVAE, {"beta": beta, "dataset_size": len(images)})
        for beta in (1.0, 4.0, 8.0)
    ] + [(f"FactorVAE, γ = {gamma}", zoo.FactorVAE, {"gamma": gamma}) for gamma in (0.0, 3.0, 7.0)]
    for name, cls, arguments in runs:
        begin = time.perf_counter()
        model, of_batches = train(cls, images, flags.steps, flags.seed, **arguments)
        figures = " | ".join(f"{figure:.2f}" for figure in (of_batches, *measure(model, images, flags.seed)))
        print(f"| {name} | {figures} | {time.perf_counter() - begin:.0f} |", flush=True)


if __name__ == "__main__":
    main()
