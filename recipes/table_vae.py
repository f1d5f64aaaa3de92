"""VAE of the rows of a table: synthetic rows, rows given some columns, anomaly scores, and missing cells filled in.

    python recipes/table_vae.py --csv FILE
    python recipes/table_vae.py --csv FILE --kinds zip=categorical id=ignore --given city=Bern
    python recipes/table_vae.py --sample

The kinds of the columns (continuous, integer, ordinal, categorical) are inferred and printed; --kinds changes them.
Cells that are empty, NA, NaN or "?" are missing: the encoder sees which, and the likelihood leaves them out. A tenth of
the rows is used for validation and another tenth for testing. `zoo.applications.TableModel.load` reads `model.keras`,
and the SavedModel takes and gives columns by name. Written to --output, besides what all recipes write:

- `synthetic.csv`, --rows synthetic rows by --seed; `given.csv`, as many with the columns of --given;
- `scores.csv`, −log p of each row of FILE, nats: the highest are the most unusual; `imputed.csv`, FILE with its missing
  cells filled in, without the columns that are ignored;
- `table.png`.

--sample takes the wines of scikit-learn, 178 rows of 13 numbers and a class, and hides a twentieth of their cells.

Hardware: two CPU cores. Time of --sample: 39 seconds of CPU time, 9 of them training. Seed 0: −log p of the test rows
16.1 nats; of the hidden cells, the squared error over the column's variance is 0.65, and no cultivar is wrong.
"""

import dataclasses
import functools
import pathlib

import numpy as np
from matplotlib.figure import Figure

from zoo import data, training
from zoo.applications import TableModel
from zoo.data.columns import require_known
from zoo.runtime import checks

_SHOWN = 4  # columns in the picture
_VALUES = 8  # of a column of texts in it


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of a run: the whole table, and its three parts; `truth` has the cells that `--sample` hid."""

    whole: data.Table
    train: data.Table
    validation: data.Table
    test: data.Table
    truth: data.Table | None = None


def wines():
    """The wines of scikit-learn: as they are, and with a twentieth of the cells missing."""
    from sklearn.datasets import load_wine

    found = load_wine()
    columns = dict(zip(found.feature_names, found.data.T))
    truth = data.Table({**columns, "cultivar": np.array(["first", "second", "third"])[found.target]})
    draw = np.random.default_rng(0)
    hidden = {}
    for name, values in truth.columns.items():
        nothing = "" if values.dtype.kind == "U" else np.nan
        hidden[name] = np.where(draw.uniform(size=len(values)) < 0.05, nothing, values)
    return truth, data.Table(hidden)


def pairs(texts, flag):
    """{"a": "b"} of ["a=b"]."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            checks.fail(flag, "NAME=VALUE", text)
        if name in found:
            checks.fail(flag, "a value for each name", f"{name}={found[name]} and {text}")
        found[name] = value
    return found


def imputation_error(rows, imputed):
    """Means over the hidden cells: squared error over the column's variance, and the share of wrong classes."""
    squared, wrong = [], []
    for name in imputed:
        hidden = rows.whole.missing(name)
        if not hidden.any():
            continue
        truth, found = rows.truth[name], imputed[name]
        if truth.dtype.kind == "U":
            wrong.append(truth[hidden] != found[hidden])
        else:
            squared.append((truth[hidden] - found[hidden]) ** 2 / truth.var())
    return {
        "imputed_nmse": float(np.mean(np.concatenate(squared))),
        "imputed_wrong": float(np.mean(np.concatenate(wrong))),
    }


def plot_shares(axis, real, synthetic):
    """Bars of the shares of the commonest values."""
    values, counts = np.unique(real, return_counts=True)
    values = values[np.argsort(-counts, kind="stable")][:_VALUES]
    for offset, (label, found) in zip((-0.2, 0.2), (("real", real), ("synthetic", synthetic))):
        shares = [np.mean(found == value) for value in values]
        axis.bar(np.arange(len(values)) + offset, shares, 0.4, alpha=0.5, label=label)
    axis.set_xticks(np.arange(len(values)), [value[:12] for value in values], rotation=30)


def plot(rows, synthetic, scores, given, path, condition=""):
    """Histograms of some columns, real and synthetic; two columns against each other; and the scores."""
    numbers = [name for name in synthetic if rows.whole[name].dtype.kind == "f"]
    numbers = numbers[: _SHOWN - 1] + numbers[_SHOWN - 1 :][-1:]
    texts = [name for name in synthetic if rows.whole[name].dtype.kind == "U"]
    figure = Figure(figsize=(12, 6), layout="constrained")
    axes = figure.subplots(2, _SHOWN, squeeze=False)
    for axis, name in zip(axes[0], [*numbers, *texts]):
        known = rows.whole[name][~rows.whole.missing(name)]
        if name in texts:
            plot_shares(axis, known, synthetic[name])
        else:
            bins = np.histogram_bin_edges(known, 20)
            axis.hist(known, bins, density=True, alpha=0.5, label="real")
            axis.hist(synthetic[name], bins, density=True, alpha=0.5, label="synthetic")
        axis.set_title(name)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    if len(numbers) > 1:
        first, second = numbers[0], numbers[-1]
        several = {"real": rows.whole, "synthetic": synthetic, **({f"synthetic, {condition}": given} if given else {})}
        for axis, (title, table) in zip(axes[1], several.items()):
            axis.scatter(table[first], table[second], s=6)
            axis.set(title=title, xlabel=first, ylabel=second, xlim=axes[1, 0].get_xlim(), ylim=axes[1, 0].get_ylim())
    axes[1, -1].hist(scores, 20)
    axes[1, -1].set(title="−log p of the rows", xlabel="nats")
    for axis in axes.flat:
        axis.set_visible(axis.has_data())
    figure.savefig(path, dpi=80)


