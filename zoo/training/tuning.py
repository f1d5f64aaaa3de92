"""Trains a recipe's model with several weights of the KL and several numbers of latents, on a slice of its data.

A folder holds the state: `settings.json`, and `results.csv` with a row for each model, written as soon as it is
trained. The picture shows the whole grid, and nothing is proposed from earlier results. A table that is read again
therefore does all that a search library with its database would do.
"""

import contextlib
import csv
import dataclasses
import functools
import json
import math
import pathlib
import shutil
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo import callbacks, data, evaluation
from zoo._compat import tensorflow as tf_compat
from zoo.evaluation import Point
from zoo.evaluation.rows import standard_error
from zoo.models import VAEAC
from zoo.runtime import checks, cores, files
from zoo.training import devices, model_stage, monitors, options, run
from zoo.training.flags import RunFlags, parse
from zoo.training.options import typed
from zoo.training.recipe import ImageShape, Recipe

_VALIDATION = 1000  # validation images that judge a model
_OWN = ("--beta", "--latent-dim", "--output", "--epochs")  # flags of a recipe that the grid sets
_SCHEDULES = (callbacks.KLWarmup, callbacks.CapacityWarmup, callbacks.GECO)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
    """The models to train.

    Args:
        betas: floats > 0.
        latents: ints >= 1; None for half, once and twice the recipe's default.
        epochs: int >= 1, of each model.
        images: int >= 1, training images of each model.
    """

    betas: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    latents: tuple[int, ...] | None = None
    epochs: int = 20
    images: int = 4000

    def __post_init__(self) -> None:
        for beta in self.betas:
            checks.number("--betas", beta, 0.0, open_low=True)
        for latents in self.latents or ():
            checks.positive_int("--latents", latents)
        checks.positive_int("--epochs", self.epochs)
        checks.positive_int("--slice", self.images)


@dataclasses.dataclass(frozen=True)
class Tuned:
    """The outcome: all points of the folder, the recommended one, and the recipe's flags for it, as text."""

    points: list[Point]
    recommendation: evaluation.Recommendation
    flags: str


def is_tunable(recipe: Recipe) -> bool:
    """Whether the recipe is one of images with the flag `--latent-dim`, without which there is nothing to tune."""
    return recipe.examples is None and "latent_dim" in _own_fields(recipe)


def tune(recipe: Recipe, argv: Sequence[str], grid: Grid, folder: pathlib.Path, fresh: bool = False) -> Tuned:
    """Trains the models of a grid that `folder` does not hold yet, and recommends one of all that it holds.

    The weight β is the recipe's `--beta`, or the `kl_weight` of its model if it has no such flag. Each model is trained
    on the same slice of the training images, and judged by the same validation images; test images are not used. The
    model in training keeps its checkpoints in `folder`, and the same call goes on from there.

    Args:
        recipe: `Recipe`.
        argv: strs, further flags of the recipe.
        grid: `Grid`.
        folder: path.
        fresh: bool, whether to start over.

    Raises:
        ValueError: for a recipe whose β or number of latents cannot be set, and for a folder of other settings.
        SystemExit: as in `zoo.training.main`.
    """
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    points = _points(recipe, grid)
    flags = _flags(recipe, argv, grid, folder, *points[0])
    _require_same_settings(folder, flags, grid)
    files.sweep(folder)
    rows = read_rows(folder / "results.csv")
    done = {(row["beta"], row["latents"]) for row in rows}
    missing = [point for point in points if point not in done]
    with run.errors_as_statuses(recipe, flags.strategy), run.precision(flags.mixed_precision), _without_advice():
        parts = flags.parts or devices.best_parts(flags.strategy, [flags.batch_size])
        with cores.sub_batches(parts):
            strategy = devices.start_strategy(flags.strategy, recipe.name)
            devices.require_whole_shares({"--batch-size": flags.batch_size}, strategy.num_replicas_in_sync)
            splits = None
            for number, (beta, latents) in enumerate(missing, start=1):
                print(f"model {number} of {len(missing)}: β = {beta:g}, {latents} latents", flush=True)
                flags = _flags(recipe, argv, grid, folder / f"beta_{beta:g}_latents_{latents}", beta, latents)
                with tf_compat.gradients_let_go():
                    with strategy.scope():
                        model = _build(recipe, flags, beta)
                    splits = splits or _slices(recipe, flags, grid)
                    rows.append({"beta": beta, "latents": latents, **_measure(recipe, flags, model, splits)})
                files.write_csv(folder / "results.csv", rows)
                shutil.rmtree(flags.output, ignore_errors=True)
                keras.utils.clear_session()
    found = [Point(**{name: row[name] for name in Point.__dataclass_fields__}) for row in rows]
    recommendation = evaluation.recommend(found, None if "beta" in _own_fields(recipe) else 1.0)
    return Tuned(found, recommendation, _flags_for(recipe, recommendation.point))


