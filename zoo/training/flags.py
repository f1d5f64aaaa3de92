"""The flags of a run: parsed, checked once, and then immutable."""

import argparse
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from zoo import data
from zoo.runtime import checks, files
from zoo.training import options
from zoo.training.options import flag
from zoo.training.recipe import Recipe

# Also recorded for recipes without these options: the settings of an older run must compare equal.
_ALWAYS = {"sample": "False", "binarization": "none"}
_SHARP = {"decoder": ("sharp",)}
STRATEGIES = ("auto", "none", "mirrored", "multiworker", "tpu")


class UsageError(Exception):
    """The flags do not fit the machine or the data."""


@dataclasses.dataclass(frozen=True)
class Records:
    """The flags as the files of a run record them: a text, or None, for each option.

    Args:
        all: dict of all flags, for `metrics.json`.
        settings: dict of the flags that must not change when a run resumes, for checkpoints.
        defaults: dict of values assumed for settings that an older checkpoint does not record.
    """

    all: Mapping[str, str | None]
    settings: Mapping[str, str | None]
    defaults: Mapping[str, str | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PriorFlags:
    """The flags of the second stage, which trains a prior over codes. They may change when a run resumes."""

    kind: str = flag("none", "prior over the codes, trained after the model", name="prior", free=True)
    epochs: int | None = flag(None, name="prior_epochs", free=True)
    batch_size: int = flag(128, name="prior_batch_size", free=True)
    learning_rate: float = flag(1e-3, name="prior_learning_rate", free=True)

    def __post_init__(self) -> None:
        if self.epochs is not None:
            checks.positive_int("--prior-epochs", self.epochs)
        checks.positive_int("--prior-batch-size", self.batch_size)
        checks.number("--prior-learning-rate", self.learning_rate, 0.0, open_low=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderFlags:
    """The flags of the last stage, which trains the decoder for sharp images. They may change when a run resumes."""

    kind: str = flag(
        "plain", "sharp: train the decoder further with a perceptual and an adversarial loss",
        name="decoder", choices=("plain", "sharp"), free=True,
    )  # fmt: skip
    epochs: int | None = flag(None, name="decoder_epochs", free=True, only=_SHARP)
    learning_rate: float = flag(1e-3, name="decoder_learning_rate", free=True, only=_SHARP)
    critic_learning_rate: float = flag(1e-3, name="decoder_critic_learning_rate", free=True, only=_SHARP)
    perceptual_weight: float = flag(1.0, name="decoder_perceptual_weight", free=True, only=_SHARP)
    adversarial_weight: float = flag(0.1, name="decoder_adversarial_weight", free=True, only=_SHARP)

    def __post_init__(self) -> None:
        if self.epochs is not None:
            checks.positive_int("--decoder-epochs", self.epochs)
        for name in ("learning_rate", "critic_learning_rate"):
            checks.number(options.typed(f"decoder_{name}"), getattr(self, name), 0.0, open_low=True)
        for name in ("perceptual_weight", "adversarial_weight"):
            checks.number(options.typed(f"decoder_{name}"), getattr(self, name), 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFlags:
    """The flags that all recipes share, together with the recipe's own flags.

    `prior` and `decoder` are None for a recipe without
    these stages. `own` is an instance of the class that the recipe declares: the
    library passes it to the recipe's functions and reads nothing from it. `records` holds all flags as text.
    """

    sample: bool = flag(False, "train on the small sample of real images that ships with the package")
    data_dir: str | None = flag(
        None, "folder of TFDS datasets (default: TFDS_DATA_DIR, else the default of TFDS)", free=True
    )
    shards: str | None = flag(
        None, "train on TFRecord or WebDataset shards instead, such as 'train-{000..099}.tar'", free=True
    )
    shuffle_buffer: int | None = flag(
        None, "images of --shards among which the next is drawn (default: 2048)", free=True, only={"shards": None}
    )
    start: str | None = flag(
        None, "a preset's name or folder, or a .keras file: a model of this recipe, to begin with its weights"
    )
    epochs: int | None = flag(None, free=True)
    steps_per_epoch: int | None = flag(None)
    batch_size: int = flag(128, "examples per step, over all replicas")
    learning_rate: float = flag(1e-3, "initial learning rate")
    seed: int = flag(0, "seed of weights, order and noise")
    strategy: str = flag("auto", "auto: all GPUs, else one device", choices=STRATEGIES, free=True)
    parts: int | None = flag(
        None, "sub-batches per batch, each on one CPU core (default: one per core, if large enough)", free=True
    )
    mixed_precision: str = flag("none", choices=("none", "bfloat16", "float16"), const="bfloat16")
    output: pathlib.Path = flag(pathlib.Path("runs"), free=True)
    fresh: bool = flag(False, "start over instead of resuming the last run", free=True)
    checkpoint_seconds: float = flag(300, "seconds between checkpoints within an epoch", free=True)
    no_cache: bool = flag(False, "keep images and codes on the disk of --output, not in memory", free=True)
    no_export: bool = flag(False, "leave out the SavedModel and the TFLite files", free=True)
    binarization: str = flag("none", choices=("none", "static", "dynamic"))
    prior: PriorFlags | None = None
    decoder: DecoderFlags | None = None
    own: object = None
    records: Records = Records({}, {}, {})

    @property
    def on_sample(self) -> bool:
        """Whether the run is on a small sample: by the shared flag, or by a flag of the recipe's own of that name."""
        return self.sample or bool(getattr(self.own, "sample", False))

    def __post_init__(self) -> None:
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
        if self.shuffle_buffer is not None:
            checks.positive_int("--shuffle-buffer", self.shuffle_buffer)
        for name, given in (("--sample", self.sample), ("--data-dir", self.data_dir)):
            if self.shards is not None and given:
                checks.fail(name, "left out, as --shards names the data", given)
        if self.sample and self.data_dir is not None:
            checks.fail("--data-dir", "left out, as --sample takes the bundled images", self.data_dir)


def parser(recipe: Recipe) -> argparse.ArgumentParser:
    """The argument parser of a recipe."""
    made = argparse.ArgumentParser(
        prog=f"{recipe.name}.py", description=recipe.description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add(made, [option for group in _options(recipe) for option in group])
    return made


def parse(recipe: Recipe, argv: Sequence[str] | None = None) -> RunFlags:
    """Parses a command line, and checks all that does not need data. A usage error ends the program with status 2."""
    made = parser(recipe)
    shared, of_prior, of_decoder, own = options.parse(made, _options(recipe), argv)
    try:
        _require_one_source(recipe, _fields(shared), _fields(own))
        flags = RunFlags(
            **_fields(shared),
            prior=PriorFlags(**_fields(of_prior)) if recipe.prior else None,
            decoder=DecoderFlags(**_fields(of_decoder)) if recipe.sharp else None,
            own=recipe.flags(**_fields(own)),
            records=_records(shared, [*of_prior, *of_decoder], own, recipe.ema),
        )
        if flags.sample and recipe.dataset not in data.SAMPLES:
            checks.fail("--sample", f"left out, as only {', '.join(data.SAMPLES)} have a bundled sample", True)
        files.require_writable("--output", flags.output)
        _require_outside_of_data(flags.output, flags.own)
        for name in ("checkpoints", "export", "logs"):
            if (flags.output / name).is_file():
                checks.fail("--output", f"a place where {name} is a folder, or not there", f"{flags.output / name}")
    except ValueError as error:
        made.error(str(error))
    return flags


def _require_one_source(recipe, shared, own):
    if recipe.source and (own[recipe.source] is None) == (shared["shards"] is None):
        received = "neither" if own[recipe.source] is None else "both"
        raise ValueError(f"Expected `{options.typed(recipe.source)}` or `--shards`. Received: {received}")


def _require_outside_of_data(output, own):
    """Raises ValueError for an output in a folder of data: its pictures would be data when the run is resumed."""
    for name, path in options.data_paths(own):
        if path.is_dir() and output.resolve().is_relative_to(path.resolve()):
            checks.fail("--output", f"outside of the folder of {name}", f"{output}")


def _fields(pairs):
    return {option.field: value for option, value in pairs}


def _records(shared, of_stages, own, ema):
    fixed = [(option, value) for option, value in (*shared, *own) if not option.free]
    return Records(
        _ALWAYS | {option.name: options.text(value) for option, value in (*shared, *of_stages, *own)},
        _ALWAYS | {option.name: options.text(value) for option, value in fixed} | {"ema": options.text(ema)},
        _ALWAYS | {option.name: options.text(option.default) for option, _ in fixed},
    )


def _options(recipe):
    """The options of a recipe: the shared ones, those of its further stages, and its own."""
    withheld = {"prior", "decoder", "own", "records"}
    withheld |= set() if recipe.dataset else {"sample", "data_dir"}
    withheld |= set() if recipe.dataset or recipe.source else {"shards", "shuffle_buffer"}
    withheld |= set() if recipe.binarization else {"binarization"}
    withheld |= {"start"} if recipe.examples else set()  # a vocabulary, or scales, of its own come with the data
    shared = options.of(
        RunFlags,
        withheld,
        sample={} if recipe.dataset in data.SAMPLES else {"help": argparse.SUPPRESS},
        epochs={"help": _epochs(recipe)},
        steps_per_epoch={"help": _steps_per_epoch(recipe)},
        batch_size={"default": recipe.batch_size},
        learning_rate={"default": recipe.learning_rate},
        output={"default": pathlib.Path("runs", recipe.name)},
        binarization={"default": recipe.binarization},
    )
    of_prior = _prior_options(recipe.prior) if recipe.prior else []
    of_decoder = _decoder_options(recipe.sharp) if recipe.sharp else []
    replaceable = {recipe.source: {"default": None}} if recipe.source else {}
    return shared, of_prior, of_decoder, options.of(recipe.flags, **replaceable)


def _prior_options(prior):
    only = {"prior": None, **prior.only}
    return options.of(
        PriorFlags,
        kind={"default": prior.kinds[0], "choices": (*prior.kinds, "none")},
        epochs={"help": _epochs(prior), "only": only},
        batch_size={"default": prior.batch_size, "only": only},
        learning_rate={"default": prior.learning_rate, "only": only},
    )


def _decoder_options(sharp):
    names = ("learning_rate", "critic_learning_rate", "perceptual_weight", "adversarial_weight")
    defaults = {name: {"default": getattr(sharp, name)} for name in names}
    return options.of(DecoderFlags, epochs={"help": _epochs(sharp)}, **defaults)


def _steps_per_epoch(recipe):
    noun = "images" if recipe.examples is None else recipe.examples.noun
    least = f", and at least {recipe.epoch_steps}" if recipe.epoch_steps else ""
    return f"default: one pass over the training {noun}{least}"


def _epochs(regime):
    return f"default: {regime.epochs}, with --sample {regime.sample_epochs}"
