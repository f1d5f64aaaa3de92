"""The first stage of a run: the model of a recipe, trained on its images."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from zoo import data
from zoo.evaluation.rows import evenly_spaced
from zoo.runtime import files
from zoo.runtime.types import History
from zoo.training import options, stage
from zoo.training.flags import RunFlags
from zoo.training.recipe import Recipe

_LOOKED_AT = 256  # examples whose mean and deviation are compared


def train(
    recipe: Recipe,
    flags: RunFlags,
    model: keras.Model,
    splits: data.Splits | data.StreamedSplits,
    batches: Callable[..., tf.data.Dataset],
) -> History:
    """Compiles and trains a model, and returns its history.

    Args:
        recipe: `Recipe`.
        flags: `RunFlags`.
        model: a model of the zoo, not compiled.
        splits: `zoo.data.Splits` or `StreamedSplits`.
        batches: function of (images, context=None, **kwargs of `zoo.data.batches`) that gives a dataset.
    """
    plan = stage.Plan.of(
        recipe, len(splits.train), flags.batch_size, flags.epochs, flags.steps_per_epoch, flags.on_sample
    )  # fmt: skip
    with model.distribute_strategy.scope():
        stage.compile_model(model, recipe, flags.learning_rate, plan)
    path = flags.output / "model.keras"
    seen = _fingerprint(recipe, splits) | _contents(flags.own)
    first = stage.Stage(
        model,
        plan,
        flags.output,
        {**flags.records.settings, **seen},
        {**flags.records.defaults, **seen},
        training=lambda step, context: batches(splits.train, context, shuffle=True, epochs=None, first_step=step),
        validation=functools.partial(batches, splits.validation),
        checkpoint_seconds=flags.checkpoint_seconds,
        save=lambda: model.save(path),
        callbacks=recipe.callbacks(flags.own, plan.total_steps),
    )
    return stage.train(first, flags.fresh)


def _contents(own):
    """The digests of the files that the flags of a recipe name as data."""
    given = [(name, path) for name, path in options.data_paths(own) if path.is_file()]
    return {f"content of {name}": files.sha256(path)[:16] for name, path in given}


def _fingerprint(recipe, splits):
    """Identifies the training data, beside others in the same place; nothing for shards, which check their own records.

    It is rounded, as the last digits of features may differ between machines.
    """
    if isinstance(splits, data.StreamedSplits):
        return {}
    part, number = splits.train, len(splits.train)
    if recipe.examples is None:
        some = part.images[evenly_spaced(number, _LOOKED_AT)]
    else:
        found = recipe.examples.some(part, _LOOKED_AT)
        some = found[0] if isinstance(found, tuple) else found
    mean, deviation = np.nanmean(some, dtype=np.float64), np.nanstd(some, dtype=np.float64)
    about = round(mean / max(deviation, 1e-30), 2) * deviation + 0.0  # no -0
    return {"training data": f"{number} examples of deviation {deviation:.3g} about {about:.3g}"}
