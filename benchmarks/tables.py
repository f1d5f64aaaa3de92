"""Synthetic tables: train on synthetic rows, test on real ones, against CTGAN's TVAE, on the same splits.

    python benchmarks/tables.py --results runs/tables.jsonl
    python benchmarks/tables.py --results runs/tables.jsonl --tvae-python ctgan/bin/python
    python benchmarks/tables.py --results runs/tables.jsonl --report

Sets: iris, wine, breast_cancer and diabetes of scikit-learn, penguins of `palmerpenguins`, cars and weather of
`vega_datasets` (`pip install --no-deps palmerpenguins vega_datasets`; without a package its sets are left out). Rows
with missing cells are dropped, as TVAE takes none. For each seed a fifth of the rows is for testing; a generator is
trained on the others and gives as many synthetic rows.

Utility is the accuracy (of diabetes R²) on the test rows of models trained on the synthetic ones, the mean of a random
forest and of a logistic or ridge regression. "real" trains them on the training rows themselves, and "independent" on
rows whose columns are shuffled apart. Privacy is the median distance of synthetic rows to the nearest training row,
over that of the test rows: near 1 the generator does not copy, near 0 it does.

TVAE runs with its defaults in a Python of its own that has `ctgan` (0.12 asks for torch): --tvae-python, or this one.
Each result is a line of --results, and what is there already is not run again. --report prints the table of them.
"""

import argparse
import importlib.util
import itertools
import json
import os
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
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TVAE = pathlib.Path(__file__).parent / "contenders" / "table_tvae.py"
STEPS = 3000


def of_sklearn(name):
    found = getattr(datasets, f"load_{name}")()
    columns = dict(zip(map(str, found.feature_names), found.data.T))
    names = getattr(found, "target_names", None)
    target = found.target if names is None else np.asarray(names).astype(str)[found.target]
    return data.Table({**columns, "target": target}), "target"


def in_package(package, path):
    spec = importlib.util.find_spec(package)
    return None if spec is None else pathlib.Path(spec.origin).parent / path


def penguins():
    path = in_package("palmerpenguins", "data/penguins.csv")
    return path and (data.Table.from_csv(path), "species")


def cars():
    path = in_package("vega_datasets", "_data/cars.json")
    if path is None:
        return None
    rows = json.loads(path.read_text())
    columns = {name: np.array([row[name] for row in rows], object) for name in rows[0] if name != "Name"}
    columns["Year"] = np.array([float(row["Year"][:4]) for row in rows])
    return data.Table(columns), "Origin"


def weather():
    path = in_package("vega_datasets", "_data/seattle-weather.csv")
    if path is None:
        return None
    columns = data.Table.from_csv(path).columns
    month = np.array([float(date.split("/")[0]) if "/" in date else float(date[5:7]) for date in columns.pop("date")])
    return data.Table({"month": month, **columns}), "weather"


# Functions that give a table and the name of the column to predict; None without the package.
SETS = {
    **{name: (lambda name=name: of_sklearn(name)) for name in ("iris", "wine", "breast_cancer", "diabetes")},
    "penguins": penguins,
    "cars": cars,
    "weather": weather,
}


def complete(table):
    """The rows without missing cells."""
    missing = np.any([table.missing(name) for name in table], axis=0)
    return table.take(np.flatnonzero(~missing))


def split(table, target, seed):
    """Training and test rows; of classes with the same shares."""
    classes = table[target] if table[target].dtype.kind == "U" else None
    rows = train_test_split(np.arange(len(table)), test_size=0.2, random_state=seed, stratify=classes)
    return tuple(table.take(part) for part in rows)


