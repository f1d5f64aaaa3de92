"""From flags to a trained, evaluated model: what every recipe calls."""

import math
import os
import platform
import shutil
import signal
import sys

import keras
import tensorflow as tf

from zoo import _startup, data, evaluation
from zoo.training import files, monitors, pictures
from zoo.training.checkpoints import Checkpoints, OtherRun

# What may differ between a run and its continuation.
_FREE = ("epochs", "output", "fresh", "strategy", "data_dir", "labels")


def main(recipe, argv=None):
    """Runs a recipe from the command line.

    Leaves in `--output`: `model.keras`, `checkpoints/`, `logs/` for TensorBoard, `metrics.json`, `history.csv`, and
    pictures.

    Returns:
        dict, what `metrics.json` holds.

    Raises:
        SystemExit: status 2 for flags that are wrong, before any data is read; 1 for data that cannot be had, a loss
            that is no number or a run that cannot go on; 130 after Ctrl-C and 143 after SIGTERM, with
            what was trained kept.
    """
    flags = recipe.parse(argv)
    try:
        with _startup.quiet():
            tf.config.list_logical_devices()  # the devices wake up here, and talk
        return _run(recipe, flags)
    except (data.DataError, monitors.NonFiniteLoss, OtherRun) as error:
        print(f"{recipe.name}: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        print(f"\n{recipe.name}: stopped; run the same command again to go on")
        raise SystemExit(130) from None


def _run(recipe, flags):
    keras.utils.set_random_seed(flags.seed)
    policy = {"none": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}[flags.mixed_precision]
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        strategy = _strategy(recipe, flags)
        with strategy.scope():
            model = recipe.build_checked(flags)
        splits = _load(recipe, flags)
        sizes = (len(splits.train), len(splits.validation), len(splits.test))
        print("{}: {} training, {} validation and {} test images".format(recipe.name, *sizes))
        plan = Plan.of(recipe, flags, len(splits.train))
        with strategy.scope():
            schedule = keras.optimizers.schedules.CosineDecay(flags.learning_rate, plan.total_steps, alpha=0.01)
            optimizer = keras.optimizers.Adam(schedule)
            model.compile(optimizer, jit_compile=recipe.jit_compile, steps_per_execution=plan.steps_per_execution)
            model.optimizer.build(model.trainable_variables)
        history = _train(recipe, flags, model, splits, plan)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    return _finish(recipe, flags, model, splits, history)


class Plan:
    """How many steps, in how many epochs."""

    def __init__(self, epochs, steps_per_epoch, steps_per_execution):
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.total_steps = epochs * steps_per_epoch
        # Keras runs whole executions only, so that they must fill an epoch exactly.
        self.steps_per_execution = max(n for n in range(1, steps_per_execution + 1) if steps_per_epoch % n == 0)

    @classmethod
    def of(cls, recipe, flags, number):
        steps = flags.steps_per_epoch or data.steps_per_epoch(number, flags.batch_size)
        epochs = flags.epochs or (recipe.sample_epochs if flags.sample else recipe.epochs)
        if flags.epochs is None:
            epochs = max(epochs, -(-recipe.minimum_steps // steps))
        return cls(epochs, steps, recipe.steps_per_execution)


def make_strategy(name):
    """The `tf.distribute` strategy of a `--strategy` flag."""
    if name == "auto":
        name = "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "none"
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "multiworker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "tpu":
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    return tf.distribute.get_strategy()


def _strategy(recipe, flags):
    try:
        return make_strategy(flags.strategy)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        recipe.parser().error(
            f"Expected `--strategy` to be one that this machine allows. Received: {flags.strategy} ({reason})"
        )


def _load(recipe, flags):
    splits = recipe.load_splits(flags)
    if flags.binarization != "static":
        return splits
    parts = (splits.train, splits.validation, splits.test)
    return data.Splits(*(data.binarize(part, flags.seed + number) for number, part in enumerate(parts)))


def _batches(flags, model, images, **kwargs):
    dynamic = flags.binarization == "dynamic"
    return data.batches(images, flags.batch_size, seed=flags.seed, dynamic=dynamic, labels=model.conditional, **kwargs)


def _train(recipe, flags, model, splits, plan):
    """Trains from the last checkpoint to the end of the plan; gives the history of all epochs."""
    run = {name: None if value is None else str(value) for name, value in vars(flags).items() if name not in _FREE}
    checkpoints = Checkpoints(flags.output / "checkpoints", run)
    if flags.fresh:
        checkpoints.clear()
        shutil.rmtree(flags.output / "logs", ignore_errors=True)
    step, history = checkpoints.restore(model)
    if step:
        print(f"going on at step {step} of {plan.total_steps}")
    validation = _batches(flags, model, splits.validation)
    position = monitors.Position(step)
    saver = monitors.SaveCheckpoints(position, checkpoints, history)
    stopper = monitors.StopOnSignal()
    callbacks = [
        position,
        monitors.StopOnNonFinite(position, checkpoints),
        *recipe.callbacks(flags, plan.total_steps),
        keras.callbacks.TensorBoard(flags.output / "logs", write_graph=False, profile_batch=0),
        saver,
        monitors.Progress(position, plan.total_steps),
        stopper,
    ]
    try:
        with stopper:
            if step % plan.steps_per_epoch == 0 and step > (history[-1]["step"] if history else 0):
                # It stopped between an epoch's last step and the end of its validation.
                figures = model.evaluate(validation, verbose=0, return_dict=True)
                saver.add(step // plan.steps_per_epoch, {f"val_{name}": value for name, value in figures.items()})
            while position.step < plan.total_steps:
                # A run that stopped within an epoch first makes that epoch whole.
                epoch, done = divmod(position.step, plan.steps_per_epoch)
                model.fit(
                    _batches(flags, model, splits.train, shuffle=True, epochs=None, first_step=position.step),
                    steps_per_epoch=plan.steps_per_epoch - done,
                    initial_epoch=epoch,
                    epochs=epoch + 1 if done else plan.epochs,
                    validation_data=validation,
                    callbacks=callbacks,
                    shuffle=False,  # the batches are
                    verbose=0,
                )
    except KeyboardInterrupt:
        saver.save()
        _save(flags, model, history)
        print(f"\nstopped at step {position.step} of {plan.total_steps}; run the same command again to go on")
        raise SystemExit(128 + (stopper.received or signal.SIGINT)) from None
    return history


def _save(flags, model, history):
    files.save_model(model, flags.output / "model.keras")
    files.write_csv(flags.output / "history.csv", history)


def _finish(recipe, flags, model, splits, history):
    """Saves, measures on the test split, and draws."""
    _save(flags, model, history)
    test = model.evaluate(_batches(flags, model, splits.test), verbose=0, return_dict=True)
    variance = data.pixel_variance(splits.train)
    test |= evaluation.reconstruction_error(model, _batches(flags, model, splits.test), variance)
    last = history[-1]
    metrics = {
        "recipe": recipe.name,
        "flags": {name: value if value is None else str(value) for name, value in vars(flags).items()},
        "images": {name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
        "parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
        "epochs": last["epoch"],
        "steps": last["step"],
        "training_seconds": round(last["seconds"], 1),
        "train": {name: value for name, value in last.items() if name not in ("epoch", "step", "seconds")},
        "test": {name: float(value) for name, value in test.items()},
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__},
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {len(tf.config.list_logical_devices('GPU'))} GPUs",
    }
    files.write_json(flags.output / "metrics.json", metrics)
    pictures.draw_all(model, splits.test, history, flags.output, flags.seed, getattr(flags, "labels", None))
    print("test: " + "  ".join(f"{name} {value:.4g}" for name, value in metrics["test"].items()))
    print(f"trained in {monitors.duration(last['seconds'])}; everything is in {flags.output}")
    return metrics
