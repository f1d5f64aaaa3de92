"""The models of benchmarks/applications.py: small dense ones, trained once and kept in a folder."""

import time

import zoo
from zoo import networks

import keras
import numpy as np
import tensorflow as tf
from scipy import ndimage

SHAPE = (28, 28, 1)


def as_floats(images):
    return images.astype(np.float32) / 255


def vae(likelihood, latent_dim, units, channels=1, params=1, beta=1.0, seed=0):
    """Gated dense layers; `channels` of the input, `params` of the likelihood for a pixel."""
    hidden = (units, units)
    encoder = networks.mlp_encoder((28, 28, channels), latent_dim, hidden, "gated")
    decoder = networks.mlp_decoder((28, 28, params), latent_dim, hidden, "gated")
    return zoo.BetaVAE(encoder, decoder, likelihood, beta=beta, seed=seed)


def kept(flags, name, make, batches, number, epochs, batch_size=128, rate=1e-3):
    """The model of this name in the folder --models; or a new one, trained on `batches` and saved there.

    Args:
        make: function that gives the model.
        batches: function of the batch size that gives a generator of float32 batches, or of pairs of them.
        number: int, the examples of an epoch.
    """
    path = flags.models / f"{name}.keras"
    if path.exists():
        return keras.models.load_model(path)
    flags.models.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(flags.seed)
    model, epochs = make(), max(1, round(epochs * flags.epochs))
    batch_size = min(batch_size, number)
    steps = epochs * (number // batch_size)
    first = next(batches(batch_size))
    specs = keras.tree.map_structure(lambda each: tf.TensorSpec(each.shape, each.dtype), first)
    dataset = tf.data.Dataset.from_generator(lambda: batches(batch_size), output_signature=specs).prefetch(20)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps)), steps_per_execution=10)
    began, cpu = time.perf_counter(), time.process_time()
    model.fit(dataset, steps_per_epoch=steps // epochs, epochs=epochs, shuffle=False, verbose=2)
    seconds = f"{time.perf_counter() - began:.0f} s, {time.process_time() - cpu:.0f} s of CPU"
    print(f"{name}: {steps} steps of {batch_size} in {seconds}", flush=True)
    model.save(path)
    return model


def plain(images, seed=0):
    """Batches of the images themselves, shuffled without end."""

    def batches(batch_size):
        rng = np.random.default_rng(seed)
        while True:
            order = rng.permutation(len(images))
            for i in range(0, len(images) - batch_size + 1, batch_size):
                yield as_floats(images[order[i : i + batch_size]])

    return batches


def pairs(images, change, seed=0):
    """Batches of (input, target) = `change(images, rng)`, drawn anew for each batch."""

    def batches(batch_size):
        rng = np.random.default_rng(seed + 1)
        for batch in plain(images, seed)(batch_size):
            yield change(batch, rng)

    return batches


def rotations(angles):
    """The matrices of rotations by angles in degrees, `[N]`: float64 `[N,2,2]`."""
    cosine, sine = np.cos(np.deg2rad(angles)), np.sin(np.deg2rad(angles))
    return np.stack([np.stack([cosine, -sine], axis=-1), np.stack([sine, cosine], axis=-1)], axis=-2)


def warped(images, matrices, shifts):
    """Images `[N,28,28,1]` under affine maps about their middle: matrices `[N,2,2]` and shifts `[N,2]`, in pixels."""
    changed, middle = np.empty_like(images), np.array(SHAPE[:2]) / 2 - 0.5
    for i, (image, matrix, shift) in enumerate(zip(images[..., 0], matrices, shifts)):
        changed[i, ..., 0] = ndimage.affine_transform(image, matrix, middle - matrix @ (middle + shift), order=1)
    return changed