def ours(train, schema, seed, steps=STEPS, latent_dim=16, hidden=(128, 128), patience=None):
    """A `TableModel` with the settings of `recipes/table_vae.py`, but for fixed steps and no validation rows."""
    keras.utils.set_random_seed(seed)
    model = TableModel.build(schema, latent_dim, hidden, masked=False, seed=seed)
    rows, validation = train.cut(len(train) // 8) if patience else (train, None)
    per_epoch = -(-len(rows) // 64)
    model.fit(rows, validation, -(-steps // per_epoch), 64, 2e-3, patience, seed=seed)
    return model.sample(len(train), seed)


def independent(train, schema, seed):
    draw = np.random.default_rng(seed)
    return data.Table({name: draw.permutation(values) for name, values in train.columns.items()})


def real(train, schema, seed):
    return train


CONTENDERS = {"ours": ours, "independent": independent, "real": real}


def tvae(train, schema, seed, python):
    """Rows of CTGAN's TVAE with its defaults, by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        train.to_csv(folder / "train.csv")
        discrete = [column.name for column in schema.columns if column.kind != "number"]
        (folder / "discrete.json").write_text(json.dumps(discrete))
        subprocess.run([str(python), str(TVAE), str(folder), str(seed)], check=True, stdout=subprocess.DEVNULL)
        return data.Table.from_csv(folder / "synthetic.csv")


def numbers(schema, table, target):
    """What the judging models see: numbers scaled, categories one-hot; and the target as it is."""
    x, _ = schema.encode(table)
    kept = np.ones(schema.size, bool)
    kept[schema.places[target]] = False
    return x[:, kept], table[target]


def utility(schema, synthetic, test, target, seed):
    """Accuracy or R² on the test rows: dict of two models' scores."""
    (x, y), (test_x, test_y) = numbers(schema, synthetic, target), numbers(schema, test, target)
    if y.dtype.kind == "U":
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        forest = RandomForestClassifier(100, random_state=seed)
        if len(set(y)) == 1:
            return dict.fromkeys(("forest", "linear"), float(np.mean(test_y == y[0])))
    else:
        linear, forest = make_pipeline(StandardScaler(), Ridge()), RandomForestRegressor(100, random_state=seed)
    return {
        name: float(each.fit(x, y).score(test_x, test_y)) for name, each in {"forest": forest, "linear": linear}.items()
    }


def compete(name, contender, table, target, seed, python):
    train, test = split(table, target, seed)
    schema = data.Schema.of(train)
    began, cpu = time.perf_counter(), sum(os.times()[:4])  # of child processes too
    make = CONTENDERS.get(contender)
    synthetic = make(train, schema, seed) if make else tvae(train, schema, seed, python)
    taken = {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(sum(os.times()[:4]) - cpu, 1)}
    judge = TableModel.build(schema, 1, (1,), masked=False)  # for its distances
    distances = {
        key: float(np.median(judge.nearest(rows, train))) for key, rows in (("synthetic", synthetic), ("test", test))
    }
    return {
        "set": name, "contender": contender, "seed": seed, "rows": len(train), "columns": len(table.names),
        **utility(schema, synthetic, test, target, seed), "distance": distances["synthetic"],
        "distance_of_test": distances["test"], **taken,
    }  # fmt: skip


def report(results):
    """The lines of a table: means with standard errors over the seeds that all contenders of a set have."""
    of = {}
    for row in results:
        of.setdefault((row["set"], row["contender"]), {})[row["seed"]] = row
    contenders = [name for name in ("real", "ours", "tvae", "independent") if any(key[1] == name for key in of)]
    lines = ["| set | rows, columns | seeds | " + " | ".join(contenders) + " | distance: ours | distance: tvae |"]
    lines.append("|---" * (len(contenders) + 5) + "|")
    for name in dict.fromkeys(row["set"] for row in results):
        first = next(row for row in results if row["set"] == name)
        there = [of[name, contender] for contender in contenders if (name, contender) in of]
        seeds = sorted(set.intersection(*map(set, there)))
        cells = [f"{first['rows']}, {first['columns']}", str(len(seeds))]
        for contender in contenders:
            rows = of.get((name, contender), {})
            scores = [(rows[seed]["forest"] + rows[seed]["linear"]) / 2 for seed in seeds if rows]
            error = np.std(scores, ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else float("nan")
            cells.append(f"{np.mean(scores):.3f} ± {error:.3f}" if scores else "")
        for contender in ("ours", "tvae"):
            rows = of.get((name, contender), {})
            found = [rows[seed]["distance"] / rows[seed]["distance_of_test"] for seed in seeds if rows]
            cells.append(f"{np.mean(found):.2f}" if found else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, required=True, help="a file.jsonl")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument(
        "--contenders", nargs="+", choices=[*CONTENDERS, "tvae"], default=["real", "independent", "ours"]
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--tvae-python", help="a Python that has ctgan; adds the contender tvae")
    parser.add_argument("--report", action="store_true", help="print the table of the results alone")
    flags = parser.parse_args(argv)
    contenders = [*flags.contenders, *(["tvae"] if flags.tvae_python and "tvae" not in flags.contenders else [])]
    known = [json.loads(line) for line in flags.results.read_text().splitlines()] if flags.results.exists() else []
    if not flags.report:
        print(machine.line())
        done = {(row["set"], row["contender"], row["seed"]) for row in known}
        found = {name: SETS[name]() for name in flags.sets}
        for name in [name for name, table in found.items() if table is None]:
            print(f"{name}: left out, as its package is missing")
            del found[name]
        # Seed by seed: a run that is stopped has compared all sets.
        for seed, name, contender in itertools.product(flags.seeds, found, contenders):
            if (name, contender, seed) in done:
                continue
            table, target = found[name]
            row = compete(name, contender, complete(table), target, seed, flags.tvae_python or sys.executable)
            known.append(row)
            flags.results.parent.mkdir(parents=True, exist_ok=True)
            with open(flags.results, "a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)
    print("\n".join(report(known)))
    return known


if __name__ == "__main__":
    main()
