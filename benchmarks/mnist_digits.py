"""Do a model's samples read as digits? A classifier trained on real MNIST looks at them.

    python benchmarks/mnist_digits.py --model runs/mnist_vqvae/model.keras --data-dir DIR
    python benchmarks/mnist_digits.py --model runs/mnist_cvae/model.keras --data-dir DIR

Prints the classifier's accuracy on the MNIST test split; its confidence, the probability of the digit that it takes an
image for, on test images and on samples, with their quartiles and how often each digit is drawn; and of a conditional
model the share of samples that it reads as their label. It was trained on grey levels as they are, which is what
samples are too: the mean of p(x|z).
"""

import argparse

import zoo  # noqa: F401  (its classes, for loading)
from zoo import data

import keras
import numpy as np
import tensorflow as tf


def train_classifier(images, epochs, seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input(images.images.shape[1:]),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    batches = data.batches(images, 128, seed=seed, shuffle=True, labels=True, epochs=None)
    steps = data.steps_per_epoch(len(images), 128)
    model.fit(batches, steps_per_epoch=steps, epochs=epochs, shuffle=False, verbose=2)
    return model


def report(name, probabilities):
    """Prints the confidences and the digits in `probabilities` `[N,10]`."""
    confidence = probabilities.max(axis=1)
    quartiles = np.quantile(confidence, (0.25, 0.5, 0.75))
    sure = np.mean(confidence > 0.9)
    digits = np.bincount(probabilities.argmax(axis=1), minlength=10) / len(probabilities)
    print(f"{name}: mean confidence {confidence.mean():.4f}, above 0.9 in {sure:.4f}, quartiles {quartiles.round(4)}")
    print(f"    digits 0 to 9: {digits.round(3)}")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the model.keras of a run on MNIST")
    parser.add_argument("--data-dir", help="where TFDS finds MNIST")
    parser.add_argument("--sample", action="store_true", help="train the classifier on the bundled sample")
    parser.add_argument("--epochs", type=int, default=4, help="of the classifier")
    parser.add_argument("--number", type=int, default=10000, help="samples; a multiple of 10")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args(argv)

    model = keras.models.load_model(flags.model)
    splits = data.load("mnist", flags.data_dir, sample=flags.sample)
    classifier = train_classifier(splits.train, flags.epochs, flags.seed)
    test = data.batches(splits.test, 500, labels=True)
    _, accuracy = classifier.evaluate(test, verbose=0)
    print(f"classifier on {len(splits.test)} test images: {accuracy:.4f} right")
    report("test images", tf.nn.softmax(classifier.predict(test, verbose=0)).numpy())

    parts = []
    for digit in range(10):
        labels = np.full(flags.number // 10, digit, np.int32) if model.conditional else None
        samples = model.sample(
            flags.number // 10, seed=flags.seed + digit, temperature=flags.temperature, labels=labels
        )
        parts.append(tf.nn.softmax(classifier.predict(samples, verbose=0)).numpy())
    report("samples", np.concatenate(parts))
    if model.conditional:
        shares = [np.mean(part.argmax(axis=1) == digit) for digit, part in enumerate(parts)]
        print("samples read as their label, by digit:", " ".join(f"{share:.4f}" for share in shares))
        print(f"all samples read as their label: {np.mean(shares):.4f}")


if __name__ == "__main__":
    main()
