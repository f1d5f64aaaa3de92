"""A classifier of a few labelled images: with samples of a CVAE of the same images, jitter, shifts and rotations."""

import zoo
from zoo import applications, networks

import keras
import numpy as np
from uses import models

SIZES = (10, 50, 100)  # images of a class
SEEDS = range(5)
BATCH, CLASSIFIER_STEPS, CVAE_STEPS = 64, 200, 600
SAMPLES = 200  # of a class
METHODS = ("none", "CVAE samples", "jitter", "shifts and rotations", "shifts, rotations and CVAE samples")


def few(images, size, seed):
    """That many images of each class, and their labels."""
    draw = np.random.default_rng(seed)
    rows = np.concatenate([draw.permutation(np.flatnonzero(images.labels == label))[:size] for label in range(10)])
    return models.as_floats(images.images[rows]), images.labels[rows].astype(np.int32)


def endless(*arrays, batch_size, draw):
    """Batches of all rows in a new order for each pass, without end."""
    while True:
        order = np.concatenate([draw.permutation(len(arrays[0])) for _ in range(-(-batch_size // len(arrays[0])))])
        for i in range(0, len(order) - batch_size + 1, batch_size):
            yield tuple(each[order[i : i + batch_size]] for each in arrays)


def moved(x, draw):
    """Images that are shifted by up to two pixels and rotated by up to 15 degrees."""
    angles, shifts = draw.uniform(-15, 15, len(x)), draw.uniform(-2, 2, (len(x), 2))
    return models.warped(x, models.rotations(angles), shifts)


def cvae_of(flags, x, labels, size, seed):
    """A conditional model of the few images alone."""

    def make():
        encoder = networks.mlp_encoder((28, 28, 11), 8, (200, 200), "gated")
        decoder = networks.mlp_decoder((28, 28, 1), 18, (200, 200), "gated")
        return zoo.CVAE(encoder, decoder, num_classes=10, seed=seed)

    def batches(batch_size):
        return endless(x, labels, batch_size=batch_size, draw=np.random.default_rng(seed))

    number = 10 * BATCH  # a reported epoch is ten steps
    return models.kept(flags, f"mnist_few_{size}_{seed}", make, batches, number, CVAE_STEPS // 10, BATCH, 2e-3)


def classifier():
    """A small convolutional network: 0.98 or so for thousands of images."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(10),
        ]
    )


class Judge:
    """Trains a classifier afresh on batches, and tests it; compiled once."""

    def __init__(self, images):
        self.x, self.labels = models.as_floats(images.images), images.labels
        self.model = classifier()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.Adam(1e-3), loss, steps_per_execution=1)

    def accuracy(self, batches, seed):
        keras.utils.set_random_seed(seed)
        self.model.set_weights(classifier().get_weights())
        for variable in self.model.optimizer.variables:
            if variable is not self.model.optimizer.learning_rate:
                variable.assign(np.zeros(variable.shape))
        for _ in range(CLASSIFIER_STEPS):
            self.model.train_on_batch(*next(batches))
        return float(np.mean(self.model.predict(self.x, 500, verbose=0).argmax(axis=1) == self.labels))


def batches_of(method, x, labels, model, seed):
    """Batches for the classifier; of two sources, each gives a half."""
    draw = np.random.default_rng(seed + 100)

    def mixed(*others):
        pairs = [endless(*each, batch_size=BATCH // 2, draw=draw) for each in ((x, labels), others)]
        while True:
            yield tuple(np.concatenate(each) for each in zip(*map(next, pairs)))

    if "samples" in method:
        plain = mixed(*applications.sample_labelled(model, SAMPLES, seed=seed))
    elif method == "jitter":
        plain = mixed(*applications.jitter(model, x, labels, num_copies=10, seed=seed))
    else:
        plain = endless(x, labels, batch_size=BATCH, draw=draw)
    for images, its_labels in plain:
        yield (moved(images, draw) if "shifts" in method else images), its_labels


def run(flags, data, report):
    splits = data("mnist")
    judge = Judge(getattr(splits, flags.split).take(slice(flags.images)))
    for size in flags.sizes:
        found = {}
        for seed in SEEDS:
            x, labels = few(splits.train, size, seed)
            model = cvae_of(flags, x, labels, size, seed)
            for method in METHODS:
                found.setdefault(method, []).append(judge.accuracy(batches_of(method, x, labels, model, seed), seed))
            print(size, seed, {method: round(each[-1], 4) for method, each in found.items()}, flush=True)
        for method, each in found.items():
            report("augmentation", f"mnist, {size} a class", method, "accuracy", float(np.mean(each)))
            error = float(np.std(each, ddof=1) / np.sqrt(len(each)))
            report("augmentation", f"mnist, {size} a class", method, "standard error", error)
