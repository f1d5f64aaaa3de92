"""What a recipe says, and the flags that all recipes share."""

import argparse
import dataclasses
import pathlib
from collections.abc import Callable

from zoo import data
from zoo.runtime import checks, files

STRATEGIES = ("auto", "none", "mirrored", "multiworker", "tpu")


def _nothing(*_):
    return ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regime:
    """How a model is trained.

    Args:
        epochs, sample_epochs, batch_size, learning_rate: the flags' defaults; `sample_epochs` under `--sample`.
        minimum_steps: int, that the default number of epochs is raised to reach, for data of unknown size.
        warmup_steps: int >= 0, over which the learning rate rises from 0; a tenth of the run at most.
        gradient_clip: float > 0, the largest norm of the gradient of all weights together, or None.
        ema: float in [0, 1), the momentum of a moving average of the weights, or None for none. Validation, what is
            saved, evaluated and drawn use the average; training goes on without it.
        jit_compile: bool, whether XLA compiles the step. It pays for small dense networks, not for convolutions on a
            CPU.
        steps_per_execution: int, steps in one call of the graph.
    """

    epochs: int = 30
    sample_epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    minimum_steps: int = 0
    warmup_steps: int = 0
    gradient_clip: float | None = None
    ema: float | None = None
    jit_compile: bool = False
    steps_per_execution: int = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prior(Regime):
    """A prior over the codes of a trained VQ-VAE, and how it is trained on those of the training images.

    Args:
        build: function of (flags, model, grid shape (h, w)) that gives the prior, not compiled. `flags.prior` is its
            kind.
        kinds: strs, what `--prior` may be beside "none"; the first is the default. Each has a folder of its own, so
            that another kind finds the same model trained.
        epochs, …: of a `Regime`; the flags begin with `--prior`.
    """

    build: Callable
    kinds: tuple[str, ...] = ("transformer", "pixelcnn")