def typed(schema, given):
    """The values of --given in the types of their columns; raises ValueError for a name that is no column."""
    text = {column.name: column.text for column in schema.columns}
    for name in given:
        checks.one_of("--given", name, list(text))
    return {name: value if text[name] else number(name, value) for name, value in given.items()}


def number(name, value):
    try:
        return float(value)
    except ValueError:
        checks.fail("--given", f"a number for the column {name}", value)


@dataclasses.dataclass(frozen=True)
class Flags:
    csv: pathlib.Path | None = training.flag(None, "a CSV file with names in its first line")
    sample: bool = training.flag(False, "the wines of scikit-learn")
    delimiter: str = training.flag(",", "between the cells; 'tab' for tabs", only={"csv": None})
    kinds: tuple[str, ...] | None = training.flag(None, "NAME=KIND: kinds of columns")
    given: tuple[str, ...] | None = training.flag(
        None, "NAME=VALUE: columns of given.csv", sample=("cultivar=first",), free=True
    )
    rows: int = training.flag(1000, "synthetic rows", free=True)
    latent_dim: int = training.flag(8, "dimensions of z")
    hidden: tuple[int, ...] = training.flag((128, 128), "units of the layers")
    hide: float = training.flag(0.1, "share of cells hidden from the encoder in training")

    def __post_init__(self):
        if self.sample == (self.csv is not None):
            checks.fail("--csv", "a file, or left out with --sample", None if self.csv is None else str(self.csv))
        pairs(self.kinds or (), "--kinds"), pairs(self.given or (), "--given")
        checks.positive_int("--rows", self.rows)
        checks.number("--hide", self.hide, 0.0, 1.0, open_high=True)


@functools.lru_cache(1)
def table(flags):
    """The rows, and the schema of those that train."""
    truth, found = wines() if flags.sample else (None, data.Table.from_csv(flags.csv, delimiter=flags.delimiter))
    if len(found) < 3:
        checks.fail("--csv", "a file of three rows or more, for training, validation and testing", len(found))
    tenth = max(1, len(found) // 10)
    rest, test = found.cut(tenth)
    train, validation = rest.cut(tenth)
    kinds = pairs(flags.kinds or (), "--kinds")
    for name in kinds:
        checks.one_of("--kinds", name, list(found))
    return Rows(found, train, validation, test, truth), data.Schema.of(train, kinds)


@dataclasses.dataclass(frozen=True)
class Part:
    """Features beside their mask, float32 `[N, 2·size]`, and the share of cells to hide from the encoder."""

    features: np.ndarray
    schema: data.Schema
    hide: float

    def __len__(self):
        return len(self.features)


def load(flags, shape, disk_folder):
    rows, schema = table(flags)
    parts = ((rows.train, flags.hide), (rows.validation, 0.0), (rows.test, 0.0))
    return data.Splits(*(Part(np.hstack(schema.encode(part)), schema, hide) for part, hide in parts))


def batches(part, batch_size, **how):
    def hidden(x, uniform):
        return part.schema.hide(x, uniform([len(part.schema.places)]), part.hide), x

    return data.example_batches(part.features, batch_size, change=hidden if part.hide else None, **how)


def build(flags, shape, seed):
    _, schema = table(flags)
    given = typed(schema, pairs(flags.given or (), "--given"))
    for name, value in given.items():  # refused before the training
        column = next(column for column in schema.columns if column.name == name)
        require_known(column, np.array([value]), "--given")
    known = {column.name: column for column in schema.columns}
    for name in table(flags)[0].whole:
        column = known.get(name)
        print(f"{name}: {'ignored' if column is None else f'{column.user_kind}, features: {column.size}'}")
    return TableModel.build(schema, flags.latent_dim, flags.hidden, masked=True, seed=seed).model


def finish(flags, model, splits, folder, seed):
    """Writes tables and the picture; returns −log p of the test rows, distances, and errors of filled cells."""
    (rows, schema), table_model = table(flags), TableModel(model)
    given = typed(schema, pairs(flags.given or (), "--given"))
    written = {"synthetic": table_model.sample(flags.rows, seed), "imputed": table_model.impute(rows.whole, seed=seed)}
    if given:
        written["given"] = table_model.sample(flags.rows, seed, given=given)
    for name, found in written.items():
        found.to_csv(folder / f"{name}.csv")
    scores = table_model.score(rows.whole)
    data.Table({"row": np.arange(len(scores)), "nats": scores}).to_csv(folder / "scores.csv")
    condition = ", ".join(flags.given or ())
    plot(rows, written["synthetic"], scores, written.get("given"), folder / "table.png", condition)
    figures = {"test_nats": float(table_model.score(rows.test).mean())}
    for name, found in (("synthetic", written["synthetic"]), ("test", rows.test)):
        figures[f"distance_to_training_{name}"] = float(np.median(table_model.nearest(found, rows.train)))
    return figures | (imputation_error(rows, written["imputed"]) if flags.sample else {})


main = training.script(
    __name__,
    __file__,
    __doc__,
    image_shape=lambda flags: (2 * table(flags)[1].size,),
    build=build,
    flags=Flags,
    load=load,
    training_data=lambda flags: "the wines of scikit-learn" if flags.sample else f"the rows of {flags.csv}",
    examples=training.Examples(
        noun="rows",
        batches=batches,
        finish=finish,
        some=lambda part, number: part.features[:number],
        exporter=lambda flags, model: TableModel(model).export,
    ),
    epochs=30,
    epoch_steps=50,
    batch_size=64,
    learning_rate=2e-3,
)
