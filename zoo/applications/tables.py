"""Tables: a VAE of rows that takes and gives columns by name, samples rows, scores them and fills them in."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from zoo import data, networks, random
from zoo.applications import _table_rows, _table_signatures
from zoo.applications.imputation import impute
from zoo.data.columns import Value
from zoo.likelihoods import Categorical, GaussianColumns, Likelihood, Masked, Mixed, Ordinal
from zoo.models import VAE
from zoo.priors import LatentPrior
from zoo.runtime import checks, files
from zoo.runtime.types import Array, PathLike

_STEPS = 50  # the least number of steps between two evaluations


def likelihood_of(
    schema: data.Schema, minimum: float = 0.05, masked: bool = False, initial_sigma: float = 1.0
) -> Likelihood:
    """The likelihood of a table's rows, which keeps the schema.

    Args:
        schema: `zoo.data.Schema`.
        minimum: float > 0, the least σ of a number, in units of its standard normal scale.
        masked: bool, whether examples are values beside their mask (`zoo.likelihoods.Masked`).
        initial_sigma: float > 0, σ of every number before training, in the same units.
    """
    parts: list[tuple[Likelihood, int]] = []
    if schema.numbers:
        parts.append((GaussianColumns(len(schema.numbers), minimum, initial_sigma), len(schema.numbers)))
    if schema.levels:
        parts.append((Ordinal([len(column.levels) for column in schema.levels]), len(schema.levels)))
    parts += [(Categorical(), column.size) for column in schema.categories]
    likelihoods, channels = zip(*parts)
    mixed = Mixed(likelihoods, channels, columns=schema.get_config())
    return Masked(mixed) if masked else mixed


class TableModel:
    """A VAE of the rows of a table, with the schema of its columns.

    The schema is a part of the model's likelihood: `save`, `.keras` files, presets and exports keep it.

    Args:
        model: a `zoo.VAE` or a subclass, not conditional, whose likelihood is `zoo.likelihoods.Mixed` with `columns`,
            or `Masked` around one. `TableModel.build` makes one for a table.

    Raises:
        ValueError: for another model.

    Example:
        >>> table = zoo.data.Table({"age": [31, 50, 27, 60], "city": ["Bern", "Ulm", "Bern", "Ulm"]})
        >>> rows = zoo.applications.TableModel.build(table, latent_dim=2, hidden=(8,), seed=0)
        >>> rows.fit(table, epochs=1)
        >>> rows.sample(3, seed=7, given={"city": "Ulm"})["city"].tolist()
        ['Ulm', 'Ulm', 'Ulm']
    """

    def __init__(self, model: keras.Model) -> None:
        judge = getattr(model, "likelihood", None)
        self.masked = isinstance(judge, Masked)
        mixed = judge.likelihood if isinstance(judge, Masked) else judge
        if not isinstance(mixed, Mixed) or mixed.columns is None or not isinstance(model, VAE) or model.conditional:
            checks.fail("model", "a zoo.VAE of tables, as TableModel.build makes it", type(model).__name__)
        self.model, self.mixed = model, mixed
        self.schema = data.Schema.from_config(mixed.columns)

    @classmethod
    def build(
        cls,
        table: data.Table | data.Schema,
        latent_dim: int = 16,
        hidden: tuple[int, ...] = (128, 128),
        masked: bool | None = None,
        prior: LatentPrior | None = None,
        seed: int | None = None,
        initial_sigma: float = 1.0,
    ) -> Self:
        """An untrained model for a table.

        Args:
            table: the training rows, or a schema of them.
            latent_dim, hidden: as in `zoo.networks.mlp_encoder`.
            masked: bool, whether the encoder sees which values are missing and the likelihood leaves them out; None:
                if the schema's table has missing values. A schema alone asks for a bool.
            prior, seed: as in `zoo.VAE`; `keras.utils.set_random_seed` before this call fixes the initial weights too.
            initial_sigma: float > 0, σ of every number before training; 1 is the spread of a column, 0.05 the least σ.
                A short training ends near it. Where columns depend closely on each other a smaller one, such as 0.3,
                has the higher likelihood; on few rows it fits their noise. Choose by `score` of held-out rows.
        """
        schema = table if isinstance(table, data.Schema) else data.Schema.of(table)
        if masked is None:
            if isinstance(table, data.Schema):
                checks.fail("masked", "True or False, where only a schema is given", None)
            masked = not bool(schema.encode(table)[1].all())
        judge = likelihood_of(schema, masked=masked, initial_sigma=initial_sigma)
        width = schema.size * (2 if masked else 1)
        encoder = networks.mlp_encoder((width,), latent_dim, hidden)
        decoder = networks.mlp_decoder((judge.params_size(width),), latent_dim, hidden)
        return cls(VAE(encoder, decoder, judge, seed=seed, prior=prior))

    def features(self, table: data.Table) -> np.ndarray:
        """The rows as the model takes them: float32 `[N,F]`, with the mask behind them for a masked model.

        Raises:
            ValueError: in rows for a model without masks, for a number that is missing or beyond the levels of its
                column.
        """
        x, mask = self.schema.encode(table)
        if not len(x):
            checks.fail("table", "one of one row or more", "0 rows")
        if self.masked:
            return np.concatenate([x, mask], axis=1)
        for column in (*self.schema.numbers, *self.schema.levels):
            missing = np.flatnonzero(mask[:, self.schema.places[column.name].start] == 0)
            if len(missing):
                raise ValueError(
                    "Expected `table` to be one without missing numbers and levels, as the model was built with "
                    f"masked=False. Received: one that is missing, or beyond the levels, in {column.name!r}, row "
                    f"{missing[0]}, counted from 0"
                )
        return x

    def fit(
        self,
        table: data.Table,
        validation: data.Table | None = None,
        epochs: int = 300,
        batch_size: int = 128,
        learning_rate: float = 2e-3,
        patience: int | None = None,
        hide: float = 0.0,
        seed: int = 0,
        verbose: int = 0,
    ) -> keras.callbacks.History:
        """Trains by Adam, with a cosine decay of the learning rate.

        The history has an entry for each pass over the rows, or for each 50 steps if a pass has fewer.

        Args:
            table: training rows.
            validation: rows that are not trained on, or None.
            epochs, batch_size, learning_rate: of the training.
            patience: int >= 1: with `validation`, stop after as many entries of the history without a better ELBO, and
                take the weights of the best one; None trains to the end.
            hide: float in [0, 1), the share of known values that the encoder of a masked model does not see, drawn
                anew for each example and step; the likelihood judges all known ones. It learns to fill in.
            seed: int, of the order and of the hidden values.
            verbose: as in Keras's `fit`.

        Raises:
            ValueError: for arguments out of range, `patience` without `validation`, `hide` for a model without masks,
                and rows that lack a column.
        """
        hide = checks.number("hide", hide, 0.0, 1.0, open_high=True)
        if hide and not self.masked:
            checks.fail("hide", "0 for a model without masks", hide)
        checks.number("learning_rate", learning_rate, 0.0, open_low=True)
        if patience is not None and validation is None:
            checks.fail("patience", "None without `validation`, whose ELBO it watches", patience)
        x, batch_size = self.features(table), checks.positive_int("batch_size", batch_size)
        total = -(-len(x) // batch_size) * checks.positive_int("epochs", epochs)
        steps = min(total, max(-(-len(x) // batch_size), _STEPS))
        rate = keras.optimizers.schedules.CosineDecay(learning_rate, total)
        together = max(number for number in range(1, 11) if steps % number == 0)
        self.model.compile(keras.optimizers.Adam(rate), steps_per_execution=together)
        rows = tf.data.Dataset.from_tensor_slices(x).shuffle(len(x), seed=seed).batch(batch_size).repeat()
        known = None if validation is None else tf.data.Dataset.from_tensor_slices(self.features(validation)).batch(512)
        if hide:
            rows = rows.map(self._hidden(hide, seed))
        stop: list[keras.callbacks.Callback] = []
        if patience is not None:
            checks.positive_int("patience", patience)
            stop = [keras.callbacks.EarlyStopping("val_elbo", 0.0, patience, mode="max", restore_best_weights=True)]
        return self.model.fit(
            rows.prefetch(2), validation_data=known, steps_per_epoch=steps, epochs=-(-total // steps), callbacks=stop,
            verbose=verbose, shuffle=False,
        )  # fmt: skip

    def _hidden(self, hide, seed):
        generator = tf.random.Generator.from_seed(seed)

        def batch(x):
            return self.schema.hide(x, generator.uniform((tf.shape(x)[0], len(self.schema.places))), hide), x

        return batch

    def sample(
        self,
        num_rows: int,
        seed: int | None = None,
        temperature: float = 1.0,
        given: Mapping[str, Value | Array] | None = None,
        candidates: int = 512,
    ) -> data.Table:
        """Samples rows from p(x), or from p(x|given).

        With `given`, z is chosen among `candidates` samples of the prior by weights p(given|z) (sampling importance
        resampling), and the other columns are sampled from p(x|z). More candidates come closer to p(x|given): with few
        of them a rare value is met by the nearest z that was drawn.

        Args:
            num_rows: int >= 1.
            seed: as in `model.sample`: a row depends on its own seed alone; None samples anew.
            temperature: float >= 0, multiplies the prior's standard deviation.
            given: dict of column names to a value, or to one for each row.
            candidates: int >= 1.

        Returns:
            `zoo.data.Table`, without missing values.

        Raises:
            ValueError: for arguments out of range, an unknown column or an unknown category.
        """
        if not given:
            x = self.model.sample(num_rows, seed, temperature, observe=True)
            return self.schema.decode(np.asarray(x)[:, : self.schema.size])
        seeds, temperatures = self.model._rows(num_rows, seed, temperature)
        conditions = _table_rows.Conditions(self.schema, given, num_rows)
        return _table_rows.sample(self.model, self.mixed, conditions, seeds, temperatures, candidates)

    def score(self, table: data.Table, num_samples: int = 64, seed: int = 0) -> np.ndarray:
        """−log p of each row, the higher the more unusual: the importance-weighted bound, float64 `[N]`, nats.

        A density of the scaled features. Missing values count nothing, and so do unknown categories and numbers beyond
        the levels of a column, of which a warning tells: compare rows that miss the same columns. A model with
        masked=False refuses rows without a number or level.
        """
        x = self.features(table)
        seeds = np.full(len(x), int(random.fold_in(checks.fixed_seed("seed", seed), 0)), np.int32)
        return -np.asarray(self.model.log_prob(x, num_samples, seeds), np.float64)

    def nearest(self, table: data.Table, training: data.Table) -> np.ndarray:
        """The distance of each row to the nearest training row, float64 `[N]`: synthetic rows that copy have 0.

        Compare it with the distances of rows that were not trained on. Euclidean, of the features: scaled numbers,
        levels in [0, 1], and 1 for two different categories. Missing values count as 0.
        """
        from sklearn.neighbors import NearestNeighbors

        scale = np.ones(self.schema.size)
        for column in self.schema.categories:
            scale[self.schema.places[column.name]] = np.sqrt(0.5)
        for name, given in (("table", table), ("training", training)):
            if not len(given):
                checks.fail(name, "a table of one row or more", "0 rows")
        rows, known = (self.schema.encode(each)[0] * scale for each in (table, training))
        return NearestNeighbors(n_neighbors=1).fit(known).kneighbors(rows)[0][:, 0].astype(np.float64)

    def impute(self, table: data.Table, draw: bool = False, num_samples: int = 64, seed: int = 0) -> data.Table:
        """The table with its missing cells filled in; all others are unchanged.

        Categories that the schema does not have, and numbers beyond the levels of a column, stay too, though they tell
        the model nothing. Columns that the schema does not have, such as names, stay as they are.

        Args:
            table: rows with missing cells.
            draw: bool, whether to sample the cells from p(missing|known). Without it a number is the one at the mean
                of its quantile: about the median, which of skewed numbers, such as incomes, is far from the mean. For
                sums and means of a filled table, draw, and average over several seeds.
            num_samples, seed: as in `zoo.applications.impute`.
        """
        x, mask = self.schema.encode(table)
        filled = impute(
            self.model, x, mask, num_draws=1 if draw else None, num_samples=num_samples, seed=seed, steps=10
        )
        found = self.schema.decode(filled[0] if draw else filled).columns
        for name, values in found.items():
            found[name] = np.where(table.missing(name), values, table[name])
        return data.Table({name: found.get(name, values) for name, values in table.columns.items()})

    def save(self, path: PathLike) -> None:
        """Writes a `.keras` file, which `load` reads; `keras.models.load_model` gives its model."""
        self.model.save(path)

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """The model of a file that `save` wrote."""
        return cls(keras.models.load_model(path))

    def export(self, path: PathLike, **kwargs: Any) -> pathlib.Path:
        """Exports the model as `model.export` does, with `sample_observed`, and the schema in `table.json`.

        A SavedModel also has `sample_columns`, `encode_columns`, `reconstruct_columns` and `log_prob_columns`, with one
        tensor `[B]` for each column: float32 with NaN for missing, or strings with "" for missing. Tensors have the
        columns' names, with "_" for what a name of a tensor must not have; `tensors` in `table.json` says which is
        which. A TFLite file has features only; `table.json`, beside it as NAME.table.json, says how to make them.

        Args:
            path, kwargs: as in `zoo.export.export`.

        Returns:
            path of the version folder, or of the file.
        """
        names = _table_signatures.tensor_names(self.schema)
        content = {**self.schema.get_config(), "tensors": names, "masked": self.masked}
        litert = pathlib.Path(path).suffix == ".tflite" or kwargs.get("format") in ("litert", "onnx")
        if not litert:
            more, cases = _table_signatures.of(self.model, self.schema, self.masked)
            kwargs = {"more": more, "more_cases": cases, **kwargs}
        written = self.model.export(path, observe=True, **kwargs)
        target = written.with_suffix(".table.json") if written.is_file() else written / "table.json"
        if not litert:
            target = written / "assets.extra" / "table.json"
        files.write_json(target, json.loads(json.dumps(content)))
        return written
