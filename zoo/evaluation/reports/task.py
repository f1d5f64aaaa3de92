"""The model, the data and the settings that `zoo.evaluation.evaluate` passes to its parts."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.evaluation.disentanglement import FactorData
from zoo.evaluation.features import Features
from zoo.evaluation.figures import Figure
from zoo.evaluation.nearest import Nearest, nearest_training
from zoo.evaluation.rows import Told
from zoo.runtime import checks

_MOST_NEAREST = 500  # samples whose nearest training images are looked for
_ROWS = 500


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """A split of a dataset.

    Args:
        images: `[N,…]` as the model takes them: uint8, which is divided by 255, or float.
        labels: one for each, or None.
        split: str, its name: "test".
        grey: the images before they were binarised, which samples are compared with; None for `images`.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    split: str = "test"
    grey: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name, each in (("labels", self.labels), ("grey", self.grey)):
            if each is not None and len(each) != len(self.images):
                checks.fail(name, f"one for each of the {len(self.images)} images", len(each))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def natural(self) -> np.ndarray:
        """`grey`, or `images`."""
        return self.images if self.grey is None else self.grey


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """The arguments of `zoo.evaluation.evaluate`, checked."""

    model: Any
    test: Part
    training: Part | None
    judge: Features | None
    factors: FactorData | None
    num_samples: int
    seed: int
    card: Mapping[str, object]
    progress: Told

    @property
    def labels(self) -> np.ndarray | None:
        """The labels of the test images; None for a model that takes none."""
        return None if self.model.label_source() is None else self.test.labels

    @functools.cached_property
    def training_features(self) -> np.ndarray:
        """The features of all training images, which the judge sees once."""
        if self.training is None or self.judge is None:
            raise ValueError("Expected training images and a judge. Received: neither, or one")
        images, parts = self.training.natural, []
        for start in range(0, len(images), _ROWS):
            parts.append(self.judge.embed(images[start : start + _ROWS]))
            self.progress("features of training images", min(start + _ROWS, len(images)), len(images))
        return np.concatenate(parts)

    @functools.cached_property
    def nearest(self) -> tuple[np.ndarray, dict[str, Nearest]]:
        """Samples, at most 500, and the training images that are nearest to them by pixels, and to the judge."""
        if self.training is None:
            raise ValueError("Expected training images. Received: none")
        number, training = min(len(self.test), _MOST_NEAREST), self.training.natural
        drawn, test = self.draw(number), self.test.natural[:number]
        self.progress("nearest training images", 0, number)
        if self.judge is None or tuple(self.judge.image_shape) != tuple(training.shape[1:]):
            return drawn, nearest_training(drawn, training, test)
        features = self.training_features
        return drawn, nearest_training(drawn, training, test, self.judge, training_features=features)

    def draw(self, number: int) -> np.ndarray:
        """Samples `[number,…]` in [0, 1], with labels of training or test images if the model takes labels."""
        labels = None
        if self.model.label_source() is not None:
            source = self.test if self.training is None or self.training.labels is None else self.training
            labels = np.random.default_rng(self.seed).choice(np.asarray(source.labels), number)
        return np.clip(np.asarray(self.model.sample(number, seed=self.seed, labels=labels)), 0.0, 1.0)

    def figure(
        self,
        name: str,
        value: float,
        error: float | None,
        seconds: float,
        *,
        unit: str = "",
        about: str = "",
        split: str | None = None,
        num_examples: int | None = None,
        seed: int | None = None,
    ) -> Figure:
        """A figure, of the test set unless `split` and `num_examples` say otherwise."""
        return Figure(
            name=name,
            value=float(value),
            unit=unit,
            error=None if error is None or not math.isfinite(error) else float(error),
            split=self.test.split if split is None else split,
            num_examples=len(self.test) if num_examples is None else num_examples,
            seed=seed,
            seconds=seconds,
            about=about,
        )
