"""Do the CVAE's samples show the digits asked for? A classifier trained on real MNIST reads them.

    python benchmarks/mnist_cvae_labels.py --model runs/mnist_cvae/model.keras --data-dir DIR

Prints the classifier's accuracy on the MNIST test split, and the share of samples that it reads as their label. It was
trained on grey levels as they are, which is what samples are too: the mean of p(x|z, y).
"""

import argparse

import keras
import numpy as np

import zoo  # noqa: F401  (its classes, for loading)
from zoo import data


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


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the model.keras of a mnist_cvae run")
    parser.add_argument("--data-dir", help="where TFDS finds MNIST")
    parser.add_argument("--sample", action="store_true", help="train the classifier on the bundled sample")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--number", type=int, default=1000, help="samples a digit")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args(argv)

    cvae = keras.models.load_model(flags.model)
    splits = data.load("mnist", flags.data_dir, sample=flags.sample)
    classifier = train_classifier(splits.train, flags.epochs, flags.seed)
    _, accuracy = classifier.evaluate(data.batches(splits.test, 500, labels=True), verbose=0)
    print(f"classifier on {len(splits.test)} test images: {accuracy:.4f}")

    shares = []
    for digit in range(10):
        labels = np.full(flags.number, digit, np.int32)
        samples = cvae.sample(flags.number, seed=flags.seed + digit, labels=labels)
        shares.append(np.mean(classifier.predict(samples, verbose=0).argmax(axis=1) == digit))
        print(f"samples of {digit} read as {digit}: {shares[-1]:.4f}")
    print(f"all samples read as their label: {np.mean(shares):.4f}")
    return float(np.mean(shares))


if __name__ == "__main__":
    main()
