"""From flags to a trained, evaluated model: what every recipe calls."""

import math
import os
import platform
import sys

import keras
import tensorflow as tf

from zoo import _startup, data, disk, distributions, evaluation, files
from zoo.training import card, codes, monitors, pictures, stage
from zoo.training.checkpoints import OtherRun
from zoo.training.recipe import disk_folder

_PRIOR_FLAGS = ("prior", "prior_epochs", "prior_batch_size", "prior_learning_rate")
# What may differ between a run and its continuation.
_FREE = ("epochs", "output", "fresh", "no_cache", "no_export", "strategy", "data_dir", "labels", *_PRIOR_FLAGS)


def main(recipe, argv=None):
    """Runs a recipe from the command line.

    Leaves in `--output`: `model.keras`, `checkpoints/`, `logs/` for TensorBoard, `metrics.json`, `history.csv`,
    pictures, and `export/`, the model as a SavedModel and as TFLite with its `card.json`; and in `prior_<kind>/` there
    what the training of a prior over codes leaves, but for the prior itself, which is a part of the model.

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
    except (data.DataError, disk.NoRoom, monitors.NonFiniteLoss, OtherRun) as error:
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
        history = _train_model(recipe, flags, strategy, model, splits)
        parameters = _count(model)
        test, about_prior = {}, {}
        if getattr(flags, "prior", "none") != "none":
            test, about_prior = _train_prior(recipe, flags, strategy, model, splits)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    return _finish(recipe, flags, model, splits, history, parameters, test, about_prior)


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


def _settings(recipe, flags, **also):
    """What must be the same for a stage to go on, and what that was for a run older than a flag."""
    parser = recipe.parser()
    values = {name: value for name, value in vars(flags).items() if name not in _FREE} | {"ema": recipe.ema, **also}
    defaults = {name: parser.get_default(name) for name in vars(flags) if name not in _FREE}
    return tuple(
        {name: None if value is None else str(value) for name, value in part.items()} for part in (values, defaults)
    )


def _train_model(recipe, flags, strategy, model, splits):
    """The first stage; gives its history."""
    plan = stage.Plan.of(
        recipe, len(splits.train), flags.batch_size, flags.epochs, flags.steps_per_epoch, flags.sample
    )  # fmt: skip
    with strategy.scope():
        stage.compile_model(model, recipe, flags.learning_rate, plan)
    settings, defaults = _settings(recipe, flags)
    first = stage.Stage(
        model,
        plan,
        flags.output,
        settings,
        defaults,
        training=lambda step: _batches(flags, model, splits.train, shuffle=True, epochs=None, first_step=step),
        validation=_batches(flags, model, splits.validation),
        save=lambda: files.save_model(model, flags.output / "model.keras"),
        callbacks=recipe.callbacks(flags, plan.total_steps),
    )
    return stage.train(first, flags.fresh)


def _train_prior(recipe, flags, strategy, model, splits):
    """The second stage: fits a prior to the codes of the trained model, and attaches it.

    Gives figures of the test split, and what else `metrics.json` is to say.
    """
    parts = ("train", "validation", "test")
    images = [getattr(splits, part) for part in parts]
    batched = (_batches(flags, model, part) for part in images)
    grids = dict(zip(parts, codes.encode(model, batched, map(len, images), disk_folder(flags))))
    plan = stage.Plan.of(
        recipe.prior, len(splits.train), flags.prior_batch_size, flags.prior_epochs, flags.steps_per_epoch, flags.sample
    )  # fmt: skip
    keras.utils.set_random_seed(flags.seed)  # the first weights must not depend on what was trained before
    with strategy.scope():
        prior = recipe.prior.build(flags, model, grids["train"].shape[1:])
        stage.compile_model(prior, recipe.prior, flags.prior_learning_rate, plan)

    def batches(part, **kwargs):
        return data.code_batches(grids[part], flags.prior_batch_size, seed=flags.seed, **kwargs)

    def save():
        model.prior = prior
        files.save_model(model, flags.output / "model.keras")

    also = {name: getattr(flags, name) for name in _PRIOR_FLAGS if name != "prior_epochs"}
    settings, defaults = _settings(recipe, flags, **also, prior_ema=recipe.prior.ema)
    second = stage.Stage(
        prior,
        plan,
        flags.output / f"prior_{flags.prior}",
        settings,
        defaults,
        training=lambda step: batches("train", shuffle=True, epochs=None, first_step=step),
        validation=batches("validation"),
        save=save,
        trained_on=codes.fingerprint(model),
        name="prior",
    )
    height, width = grids["train"].shape[1:]
    print(f"{flags.prior} over {height}×{width} codes: {_count(prior):,} parameters")
    history = stage.train(second, flags.fresh)
    pictures.draw_curves(history, second.folder, ["nats_per_code"], "nats per code")
    figures = evaluation.log_prob(model, _batches(flags, model, splits.test))
    test = {
        "prior_nats_per_code": prior.evaluate(batches("test"), verbose=0, return_dict=True)["nats_per_code"],
        "unigram_nats_per_code": codes.unigram_nats_per_code(grids["train"], grids["test"], prior.num_codes),
        "elbo": figures["log_prob"],
    }
    if model.likelihood.eight_bit:
        test["bits_per_dim"] = distributions.bits_per_dim(test["elbo"], recipe.shape(flags))
    return test, {"prior": {"kind": flags.prior, "parameters": _count(prior), **_of_history(history)}}


def _count(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def _of_history(history):
    last = history[-1]
    return {
        "epochs": last["epoch"],
        "steps": last["step"],
        "training_seconds": round(last["seconds"], 1),
        "train": {name: value for name, value in last.items() if name not in ("epoch", "step", "seconds")},
    }


def _finish(recipe, flags, model, splits, history, parameters, test, about_prior):
    """Measures on the test split, and draws."""
    test = model.evaluate(_batches(flags, model, splits.test), verbose=0, return_dict=True) | test
    variance = data.pixel_variance(splits.train)
    test |= evaluation.reconstruction_error(model, _batches(flags, model, splits.test), variance)
    metrics = {
        "recipe": recipe.name,
        "flags": {name: value if value is None else str(value) for name, value in vars(flags).items()},
        "images": {name: len(getattr(splits, name)) for name in ("train", "validation", "test")},
        "parameters": parameters,
        **_of_history(history),
        **about_prior,
        "test": {name: float(value) for name, value in test.items()},
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__},
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {len(tf.config.list_logical_devices('GPU'))} GPUs",
    }
    files.write_json(flags.output / "metrics.json", metrics)
    pictures.draw_all(model, splits.test, history, flags.output, flags.seed, getattr(flags, "labels", None))
    if not flags.no_export:
        card.export_all(recipe, flags, model, splits.test, metrics)
    print("test: " + "  ".join(f"{name} {value:.4g}" for name, value in metrics["test"].items()))
    print(f"trained in {monitors.duration(history[-1]['seconds'])}; everything is in {flags.output}")
    return metrics
