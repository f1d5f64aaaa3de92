"""The pictures of a report, as PNG files in memory."""

import dataclasses
import io
from typing import Any

import numpy as np

from zoo.evaluation.code_terms import code_terms
from zoo.evaluation.latent_terms import latent_terms
from zoo.evaluation.reports.task import Task
from zoo.evaluation.rows import Examples, as_float

_COLUMNS = 10
_GAP = 2  # pixels between images, once they are enlarged
_WIDTH = 640  # pixels of a grid, about
_PLOTTED = 1000  # examples behind a plot
_WHITE = 255


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a report.

    Args:
        name: str, an identifier: "reconstructions".
        caption: str, a sentence that says what is seen.
        png: bytes of a PNG file.
        size: (width, height), pixels.
    """

    name: str
    caption: str
    png: bytes
    size: tuple[int, int]


def pictures(task: Task) -> list[Picture]:
    """The pictures that suit a model: reconstructions, samples, nearest training images, use of its latents."""
    found = []
    if task.test.images.ndim == 4 and task.test.images.shape[-1] in (1, 3):
        found.append(_reconstructions(task))
        if task.model.can_sample:
            found += [_samples(task), *_neighbours(task)]
    return [*found, *(_codes(task) if task.model.num_codes is not None else _latents(task))]


def _reconstructions(task):
    number = min(len(task.test), 2 * _COLUMNS)
    number -= number % _COLUMNS if number > _COLUMNS else 0
    x = as_float(task.test.images[:number])
    labels = task.test.labels[:number] if task.model.conditional else None
    pairs = np.stack([x, np.asarray(task.model.reconstruct(x, labels))])
    rows = [each for start in range(0, number, _COLUMNS) for each in pairs[:, start : start + _COLUMNS]]
    return _grid("reconstructions", f"Images of the {task.test.split} set, and below each its reconstruction.", rows)


def _samples(task):
    model = task.model
    if model.conditional and model.label_spec[1] == () and model.num_conditions <= 10:
        classes = np.repeat(np.arange(model.num_conditions, dtype=np.int32), _COLUMNS)
        drawn = np.asarray(model.sample(len(classes), seed=task.seed, labels=classes))
        caption = f"Samples, a class in each row (seed {task.seed})."
    else:
        drawn = task.draw(4 * _COLUMNS)
        caption = f"Samples (seed {task.seed})."
    return _grid("samples", caption, [drawn[start : start + _COLUMNS] for start in range(0, len(drawn), _COLUMNS)])


def _neighbours(task):
    if task.training is None:
        return []
    drawn, near = task.nearest
    chosen = [task.training.natural[each.indices[:_COLUMNS, 0]] for each in near.values()]
    rows = [drawn[:_COLUMNS], *map(as_float, chosen)]
    spaces = ", then ".join(f"by {space}" for space in near)
    return [_grid("nearest", f"Samples, and below each the nearest training image {spaces}.", rows)]


_LATENTS = "latents, the largest first"


def _latents(task):
    part = Examples(task.model, task.test.images, task.labels).take(_PLOTTED)
    layers = latent_terms(task.model, part, task.seed).layers
    if len(layers) > 1:
        names = [layer.name for layer in layers]
        caption = f"KL divergence of each layer of latents, top first, over {len(part)} examples."
        return [_bars("kl", caption, "nats per example", [layer.kl for layer in layers], names)]
    if layers[0].kl_by_latent is None:
        values = np.sort(layers[0].activity.ravel())[::-1]
        caption = f"Activity of each latent, the largest first, over {len(part)} examples; above 0.01 it is active."
        unit = "variance of the posterior mean, in units of the prior's"
        return [_bars("activity", caption, unit, values, ends=_LATENTS)]
    values = np.sort(layers[0].kl_by_latent.ravel())[::-1]
    caption = f"KL divergence of each latent, the largest first, over {len(part)} examples."
    return [_bars("kl", caption, "nats per example", values, ends=_LATENTS)]


def _codes(task):
    part = Examples(task.model, task.test.images, task.labels).take(_PLOTTED)
    counts = np.sort(code_terms(task.model, part).counts)[::-1]
    caption = f"Share of each code, the most frequent first, over {len(part)} examples; dotted line: all alike often."
    return [_bars("codes", caption, "share of use", counts / max(1, counts.sum()), level=1.0 / len(counts))]


def _grid(name: str, caption: str, rows: Any) -> Picture:
    """Rows of images `[n,H,W,C]` in [0, 1] as one picture, each pixel enlarged by a whole number."""
    length = max(len(row) for row in rows)
    height, width, channels = rows[0].shape[1:]
    scale = max(1, round(_WIDTH / (length * width)))
    high, wide = scale * height + _GAP, scale * width + _GAP
    canvas = np.full((len(rows) * high - _GAP, length * wide - _GAP, channels), _WHITE, np.uint8)
    for number, row in enumerate(rows):
        pixels = np.round(255 * np.clip(row, 0.0, 1.0)).astype(np.uint8).repeat(scale, axis=1).repeat(scale, axis=2)
        for place, image in enumerate(pixels):
            top, left = number * high, place * wide
            canvas[top : top + high - _GAP, left : left + wide - _GAP] = image
    return Picture(name, caption, _png(canvas), (canvas.shape[1], canvas.shape[0]))


def _png(pixels):
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG", optimize=True)
    return file.getvalue()


def _bars(name, caption, unit, values, labels=None, level=None, ends=None):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Plot

    plot = Plot(figsize=(6.4, 3.2), dpi=100, layout="constrained")
    FigureCanvasAgg(plot)
    axes = plot.subplots()
    axes.bar(np.arange(len(values)), values, width=1.0 if labels is None and len(values) > 60 else 0.8, color="#2b6cb0")
    if labels is not None:
        axes.set_xticks(np.arange(len(values)), labels, rotation=30 if len(labels) < 8 else 90, ha="right")
    if level is not None:
        axes.axhline(level, color="black", linewidth=0.8, linestyle=":")
    axes.set_ylabel(unit, fontsize=9)
    if ends is not None:
        axes.set_xlabel(ends, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    plot.savefig(file, format="png", metadata={"Software": None})
    return Picture(name, caption, file.getvalue(), (640, 320))
