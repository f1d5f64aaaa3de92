"""Does an image keep its content when its latents are edited? A support vector machine reads the digit.

    python benchmarks/latent_edits.py mnist_cvae
    python recipes/mnist_hvae.py --sample --no-export && python benchmarks/latent_edits.py runs/mnist_hvae/model.keras

The classifier is trained on the pixels of the bundled training images of MNIST; everything else is measured on the
bundled test images. Of a conditional model: how many samples, relabelled images and midpoints between two images of a
digit are read as the digit that they should show; the baseline of the midpoints is the mean of the two images. Of a
model with several levels of latents: how often a mixture of two images is read as the digit of the one that gave the
top levels, and of the one that gave the rest.
"""

import argparse

from zoo import applications, data
from zoo.cli import _models
from zoo.evaluation import Figure

import numpy as np
from sklearn.svm import SVC


def share(name, read, wanted, about=""):
    """The share of images that are read as wanted, with its standard error."""
    hits = np.asarray(read) == np.asarray(wanted)
    error = hits.std(ddof=1) / np.sqrt(len(hits))
    return Figure(
        name=name, value=float(hits.mean()), error=float(error), split="test", num_examples=len(hits), about=about
    )


def of_conditional(model, read, x, labels, seed):
    """Figures of samples, relabelled images and interpolations."""
    digits = np.arange(1000, dtype=np.int32) % 10
    for temperature in (1.0, 0.7, 0.4):
        samples = np.asarray(model.sample(len(digits), seed=seed, temperature=temperature, labels=digits))
        yield share(f"samples_at_temperature_{temperature}", read(samples), digits)
    new = (labels + 1 + np.random.default_rng(seed).integers(0, 9, len(labels))).astype(np.int32) % 10
    yield share("relabelled_read_as_the_new_digit", read(applications.relabel(model, x, labels, new)), new)
    pairs = [np.flatnonzero(labels == digit) for digit in range(10)]
    start = np.concatenate([group[: len(group) // 2] for group in pairs])
    end = np.concatenate([group[len(group) // 2 : 2 * (len(group) // 2)] for group in pairs])
    wanted = labels[start]
    for path in ("linear", "spherical"):
        middle = applications.interpolate(model, x[start], x[end], 3, wanted, path)[:, 1]
        yield share(f"midpoints_{path}", read(middle), wanted)
        log_prob = np.asarray(model.log_prob(middle, 10, seed, wanted))
        yield mean_nats(f"log_prob_of_midpoints_{path}", log_prob)
    blend = (x[start] + x[end]) / 2
    yield share("midpoints_of_pixels", read(blend), wanted, "baseline: the mean of the two images")
    yield mean_nats("log_prob_of_midpoints_of_pixels", np.asarray(model.log_prob(blend, 10, seed, wanted)))
    yield mean_nats("log_prob_of_images", np.asarray(model.log_prob(x, 10, seed, labels)))


def mean_nats(name, values):
    error = values.std(ddof=1) / np.sqrt(len(values))
    return Figure(
        name=name, value=float(values.mean()), error=float(error), unit="nats", split="test", num_examples=len(values)
    )


def of_levels(model, read, x, labels, seed):
    """Figures of mixtures of two images, for each number of top levels."""
    content = np.random.default_rng(seed).permutation(len(x))
    style = np.roll(content, 1)
    differ = labels[content] != labels[style]
    content, style = content[differ], style[differ]
    for top in range(applications.num_levels(model) + 1):
        digits = read(applications.mix_levels(model, x[content], x[style], top))
        yield share(f"top_{top}_read_as_content", digits, labels[content])
        yield share(f"top_{top}_read_as_style", digits, labels[style])


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a preset's name, a preset's folder or a .keras file, of a model of MNIST")
    parser.add_argument("--seed", type=int, default=0)
    flags = parser.parse_args(argv)
    model = _models.load(flags.model)
    splits = data.load("mnist", sample=True)
    x = splits.test.images / np.float32(255)
    labels = np.asarray(splits.test.labels, np.int32)
    machine = SVC(C=10.0).fit(splits.train.images.reshape(len(splits.train.images), -1) / 255.0, splits.train.labels)

    def read(images):
        return machine.predict(np.asarray(images).reshape(len(images), -1))

    print(share("test_images", read(x), labels))
    parts = [of_conditional] if model.conditional else []
    parts += [of_levels] if applications.num_levels(model) > 1 else []
    for part in parts:
        for figure in part(model, read, x, labels, flags.seed):
            print(figure, flush=True)


if __name__ == "__main__":
    main()
