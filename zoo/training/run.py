"""The `main` of every recipe: from the command line to a trained, evaluated model.

`flags.parse` makes the flags. `_run` passes the recipe's own flags to its functions, and the others to the stages.
"""

import contextlib
import dataclasses
import errno
import functools
import os
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from zoo import data, evaluation
from zoo.runtime import checks, cores, disk, files, replicas, startup
from zoo.training import decoder_stage, devices, model_stage, monitors, prior_stage, report, shards, stage, starting
from zoo.training.checkpoints import NotWritten, OtherRun
from zoo.training.flags import RunFlags, UsageError, parse, parser
from zoo.training.recipe import ImageShape, Recipe

_PEER_LOST = 138  # 128 and above make a job manager start again; 138 (SIGUSR1) is reserved for programs
_POLICIES = {"none": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def script(module: str, file: str, description: str, **kwargs: Any) -> "Main":
    """The `main(argv=None)` of a recipe's script. Runs it if the script is the program.

    A script ends with `main = training.script(__name__, __file__, __doc__, …)`.

    Args:
        module, file, description: the script's `__name__`, `__file__` and `__doc__`. The recipe gets the name of the
            file.
        kwargs: the other arguments of `Recipe`.

    Returns:
        `Main`.
    """
    run = Main(Recipe(pathlib.Path(file).stem, description, **kwargs))
    if module == "__main__":
        run()
    return run


@dataclasses.dataclass(frozen=True)
class Main:
    """Runs its recipe with the given arguments, or with those of the command line; see `main`."""

    recipe: Recipe

    def __call__(self, argv: Sequence[str] | None = None) -> dict[str, Any] | None:
        return main(self.recipe, argv)


def main(recipe: Recipe, argv: Sequence[str] | None = None) -> dict[str, Any] | None:
    """Runs a recipe from the command line.

    Writes to `--output`: `model.keras`, `checkpoints/`, `logs/` for TensorBoard, `metrics.json`, `history.csv`, plots,
    and `export/`, the model as a SavedModel and as TFLite with its `card.json`. The training of a prior over codes
    writes its checkpoints, logs, history and plots to `prior_<kind>/` there, and that of a sharp decoder to
    `decoder_sharp/`; prior and decoder themselves are parts of the model.

    Of several workers only the chief writes files.

    Returns:
        dict, the content of `metrics.json`; None in a worker that is not the chief.

    Raises:
        SystemExit: status 2 for wrong flags, before any data is read; 1 for data that is not available, a loss that is
            not finite, a full disk, a run that cannot resume, or, after all files are written, a sharp decoder whose
            training diverged; 130 after Ctrl-C and 143 after SIGTERM, with a checkpoint of the training so far; 138 if
            another worker was lost, and all must be started again.
    """
    startup.print_all_characters()
    flags = parse(recipe, argv)
    with errors_as_statuses(recipe, flags.strategy):
        batch_sizes = {"--batch-size": flags.batch_size}
        if flags.prior and flags.prior.kind != "none":
            batch_sizes["--prior-batch-size"] = flags.prior.batch_size
        parts = flags.parts or devices.best_parts(flags.strategy, batch_sizes.values())
        with cores.sub_batches(parts):  # before TensorFlow starts its devices
            strategy = devices.start_strategy(flags.strategy, recipe.name)
            devices.require_whole_shares(batch_sizes, strategy.num_replicas_in_sync)
            if flags.mixed_precision == "float16" and strategy.num_replicas_in_sync > 1:
                raise UsageError("Expected `--mixed-precision` to be bfloat16 on several replicas. Received: float16")
            chief = replicas.is_chief(strategy)
            with devices.only_chief_prints(chief), files.folder_for(flags.output), _held(flags.output, chief):
                return _run(recipe, flags, strategy, batch_sizes)


@contextlib.contextmanager
def _held(folder, chief):
    """A context in which no other run writes to `folder`; workers that write nothing may share it."""
    with contextlib.ExitStack() as stack:
        if chief:
            _with_usage_errors(stack.enter_context, files.held("--output", folder))
        yield


@contextlib.contextmanager
def errors_as_statuses(recipe: Recipe, strategy_name: str) -> Iterator[None]:
    """Ends the program with one line and an exit status for the errors that a user can remedy."""
    try:
        yield
    except UsageError as error:
        parser(recipe).error(str(error))
    except (data.DataError, disk.NoRoom, decoder_stage.WentBack, monitors.NonFiniteLoss, NotWritten, OtherRun) as error:
        print(f"{recipe.name}: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    except (OSError, tf.errors.ResourceExhaustedError) as error:
        if _is_full(error):
            line = f"{error}. Make room and run the same command again to resume."
        elif isinstance(error, tf.errors.ResourceExhaustedError):
            reason = error.message.splitlines()[0].rpartition("}} ")[2][:200]
            line = f"the memory does not suffice: {reason}. Choose a smaller model or batch"
        else:
            raise
        print(f"{recipe.name}: {line}", file=sys.stderr)
        raise SystemExit(1) from error
    except tf.errors.OpError as error:
        if said := shards.data_error(error):
            print(f"{recipe.name}: {said}", file=sys.stderr)
            raise SystemExit(1) from error
        if strategy_name != "multiworker":
            raise
        print(f"{error.message}\n{recipe.name}: another worker was lost; start all again to resume", file=sys.stderr)
        raise SystemExit(_PEER_LOST) from error
    except KeyboardInterrupt:
        print(f"\n{recipe.name}: stopped; run the same command again to resume")
        raise SystemExit(130) from None


def _is_full(error):
    if isinstance(error, tf.errors.OpError):  # a device out of memory raises the same class
        return os.strerror(errno.ENOSPC) in error.message
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """A context in which new models compute with the precision of a `--mixed-precision` flag."""
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(_POLICIES[name])
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def _run(recipe, flags, strategy, batch_sizes):
    chief = replicas.is_chief(strategy)
    keras.utils.set_random_seed(flags.seed)
    with precision(flags.mixed_precision):
        image_shape = _with_usage_errors(recipe.shape, flags.own)
        with strategy.scope():
            model = build_model(recipe, flags.own, image_shape, flags.seed)
            if flags.start:
                _with_usage_errors(starting.begin_with, model, flags.start)
        if chief:
            files.sweep(flags.output)
        splits: data.Splits | data.StreamedSplits
        if flags.shards:
            splits, flags = shards.load(flags, image_shape, model, strategy)
        else:
            splits = load_splits(recipe, flags, image_shape)
        sizes = (len(splits.train), len(splits.validation), len(splits.test))
        devices.require_whole_shares(batch_sizes, strategy.num_replicas_in_sync, sizes)
        noun = "images" if recipe.examples is None else recipe.examples.noun
        print("{}: {} training, {} validation and {} test {}".format(recipe.name, *sizes, noun))
        if flags.batch_size > len(splits.train):
            print(f"each batch holds all {len(splits.train)} training {noun}: --batch-size is {flags.batch_size}")
        how = {"seed": flags.seed, "dynamic": flags.binarization == "dynamic", "labels": model.conditional}
        batches = functools.partial(_batches, recipe.examples, flags.batch_size, how)
        history = model_stage.train(recipe, flags, model, splits, batches)
        parameters = stage.count_parameters(model)
        of_prior = prior_stage.Figures()
        if recipe.prior and flags.prior.kind != "none" and model.num_codes is not None:
            of_prior = prior_stage.train(recipe.prior, flags, model, splits, batches)
        of_decoder = decoder_stage.Figures()
        if recipe.sharp and flags.decoder.kind == "sharp":
            of_decoder = decoder_stage.train(recipe.sharp, flags, model, splits, batches)
    test = stage.evaluate(model, functools.partial(batches, splits.test)) | of_prior.test
    metrics = None
    if chief:
        test |= _figures(recipe, flags, model, splits, batches)
        of_stages = of_prior.about | of_decoder.about
        metrics = report.finish(recipe, flags, model, splits, history, parameters, test, of_stages)
    replicas.gather(strategy, 0)  # the chief must end last, as the others' connections depend on it
    if of_decoder.went_back:
        raise decoder_stage.WentBack(f"{of_decoder.went_back} All else of the run is complete, in {flags.output}.")
    return metrics


def build_model(recipe: Recipe, own_flags: object, image_shape: ImageShape, seed: int) -> keras.Model:
    """The model of a recipe, not compiled; raises `UsageError` for flags that it refuses."""
    return _with_usage_errors(recipe.build, own_flags, image_shape, seed)


def _with_usage_errors(function, *arguments):
    try:
        return function(*arguments)
    except ValueError as error:
        raise UsageError(str(error)) from error


def load_splits(recipe: Recipe, flags: RunFlags, image_shape: ImageShape) -> data.Splits:
    """The `zoo.data.Splits` of a recipe, binarised if the flags ask for static binarisation."""
    disk_folder = flags.output if flags.no_cache else None
    if recipe.load:
        splits = recipe.load(flags.own, image_shape, disk_folder)
    elif recipe.dataset is None:
        checks.fail("dataset", "the name of a TFDS dataset in a recipe without `load`", None)
    else:
        splits = data.load(recipe.dataset, flags.data_dir, image_shape[:2], flags.sample, disk_folder)
    if flags.binarization != "static":
        return splits
    parts = (splits.train, splits.validation, splits.test)
    return data.Splits(*(data.binarize(part, flags.seed + number) for number, part in enumerate(parts)))


def _batches(examples, batch_size, how, part, context=None, **kwargs):
    if examples is not None:
        return examples.batches(part, batch_size, seed=how["seed"], context=context, **kwargs)
    return data.batches(part, batch_size, context=context, **how, **kwargs)


def _figures(recipe, flags, model, splits, batches):
    """Figures of the test split beyond those of the objective."""
    if recipe.examples is not None:
        return recipe.examples.finish(flags.own, model, splits, flags.output, flags.seed)
    variance = shards.pixel_variance(splits, flags.binarization)
    return evaluation.reconstruction_error(model, batches(splits.test), variance)
