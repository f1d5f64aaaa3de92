"""VAE of the windows of a series of several channels: anomaly scores for each step, and new windows from seeds.

    python recipes/series_vae.py --csv FILE --time date
    python recipes/series_vae.py --csv FILE --time date --channels flow pressure --label broken --gaps cut
    python recipes/series_vae.py --sample

The first part of the series trains (leave faults out of it if you can), the next tenth validates and sets the
threshold, and the last --test of it is scored. Times must rise at even steps; --gaps cut lets a series have gaps and
missing values. The model and its exports take windows [B,T,C] in the units of FILE. Written to --output, besides what
all recipes write:

- `scores.csv`, the anomaly score of each step of the last part, and 1 where it is beyond the threshold;
- `samples.csv`, windows that the model makes from --seed;
- `series.png`, and `metrics.json`, with the point-wise AUROC if --label names the known anomalies.

--sample makes a series of three channels of a machine, 6,000 steps, with six faults of different kinds in its last
part.

Hardware: two CPU cores. Time of --sample: 30 seconds of CPU time. Seed 0: an AUROC of 0.984.
"""

import dataclasses
import functools
import pathlib

import numpy as np
from matplotlib.figure import Figure

from zoo import applications, data, training
from zoo.applications import anomaly
from zoo.runtime import checks

SAMPLE_FAULTS = ("spike", "stuck", "noise", "phase", "drift", "apart")  # in this order, in the last part


def machine(length=6000, seed=0):
    """Load, temperature and vibration of a machine that repeats its cycles: temperature follows load with a delay."""
    draw = np.random.default_rng(seed)
    phase = np.cumsum(2 * np.pi / 50 * (1 + 0.1 * np.sin(2 * np.pi * np.arange(length) / 1000)))
    load = 40 + 15 * np.sin(phase) + 6 * np.sin(2 * phase)
    labels = np.zeros(length, np.int32)
    starts = np.linspace(0.72, 0.95, len(SAMPLE_FAULTS)) * length
    places = {name: slice(int(start), int(start) + 40) for name, start in zip(SAMPLE_FAULTS, starts)}
    for place in places.values():
        labels[place] = 1
    load[places["phase"]] = 40 + 15 * np.cos(phase[places["phase"]]) + 6 * np.sin(2 * phase[places["phase"]])
    temperature = 20 + np.convolve(load, np.exp(-np.arange(60) / 12) / 12)[:length]
    temperature[:60] = temperature[60:120]
    vibration = 0.5 + 0.01 * np.abs(np.gradient(load)) * load
    temperature[places["drift"]] += np.linspace(0, 12, 40)
    temperature[places["stuck"]] = temperature[places["stuck"].start]
    vibration[places["apart"]] = vibration[places["apart"]][::-1]
    values = np.stack([load, temperature, vibration], axis=1) + draw.normal(size=(length, 3)) * (0.5, 0.4, 0.05)
    values[places["noise"], 2] += draw.normal(size=40) * 0.5
    values[places["spike"].start + 20, 0] += 15
    labels[places["spike"]] = 0
    labels[places["spike"].start + 20] = 1
    return data.Series(values, names=("load", "temperature", "vibration"), labels=labels)


_CSV = {"csv": None}


@dataclasses.dataclass(frozen=True)
class Flags:
    csv: pathlib.Path | None = training.flag(None, "a CSV file with names in its first line")
    sample: bool = training.flag(False, "a made series of a machine")
    time: str | None = training.flag(None, "the column of times; default: rows at even steps", only=_CSV)
    channels: tuple[str, ...] | None = training.flag(None, "columns to take; default: all others of numbers", only=_CSV)
    label: str | None = training.flag(None, "the column that is 1 where an anomaly is known", only=_CSV)
    delimiter: str = training.flag(",", "between the cells; 'tab' for tabs", only=_CSV)
    gaps: str = training.flag(
        "refuse", "refuse: stop at a gap; cut: split the series there", choices=("refuse", "cut"), only=_CSV
    )
    tolerance: float = training.flag(0.5, "share of the median step of time by which a step may differ", only=_CSV)
    test: float = training.flag(0.3, "share of the series that is scored")
    length: int = training.flag(32, "steps of a window")
    stride: int = training.flag(1, "steps between windows")
    rate: float = training.flag(0.01, "false-positive rate", free=True)
    windows: int = training.flag(20, "windows of samples.csv", free=True)
    latent_dim: int = training.flag(8, "dimensions of z")
    filters: tuple[int, ...] = training.flag((32, 64), "channels of the convolutions")

    def __post_init__(self):
        if self.sample == (self.csv is not None):
            checks.fail("--csv", "a file, or left out with --sample", None if self.csv is None else str(self.csv))
        checks.positive_int("--windows", self.windows)
        checks.number("--test", self.test, 0.0, 0.9, open_low=True, open_high=True)
        checks.number("--rate", self.rate, 0.0, 1.0, open_low=True, open_high=True)


