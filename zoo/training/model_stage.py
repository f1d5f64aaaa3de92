"""The first stage of a run: the model of a recipe, trained on its images."""

import functools

from zoo.runtime import files
from zoo.training import stage


def train(recipe, flags, model, splits, batches):
    """Trains a model; gives its history.

    Args:
        recipe: `Recipe`.
        flags: `RunFlags`.
        model: a model of the zoo, not compiled.
        splits: `zoo.data.Splits`.
        batches: function of (images, context=None, **what `zoo.data.batches` takes).
    """
    plan = stage.Plan.of(
        recipe, len(splits.train), flags.batch_size, flags.epochs, flags.steps_per_epoch, flags.sample
    )  # fmt: skip
    with model.distribute_strategy.scope():
        stage.compile_model(model, recipe, flags.learning_rate, plan)
    path = flags.output / "model.keras"
    first = stage.Stage(
        model,
        plan,
        flags.output,
        flags.records.settings,
        flags.records.defaults,
        training=lambda step, context: batches(splits.train, context, shuffle=True, epochs=None, first_step=step),
        validation=functools.partial(batches, splits.validation),
        checkpoint_seconds=flags.checkpoint_seconds,
        save=lambda: files.save_model(model, path),
        callbacks=recipe.callbacks(flags.own, plan.total_steps),
    )
    return stage.train(first, flags.fresh)
