"""From flags to a trained, evaluated model: what every recipe calls."""

import contextlib
import errno
import functools
import json
import math
import os
import platform
import sys

import keras
import tensorflow as tf

from zoo import data, distributions, evaluation
from zoo.runtime import cores, disk, files, replicas, startup
from zoo.training import card, codes, monitors, pictures, stage
from zoo.training.checkpoints import NotWritten, OtherRun
from zoo.training.recipe import disk_folder, option

_PRIOR_FLAGS = ("prior", "prior_epochs", "prior_batch_size", "prior_learning_rate")
# What may differ between a run and its continuation.
_FREE = (
    "epochs", "output", "fresh", "checkpoint_seconds", "no_cache", "no_export", "strategy", "data_dir", "labels",
    "parts", *_PRIOR_FLAGS,
)  # fmt: skip
_PEER_LOST = 138  # of the statuses that a job manager takes for a reason to start again, the one left to programs


def main(recipe, argv=None):
    """Runs a recipe from the command line.

    Leaves in `--output`: `model.keras`, `checkpoints/`, `logs/` for TensorBoard, `metrics.json`, `history.csv`,
    pictures, and `export/`, the model as a SavedModel and as TFLite with its `card.json`; and in `prior_<kind>/` there
    what the training of a prior over codes leaves, but for the prior itself, which is a part of the model.

    Of several workers the chief alone leaves anything.

    Returns:
        dict, what `metrics.json` holds; None in a worker that is not the chief.

    Raises:
        SystemExit: status 2 for flags that are wrong, before any data is read; 1 for data that cannot be had, a loss
            that is no number, a full disk or a run that cannot go on; 130 after Ctrl-C and 143 after SIGTERM, with
            what was trained kept; 138 where another worker was lost: all are to be started again.
    """
    flags = recipe.parse(argv)
    try:
        with cores.parts(flags.parts or _parts(flags)):  # before the devices wake up
            strategy = _strategy(recipe, flags)
            _require_whole_shares(recipe, flags, strategy)
            with _heard(replicas.is_chief(strategy)):
                return _run(recipe, flags, strategy)
    except (data.DataError, disk.NoRoom, monitors.NonFiniteLoss, NotWritten, OtherRun) as error:
        print(f"{recipe.name}: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    except (OSError, tf.errors.ResourceExhaustedError) as error:
        if not _is_full(error):
            raise
        print(f"{recipe.name}: {error}. Make room and run the same command again to go on.", file=sys.stderr)
        raise SystemExit(1) from error
    except tf.errors.OpError as error:
        if flags.strategy != "multiworker":
            raise
        print(f"{error.message}\n{recipe.name}: another worker was lost; start all again to go on", file=sys.stderr)
        raise SystemExit(_PEER_LOST) from error
    except KeyboardInterrupt:
        print(f"\n{recipe.name}: stopped; run the same command again to go on")
        raise SystemExit(130) from None


@contextlib.contextmanager
def _heard(chief):
    """Keeps what is printed within to the chief: of several workers all would say the same."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(sys.stdout if chief else nowhere):
        yield


def _is_full(error):
    if isinstance(error, tf.errors.OpError):  # it may be a device's memory
        return os.strerror(errno.ENOSPC) in error.message
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _run(recipe, flags, strategy):
    keras.utils.set_random_seed(flags.seed)
    policy = {"none": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}[flags.mixed_precision]
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        chief = replicas.is_chief(strategy)
        with strategy.scope():
            model = recipe.build_checked(flags)
        if chief:
            files.sweep(flags.output)
        splits = _load(recipe, flags)
        sizes = (len(splits.train), len(splits.validation), len(splits.test))
        _require_whole_shares(recipe, flags, strategy, sizes)
        print("{}: {} training, {} validation and {} test images".format(recipe.name, *sizes))
        history = _train_model(recipe, flags, strategy, model, splits)
        parameters = _count(model)
        test, about_prior = {}, {}
        if getattr(flags, "prior", "none") != "none":
            test, about_prior = _train_prior(recipe, flags, strategy, model, splits)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    test = _evaluate(model, functools.partial(_batches, flags, model, splits.test)) | test
    metrics = None
    if chief:
        metrics = _finish(recipe, flags, model, splits, history, parameters, test, about_prior)
    replicas.gather(strategy, 0)  # the chief has what the others' connections hang on
    return metrics


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


def _parts(flags):
    """In how many parts a batch is best computed, in either stage."""
    with startup.quiet():
        gpus = tf.config.list_physical_devices("GPU")
    if gpus or flags.strategy not in ("auto", "none"):
        return 1
    sizes = [getattr(flags, name) for name in ("batch_size", "prior_batch_size") if hasattr(flags, name)]
    return min(map(cores.parts_of, sizes))


def _strategy(recipe, flags):
    try:
        workers = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    except (ValueError, AttributeError):
        recipe.parser().error(f"Expected TF_CONFIG to be a JSON object. Received: {os.environ['TF_CONFIG'][:200]!r}")
    number = sum(len(workers.get(kind, ())) for kind in ("chief", "worker"))
    if number > 1 and flags.strategy != "multiworker":
        recipe.parser().error(
            f"Expected `--strategy` to be multiworker, as TF_CONFIG names {number} workers. Received: {flags.strategy}"
        )
    if number > 1:
        print(f"{recipe.name}: waiting for {number} workers", flush=True)
    try:
        with startup.quiet():
            strategy = make_strategy(flags.strategy)  # before the devices wake up, or workers cannot join
            tf.config.list_logical_devices()  # they do here, and talk
        return strategy
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())[:200]
        recipe.parser().error(
            f"Expected `--strategy` to be one that this machine allows. Received: {flags.strategy} ({reason})"
        )


def _require_whole_shares(recipe, flags, strategy, sizes=()):
    """A usage error unless all replicas have as much of a batch, and some of each split's last one, of `sizes`."""
    replicas = strategy.num_replicas_in_sync
    for name in ("batch_size", "prior_batch_size"):
        size = getattr(flags, name, replicas)
        flag = option(name)
        if size % replicas:
            expected, left = f"a multiple of the {replicas} replicas", f"which leaves {size % replicas} over"
            recipe.parser().error(f"Expected `{flag}` to be {expected}. Received: {size}, {left}")
        for number in sizes:
            if 0 < number % size < replicas:  # TensorFlow's convolutions fail on nothing, on some devices
                expected = f"one whose last batch has an image for each of the {replicas} replicas"
                left = f"which leaves {number % size} of {number}"
                recipe.parser().error(f"Expected `{flag}` to be {expected}. Received: {size}, {left}")


def _load(recipe, flags):
    splits = recipe.load_splits(flags)
    if flags.binarization != "static":
        return splits
    parts = (splits.train, splits.validation, splits.test)
    return data.Splits(*(data.binarize(part, flags.seed + number) for number, part in enumerate(parts)))


def _batches(flags, model, images, context=None, **kwargs):
    how = {"seed": flags.seed, "dynamic": flags.binarization == "dynamic", "labels": model.conditional}
    return data.batches(images, flags.batch_size, context=context, **how, **kwargs)


def _evaluate(model, batches):
    """The model's figures of what `batches(context)` gives; each replica does its share."""
    return model.evaluate(replicas.distribute(model.distribute_strategy, batches), verbose=0, return_dict=True)


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
        training=lambda step, context: _batches(
            flags, model, splits.train, context, shuffle=True, epochs=None, first_step=step
        ),
        validation=functools.partial(_batches, flags, model, splits.validation),
        checkpoint_seconds=flags.checkpoint_seconds,
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

    def batches(part, context=None, **kwargs):
        return data.code_batches(grids[part], flags.prior_batch_size, seed=flags.seed, context=context, **kwargs)

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
        training=lambda step, context: batches("train", context, shuffle=True, epochs=None, first_step=step),
        validation=functools.partial(batches, "validation"),
        checkpoint_seconds=flags.checkpoint_seconds,
        save=save,
        trained_on=codes.fingerprint(model),
        name="prior",
    )
    height, width = grids["train"].shape[1:]
    print(f"{flags.prior} over {height}×{width} codes: {_count(prior):,} parameters")
    history = stage.train(second, flags.fresh)
    model.prior = prior
    test = {"prior_nats_per_code": _evaluate(prior, functools.partial(batches, "test"))["nats_per_code"]}
    if not replicas.is_chief(strategy):
        return test, {}
    pictures.draw_curves(history, second.folder, ["nats_per_code"], "nats per code")
    figures = evaluation.log_prob(model, _batches(flags, model, splits.test))
    test["unigram_nats_per_code"] = codes.unigram_nats_per_code(grids["train"], grids["test"], prior.num_codes)
    test["elbo"] = figures["log_prob"]
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
    """Measures the rest on the test split, draws and exports."""
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
