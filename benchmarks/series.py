"""Anomalous steps of series: a VAE of windows against a moving average and an isolation forest.

    python benchmarks/series.py --results runs/series.jsonl --skab SKAB/data --choose
    python benchmarks/series.py --results runs/series.jsonl --skab SKAB/data
    python benchmarks/series.py --results runs/series.jsonl --report

Sets: "skab", the 34 experiments of the Skoltech Anomaly Benchmark (a folder with `valve1`, `valve2` and `other`; left
out without --skab); "bleeding", number 135 of the UCR anomaly archive, which the package `aeon` has (`pip install
--no-deps aeon`; left out without it); and "machine", five made series of `recipes/series_vae.py`. All steps of all sets
are labelled.

Every method learns from the same normal first part of a set and scores the same rest: of SKAB the first 400 steps of
each experiment, or those before its first fault if it comes earlier. Channels are standardised by the mean and the
deviation of that part. The VAE trains on four fifths of it, and the last fifth stops the training and sets the weights
of the channels. The isolation forest sees the same windows, all of them, and a step's score is the mean over its
windows, as for the VAE. The moving average scores the squared difference between a step and the mean of the steps
before it, each channel's over its mean on the normal part.

The VAE has two scores of the same model: "vae", the squared error of the reconstruction of each step, and "vae_elbo",
−ELBO of the windows.

--choose scores the validation sets (8 of SKAB's experiments, and a sixth made series) with the settings of `GRID`; the
settings in `CHOSEN` are the best of them for each method. The other experiments and series are read with these alone;
"bleeding", which has no validation set, is read with those of "machine", as both repeat a rhythm.
Figures are the point-wise AUROC: the chance that an anomalous step has a higher score than a normal one.
"""

import argparse
import functools
import importlib.util
import itertools
import json
import os
import pathlib
import sys

from zoo import applications, data

import keras
import machine
import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

RECIPES = pathlib.Path(__file__).parents[1] / "recipes"
NORMAL = 400  # steps of a SKAB experiment before its fault
VALIDATION = ("other/1", "other/5", "other/9", "other/13", "valve1/3", "valve1/9", "valve1/15", "valve2/2")
GRID = {
    "vae": [{"length": length, "latent_dim": latents} for length in (16, 32, 64) for latents in (4, 16)],
    "forest": [{"length": length} for length in (1, 16, 32, 64)],
    "average": [{"length": length} for length in (8, 16, 32, 64, 128)],
}
CHOSEN = {
    "skab": {"vae": {"length": 64, "latent_dim": 4}, "forest": {"length": 64}, "average": {"length": 128}},
    "machine": {"vae": {"length": 16, "latent_dim": 16}, "forest": {"length": 32}, "average": {"length": 64}},
}
CHOSEN = {name: {**of, "vae_elbo": of["vae"]} for name, of in CHOSEN.items()}
CHOSEN["bleeding"] = CHOSEN["machine"]
MODELS = {}
STEPS = 2000


def joined(pieces):
    """One series of several, with gaps between them."""
    times, start = [], 0
    for piece in pieces:
        times.append(start + np.arange(len(piece)))
        start += len(piece) + 1000
    labels = np.concatenate([piece.labels for piece in pieces])
    return data.Series(np.concatenate([piece.values for piece in pieces]), np.concatenate(times), None, labels, "cut")