@dataclasses.dataclass(frozen=True)
class Recipe(Regime):
    """A dataset, a model, and how the one is trained on the other.

    Args:
        name: str, the script's name without its ending.
        description: str, the script's docstring, shown by `--help`.
        image_shape: (H, W, C), of the images as the model takes them.
        build: function of (flags, image shape) that gives the model, not compiled. A ValueError that it raises is
            shown as a usage error.
        dataset: str, the TFDS name; None where `load` is given.
        load: function of (flags, image shape) that gives `zoo.data.Splits`, on the disk of `disk_folder(flags)` if
            that is not None. Left out, it loads `dataset`.
        prior: a `Prior` for a second stage, or None.
        binarization: None, "static" or "dynamic": the default of `--binarization`. None: no such flag.
        add_flags: function of the parser that adds the recipe's own flags.
        callbacks: function of (flags, total steps) that gives Keras callbacks.
        sample_flags: dict of names of flags to their defaults under `--sample`, where those differ.
        epochs, …: of a `Regime`.
    """

    name: str
    description: str
    image_shape: tuple[int, int, int]
    build: Callable
    dataset: str | None = None
    load: Callable | None = None
    prior: Prior | None = None
    binarization: str | None = None
    add_flags: Callable = _nothing
    callbacks: Callable = _nothing
    sample_flags: dict = dataclasses.field(default_factory=dict)

    def parser(self):
        parser = argparse.ArgumentParser(
            prog=f"{self.name}.py", description=self.description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        add = parser.add_argument
        if self.dataset:
            has_sample = self.dataset in data.SAMPLES
            note = "train on the small real sample that ships with the package" if has_sample else argparse.SUPPRESS
            add("--sample", action="store_true", help=note)
            add("--data-dir", help="where TFDS finds or puts the dataset (default: TFDS_DATA_DIR, else TFDS's own)")
        add("--epochs", type=int, help=f"default: {self.epochs}, with --sample {self.sample_epochs}")
        add("--steps-per-epoch", type=int, help="default: one pass over the training images")
        add("--batch-size", type=int, default=self.batch_size, help="over all replicas (default: %(default)s)")
        add("--learning-rate", type=float, default=self.learning_rate, help="at the start (default: %(default)s)")
        add("--seed", type=int, default=0, help="of weights, order and noise (default: %(default)s)")
        add("--strategy", choices=STRATEGIES, default="auto", help="auto: all GPUs, else one device")
        parts = "of a batch, each computed by one core of the CPU (default: one a core, where large enough)"
        add("--parts", type=int, help=parts)
        add("--mixed-precision", nargs="?", choices=("none", "bfloat16", "float16"), default="none", const="bfloat16")
        add("--output", type=pathlib.Path, default=pathlib.Path("runs", self.name), help="default: %(default)s")
        add("--fresh", action="store_true", help="start over, instead of going on where the last run stopped")
        add("--checkpoint-seconds", type=float, default=300, help="between two within an epoch (default: %(default)s)")
        add("--no-cache", action="store_true", help="keep images and codes on the disk of --output, not in memory")
        add("--no-export", action="store_true", help="leave out the SavedModel and the TFLite files")
        if self.binarization:
            add("--binarization", choices=("none", "static", "dynamic"), default=self.binarization)
        if self.prior:
            self._add_prior_flags(add)
        self.add_flags(parser)
        return parser

    def _add_prior_flags(self, add):
        prior, kinds = self.prior, (*self.prior.kinds, "none")
        add(
            "--prior", choices=kinds, default=kinds[0], help="over the codes, trained afterwards (default: %(default)s)"
        )
        add("--prior-epochs", type=int, help=f"default: {prior.epochs}, with --sample {prior.sample_epochs}")
        add("--prior-batch-size", type=int, default=prior.batch_size, help="default: %(default)s")
        add("--prior-learning-rate", type=float, default=prior.learning_rate, help="default: %(default)s")

    def parse(self, argv=None):
        """The flags, checked as far as they can be without data; a usage error ends the program with status 2."""
        parser = self.parser()
        flags = parser.parse_args(argv)
        flags.sample = getattr(flags, "sample", False)
        if flags.sample:
            parser.set_defaults(**self.sample_flags)
            flags = parser.parse_args(argv)
        flags.binarization = getattr(flags, "binarization", "none")
        try:
            numbers = ("epochs", "steps_per_epoch", "batch_size", "parts", "prior_epochs", "prior_batch_size")
            for name in numbers:
                if getattr(flags, name, None) is not None:
                    checks.positive_int(option(name), getattr(flags, name))
            if not 0 <= flags.seed < 2**32:
                checks.fail("--seed", "an integer >= 0 and < 2**32", flags.seed)
            for name in ("learning_rate", "prior_learning_rate", "checkpoint_seconds"):
                if hasattr(flags, name):
                    checks.number(option(name), getattr(flags, name), 0.0, open_low=True)
            if flags.sample and self.dataset not in data.SAMPLES:
                checks.fail("--sample", f"left out, as only {', '.join(data.SAMPLES)} have a bundled sample", True)
            files.require_writable("--output", flags.output)
        except ValueError as error:
            parser.error(str(error))
        return flags

    def build_checked(self, flags):
        """The model, or a usage error where the flags do not make one."""
        try:
            return self.build(flags, self.shape(flags))
        except ValueError as error:
            self.parser().error(str(error))

    def shape(self, flags):
        size = getattr(flags, "image_size", None)
        return self.image_shape if size is None else (size, size, self.image_shape[-1])

    def load_splits(self, flags):
        shape = self.shape(flags)
        if self.load:
            return self.load(flags, shape)
        return data.load(self.dataset, flags.data_dir, shape[:2], flags.sample, disk_folder(flags))


def disk_folder(flags):
    """Where a run keeps its images under `--no-cache`, or None for memory."""
    return flags.output if flags.no_cache else None


def option(name):
    """A flag as it is typed."""
    return "--" + name.replace("_", "-")
