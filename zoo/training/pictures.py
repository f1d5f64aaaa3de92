"""The plots of a run."""

import math
import pathlib
from collections.abc import Sequence

import keras
import matplotlib

matplotlib.use("Agg")

import numpy as np  # noqa: E402
from matplotlib import pyplot as plt  # noqa: E402

from zoo import data  # noqa: E402
from zoo.applications import interpolate  # noqa: E402
from zoo.evaluation import Point  # noqa: E402
from zoo.runtime import files  # noqa: E402
from zoo.runtime.types import ArrayLike, History, PathLike  # noqa: E402

_GAP = 1  # pixels between the images of a grid


def plot_all(
    model: keras.Model,
    images: data.Images,
    history: History,
    folder: pathlib.Path,
    seed: int = 0,
    classes: Sequence[int] | None = None,
) -> None:
    """Plots the results of a model on held-out `images` into `folder`.

    - `reconstructions.png`: originals in the odd rows, their reconstructions below.
    - `samples.png`: samples from the prior; a row for each class if the model is conditional.
    - `interpolation.png`: a row for each pair of images.
    - `latents.png`: posterior means, projected to their two main axes if there are more. A VQ-VAE has `codebook.png`
      instead: the share of use of each code.
    - `layers.png`, of a hierarchical VAE: samples at temperature ½ with the top 0, 1, 2, … layers of an image's latents
      given. Each column is an image, which is itself at the bottom.
    - `curves.png`: the history.
    """
    grid = {"reconstructions.png": _reconstructions(model, images), "interpolation.png": _between(model, images)}
    if model.can_sample:
        grid["samples.png"] = _samples(model, seed, classes)
    else:
        (folder / "samples.png").unlink(missing_ok=True)  # it may be left from a run with a prior
    if model.num_layers > 1:
        grid["layers.png"] = _layers(model, images, seed)
    for name, rows in grid.items():
        save_grid(folder / name, rows)
    if model.num_codes is not None:
        _save(folder / "codebook.png", _codebook, model, images)
    else:
        _save(folder / "latents.png", _latents, model, images)
    plot_curves(history, folder)


def plot_curves(
    history: History,
    folder: pathlib.Path,
    names: Sequence[str] = ("loss", "reconstruction"),
    unit: str = "nats per example",
) -> None:
    """Plots the columns `names` of a history, and those of validation, as `curves.png`; nothing if it is empty."""
    if history:
        _save(folder / "curves.png", _curves, history, names, unit)


def plot_rate_distortion(path: PathLike, points: Sequence[Point], chosen: Point) -> None:
    """Plots rate and distortion of `Point`s, a curve for each number of latents; and their active units.

    `chosen` gets a circle.
    """
    figure, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    try:
        _tradeoff(axes[0], axes[1], [point for point in points if math.isfinite(point.elbo)], chosen)
        with files.replacing(path) as scratch:
            figure.savefig(scratch, dpi=110)
    finally:
        plt.close(figure)


def save_grid(path: PathLike, rows: ArrayLike, scale: int = 3) -> None:
    """Writes images `[R,N,H,W,C]` in [0, 1] as one PNG of R rows, each pixel `scale` wide."""
    pixels = (255 * np.clip(rows, 0.0, 1.0)).astype(np.uint8)  # a quarter of the memory, as the canvas is large
    count, length, height, width, channels = pixels.shape
    canvas = np.full((count * (height + _GAP) + _GAP, length * (width + _GAP) + _GAP, channels), 255, np.uint8)
    for r in range(count):
        for n in range(length):
            top, left = r * (height + _GAP) + _GAP, n * (width + _GAP) + _GAP
            canvas[top : top + height, left : left + width] = pixels[r, n]
    canvas = np.repeat(np.repeat(canvas, scale, axis=0), scale, axis=1)
    canvas = np.repeat(canvas, 3, axis=-1) if channels == 1 else canvas
    with files.replacing(path) as scratch:
        plt.imsave(scratch, canvas)


def _given(model, images, rows):
    """Some of the images, float32 in [0, 1], and the labels that the model takes with them."""
    labels = images.labels[rows] if model.conditional else None
    return images.images[rows].astype(np.float32) / 255.0, labels


def _chunks(images, number):
    """Slices that cover the first `number` images, a hundred at a time."""
    number = min(number, len(images))
    return [slice(start, min(start + 100, number)) for start in range(0, number, 100)]


