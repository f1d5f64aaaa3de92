"""What a recipe says."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class NoFlags:
    """The own flags of a recipe that has none."""


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
        skip_threshold: float > 0, the norm of the gradient above which a step leaves it out, or None
            (`zoo.fitting.gradients.SkipLargeGradients`); infinity for gradients that are no numbers alone.
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
    skip_threshold: float | None = None
    ema: float | None = None
    jit_compile: bool = False
    steps_per_execution: int = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prior(Regime):
    """A prior over the codes of a trained VQ-VAE, and how it is trained on those of the training images.

    Args:
        build: function of (kind, number of codes, grid shape (h, w), seed, sample) that gives the prior, not compiled.
            `kind` is one of `kinds`; `sample` is a bool, whether the run is on the small bundled sample.
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
        image_shape: (H, W, C), of the images as the model takes them; or a function of the own flags that gives it.
        build: function of (own flags, image shape, seed) that gives the model, not compiled. A ValueError that it
            raises is shown as a usage error.
        dataset: str, the TFDS name; None where `load` is given.
        flags: a frozen dataclass, the recipe's own flags. Each field is an option of the command line, declared with
            `zoo.training.flag`; a ValueError of its `__post_init__` is a usage error. The functions that take own
            flags get an instance of it.
        load: function of (own flags, image shape, disk folder) that gives `zoo.data.Splits`, on the disk of that
            folder if it is not None. Left out, it loads `dataset`.
        training_data: function of the own flags that says what `load` gives, in words, for `card.json`.
        prior: a `Prior` for a second stage, or None.
        binarization: None, "static" or "dynamic": the default of `--binarization`. None: no such flag.
        callbacks: function of (own flags, total steps) that gives Keras callbacks.
        plotted_labels: function of the own flags that gives the labels to plot samples of, under a conditional model;
            empty or None for all.
        epochs, …: of a `Regime`.
    """

    name: str
    description: str
    image_shape: tuple[int, int, int] | Callable
    build: Callable
    dataset: str | None = None
    flags: type = NoFlags
    load: Callable | None = None
    training_data: Callable = _nothing
    prior: Prior | None = None
    binarization: str | None = None
    callbacks: Callable = _nothing
    plotted_labels: Callable = _nothing

    def shape(self, own_flags):
        """(H, W, C) under these flags."""
        return self.image_shape(own_flags) if callable(self.image_shape) else self.image_shape
