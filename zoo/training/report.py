"""The end of a run: `metrics.json`, the pictures, the exports with their card, and the last lines printed."""

import os
import platform

import keras
import tensorflow as tf

from zoo.runtime import files
from zoo.training import card, monitors, pictures, stage


def finish(recipe, flags, model, splits, history, parameters, test, about_prior):
    """Writes all that a trained model comes with; gives what `metrics.json` holds.

    Args:
        recipe: `Recipe`.
        flags: `RunFlags`.
        model: the trained model.
        splits: `zoo.data.Splits`.
        history: list of dicts, of the first stage.
        parameters: int, of the first stage.
        test: dict of figures of the test split.
        about_prior: dict, `prior` of `metrics.json`; empty without one.
    """
    metrics = {
        "recipe": recipe.name,
        "flags": flags.records.all,
        "images": {name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
        "parameters": parameters,
        **stage.summary(history),
        **about_prior,
        "test": {name: float(value) for name, value in test.items()},
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__},
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {len(tf.config.list_logical_devices('GPU'))} GPUs",
    }
    files.write_json(flags.output / "metrics.json", metrics)
    pictures.plot_all(model, splits.test, history, flags.output, flags.seed, recipe.plotted_labels(flags.own))
    if not flags.no_export:
        about = {
            "name": recipe.name,
            "description": recipe.description.splitlines()[0],
            "training_data": _training_data(recipe, flags),
        }
        card.export_all(flags.output / "export", model, splits.test, about, flags.seed, metrics)
    print("test: " + "  ".join(f"{name} {value:.4g}" for name, value in metrics["test"].items()))
    print(f"trained in {monitors.duration(history[-1]['seconds'])}; everything is in {flags.output}")
    return metrics


def _training_data(recipe, flags):
    """What the images were, in words."""
    if flags.sample:
        return f"the sample of {recipe.dataset} that ships with vae-zoo"
    if recipe.dataset:
        return f"{recipe.dataset} of TensorFlow Datasets, its training split without the images held out for validation"
    return recipe.training_data(flags.own)
