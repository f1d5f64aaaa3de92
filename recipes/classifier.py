"""A small classifier of MNIST, Fashion-MNIST, CIFAR-10 or sprites: its features judge the samples of models.

    python recipes/classifier.py --dataset mnist
    python recipes/classifier.py --dataset fashion_mnist
    python recipes/classifier.py --dataset cifar10
    python recipes/classifier.py --dataset sprites

    python recipes/classifier.py --dataset cifar10 --network vgg

Convolutions without batch normalisation, trained on randomly shifted (and, for clothes and CIFAR-10, mirrored) images
of the training split without the images held out for validation. Sprites are rendered (`zoo.data.Sprites`, 32×32), lie
at random places as they are, and have their shape as class. Writes `classifier.keras` and `card.json`;
`zoo.evaluation.features` reads the ones in `saved_models/classifiers/`. The last command trains another network, in
whose features a perceptual loss compares images: the network that a decoder was trained with must not judge its images.
"""

import argparse
import datetime
import os
import pathlib
import platform
import time
import zipfile

import zoo  # isort: skip  (before TensorFlow, which reads the settings that zoo makes)
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from zoo import data
from zoo.runtime import checks, files
from zoo.training import card

# Channels of the four resolutions, epochs, largest shift in pixels, and whether the mirror image is of the same class.
SETTINGS = {
    "mnist": {"widths": (16, 32, 64, 128), "epochs": 6, "shift": 2, "flip": False},
    "fashion_mnist": {"widths": (16, 32, 64, 128), "epochs": 9, "shift": 2, "flip": True},
    "cifar10": {"widths": (32, 64, 128, 160), "epochs": 15, "shift": 4, "flip": True},
    "sprites": {"widths": (8, 16, 32, 48), "epochs": 6, "shift": 0, "flip": False},
}
VGG_WIDTHS = (32, 64, 128)
BATCH_SIZE = 128
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05  # a step shrinks the weights by this times the learning rate


def build(image_shape, num_classes, widths, mean, deviation, network="residual", dtype="float32"):
    """A classifier of images in [0, 1]. The layer "features" gives the features, "logits" those of the classes.

    Shapes for CIFAR-10: image [B,32,32,3]. "residual": after the stem [B,32,32,32]; after the three stages
    [B,16,16,64], [B,8,8,128], [B,4,4,160]; features [B,160], the means over places. "vgg" (Simonyan & Zisserman 2015,
    narrower): pairs of convolutions that end with "block1" [B,32,32,32], "block2" [B,16,16,64] and "block3"
    [B,8,8,128], with the means of 2×2 places between them; features [B,128]. Logits [B,10].
    """

    def convolution(filters, strides=1, name=None):
        kwargs = {"activation": "relu", "kernel_initializer": "he_normal", "dtype": dtype, "name": name}
        return layers.Conv2D(filters, 3, strides, "same", **kwargs)

    image = keras.Input(image_shape)
    x = layers.Rescaling(1.0 / deviation, -mean / deviation, dtype=dtype)(image)
    if network == "residual":
        x = convolution(widths[0])(x)
        for width in widths[1:]:
            x = convolution(width, strides=2)(x)
            x = layers.Add(dtype=dtype)([x, convolution(width)(x)])
    else:
        for number, width in enumerate(widths):
            if number:
                x = layers.AveragePooling2D(2, dtype=dtype)(x)
            x = convolution(width, name=f"block{number + 1}")(convolution(width)(x))
    # In float32 under mixed precision too.
    x = layers.GlobalAveragePooling2D(name="features", dtype="float32")(x)
    return keras.Model(image, layers.Dense(num_classes, name="logits", dtype="float32")(x))


