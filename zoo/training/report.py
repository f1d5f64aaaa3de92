"""The end of a run: `metrics.json`, the plots, the exports with their card, and the last printed lines."""

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from zoo import data
from zoo.presets import cards
from zoo.runtime import files
from zoo.runtime.types import History
from zoo.training import card, monitors, pictures, stage
from zoo.training.flags import RunFlags
from zoo.training.recipe import Recipe


def finish(
    recipe: Recipe,
    flags: RunFlags,
    model: keras.Model,
    splits: data.Splits | data.StreamedSplits,
    history: History,
    parameters: int,
    test: Mapping[str, float | Sequence[float]],
    about_stages: Mapping[str, object],
) -> dict[str, Any]:
    """Writes `metrics.json`, plots and exports of a trained model, and returns the content of `metrics.json`.

    Args:
        recipe: `Recipe`.
        flags: `RunFlags`.
        model: the trained model.
        splits: `zoo.data.Splits` or `StreamedSplits`.
        history: list of dicts, the history of the first stage.
        parameters: int, the number of trained parameters of the first stage.
        test: dict of figures of the test split, each a number or a list.
        about_stages: dict of the entries of `metrics.json` about further stages, `prior` and `decoder`.
    """
    noun = "images" if recipe.examples is None else recipe.examples.noun
    metrics: dict[str, Any] = {
        "recipe": recipe.name,
        "flags": flags.records.all,
        noun: {name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
        **({"skipped_records": len(splits.train.skipped)} if isinstance(splits, data.StreamedSplits) else {}),
        "parameters": parameters,
        **stage.summary(history),
        **about_stages,
        "test": {name: _figure(value) for name, value in test.items()},
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__},
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {len(tf.config.list_logical_devices('GPU'))} GPUs",
    }
    files.write_json(flags.output / "metrics.json", metrics)
    if recipe.examples is None:
        pictures.plot_all(model, splits.test, history, flags.output, flags.seed, recipe.plotted_labels(flags.own))
    else:
        pictures.plot_curves(history, flags.output)
    if not flags.no_export:
        about = {
            "name": recipe.name,
            "description": recipe.description.splitlines()[0],
            "training_data": _training_data(recipe, flags),
            "datasets": [recipe.dataset] if recipe.dataset and not flags.shards else [],
            "binarization": flags.binarization,
        }
        folder = flags.output / "export"
        card.export_all(folder, model, splits.test, about, flags.seed, metrics, recipe.examples, flags.own)
    elif (flags.output / "export").exists():
        print(f"{flags.output / 'export'} is of an earlier end of this run, as --no-export leaves it as it is")
    print("test: " + "  ".join(f"{name} {_shown(value)}" for name, value in metrics["test"].items()))
    seconds = cards.of_all_stages(metrics, "training_seconds") or 0.0
    print(f"trained in {monitors.duration(seconds)}; everything is in {flags.output}")
    return metrics


def _figure(value):
    return [float(each) for each in value] if isinstance(value, Sequence) else float(value)


def _shown(figure):
    return " ".join(f"{each:.4g}" for each in (figure if isinstance(figure, list) else [figure]))


def _training_data(recipe, flags):
    """A description of the training images."""
    if flags.shards:
        return f"the images in the shards {flags.shards}, without those held out for validation and testing"
    if flags.sample and recipe.dataset:
        return f"the sample of {recipe.dataset} that ships with vae-zoo"
    if recipe.dataset:
        return f"{recipe.dataset} of TensorFlow Datasets, its training split without the images held out for validation"
    return recipe.training_data(flags.own)
