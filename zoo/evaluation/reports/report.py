"""All figures of a model, with pictures: as text, as JSON, and as a page."""

import dataclasses
import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import zoo
from zoo.evaluation.disentanglement import FactorData
from zoo.evaluation.features import Features
from zoo.evaluation.figures import Figure
from zoo.evaluation.reports import gallery, measures, page
from zoo.evaluation.reports.gallery import Picture
from zoo.evaluation.reports.measures import Measured
from zoo.evaluation.reports.task import Part, Task
from zoo.evaluation.rows import Told
from zoo.runtime import checks

METRICS = ("likelihood", "reconstruction", "samples", "representation", "criticism", "disentanglement")
_BY_NAME: dict[str, Callable[[Task], Measured]] = {name: getattr(measures, name) for name in METRICS}


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """The result of `zoo.evaluation.evaluate`.

    Args:
        about: dict of str, the facts about the model, the data and the run.
        groups: dict of lists of `Figure`, by metric.
        left_out: dict of str, the reason for each figure or metric that is left out.
        pictures: of `Picture`.
    """

    about: Mapping[str, str]
    groups: Mapping[str, Sequence[Figure]]
    left_out: Mapping[str, str]
    pictures: Sequence[Picture] = ()

    @property
    def figures(self) -> list[Figure]:
        """All figures."""
        return [figure for group in self.groups.values() for figure in group]

    def table(self) -> str:
        """The figures as text, a line each, in columns."""
        rows = [("figure", "value", "examples", "seconds", "about")]
        for figure in self.figures:
            measured_on = f"{figure.num_examples} {figure.split}"
            rows.append((figure.name, figure.amount(), measured_on, f"{figure.seconds:.1f}", figure.about))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths)), row[4]]).rstrip() for row in rows]
        lines += [f"left out: {name}, as {reason}" for name, reason in self.left_out.items()]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The report without its pictures, as JSON holds it; values that are not finite are None."""
        figures = [
            {"metric": metric, **{name: _finite(value) for name, value in figure.as_dict().items()}}
            for metric, group in self.groups.items()
            for figure in group
        ]
        return {"about": dict(self.about), "figures": figures, "left_out": dict(self.left_out)}

    def html(self) -> str:
        """A page of HTML with the figures and the pictures in it, which needs no network."""
        return page.render(self.about, self.groups, self.left_out, self.pictures)


def evaluate(
    model: keras.Model,
    test: Part | np.ndarray,
    training: Part | np.ndarray | None = None,
    metrics: Sequence[str] | None = None,
    num_samples: int = 100,
    seed: int = 0,
    judge: Features | None = None,
    factors: FactorData | None = None,
    card: Mapping[str, object] | None = None,
    about: Mapping[str, str] | None = None,
    with_pictures: bool = True,
    progress: Told | None = None,
) -> Report:
    """Measures a model on held-out images, in every way that applies to it.

    - "likelihood": `likelihood_figures`.
    - "reconstruction": the squared error, also over the variance of the training images; PSNR, SSIM and MS-SSIM.
    - "samples": `sample_quality` with as many samples as there are test images, at most 10,000; and of at most 500
      samples the share that lies nearer to a training image than nearly all test images do. Needs training images and
      a judge.
    - "representation": `linear_probe` and `nearest_neighbours` on `model.embed`, of at most 10,000 examples of each
      split. Needs training images and labels.
    - "criticism": `predictive_checks` on at most 1,000 images.
    - "disentanglement": `mig`, `sap`, `dci`, `factor_vae_score` and `modularity`. Needs factors.

    A figure that does not apply is left out, and the report says why. Images are read in batches: memory grows with the
    features and embeddings of the images alone.

    Args:
        model: a built model of the zoo.
        test: `Part`, or images `[N,…]` without labels.
        training: `Part`, or images, that the model was trained on; None leaves out the figures that need them.
        metrics: strs among `METRICS`; None for all, without "disentanglement" where there are no factors.
        num_samples: int >= 1, importance samples for each image.
        seed: int, of all noise.
        judge: `zoo.evaluation.features.Features`, the network whose features judge samples; None leaves them out.
        factors: `FactorData`, images with known factors; None leaves "disentanglement" out.
        card: dict, the model's card. A judge that took part in its training is refused.
        about: dict of str, more facts for the head of the report.
        with_pictures: bool, whether to make pictures.
        progress: function of (description, steps done, all steps), or None.

    Returns:
        `Report`.

    Raises:
        ValueError: for an unknown metric, labels that are missing, or images that do not fit the model.

    Example:
        >>> report = zoo.evaluation.evaluate(model, images, metrics=["reconstruction"], with_pictures=False)
        >>> print(report.table())
        figure …
    """
    checks.zoo_model(model)
    if metrics is None:
        metrics = [name for name in METRICS if name != "disentanglement" or factors is not None]
    if isinstance(metrics, str):
        checks.fail("metrics", f"a list of names, such as [{metrics!r}]", metrics)
    for name in metrics:
        checks.one_of("metrics", name, METRICS)
    test, training = _part(test, "test"), None if training is None else _part(training, "train")
    if training is not None and training.images.shape[1:] != test.images.shape[1:]:
        checks.fail("training", f"images of test's shape {test.images.shape[1:]}", f"shape {training.images.shape[1:]}")
    if model.label_source() is not None and test.labels is None:
        raise ValueError("Expected `test` to have labels, as the model takes them. Received: images alone")
    if factors is not None and not (hasattr(factors, "images") and hasattr(factors, "factors")):
        checks.fail("factors", "a zoo.evaluation.FactorData, such as zoo.data.Sprites, or None", type(factors).__name__)
    if card is not None and not isinstance(card, Mapping):
        checks.fail("card", "a dict, or None", card)
    task = Task(
        model=model,
        test=test,
        training=training,
        judge=judge,
        factors=factors,
        num_samples=checks.positive_int("num_samples", num_samples),
        seed=checks.integer("seed", seed, 0),
        card=card or {},
        progress=progress or (lambda *_: None),
    )
    groups: dict[str, list[Figure]] = {}
    left_out: dict[str, str] = {}
    for name in METRICS:
        if name in metrics:
            groups[name], reasons = _BY_NAME[name](task)
            left_out |= reasons
    pictures = gallery.pictures(task) if with_pictures else []
    return Report({**_facts(task), **(about or {})}, groups, left_out, pictures)


def _part(given: Part | np.ndarray, split: str) -> Part:
    part = given if isinstance(given, Part) else Part(checks.numpy_array(split, given), split=split)
    if part.images.ndim < 2 or not len(part):
        checks.fail(split, "a Part or an array [N, …] of at least one example", f"shape {part.images.shape}")
    return part


def _facts(task):
    model, binary = task.model, "" if task.test.grey is None else ", binarised"
    facts = {
        "model": f"{type(model).__name__} with {model.count_params():,} weights",
        "likelihood": type(model.likelihood).__name__,
        "test": f"{len(task.test)} {task.test.split} examples of shape {tuple(task.test.images.shape[1:])}{binary}",
        "training": "none" if task.training is None else f"{len(task.training)} {task.training.split} examples",
        "seed": str(task.seed),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": f"vae-zoo {zoo.__version__}, keras {keras.__version__}, tensorflow {tf.__version__}",
    }
    return facts if task.judge is None else {**facts, "judge of samples": task.judge.name}


def _finite(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value