class Augmented(keras.utils.PyDataset):
    """Batches of shifted, and mirrored, images in a new order each epoch. The border is filled by reflection."""

    def __init__(self, images, shift, flip, seed):
        super().__init__()
        margin = ((0, 0), (shift, shift), (shift, shift), (0, 0))
        padded = np.pad(images.images, margin, mode="reflect")
        size = images.images.shape[1:3]
        self.windows = np.lib.stride_tricks.sliding_window_view(padded, size, (1, 2))  # [N,2s+1,2s+1,C,H,W]
        self.labels, self.shift, self.flip = images.labels, shift, flip
        self.random = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self):
        return len(self.labels) // BATCH_SIZE

    def on_epoch_end(self):
        self.order = self.random.permutation(len(self.labels))

    def __getitem__(self, index):
        rows = self.order[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
        down, right = self.random.integers(0, 2 * self.shift + 1, (2, len(rows)))
        images = self.windows[rows, down, right].transpose(0, 2, 3, 1).astype(np.float32) / 255.0
        if self.flip:
            mirrored = self.random.random(len(rows)) < 0.5
            images[mirrored] = images[mirrored, :, ::-1]
        return images, self.labels[rows]


def train(splits, settings, epochs, seed, network):
    """The trained classifier, in float32."""
    keras.utils.set_random_seed(seed)
    batches = Augmented(splits.train, settings["shift"], settings["flip"], seed)
    pixels = splits.train.images.astype(np.float32) / 255.0
    about = {
        "image_shape": pixels.shape[1:],
        "num_classes": int(splits.train.labels.max()) + 1,
        "widths": settings["widths"] if network == "residual" else VGG_WIDTHS,
        "mean": float(pixels.mean()),
        "deviation": float(pixels.std()),
        "network": network,
    }
    steps = epochs * len(batches)
    warmup = min(300, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(0.0, steps - warmup, warmup_target=LEARNING_RATE, warmup_steps=warmup)
    model = build(**about, dtype="mixed_bfloat16")
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,  # slower on CPUs
    )
    held_out = splits.validation.images.astype(np.float32) / 255.0, splits.validation.labels
    model.fit(batches, epochs=epochs, validation_data=held_out, validation_batch_size=500, verbose=2)
    trained = build(**about)
    trained.set_weights(model.get_weights())
    return trained


def load(dataset, data_dir, sample):
    """The splits, and a sentence about the training images."""
    if dataset == "sprites":
        splits = data.Sprites(32).splits(*(1000, 200, 200) if sample else (100_000,))
        return splits, f"{len(splits.train)} images of zoo.data.Sprites(32)"
    where = f"the sample of {dataset} that ships with vae-zoo" if sample else f"{dataset} of TFDS"
    about = f"{where}, its training split without the images held out for validation"
    return data.load(dataset, data_dir, sample=sample), about


def accuracy(model, images):
    """The share of images that get their label's class, and its standard error."""
    starts = range(0, len(images), 500)
    logits = [model(images.images[start : start + 500].astype(np.float32) / 255.0) for start in starts]
    right = np.argmax(np.concatenate(logits), axis=-1) == images.labels
    return float(right.mean()), float(right.std() / np.sqrt(len(right)))


def deflate(path):
    """Compresses the parts of a .keras file, which Keras stores as they are: a tenth less in the repository."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with files.replacing(path) as scratch, zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)


def main(argv=None):
    flags = parse(argv)
    started, busy = time.monotonic(), time.process_time()
    splits, about_training = load(flags.dataset, flags.data_dir, flags.sample)
    settings = SETTINGS[flags.dataset]
    epochs = flags.epochs or settings["epochs"]
    model = train(splits, settings, epochs, flags.seed, flags.network)
    seconds, busy = time.monotonic() - started, time.process_time() - busy
    reached, error = accuracy(model, splits.test)
    flags.output.mkdir(parents=True, exist_ok=True)
    path = flags.output / "classifier.keras"
    with files.replacing(path) as scratch:
        model.save(scratch)
    deflate(path)
    name = _name(flags)
    about = {
        "name": f"{name}_classifier",
        "network": flags.network,
        "dataset": flags.dataset,
        "training_data": about_training,
        "images": {part: len(getattr(splits, part)) for part in ("train", "validation", "test")},
        "command": card.command("classifier"),
        "commit": card.commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seed": flags.seed,
        "epochs": epochs,
        "parameters": model.count_params(),
        "features": model.get_layer("features").output.shape[-1],
        "test": {"accuracy": reached, "standard_error": error},
        "training_seconds": round(seconds, 1),
        "training_cpu_seconds": round(busy, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {len(tf.config.list_logical_devices('GPU'))} GPUs",
        "versions": {"zoo": zoo.__version__, "tensorflow": tf.__version__, "keras": keras.__version__},
        "author": "VAE zoo",
        "license": "Apache-2.0",
        "files": {path.name: {"bytes": path.stat().st_size, "sha256": files.sha256(path)}},
    }
    files.write_json(flags.output / "card.json", about)
    print(f"test accuracy {reached:.2%} ± {error:.2%}, {seconds:.0f} s, {busy:.0f} CPU s; in {flags.output}")
    return about


def parse(argv=None):
    """The flags; a usage error ends the program with status 2."""
    parser = argparse.ArgumentParser(
        prog="classifier.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", choices=SETTINGS, required=True)
    parser.add_argument("--network", choices=("residual", "vgg"), default="residual", help="default: %(default)s")
    parser.add_argument("--data-dir", help="folder of TFDS datasets (default: TFDS_DATA_DIR, else the default of TFDS)")
    parser.add_argument("--sample", action="store_true", help="train on a small sample, which needs no download")
    parser.add_argument("--epochs", type=int, help=f"default: {_epochs()}")
    parser.add_argument("--output", type=pathlib.Path, help="default: runs/NAME_classifier")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights, order and augmentation")
    flags = parser.parse_args(argv)
    flags.output = flags.output or pathlib.Path("runs", f"{_name(flags)}_classifier")
    try:
        if flags.epochs is not None:
            checks.positive_int("--epochs", flags.epochs)
        checks.integer("--seed", flags.seed, 0)
        files.require_writable("--output", flags.output)
    except ValueError as error:
        parser.error(str(error))
    return flags


def _epochs():
    return ", ".join(f"{settings['epochs']} for {name}" for name, settings in SETTINGS.items())


def _name(flags):
    return flags.dataset if flags.network == "residual" else f"{flags.dataset}_{flags.network}"


if __name__ == "__main__":
    main()
