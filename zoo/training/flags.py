"""The flags of a run: parsed and checked once, and fixed from then on."""

import argparse
import dataclasses
import pathlib

from zoo import data
from zoo.runtime import checks, files
from zoo.training import options
from zoo.training.options import flag

# Recorded of recipes without these options too, as ever: the settings of an older run must compare equal.
_ALWAYS = {"sample": "False", "binarization": "none"}
STRATEGIES = ("auto", "none", "mirrored", "multiworker", "tpu")


class UsageError(Exception):
    """Flags do not go with the machine or with the data."""


@dataclasses.dataclass(frozen=True)
class Records:
    """The flags as the files of a run hold them: text by the options' names, or None.

    Args:
        all: dict, in `metrics.json`.
        settings: dict, in checkpoints: what must be the same for a run to go on.
        defaults: dict, what settings are taken to be in a checkpoint that is older than an option.
    """

    all: dict
    settings: dict
    defaults: dict


@dataclasses.dataclass(frozen=True, kw_only=True)
class PriorFlags:
    """How the second stage trains a prior over codes. Another one may be asked for when a run goes on."""

    kind: str = flag("none", "over the codes, trained afterwards", name="prior", free=True)
    epochs: int | None = flag(None, name="prior_epochs", free=True)
    batch_size: int = flag(128, name="prior_batch_size", free=True)
    learning_rate: float = flag(1e-3, name="prior_learning_rate", free=True)

    def __post_init__(self):
        if self.epochs is not None:
            checks.positive_int("--prior-epochs", self.epochs)
        checks.positive_int("--prior-batch-size", self.batch_size)
        checks.number("--prior-learning-rate", self.learning_rate, 0.0, open_low=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFlags:
    """The flags that all recipes share, and those of the recipe at hand.

    `prior` is None for a recipe without a second stage. `own` is of the class that the recipe declares: the library
    hands it to the recipe's functions and looks at nothing in it. `records` has all of them as text.
    """

    sample: bool = flag(False, "train on the small real sample that ships with the package")
    data_dir: str | None = flag(
        None, "where TFDS finds or puts the dataset (default: TFDS_DATA_DIR, else TFDS's own)", free=True
    )
    epochs: int | None = flag(None, free=True)
    steps_per_epoch: int | None = flag(None, "default: one pass over the training images")
    batch_size: int = flag(128, "over all replicas")
    learning_rate: float = flag(1e-3, "at the start")
    seed: int = flag(0, "of weights, order and noise")
    strategy: str = flag("auto", "auto: all GPUs, else one device", choices=STRATEGIES, free=True)
    parts: int | None = flag(
        None, "of a batch, each computed by one core of the CPU (default: one a core, where large enough)", free=True
    )
    mixed_precision: str = flag("none", choices=("none", "bfloat16", "float16"), const="bfloat16")
    output: pathlib.Path = flag(pathlib.Path("runs"), free=True)
    fresh: bool = flag(False, "start over, instead of going on where the last run stopped", free=True)
    checkpoint_seconds: float = flag(300, "between two within an epoch", free=True)
    no_cache: bool = flag(False, "keep images and codes on the disk of --output, not in memory", free=True)
    no_export: bool = flag(False, "leave out the SavedModel and the TFLite files", free=True)
    binarization: str = flag("none", choices=("none", "static", "dynamic"))
    prior: PriorFlags | None = None
    own: object = None
    records: Records | None = None

    def __post_init__(self):
        for name, value in (("--epochs", self.epochs), ("--steps-per-epoch", self.steps_per_epoch)):
            if value is not None:
                checks.positive_int(name, value)
        checks.positive_int("--batch-size", self.batch_size)
        if self.parts is not None:
            checks.positive_int("--parts", self.parts)
        if not 0 <= self.seed < 2**32:
            checks.fail("--seed", "an integer >= 0 and < 2**32", self.seed)
        checks.number("--learning-rate", self.learning_rate, 0.0, open_low=True)
        checks.number("--checkpoint-seconds", self.checkpoint_seconds, 0.0, open_low=True)


def parser(recipe):
    """The argument parser of a recipe."""
    made = argparse.ArgumentParser(
        prog=f"{recipe.name}.py", description=recipe.description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add(made, [option for group in _options(recipe) for option in group])
    return made


def parse(recipe, argv=None):
    """The `RunFlags`, checked as far as they can be without data; a usage error ends the program with status 2."""
    made = parser(recipe)
    shared, of_prior, own = options.parse(made, _options(recipe), argv)
    try:
        flags = RunFlags(
            **_fields(shared),
            prior=PriorFlags(**_fields(of_prior)) if recipe.prior else None,
            own=recipe.flags(**_fields(own)),
            records=_records(shared, of_prior, own, recipe.ema),
        )
        if flags.sample and recipe.dataset not in data.SAMPLES:
            checks.fail("--sample", f"left out, as only {', '.join(data.SAMPLES)} have a bundled sample", True)
        files.require_writable("--output", flags.output)
    except ValueError as error:
        made.error(str(error))
    return flags


def _fields(pairs):
    return {option.field: value for option, value in pairs}


def _records(shared, of_prior, own, ema):
    fixed = [(option, value) for option, value in (*shared, *own) if not option.free]
    return Records(
        _ALWAYS | {option.name: options.text(value) for option, value in (*shared, *of_prior, *own)},
        _ALWAYS | {option.name: options.text(value) for option, value in fixed} | {"ema": options.text(ema)},
        _ALWAYS | {option.name: options.text(option.default) for option, _ in fixed},
    )


def _options(recipe):
    """The options of a recipe: the shared ones, those of its prior, and its own."""
    withheld = {"prior", "own", "records"}
    withheld |= set() if recipe.dataset else {"sample", "data_dir"}
    withheld |= set() if recipe.binarization else {"binarization"}
    shared = options.of(
        RunFlags,
        withheld,
        sample={} if recipe.dataset in data.SAMPLES else {"help": argparse.SUPPRESS},
        epochs={"help": _epochs(recipe)},
        batch_size={"default": recipe.batch_size},
        learning_rate={"default": recipe.learning_rate},
        output={"default": pathlib.Path("runs", recipe.name)},
        binarization={"default": recipe.binarization},
    )
    return shared, _prior_options(recipe.prior) if recipe.prior else [], options.of(recipe.flags)


def _prior_options(prior):
    return options.of(
        PriorFlags,
        kind={"default": prior.kinds[0], "choices": (*prior.kinds, "none")},
        epochs={"help": _epochs(prior)},
        batch_size={"default": prior.batch_size},
        learning_rate={"default": prior.learning_rate},
    )


def _epochs(regime):
    return f"default: {regime.epochs}, with --sample {regime.sample_epochs}"