@functools.lru_cache(1)
def parts(flags):
    """The training part of the series, the next tenth, and the last part, which is scored."""
    if flags.sample:
        series = machine()
    else:
        series = data.Series.from_csv(
            flags.csv, flags.time, flags.channels, flags.label, flags.gaps, flags.tolerance, flags.delimiter
        )
    train, validation, test = series.split(0.1, flags.test)
    found = train.normal(), validation.normal(), test
    for about, part in zip(("training part", "validating tenth", "scored part"), found):
        if part.longest < flags.length:
            limit = f"at most {part.longest}, the longest piece without gaps or labelled steps of the {about}"
            checks.fail("--length", limit, flags.length)
    steps = len(found[1])
    if steps < anomaly.least_examples(flags.rate):
        checks.fail("--rate", f"at least 1/{steps + 1}, as {steps} validating steps allow no lower one", flags.rate)
    return found


def load(flags, shape, disk_folder):
    return data.Splits(*(part.windows(flags.length, flags.stride)[0] for part in parts(flags)))


def build(flags, shape, seed):
    print(f"channels: {', '.join(parts(flags)[0].names)}")
    return applications.series_vae(parts(flags)[0], flags.length, flags.latent_dim, flags.filters, seed=seed)


def plot(series, scores, detector, path):
    """The channels of the scored part, and the scores with the threshold; known anomalies are shaded."""
    channels = series.values.shape[1]
    figure = Figure(figsize=(12, 2 + 1.2 * channels), layout="constrained")
    axes = figure.subplots(channels + 1, 1, sharex=True)
    for axis, name, values in zip(axes, series.names, series.values.T):
        axis.plot(series.times, values, linewidth=0.7)
        axis.set_ylabel(name)
    axes[-1].plot(series.times, scores, color="tab:red", linewidth=0.8)
    axes[-1].axhline(-detector.offset_, color="black", linestyle=":", linewidth=0.8, label="threshold")
    axes[-1].set(ylabel="score", yscale="log", xlabel="time")
    axes[-1].legend(loc="upper left")
    for axis in axes if series.labels is not None else ():
        inside = axis.get_xaxis_transform()
        axis.fill_between(series.times, 0, 1, where=series.labels > 0, color="tab:orange", alpha=0.4, transform=inside)
    figure.savefig(path, dpi=80)


def write(series, scores, detector, windows, folder):
    """Writes the scores of the last part, and windows that the model has made."""
    threshold = -detector.offset_
    times = series.times.astype(str) if series.times.dtype.kind == "M" else series.times
    table = {"time": times, "score": scores, "anomalous": (scores > threshold).astype(float)}
    if series.labels is not None:
        table["label"] = series.labels
    data.Table(table).to_csv(folder / "scores.csv")
    number, steps = np.indices(windows.shape[:2])
    columns = {name: windows[..., i].ravel() for i, name in enumerate(series.names)}
    data.Table({"window": number.ravel(), "step": steps.ravel(), **columns}).to_csv(folder / "samples.csv")
    plot(series, scores, detector, folder / "series.png")


def finish(flags, model, splits, folder, seed):
    """Scores the last part; returns figures of its steps, and the ELBO of the validation windows."""
    _, validation, last = parts(flags)
    of_windows = model.evaluate(validation.windows(flags.length)[0], verbose=0, return_dict=True)
    detector = applications.SeriesDetector(model, false_positive_rate=flags.rate, seed=seed).fit(validation)
    scores = -detector.score_samples(last)
    known = ~np.isnan(scores)
    figures = {
        "validation_elbo": float(of_windows["elbo"]),
        "anomalous": float((scores[known] > -detector.offset_).mean()),
    }
    if last.labels is not None and 0 < last.labels[known].sum() < known.sum():
        from sklearn.metrics import roc_auc_score

        figures["auroc"] = float(roc_auc_score(last.labels[known], scores[known]))
    write(last, scores, detector, np.asarray(model.sample(flags.windows, seed, observe=True)), folder)
    return figures


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=lambda flags: (flags.length, len(parts(flags)[0].names)),
    build=build,
    flags=Flags,
    load=load,
    training_data=lambda flags: "a made series of a machine" if flags.sample else f"the series in {flags.csv}",
    examples=training.Examples(noun="windows", batches=data.example_batches, finish=finish),
    epochs=30,
    minimum_steps=1000,
    batch_size=64,
)