def _reconstructions(model, images, rows=4, columns=12):
    columns = min(columns, len(images))
    rows = min(rows, len(images) // columns)
    x, labels = _given(model, images, slice(rows * columns))
    pairs = np.stack([x, np.asarray(model.reconstruct(x, labels))]).reshape(2, rows, columns, *x.shape[1:])
    return pairs.swapaxes(0, 1).reshape(2 * rows, columns, *x.shape[1:])


def _samples(model, seed, classes, columns=10):
    classes = (classes or range(model.num_classes)) if model.conditional else range(columns)
    number = len(classes) * columns
    labels = np.repeat(np.asarray(classes, np.int32), columns) if model.conditional else None
    images = np.asarray(model.sample(number, seed=seed, labels=labels))
    return images.reshape(len(classes), columns, *images.shape[1:])


def _between(model, images):
    if not model.conditional:
        pairs: list = [(2 * r % len(images), (2 * r + 1) % len(images)) for r in range(6)]
    else:  # within a class, as one label holds for the whole row
        groups = [np.flatnonzero(images.labels == label) for label in np.unique(images.labels)]
        pairs = [group[:2] for group in groups if len(group) > 1]
    start, end = np.transpose(pairs)
    x, labels = _given(model, images, start)
    return interpolate(model, x, _given(model, images, end)[0], 10, labels)


def _layers(model, images, seed):
    x, _ = _given(model, images, slice(12))
    latents = [layer["mean"] for layer in model.encode(x)]
    rows = [
        model.sample(len(x), seed=seed, temperature=0.5, given=latents[:number]) for number in range(len(latents) + 1)
    ]
    return np.stack([*rows, x])


def _save(path, draw, *arguments):
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    try:
        draw(axes, *arguments)
        with files.replacing(path) as scratch:
            figure.savefig(scratch, dpi=110)
    finally:
        plt.close(figure)


def _latents(axes, model, images, number=2000):
    labels = None if images.labels is None else images.labels[:number]
    mean = np.concatenate([model.embed(*_given(model, images, part)) for part in _chunks(images, number)])
    if mean.shape[1] == 1:
        mean = np.pad(mean, ((0, 0), (0, 1)))
    centred = mean - mean.mean(axis=0)
    _, sizes, main = np.linalg.svd(centred, full_matrices=False)
    flat = mean if mean.shape[1] == 2 else centred @ main[:2].T
    flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))  # a single image has one axis only
    points = axes.scatter(*flat.T, c=labels, s=6, cmap=None if labels is None else "tab10")
    if labels is not None:
        axes.legend(*points.legend_elements(), loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    explained = np.square(sizes[:2]).sum() / max(np.square(sizes).sum(), 1e-12)
    of = "" if mean.shape[1] == 2 else f", two main axes of {mean.shape[1]}: {explained:.0%} of the variance"
    axes.set_title(f"posterior means{of}")
    name = "main axis" if of else "latent"
    axes.set_xlabel(f"{name} 1")
    axes.set_ylabel(f"{name} 2")


def _codebook(axes, model, images, number=1000):
    number_codes = model.num_codes
    parts = [_given(model, images, part)[0] for part in _chunks(images, number)]
    codes = np.concatenate([np.asarray(model.encode(part)).ravel() for part in parts])
    counts = np.sort(np.bincount(codes, minlength=number_codes))[::-1]
    axes.bar(np.arange(number_codes), counts / counts.sum(), width=1.0)
    axes.axhline(1.0 / number_codes, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel("codes, the most frequent first; dotted line: all equally frequent")
    axes.set_ylabel("share of use")
    axes.set_title(f"codebook use: {np.count_nonzero(counts)} of {number_codes} codes")


def _tradeoff(curves, active, points, chosen):
    for number in sorted({point.latents for point in points}):
        of_number = sorted((point for point in points if point.latents == number), key=lambda point: point.beta)
        (line,) = curves.plot(
            [point.rate for point in of_number], [point.distortion for point in of_number], "o-", label=f"{number}"
        )
        units = [point.active_units for point in of_number]
        active.plot([point.beta for point in of_number], units, "o-", color=line.get_color())
    circle = {"s": 200, "facecolors": "none", "edgecolors": "black", "zorder": 3, "clip_on": False}
    curves.scatter([chosen.rate], [chosen.distortion], label="recommended", **circle)
    active.scatter([chosen.beta], [chosen.active_units], **circle)
    most = max(point.latents for point in points)
    for point in points:
        if point.latents == most:
            curves.annotate(f"β = {point.beta:g}", (point.rate, point.distortion), (6, 6), textcoords="offset points")
    curves.set_xlabel("rate, KL(q(z|x) ‖ p(z)), nats")
    curves.set_ylabel("distortion, −log p(x|z), nats")
    curves.legend(title="latents")
    curves.set_title("validation images")
    betas = sorted({point.beta for point in points})
    active.set_xscale("log")
    active.set_xticks(betas, [f"{beta:g}" for beta in betas])
    active.minorticks_off()
    active.yaxis.get_major_locator().set_params(integer=True)
    curves.margins(x=0.2, y=0.12)
    active.set_xlabel("β")
    active.set_ylabel("active units")
    active.set_ylim(bottom=0)
    active.set_title("latents with Var(E z) > 0.01")


def _curves(axes, history, names, unit):
    epochs = [row["epoch"] for row in history]
    marker = "." if len(epochs) < 3 else ""
    for number, name in enumerate(names):
        for prefix, style in (("", "-"), ("val_", "--")):
            values = [row.get(prefix + name, np.nan) for row in history]
            axes.plot(epochs, values, style, color=f"C{number}", label=prefix + name, marker=marker)
    axes.set_xlabel("epoch")
    axes.set_ylabel(unit)
    axes.legend()
    # The first epochs would set the range, and flatten the rest of the curve.
    shown = [row[key] for row in history[len(history) // 10 :] for key in row if key.removeprefix("val_") in names]
    margin = 0.05 * max(max(shown) - min(shown), 1e-6)
    axes.set_ylim(min(shown) - margin, max(shown) + margin)