def parts(values, labels, normal):
    """Training, validation and test part of an experiment, standardised by the first two."""
    first = values[:normal]
    deviations = np.where(first.std(axis=0) > 1e-9, first.std(axis=0), 1.0)
    values = (values - first.mean(axis=0)) / deviations
    edges = (0, normal - normal // 5, normal, len(values))
    return tuple(data.Series(values[a:b], labels=labels[a:b]) for a, b in itertools.pairwise(edges))


def skab(folder, validation):
    """The parts of the experiments that are, or are not, for validation."""
    found = {}
    for path in sorted(folder.glob("*/*.csv")):
        name = f"{path.parent.name}/{path.stem}"
        if path.parent.name in ("valve1", "valve2", "other") and (name in VALIDATION) == validation:
            table = data.Table.from_csv(path, delimiter=";")
            channels = [key for key in table if key not in ("datetime", "anomaly", "changepoint")]
            values, labels = np.stack([table[key] for key in channels], axis=1), table["anomaly"] > 0
            found[name] = parts(values, labels, min(NORMAL, int(np.argmax(labels))))
    return found


def of_aeon(path, train):
    spec = importlib.util.find_spec("aeon")
    if spec is None:
        return None
    series = data.Series.from_csv(
        pathlib.Path(spec.submodule_search_locations[0], "datasets", "data", path), channels=None, label="is_anomaly"
    )
    keep = [number for number, name in enumerate(series.names) if name != "timestamp"]
    return {path: parts(series.values[:, keep], series.labels, train)}


def made(seeds):
    spec = importlib.util.spec_from_file_location("series_vae", RECIPES / "series_vae.py")
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    several = {seed: recipe.machine(seed=seed) for seed in seeds}
    return {f"machine {seed}": parts(each.values, each.labels, 3600) for seed, each in several.items()}


def sets(folder, choose):
    """{name of a set: {name of an experiment: (train, validation, test)}}; None for a set that is not there."""
    if choose:
        return {"skab": folder and skab(folder, True), "machine": made([100])}
    return {
        "skab": folder and skab(folder, False),
        "bleeding": of_aeon("KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_TEST.csv", 1200),
        "machine": made(range(5)),
    }


def trained(train, validation, seed, length, latent_dim):
    """A VAE of windows, and kept for the other scores of it."""
    key = (hash(train.values.tobytes()), seed, length, latent_dim)
    if key not in MODELS:
        keras.utils.set_random_seed(seed)
        model = applications.series_vae(train, length, latent_dim, seed=seed)
        windows, judges = train.windows(length)[0], validation.windows(length)[0]
        rate = keras.optimizers.schedules.CosineDecay(2e-3, STEPS)
        model.compile(keras.optimizers.Adam(rate), steps_per_execution=20)
        stop = keras.callbacks.EarlyStopping("val_elbo", 0.0, 5, mode="max", restore_best_weights=True)
        model.fit(
            data_of(windows, seed), steps_per_epoch=100, epochs=STEPS // 100, validation_data=(judges,),
            callbacks=[stop], verbose=0, shuffle=False,
        )  # fmt: skip
        MODELS[key] = model
    return MODELS[key]


def vae(train, validation, test, seed, length, latent_dim, score="reconstruction"):
    model = trained(train, validation, seed, length, latent_dim)
    return -applications.SeriesDetector(model, score, seed=seed).fit(validation).score_samples(test)


def data_of(windows, seed):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(windows).shuffle(len(windows), seed=seed).repeat().batch(64).prefetch(2)


def forest(train, validation, test, seed, length):
    both = np.concatenate([part.windows(length)[0].reshape(-1, length * part.values.shape[1]) for part in
                           (train, validation)])  # fmt: skip
    judge = IsolationForest(n_estimators=200, random_state=seed).fit(both)
    windows, starts = test.windows(length)
    scores = -judge.score_samples(windows.reshape(len(windows), -1))
    return test.per_step(np.repeat(scores[:, None], length, axis=1), starts)


def average(train, validation, test, seed, length):
    def residuals(series):
        found = np.full(series.values.shape, np.nan)
        for piece in series.segments:
            values = series.values[piece]
            sums = np.cumsum(np.vstack([np.zeros(values.shape[1]), values]), axis=0)
            for row in range(1, len(values)):
                before = max(0, row - length)
                found[piece.start + row] = values[row] - (sums[row] - sums[before]) / (row - before)
        return np.square(found)

    usual = np.nanmean(residuals(joined([train, validation])), axis=0)
    return np.nan_to_num((residuals(test) / np.maximum(usual, 1e-12)).mean(axis=1))


METHODS = {"vae": vae, "vae_elbo": functools.partial(vae, score="elbo"), "forest": forest, "average": average}


def measure(method, experiments, seed, settings):
    """The AUROC of each experiment, by a method that learns from the normal parts of all of a set."""
    apart = len({each[0].values.shape[1] for each in experiments.values()}) > 1
    if apart:
        raise ValueError("Expected experiments of the same channels.")
    train, validation, test = (joined(pieces) for pieces in zip(*experiments.values()))
    scores, place, found = METHODS[method](train, validation, test, seed, **settings), 0, {}
    for name, (_, _, part) in experiments.items():
        own = scores[place : place + len(part)]
        known = ~np.isnan(own)
        found[name] = float(roc_auc_score(part.labels[known], own[known]))
        place += len(part)
    return found


def report(results):
    """The lines of a table: the mean over the experiments and seeds, and the error over the experiments."""
    groups = {}
    for row in results:
        key = (row["set"], row["method"], json.dumps(row["settings"]), row["choose"])
        groups.setdefault(key, []).append(list(row["auroc"].values()))
    lines = ["| set | method | settings | experiments | seeds | AUROC |", "|---|---|---|---|---|---|"]
    for (name, method, settings, choose), rows in sorted(groups.items()):
        means = np.mean(rows, axis=0)
        over = means if len(means) > 1 else np.mean(rows, axis=1)
        error = f" ± {np.std(over, ddof=1) / np.sqrt(len(over)):.3f}" if len(over) > 1 else ""
        where = f"{name}, validation" if choose else name
        lines.append(f"| {where} | {method} | {settings} | {len(means)} | {len(rows)} | {means.mean():.3f}{error} |")
    return lines


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, required=True, help="a file.jsonl")
    parser.add_argument("--skab", type=pathlib.Path, help="the folder data of SKAB")
    parser.add_argument("--choose", action="store_true", help="score the validation sets with all settings")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--report", action="store_true", help="print the table of the results alone")
    flags = parser.parse_args(argv)
    known = [json.loads(line) for line in flags.results.read_text().splitlines()] if flags.results.exists() else []
    if not flags.report:
        print(machine.line(), file=sys.stderr)
        found = sets(flags.skab, flags.choose)
        for name in [name for name, experiments in found.items() if not experiments]:
            print(f"{name}: left out, as it is not there")
            del found[name]
        runs = itertools.product(
            flags.seeds[:1] if flags.choose else flags.seeds, found, GRID if flags.choose else METHODS
        )
        done = [(row["set"], row["method"], row["seed"], row["settings"], row["choose"]) for row in known]
        for seed, name, method in runs:
            for settings in GRID[method] if flags.choose else [CHOSEN[name][method]]:
                if (name, method, seed, settings, flags.choose) in done or (method == "average" and seed):
                    continue
                cpu = sum(os.times()[:2])
                auroc = measure(method, found[name], seed, settings)
                row = {"set": name, "method": method, "seed": seed, "settings": settings, "choose": flags.choose}
                row |= {"auroc": auroc, "cpu_seconds": round(sum(os.times()[:2]) - cpu, 1)}
                known.append(row)
                flags.results.parent.mkdir(parents=True, exist_ok=True)
                with open(flags.results, "a") as file:
                    file.write(json.dumps(row) + "\n")
                print(name, method, seed, settings, round(float(np.mean(list(auroc.values()))), 4), flush=True)
    print("\n".join(report(known)))
    return known


if __name__ == "__main__":
    main()
