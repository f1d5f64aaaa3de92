"""The declaration of a recipe."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from zoo import data

ImageShape: TypeAlias = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class NoFlags:
    """The own flags of a recipe without any."""


def _nothing(*_):
    return ()


def _no_entries(*_):
    return {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regime:
    """How a model is trained.

    Args:
        epochs, batch_size, learning_rate: the defaults of the flags.
        sample_epochs: the default of `--epochs` under `--sample`.
        minimum_steps: int, the least number of steps by default: the number of epochs is raised for a small dataset.
        epoch_steps: int, the least number of steps of an epoch by default: an epoch of a small dataset is several
            passes over it. Each epoch ends with a validation and a checkpoint.
        warmup_steps: int >= 0, in which the learning rate rises from 0; a tenth of the run at most.
        gradient_clip: float > 0, the largest norm of the gradient of all weights together, or None.
        skip_threshold: float > 0, the norm of the gradient above which a step is skipped, or None
            (`zoo.fitting.gradients.SkipLargeGradients`). Infinity skips only gradients that are not finite.
        ema: float in [0, 1), the momentum of a moving average of the weights, or None for no average. Validation,
            saved models, evaluation and plots use the average; training does not.
        jit_compile: bool, whether XLA compiles the step. It is faster for small dense networks, but not for
            convolutions on a CPU.
        steps_per_execution: int, steps in one call of the graph.
    """

    epochs: int = 30
    sample_epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    minimum_steps: int = 0
    epoch_steps: int = 0
    warmup_steps: int = 0
    gradient_clip: float | None = None
    skip_threshold: float | None = None
    ema: float | None = None
    jit_compile: bool = False
    steps_per_execution: int = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prior(Regime):
    """A prior over the codes of a trained VQ-VAE, and its training on the codes of the training images.

    Args:
        build: function of (kind, number of codes, grid shape (h, w), seed, sample) that gives the prior, not compiled.
            `kind` is one of `kinds`; `sample` is a bool, whether the run is on the small bundled sample.
        kinds: strs, the choices of `--prior` besides "none"; the first is the default. Each kind is trained in a
            folder of its own, on the same trained model. A model without codes gets no prior.
        settings: function of the recipe's own flags that gives a dict of further arguments of `build`, such as a width.
        only: dict, with which of the recipe's own flags there are codes; as in `zoo.training.flag`. With others, flags
            of the prior are refused.
        epochs, …: as in `Regime`; the flags begin with `--prior`.
    """

    build: Callable[..., keras.Model]
    kinds: tuple[str, ...] = ("transformer", "pixelcnn")
    settings: Callable[..., Mapping[str, object]] = _no_entries
    only: Mapping[str, Sequence[object]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sharp(Regime):
    """The last stage of a run, `--decoder sharp`: trains the decoder for sharp images (`zoo.Sharpening`).

    Args:
        perceptual: the name of a feature network, as `zoo.training.perceptual.load` takes it.
        perceptual_weight, adversarial_weight, critic_learning_rate: the defaults of the flags.
        critic_steps: int, the steps in which the critic learns before the adversarial loss begins; a quarter of the
            stage at most.
        filters: int, channels of the critic.
        epochs, …: as in `Regime`; the flags begin with `--decoder`. The batch size is that of the model's own stage.
    """

    perceptual: str = "cifar10_vgg"
    perceptual_weight: float = 0.1
    adversarial_weight: float = 0.01
    critic_learning_rate: float = 3e-4
    critic_steps: int = 500
    filters: int = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class Examples:
    """How a run treats data that are not images. A part is a split, such as an array; its length counts examples.

    Args:
        noun: str, the examples in printed lines and in `metrics.json`, in the plural.
        batches: function of (part, batch size, and the arguments `seed`, `shuffle`, `first_step`, `epochs` and
            `context` of `zoo.data.batches`) that gives a dataset.
        finish: function of (own flags, model, `zoo.data.Splits`, folder, seed) that writes plots and texts to the
            folder of the run, and returns a dict of further figures of the test split; a figure is a number or a list.
        some: function of (part, number) that gives as many examples as an array, to check the exports with; or a pair
            of arrays, examples and their labels, for a conditional model.
        exporter: function of (own flags, model) that gives the function which exports the model, as `model.export`.
    """

    noun: str
    batches: Callable[..., tf.data.Dataset]
    finish: Callable[..., Mapping[str, float | Sequence[float]]] = _no_entries
    some: Callable[..., np.ndarray | tuple[np.ndarray, np.ndarray]] = lambda part, number: np.asarray(part[:number])
    exporter: Callable[[Any, keras.Model], Callable[..., pathlib.Path]] = lambda _, model: model.export


@dataclasses.dataclass(frozen=True)
class Recipe(Regime):
    """A dataset, a model, and the training of the model on the dataset.

    Args:
        name: str, the script's name without its ending.
        description: str, the script's docstring, shown by `--help`.
        image_shape: (H, W, C) of the model's images, or the shape of other examples; or a function of the own flags
            that gives it.
        build: function of (own flags, image shape, seed) that gives the model, not compiled. A ValueError becomes a
            usage error.
        dataset: str, the TFDS name; None where `load` is given.
        flags: a frozen dataclass, the recipe's own flags. Each field is an option of the command line, declared with
            `zoo.training.flag`. A ValueError in its `__post_init__` becomes a usage error. The functions below get an
            instance of this class as "own flags".
        load: function of (own flags, image shape, disk folder) that gives `zoo.data.Splits`, in that folder if it is
            not None. None loads `dataset`.
        source: str, the own flag that names the data of `load`, a field without a default. `--shards` may then take its
            place. None: the data of `load` has no such flag.
        training_data: function of the own flags that describes the data of `load` in words, for `card.json`.
        prior: a `Prior` for a second stage, or None.
        sharp: a `Sharp` for a last stage, or None.
        binarization: None, "static" or "dynamic": the default of `--binarization`. None: no such flag.
        examples: `Examples`, for data that are not images; None for images.
        callbacks: function of (own flags, total steps) that gives Keras callbacks.
        plotted_labels: function of the own flags that gives the labels of the plotted samples of a conditional model;
            empty or None for all.
        epochs, …: as in `Regime`.
    """

    name: str
    description: str
    image_shape: ImageShape | Callable[..., ImageShape]
    build: Callable[..., keras.Model]
    dataset: str | None = None
    flags: type = NoFlags
    load: Callable[..., data.Splits] | None = None
    source: str | None = None
    training_data: Callable[..., str] = _nothing
    prior: Prior | None = None
    sharp: Sharp | None = None
    binarization: str | None = None
    examples: Examples | None = None
    callbacks: Callable[..., Sequence[keras.callbacks.Callback]] = _nothing
    plotted_labels: Callable[..., Sequence[int] | None] = _nothing

    def shape(self, own_flags: object) -> ImageShape:
        """(H, W, C) under these flags."""
        return self.image_shape(own_flags) if callable(self.image_shape) else self.image_shape