def read_rows(path: pathlib.Path) -> list[dict[str, Any]]:
    """The rows of a table of results; none if there is no such file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        kinds = {"latents": int, "active_units": int}
        return [{name: kinds.get(name, float)(value) for name, value in row.items()} for row in csv.DictReader(file)]


@contextlib.contextmanager
def _without_advice():
    """A context in which TensorFlow does not advise against tracing, which each further model needs."""
    logger = tf.get_logger()
    before = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(before)


def _own_fields(recipe):
    return {field.name: field for field in dataclasses.fields(recipe.flags)}


def _points(recipe, grid):
    """The pairs (β, number of latents) of a grid, without repetitions."""
    if not is_tunable(recipe):
        checks.fail("recipe", "one with the flag --latent-dim", recipe.name)
    default = _own_fields(recipe)["latent_dim"].default
    latents = grid.latents or (max(1, default // 2), default, 2 * default)
    return list(dict.fromkeys((float(beta), number) for number in latents for beta in grid.betas))


def _flags(recipe, argv, grid, output, beta, latents):
    """The checked flags of the run of one model, whose folder is `output`."""
    for name in _OWN:
        if any(word.split("=")[0] == name for word in argv):
            raise ValueError(f"Expected `{name}` to be left to the grid of a tune. Received: {' '.join(argv)}")
    values = {"latent_dim": latents, "epochs": grid.epochs, "output": output}
    if "beta" in _own_fields(recipe):
        values["beta"] = beta
        _require_beta(recipe, parse(recipe, [*argv, "--output", str(output)]).own)
    flags = parse(recipe, [*argv, *(word for name, value in values.items() for word in (typed(name), str(value)))])
    if flags.shards:
        checks.fail("--shards", "left out of a tune, which takes a part of the images into memory", flags.shards)
    return flags


def _require_beta(recipe, own):
    """Raises ValueError if `--beta` does not count beside the other flags of the recipe's own."""
    found = options.of(recipe.flags)
    values = {option.name: getattr(own, option.field) for option in found}
    other = options.excluded_by(next(option for option in found if option.name == "beta"), values)
    if other is not None:
        received = f"{recipe.name} {typed(other)} {values[other]}"
        checks.fail("recipe", "one whose --beta is that of its model", received)


def _require_same_settings(folder, flags, grid):
    """Writes the settings of a new folder; raises ValueError if it has others."""
    kept = {name: value for name, value in flags.records.settings.items() if name not in ("beta", "latent_dim")}
    now = {**kept, "epochs": str(grid.epochs), "slice": str(grid.images)}
    path = folder / "settings.json"
    if not path.exists():
        files.write_json(path, now)
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    if names:
        changes = "; ".join(f"{name} was {before.get(name)} and is {now.get(name)}" for name in names)
        raise ValueError(
            f"Expected the settings of the models in {folder}. Received: {changes}. Give another --output, or --fresh "
            "to start over"
        )


def _build(recipe: Recipe, flags: RunFlags, beta: float) -> keras.Model:
    """The model of a recipe whose KL has the weight β, not compiled."""
    keras.utils.set_random_seed(flags.seed)
    shape: ImageShape = recipe.shape(flags.own)
    model = run.build_model(recipe, flags.own, shape, flags.seed)
    if isinstance(model, VAEAC):
        checks.fail("recipe", "one whose rate and distortion are of whole images", f"{recipe.name}, a VAEAC")
    if "beta" in _own_fields(recipe):
        if getattr(model, "beta", None) != beta:
            checks.fail("recipe", "one whose --beta is that of its model", f"{recipe.name}, a {type(model).__name__}")
        return model
    scheduled = [type(each).__name__ for each in recipe.callbacks(flags.own, 1000) if isinstance(each, _SCHEDULES)]
    if not hasattr(model, "kl_weight") or model.own_weights or scheduled:
        about = ", ".join([type(model).__name__, *scheduled])
        checks.fail("recipe", "one with the flag --beta, or with a free kl_weight", f"{recipe.name}, with {about}")
    model.kl_weight.assign(beta)
    return model


def _slices(recipe, flags, grid):
    """The first images of a fixed random order of the training images, and of the validation images."""
    splits = run.load_splits(recipe, flags, recipe.shape(flags.own))

    def some(images, number):
        order = np.random.default_rng(0).permutation(len(images))
        return images.take(np.sort(order[:number]))

    if grid.images > len(splits.train):
        print(f"slice: all {len(splits.train)} training images, as there are no {grid.images}", flush=True)
    return data.Splits(some(splits.train, grid.images), some(splits.validation, _VALIDATION), splits.test)


def _measure(recipe, flags, model, splits):
    """Trains a model and measures it: the further columns of its row. A model whose loss is not finite has NaN."""
    began, cpu_began = time.perf_counter(), time.process_time()
    how = {"seed": flags.seed, "dynamic": flags.binarization == "dynamic", "labels": model.conditional}
    figures = {"rate": math.nan, "distortion": math.nan, "elbo": math.nan, "elbo_error": math.nan, "active_units": 0}
    with contextlib.suppress(monitors.NonFiniteLoss):
        model_stage.train(recipe, flags, model, splits, functools.partial(_batches, flags.batch_size, how))
        judges = data.binarize(splits.validation, flags.seed) if how["dynamic"] else splits.validation
        examples = evaluation.Examples(model, judges.images[:], judges.labels)
        terms = evaluation.latent_terms(model, examples, flags.seed)
        figures = {
            "rate": float(terms.rate.mean()),
            "distortion": float(terms.distortion.mean()),
            "elbo": float(terms.elbo.mean()),
            "elbo_error": standard_error(terms.elbo),
            "active_units": terms.active_units,
        }
    return figures | {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began}


def _batches(batch_size, how, images, context=None, **kwargs):
    return data.batches(images, batch_size, context=context, **how, **kwargs)


def _flags_for(recipe, point):
    beta = f"--beta {point.beta:g} " if "beta" in _own_fields(recipe) else ""
    return f"{beta}--latent-dim {point.latents}"
