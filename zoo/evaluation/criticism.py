"""Predictive checks: simple statistics of samples beside those of the data."""

import functools
import time
from collections.abc import Callable, Mapping

import keras
import numpy as np

from zoo.evaluation.figures import Figure
from zoo.evaluation.rows import Examples, as_float, samples
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Labels

_BANDS = ("low", "middle", "high", "highest")
_EDGES = (0.0, 0.0625, 0.125, 0.25, 0.75)  # cycles per pixel; the corner of the spectrum is at 0.71
_ROWS = 256

# Function of examples float32 `[B,…]` that gives one number for each: float `[B]`.
Statistic = Callable[[np.ndarray], np.ndarray]


def predictive_checks(
    model: keras.Model,
    images: ArrayLike,
    labels: Labels = None,
    seed: int = 0,
    split: str = "test",
    statistics: Mapping[str, Statistic] | None = None,
) -> list[Figure]:
    """Compares statistics of the model's samples with those of as many examples of the data.

    The statistics of an example are, unless others are given: its mean; its variance; its sparsity, the share of values
    within 1 % of the range of the lowest possible value, or of 0 for data on the real line; and for images with at
    least 8×8 pixels the logarithm of the power of its spectrum in four radial bands (Gelman et al. 1996, "Posterior
    Predictive Assessment of Model Fitness via Realized Discrepancies"; Gayoso et al. 2022, scvi-tools, checks a mean, a
    variation and the zeros in this way). The samples are those of `model.sample`, the means of p(x|z), as users see
    them: they lack the noise of the likelihood, which shows in the high bands.

    Args:
        model: a model of the zoo that can sample.
        images: float `[N,…]`, N >= 2; uint8 is divided by 255.
        labels: one for each image, for a conditional model or prior; the samples get the same.
        seed: int, of the samples.
        split: str, the name of the data.
        statistics: dict of functions of float32 `[B,…]` that give float `[B]`, instead of these.

    Returns:
        list of `Figure`, `check_<statistic>` each: the mean over samples minus the mean over data, in standard
        deviations over the data; 0 for samples that agree. A statistic that is the same for all examples, and another
        for samples, is left out. Its error is the standard error, and `about` has the two
        means, and the position: the probability that a sample's statistic exceeds an example's, ½ where the
        distributions agree.

    Raises:
        ValueError: for too few images, or for missing labels.
        NotImplementedError: for a VQ-VAE without a prior.

    Example:
        >>> for figure in zoo.evaluation.predictive_checks(model, images):
        ...     print(figure)
        check_mean …
        …
    """
    examples = Examples(model, images, labels)
    if len(examples) < 2:
        checks.fail("images", "at least two", f"{len(examples)}")
    chosen = default_statistics(model, examples) if statistics is None else dict(statistics)
    if not chosen:
        checks.fail("statistics", "a dict of one function or more, or None", statistics)
    start = time.perf_counter()
    sampled: dict[str, list[np.ndarray]] = {name: [] for name in chosen}
    for x in samples(model, len(examples), seed, examples.labels, _ROWS):
        for name, statistic in chosen.items():
            sampled[name].append(_values(name, statistic, x))
    real = {
        name: [_values(name, statistic, x) for _, x, _, _ in examples.batches()] for name, statistic in chosen.items()
    }
    seconds = (time.perf_counter() - start) / len(chosen)
    figures = []
    for name in chosen:
        of_data, of_samples = np.concatenate(real[name]), np.concatenate(sampled[name])
        if of_data.std() < _floor(of_data) and abs(of_samples.mean() - of_data.mean()) > _floor(of_data):
            continue  # they differ, and there is no deviation to count in
        value, error, about = _compare(of_data, of_samples)
        figures.append(
            Figure(
                name=f"check_{name}", value=value, unit="standard deviations", error=error, split=split, seed=seed,
                num_examples=len(examples), seconds=seconds, about=about,
            )
        )  # fmt: skip
    return figures


def default_statistics(model: keras.Model, examples: Examples) -> dict[str, Statistic]:
    """Mean, variance and sparsity; for images of at least 8×8 also the spectrum."""
    support = model.likelihood.support
    low, high = support if support is not None else _quantiles(examples)
    origin, limit = (low if support is not None else 0.0), 0.01 * (high - low)
    found: dict[str, Statistic] = {
        "mean": lambda x: _rows(x).mean(axis=1),
        "variance": lambda x: _rows(x).var(axis=1),
        "sparsity": lambda x: (np.abs(_rows(x) - origin) <= limit).mean(axis=1),
    }
    shape = examples.images.shape
    if len(shape) == 4 and min(shape[1:3]) >= 8:
        for number, band in enumerate(_BANDS):
            found[f"spectrum_{band}"] = functools.partial(_band, number)
    return found


def log_power(images: np.ndarray) -> np.ndarray:
    """The logarithm (base 10) of the mean power of the spectrum in four radial bands.

    Args:
        images: float `[B,H,W,C]`; the channels are averaged.

    Returns:
        float64 `[B,4]`. The bands end at 1/16, 1/8, 1/4 and ¾ cycles per pixel; the constant part is left out.
    """
    grey = np.asarray(images, np.float64).mean(axis=-1)
    height, width = grey.shape[1:]
    power = np.abs(np.fft.fft2(grey)) ** 2 / (height * width)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    bands = []
    for low, high in zip(_EDGES, _EDGES[1:]):
        inside = (radius > low) & (radius <= high)
        # A band without a frequency: images of fewer than 16 pixels have none in the lowest.
        bands.append(power[:, inside].mean(axis=1) if inside.any() else np.zeros(len(grey)))
    return np.log10(np.stack(bands, axis=1) + 1e-12)


def position(sampled: np.ndarray, real: np.ndarray) -> float:
    """The probability that a sample's value exceeds an example's; ties count half.

    Example:
        >>> zoo.evaluation.criticism.position(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
        0.5
    """
    ordered = np.sort(real)
    below = np.searchsorted(ordered, sampled, "left") + np.searchsorted(ordered, sampled, "right")
    return float(below.mean() / (2 * len(real)))


def _values(name: str, statistic: Statistic, x: np.ndarray) -> np.ndarray:
    values = checks.numpy_array(f"statistics[{name!r}]", statistic(x))
    if values.shape != (len(x),):
        checks.fail(f"statistics[{name!r}]", f"a function to a number for each example, [{len(x)}]", values.shape)
    if not np.isfinite(values).all():
        received = f"{np.sum(~np.isfinite(values))} that are not among {len(x)}"
        checks.fail(f"statistics[{name!r}]", "a function to finite numbers", received)
    return values


def _compare(real: np.ndarray, sampled: np.ndarray) -> tuple[float, float, str]:
    spread = max(float(real.std(ddof=1)), _floor(real))
    error = np.sqrt(real.var(ddof=1) / len(real) + sampled.var(ddof=1) / len(sampled)) / spread
    about = f"data {real.mean():.4g}, samples {sampled.mean():.4g}, position {position(sampled, real):.2f}"
    return float((sampled.mean() - real.mean()) / spread), float(error), about


def _floor(values):
    """What rounding may make of the deviation of equal values."""
    return 1e-6 * (1e-6 + abs(float(values.mean())))


def _quantiles(examples: Examples) -> tuple[float, float]:
    values = as_float(examples.images[:1000])
    return float(np.quantile(values, 0.001)), float(np.quantile(values, 0.999))


def _band(number: int, x: np.ndarray) -> np.ndarray:
    return log_power(x)[:, number]


def _rows(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, np.float64).reshape(len(x), -1)
