"""A run that is stopped within an epoch and goes on ends as one that nothing disturbed."""

import dataclasses
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import training
from zoo.training import report

STEPS = ("--epochs", "2", "--steps-per-epoch", "3", "--no-export", "--parts", "1")
_STOP = 4  # of 6 steps


class _Stop(keras.callbacks.Callback):
    """Interrupts after the fourth step, once."""

    def __init__(self):
        super().__init__()
        self.armed = False

    def on_train_batch_end(self, batch, logs=None):
        if self.armed and int(self.model.optimizer.iterations) == _STOP:
            self.armed = False
            raise KeyboardInterrupt


def _small(recipe, in_model, in_prior):
    """The recipe without its figures, in steps of their own, and with callbacks that can stop each stage."""
    own, prior = recipe.callbacks, recipe.prior

    def build_prior(*args, **kwargs):
        made = recipe.prior.build(*args, **kwargs)
        fit = made.fit
        made.fit = lambda *args, callbacks, **kwargs: fit(*args, callbacks=[*callbacks, in_prior], **kwargs)
        return made

    if prior is not None:
        prior = dataclasses.replace(prior, build=build_prior, steps_per_execution=1)
    return dataclasses.replace(
        recipe,
        callbacks=lambda flags, total: [*own(flags, total), in_model],
        examples=dataclasses.replace(recipe.examples, finish=lambda *_: {}),
        prior=prior,
        steps_per_execution=1,
    )


def _variables(folder):
    model = keras.saving.load_model(folder / "model.keras")
    return [np.asarray(value) for value in [*model.variables, *model.optimizer.variables]]


def assert_resumes(recipe, argv, folder, capsys, stages=("model",)):
    """Runs a recipe of data that are no images with and without a stop in each stage, and compares to the bit."""
    stops = {"model": _Stop(), "prior": _Stop()}
    small = _small(recipe, stops["model"], stops["prior"])
    whole, stopped = folder / "whole", folder / "stopped"
    steps = (*STEPS, "--prior-epochs", "2") if "prior" in stages else STEPS

    def run(output):
        return training.main(small, [*argv, *steps, "--output", str(output)])

    tf.config.run_functions_eagerly(True)  # tracing takes longer than so few steps
    try:
        with mock.patch.object(report, "pictures"):
            run(whole)
            for name in stages:
                stops[name].armed = True
                with pytest.raises(SystemExit) as caught:
                    run(stopped)
                assert caught.value.code == 130 and f"stopped at step {_STOP} of 6" in capsys.readouterr().out
            run(stopped)
    finally:
        tf.config.run_functions_eagerly(False)
    assert f"resuming at step {_STOP} of 6" in capsys.readouterr().out
    first, second = _variables(whole), _variables(stopped)
    assert len(first) == len(second) > 10
    for one, other in zip(first, second):
        np.testing.assert_array_equal(one, other)
