"""The model, the data and the settings that `zoo.evaluation.evaluate` passes to its parts."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from zoo.evaluation.disentanglement import FactorData
from zoo.evaluation.features import Features
from zoo.evaluation.figures import Figure

# Called with a description of the work, the number of steps that are done, and the number of all steps.
Told: TypeAlias = Callable[[str, int, int], None]


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
