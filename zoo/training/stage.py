"""One stage of a run: a model, trained from where it stopped to the end of its plan."""

import dataclasses
import pathlib
import shutil
import signal
from collections.abc import Callable

import keras

from zoo import data, files, replica
from zoo.training import monitors, optimizer
from zoo.training.checkpoints import Checkpoints, OutOfDate


class Plan:
    """How many steps, in how many epochs."""

    def __init__(self, epochs, steps_per_epoch, steps_per_execution):
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.total_steps = epochs * steps_per_epoch
        # Keras runs whole executions only, so that they must fill an epoch exactly.
        self.steps_per_execution = max(n for n in range(1, steps_per_execution + 1) if steps_per_epoch % n == 0)

    @classmethod
    def of(cls, regime, number, batch_size, epochs=None, steps_per_epoch=None, sample=False):
        """The plan of a `Regime` for `number` examples, as far as the flags do not say otherwise."""
        steps = steps_per_epoch or data.steps_per_epoch(number, batch_size)
        if epochs is None:
            epochs = max(regime.sample_epochs if sample else regime.epochs, -(-regime.minimum_steps // steps))
        return cls(epochs, steps, regime.steps_per_execution)


@dataclasses.dataclass(frozen=True)
class Stage:
    """A model, what it is trained on, and where its state is kept.

    Args:
        model: a compiled Keras model.
        plan: `Plan`.
        folder: path, of `checkpoints/`, `logs/` and `history.csv`.
        settings: dict, what must be the same for the stage to go on.
        defaults: dict, what settings were while they did not exist yet.
        training: function of the number of the first step that gives endless batches.
        validation: dataset.
        save: function without arguments that saves the model, called at the end, and when the stage is interrupted.
        callbacks: Keras callbacks.
        trained_on: str, what stands for the origin of the data: where another one is recorded, the stage starts over.
        name: str, of a stage that is not the only one: its flags begin with it, and so does what is printed.
    """

    model: keras.Model
    plan: Plan
    folder: pathlib.Path
    settings: dict
    defaults: dict
    training: Callable
    validation: object
    save: Callable
    callbacks: tuple = ()
    trained_on: str | None = None
    name: str = ""

    @property
    def prefix(self):
        return f"{self.name}: " if self.name else ""

    @property
    def rate_flag(self):
        return f"--{self.name}-learning-rate" if self.name else "--learning-rate"


def compile_model(model, regime, learning_rate, plan):
    """Compiles for a `Regime`, in the scope of the strategy."""
    settings = (regime.warmup_steps, regime.gradient_clip, regime.ema)
    adam = optimizer.make(learning_rate, plan.total_steps, *settings)
    # Several in one call end in "You must feed a value for placeholder tensor" under a strategy of more replicas.
    steps = plan.steps_per_execution if replica.num_replicas() == 1 else 1
    model.compile(adam, jit_compile=regime.jit_compile, steps_per_execution=steps)
    model.optimizer.build(model.trainable_variables)


def train(stage, fresh=False):
    """Trains from the last checkpoint, unless `fresh`, to the end of the plan; gives the history of all epochs."""
    model, plan = stage.model, stage.plan
    checkpoints = Checkpoints(stage.folder / "checkpoints", stage.settings, stage.defaults, stage.trained_on)
    if fresh:
        _clear(stage.folder)
    step, history = _restore(stage, checkpoints)
    position = monitors.Position(step)
    saver = monitors.SaveCheckpoints(position, checkpoints, history)
    stopper = monitors.StopOnSignal()
    averages = optimizer.Averages(model)
    callbacks = [
        position,
        averages,
        monitors.StopOnNonFinite(position, checkpoints, stage.rate_flag),
        *stage.callbacks,
        keras.callbacks.TensorBoard(stage.folder / "logs", write_graph=False, profile_batch=0),
        saver,
        monitors.Progress(position, plan.total_steps),
        stopper,
    ]

    def save():
        averages.apply()
        stage.save()
        files.write_csv(stage.folder / "history.csv", history)

    try:
        with stopper:
            if step % plan.steps_per_epoch == 0 and step > (history[-1]["step"] if history else 0):
                # It stopped between an epoch's last step and the end of its validation.
                figures = model.evaluate(stage.validation, callbacks=[averages], verbose=0, return_dict=True)
                saver.add(step // plan.steps_per_epoch, {f"val_{name}": value for name, value in figures.items()})
            while position.step < plan.total_steps:
                # A run that stopped within an epoch first makes that epoch whole.
                epoch, done = divmod(position.step, plan.steps_per_epoch)
                model.fit(
                    stage.training(position.step),
                    steps_per_epoch=plan.steps_per_epoch - done,
                    initial_epoch=epoch,
                    epochs=epoch + 1 if done else plan.epochs,
                    validation_data=stage.validation,
                    callbacks=callbacks,
                    shuffle=False,  # the batches are
                    verbose=0,
                )
    except KeyboardInterrupt:
        averages.undo()
        saver.save()
        save()
        where = f"{stage.prefix}stopped at step {position.step} of {plan.total_steps}"
        print(f"\n{where}; run the same command again to go on")
        raise SystemExit(128 + (stopper.received or signal.SIGINT)) from None
    save()
    return history


def _restore(stage, checkpoints):
    try:
        step, history = checkpoints.restore(stage.model)
    except OutOfDate:
        print(f"{stage.prefix}starting over, as the model that it was trained for has changed since")
        _clear(stage.folder)
        return 0, []
    if step:
        print(f"{stage.prefix}going on at step {step} of {stage.plan.total_steps}")
    return step, history


def _clear(folder):
    for part in ("checkpoints", "logs"):
        shutil.rmtree(folder / part, ignore_errors=True)
