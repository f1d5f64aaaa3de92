"""One stage of a run: a model, trained from where it stopped to the end of its plan."""

import dataclasses
import functools
import pathlib
import shutil
import signal
from collections.abc import Callable

import keras

from zoo import data
from zoo.runtime import files, replicas
from zoo.training import monitors, optimizer
from zoo.training.checkpoints import Checkpoints, OtherRun, OutOfDate


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
        training: function of the number of the first step and of a `tf.distribute.InputContext` or None that gives
            endless batches.
        validation: function of such a context that gives batches.
        save: function without arguments that saves the model, called at the end, and when the stage is interrupted.
        checkpoint_seconds: number > 0, after which a checkpoint is written within an epoch.
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
    validation: Callable
    save: Callable
    checkpoint_seconds: float = 300
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
    steps = plan.steps_per_execution if replicas.num_replicas() == 1 else 1
    model.compile(adam, jit_compile=regime.jit_compile, steps_per_execution=steps)
    model.build_optimizers()


def train(stage, fresh=False):
    """Trains from the last checkpoint, unless `fresh`, to the end of the plan; gives the history of all epochs.

    Of several workers each does so, and the chief alone writes.
    """
    model, plan, strategy = stage.model, stage.plan, stage.model.distribute_strategy
    chief = replicas.is_chief(strategy)
    checkpoints = Checkpoints(stage.folder / "checkpoints", stage.settings, stage.defaults, stage.trained_on)
    if fresh and chief:
        _clear(stage.folder)
    replicas.gather(strategy, 0)  # before that is done, no other worker may look for a checkpoint
    step, history = _restore(stage, checkpoints)
    _require_agreement(stage, replicas.gather(strategy, step))
    validation = replicas.distribute(strategy, stage.validation)
    position = monitors.Position(step)
    agree = monitors.Agreement(strategy)
    saver = monitors.SaveCheckpoints(position, checkpoints, history, stage.checkpoint_seconds, agree, chief)
    stopper = monitors.StopOnSignal(position, agree)
    averages = optimizer.Averages(model)
    callbacks = [
        position,
        *([monitors.GoOnWithMetrics(model)] if step % plan.steps_per_epoch else []),
        averages,
        monitors.StopOnNonFinite(position, checkpoints, stage.rate_flag),
        *stage.callbacks,
        *([keras.callbacks.TensorBoard(stage.folder / "logs", write_graph=False, profile_batch=0)] if chief else []),
        saver,
        monitors.Progress(position, plan.total_steps),
        stopper,
    ]

    def save():
        averages.apply()
        if chief:
            stage.save()
            files.write_csv(stage.folder / "history.csv", history)

    try:
        with stopper:
            if step % plan.steps_per_epoch == 0 and step > (history[-1]["step"] if history else 0):
                # It stopped between an epoch's last step and the end of its validation.
                figures = model.evaluate(validation, callbacks=[averages], verbose=0, return_dict=True)
                saver.add(step // plan.steps_per_epoch, {f"val_{name}": value for name, value in figures.items()})
            while position.step < plan.total_steps:
                # A run that stopped within an epoch first makes that epoch whole.
                epoch, done = divmod(position.step, plan.steps_per_epoch)
                model.fit(
                    replicas.distribute(strategy, functools.partial(stage.training, position.step)),
                    steps_per_epoch=plan.steps_per_epoch - done,
                    initial_epoch=epoch,
                    epochs=epoch + 1 if done else plan.epochs,
                    validation_data=validation,
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


def _require_agreement(stage, steps):
    if len(set(steps)) > 1:
        found = ", ".join(f"worker {number} step {step}" for number, step in enumerate(steps))
        raise OtherRun(
            f"The workers do not find the same checkpoint in {stage.folder / 'checkpoints'}: {found}. "
            "Expected --output to be a folder that all of them share."
        )


def _clear(folder):
    for part in ("checkpoints", "logs"):
        shutil.rmtree(folder / part, ignore_errors=True)
