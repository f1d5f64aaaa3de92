"""One stage of a run: trains a model from its last checkpoint to the end of its plan."""

import contextlib
import dataclasses
import functools
import math
import pathlib
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from zoo import data
from zoo.runtime import files, replicas
from zoo.runtime.types import History
from zoo.training import monitors, optimizer
from zoo.training.checkpoints import Checkpoints, OtherRun, OutOfDate
from zoo.training.recipe import Regime

_NO_FIGURES = ("epoch", "step", "seconds", "cpu_seconds")


class Plan:
    """The number of steps and epochs of a stage."""

    def __init__(self, epochs: int, steps_per_epoch: int, steps_per_execution: int) -> None:
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.total_steps = epochs * steps_per_epoch
        # Keras runs whole executions only, and they must fill an epoch exactly.
        self.steps_per_execution = max(n for n in range(1, steps_per_execution + 1) if steps_per_epoch % n == 0)

    @classmethod
    def of(
        cls,
        regime: Regime,
        number: int,
        batch_size: int,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        sample: bool = False,
    ) -> "Plan":
        """The plan of a `Regime` for `number` examples; `epochs` and `steps_per_epoch` override it if not None."""
        steps = steps_per_epoch or max(data.steps_per_epoch(number, batch_size), regime.epoch_steps)
        if epochs is None:
            epochs = max(regime.sample_epochs if sample else regime.epochs, -(-regime.minimum_steps // steps))
        return cls(epochs, steps, regime.steps_per_execution)


@dataclasses.dataclass(frozen=True)
class Stage:
    """A model, its training data, and the place of its state.

    Args:
        model: a compiled Keras model.
        plan: `Plan`.
        folder: path of the folder for `checkpoints/`, `logs/` and `history.csv`.
        settings: dict of the settings that must not change when the stage resumes.
        defaults: dict of values assumed for settings that an older checkpoint does not record.
        training: function of (number of the first step, `tf.distribute.InputContext` or None) that gives batches
            without end.
        validation: function of such a context that gives batches.
        save: function without arguments that saves the model, called at the end and after an interruption.
        checkpoint_seconds: number > 0, the time between two checkpoints within an epoch.
        callbacks: Keras callbacks.
        trained_on: str that identifies the origin of the data, or None. The stage starts over if a checkpoint records
            another origin.
        name: str, the prefix of the stage's flags and printed lines; empty for the first stage.
    """

    model: keras.Model
    plan: Plan
    folder: pathlib.Path
    settings: Mapping[str, object]
    defaults: Mapping[str, object]
    training: Callable[[int, tf.distribute.InputContext | None], tf.data.Dataset]
    validation: Callable[[tf.distribute.InputContext | None], tf.data.Dataset]
    save: Callable[[], None]
    checkpoint_seconds: float = 300
    callbacks: Sequence[keras.callbacks.Callback] = ()
    trained_on: str | None = None
    name: str = ""

    @property
    def prefix(self) -> str:
        return f"{self.name}: " if self.name else ""

    @property
    def rate_flag(self) -> str:
        return f"--{self.name}-learning-rate" if self.name else "--learning-rate"


def compile_model(model: keras.Model, regime: Regime, learning_rate: float, plan: Plan, **kwargs: Any) -> None:
    """Compiles a model for a `Regime`, with further arguments of its `compile`. Call it in the strategy's scope."""
    settings = (regime.warmup_steps, regime.gradient_clip, regime.ema)
    adam = optimizer.make(learning_rate, plan.total_steps, *settings)
    # With several replicas, several steps in one call fail: "You must feed a value for placeholder tensor".
    steps = plan.steps_per_execution if replicas.num_replicas() == 1 else 1
    kwargs |= {"jit_compile": regime.jit_compile, "steps_per_execution": steps}
    model.compile(adam, skip_threshold=regime.skip_threshold, **kwargs)
    model.build_optimizers()


def train(stage: Stage, fresh: bool = False) -> History:
    """Trains to the end of the plan, from the last checkpoint unless `fresh`, and returns the history of all epochs.

    All workers call it; only the chief writes.
    """
    model, plan, strategy = stage.model, stage.plan, stage.model.distribute_strategy
    chief = replicas.is_chief(strategy)
    checkpoints = Checkpoints(stage.folder / "checkpoints", stage.settings, stage.defaults, stage.trained_on)
    if fresh and chief:
        _clear(stage.folder)
    replicas.gather(strategy, 0)  # no worker may look for a checkpoint before the chief has cleared the folder
    step, history = _restore(stage, checkpoints)
    _require_agreement(stage, replicas.gather(strategy, step))
    if step > plan.total_steps:
        raise OtherRun(
            f"The run in {stage.folder} has {step} steps behind it, and {plan.total_steps} are asked for: pass as many "
            "epochs as before or more, --fresh to start over, or another --output."
        )
    validation = replicas.distribute(strategy, stage.validation)
    position = monitors.Position(step)
    agree = monitors.Agreement(strategy)
    saver = monitors.SaveCheckpoints(position, checkpoints, history, stage.checkpoint_seconds, agree, chief)
    stopper = monitors.StopOnSignal(position, agree)
    averages, before_validation = optimizer.Averages(model), monitors.BeforeValidation(model)
    saver.set_model(model)
    callbacks = [
        position,
        *([monitors.GoOnWithMetrics(model)] if step % plan.steps_per_epoch else []),
        averages,
        before_validation,
        monitors.StopOnNonFinite(position, checkpoints, stage.rate_flag),
        *stage.callbacks,
        *([keras.callbacks.TensorBoard(stage.folder / "logs", write_graph=False, profile_batch=0)] if chief else []),
        saver,
        monitors.Progress(position, plan.total_steps, plan.epochs),
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
                # The run stopped between an epoch's last step and the end of its validation.
                epoch, figures = step // plan.steps_per_epoch, _training_figures(model)
                for callback in stage.callbacks:
                    callback.set_model(model)
                    callback.on_train_begin()
                watching = [averages, before_validation, stopper]
                validated = model.evaluate(validation, callbacks=watching, verbose=0, return_dict=True)
                figures |= {f"val_{name}": value for name, value in validated.items()}
                for callback in stage.callbacks:
                    callback.on_epoch_end(epoch - 1, figures)
                saver.add(epoch, figures)
            while position.step < plan.total_steps:
                # A run that stopped within an epoch completes that epoch first.
                epoch, done = divmod(position.step, plan.steps_per_epoch)
                model.fit(
                    replicas.distribute(strategy, functools.partial(stage.training, position.step)),
                    steps_per_epoch=plan.steps_per_epoch - done,
                    initial_epoch=epoch,
                    epochs=epoch + 1 if done else plan.epochs,
                    validation_data=validation,
                    callbacks=callbacks,
                    shuffle=False,  # the batches are shuffled already
                    verbose=0,
                )
    except KeyboardInterrupt:
        averages.undo()
        before_validation.undo()
        saver.save()
        save()
        where = f"{stage.prefix}stopped at step {position.step} of {plan.total_steps}"
        print(f"\n{where}; run the same command again to resume")
        raise SystemExit(128 + (stopper.received or signal.SIGINT)) from None
    save()
    return history


def _training_figures(model):
    """The means of an epoch's training, which the metrics hold until validation begins."""
    seen = {each.name for each in model.metrics if isinstance(each, keras.metrics.Mean) and float(each.count.numpy())}
    results = sorted(model.get_metrics_result().items())  # in Keras's order
    return {name: float(value) for name, value in results if name in seen}


def evaluate(
    model: keras.Model, batches: Callable[[tf.distribute.InputContext | None], tf.data.Dataset]
) -> dict[str, float]:
    """Evaluates a model on the dataset of `batches(context)`, spread over the replicas."""
    return model.evaluate(replicas.distribute(model.distribute_strategy, batches), verbose=0, return_dict=True)


def count_parameters(model: keras.Model) -> int:
    """The number of trainable parameters."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def summary(history: History) -> dict[str, object]:
    """The entries of `metrics.json` about the training of a stage."""
    last = history[-1]
    return {
        "epochs": last["epoch"],
        "steps": last["step"],
        "training_seconds": round(last["seconds"], 1),
        "training_cpu_seconds": round(last["cpu_seconds"], 1) if "cpu_seconds" in last else None,
        "train": {name: value for name, value in last.items() if name not in _NO_FIGURES},
    }


def _restore(stage, checkpoints):
    try:
        step, history = checkpoints.restore(stage.model)
    except OutOfDate:
        print(f"{stage.prefix}starting over, as the model that it was trained for has changed since")
        _clear(stage.folder)
        return 0, []
    if step:
        print(f"{stage.prefix}resuming at step {step} of {stage.plan.total_steps}")
    return step, history


def _require_agreement(stage, steps):
    if len(set(steps)) > 1:
        found = ", ".join(f"worker {number} step {step}" for number, step in enumerate(steps))
        raise OtherRun(
            f"The workers do not find the same checkpoint in {stage.folder / 'checkpoints'}: {found}. "
            "Expected --output to be a folder that all of them share."
        )


def _clear(folder):
    """Removes the checkpoints and the events of a run, and no other file that may lie beside them."""
    for checkpoint in folder.glob("checkpoints/step-*"):
        shutil.rmtree(checkpoint, ignore_errors=True)
    for events in (folder / "logs").rglob("events.out.tfevents.*"):
        events.unlink(missing_ok=True)
    for part in ("checkpoints", "logs"):
        for below in sorted([folder / part, *(folder / part).rglob("*")], reverse=True):
            if below.is_dir():
                with contextlib.suppress(OSError):  # which is raised for a folder that is not empty
                    below.rmdir()
