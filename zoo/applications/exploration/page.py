"""One HTML file to look around in the latent space: no server, no network, a bounded size."""

import base64
import io
import json
import math
import pathlib
import string
from collections.abc import Sequence
from typing import Literal

import keras
import numpy as np

from zoo import priors
from zoo.applications._latents import LatentStatistics, latent_statistics, own_labels
from zoo.applications.exploration.maps import COLOURS, latent_map
from zoo.applications.pictures import grid, pixels
from zoo.applications.traversal import starting_point
from zoo.runtime import checks, files
from zoo.runtime.labelled import label_array
from zoo.runtime.types import ArrayLike, Arrays, Labels, PathLike

MOST_PIXELS = 4_000_000  # of all pictures of the page; as PNG files a few megabytes
MOST_NUMBERS = 200_000  # of the embeddings that the page holds to decode from, where it is served


def explore(
    model: keras.Model,
    images: ArrayLike,
    labels: Labels = None,
    path: PathLike = "explore.html",
    method: Literal["latents", "pca", "umap"] = "latents",
    max_examples: int = 1000,
    num_latents: int = 8,
    num_steps: int = 13,
    span: float = 3.0,
    class_names: Sequence[str] | None = None,
    title: str | None = None,
) -> pathlib.Path:
    """Writes a page with a map of examples: hover over a point to see its image and its reconstruction; a slider for
    each of the latents with the largest KL shows the image of its latent at that place.

    As a file the page has stored frames: a slider moves one latent, from one of a few starting points. Served together
    with a TFLite file (`site`) it decodes any position of all sliders, from any example, by LiteRT.js.

    Args:
        model: a model of the zoo.
        images: float `[N,H,W,C]` in [0, 1].
        labels: int or str `[N]` of at most 20 classes, which colour the points; a conditional model needs its own
            labels here, which colour them if they are classes.
        path: path of the .html file.
        method: of the map, as in `latent_map`.
        max_examples: int >= 1, the examples on the page, the first of `images`; fewer if the images are large.
        num_latents: int >= 1, the number of sliders.
        num_steps: int >= 2, the positions of a slider that are stored.
        span: float > 0, standard deviations of a latent to each side.
        class_names: strs, one for each class of integers; None for the labels as they are.
        title: str; None for the model's class.

    Returns:
        the path. A page of 1,000 images of 28×28 has about a megabyte.

    Raises:
        ValueError: for an argument of another kind, shape or range.

    Example:
        >>> zoo.applications.explore(model, images, labels, "digits.html", num_steps=3)
        PosixPath('digits.html')
    """
    checks.zoo_model(model)
    path = pathlib.Path(path)
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        checks.fail("path", "a file that ends in .html", str(path))
    sliders = min(checks.positive_int("num_latents", num_latents), model.embedding_dim)
    checks.integer("num_steps", num_steps, 2)
    steps = np.linspace(-1.0, 1.0, num_steps, dtype=np.float32) * checks.number("span", span, 0.0, open_low=True)
    x = checks.numpy_array("images", images)
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or not len(x):
        checks.fail("images", "of shape [N,H,W,1] or [N,H,W,3], one at least", f"shape {x.shape}")
    number = min(len(x), checks.positive_int("max_examples", max_examples), max(1, _room(x) // 4))
    labels = None if labels is None else label_array(labels)
    if labels is not None and len(labels) != len(x):
        checks.fail("labels", f"one for each of {len(x)} images", f"{len(labels)} labels")
    x, labels = x[:number].astype(np.float32), None if labels is None else labels[:number]
    taken = None if own_labels(model, labels) is None else labels
    classes = _classes(labels, class_names, required=taken is None)
    statistics = latent_statistics(model, x, taken)
    places = latent_map(model, x, taken, method)
    content = {
        "title": title or f"{type(model).__name__} of {number} examples",
        "colours": COLOURS,
        "axes": places.axes,
        "points": _rounded(places.points),
        "size": x.shape[1:3],
        "images": _sheet(x),
        "reconstructions": _sheet(np.asarray(model.reconstruct(x, taken))),
        **classes,
        **_frames(model, x, taken, statistics, statistics.order[:sliders], steps),
        **_live(model, x, taken),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(path, _html(content))
    return path


def _room(x):
    """The number of images of this size that all pictures of a page may have."""
    return MOST_PIXELS // math.prod(x.shape[1:3])


def _centre(model):
    """What the start of the sliders is, in words."""
    if model.num_codes is not None:
        return "the mean of the examples"
    standard = isinstance(model.prior, priors.StandardNormal)
    return "the prior's mean" if standard else "a sample of the prior at temperature 0"


def are_classes(labels: np.ndarray) -> bool:
    """Whether labels `[N]` are classes, and few enough to colour points by."""
    return labels.ndim == 1 and labels.dtype.kind in "iubU" and len(np.unique(labels)) <= len(COLOURS)


def _classes(labels, names, required):
    """The classes of the points, if labels are classes and few; attributes of a conditional model colour no points."""
    if labels is None:
        return {"labels": None, "classes": []}
    if not are_classes(labels):
        if required:
            expected = f"integers or strings of shape [N], of at most {len(COLOURS)} classes, which colour the points"
            checks.fail("labels", expected, f"{labels.dtype} of shape {labels.shape}: {labels.ravel()[:5].tolist()}, …")
        return {"labels": None, "classes": []}
    classes = np.unique(labels)
    if names is not None and labels.dtype.kind not in "iu":
        checks.fail("class_names", "None, as `labels` are names or booleans", list(names))
    if names is not None and classes.min() < 0:
        checks.fail("labels", "from 0, as `class_names` are given", int(classes.min()))
    if names is not None and len(names) <= classes.max():
        checks.fail("class_names", f"a name for each of {classes.max() + 1} classes", list(names))
    places = np.searchsorted(classes, labels)
    return {"labels": places.tolist(), "classes": [str(c) if names is None else str(names[c]) for c in classes]}


def _frames(
    model: keras.Model,
    x: np.ndarray,
    labels: np.ndarray | None,
    statistics: LatentStatistics,
    latents: np.ndarray,
    steps: np.ndarray,
) -> dict[str, object]:
    """The stored frames: for each starting point and latent, the images of all steps."""
    room = max(1, _room(x) // 2 // (len(latents) * len(steps)))
    starts = _starts(labels, len(x), min(10, room - 1))
    first = None if labels is None else labels[:1]
    bases = [starting_point(model, statistics.mean, None, first)]
    if starts:
        given = None if labels is None else labels[starts]
        bases.extend(np.asarray(model.embed(x[starts], given)))
    points = np.broadcast_to(np.stack(bases)[:, None, None], (len(bases), len(latents), len(steps), bases[0].size))
    points = points.copy()
    for place, latent in enumerate(latents):
        points[:, place, :, latent] += steps * statistics.std[latent]
    each = len(latents) * len(steps)
    with_first = None if labels is None else np.repeat(np.concatenate([first, labels[starts]]), each, axis=0)
    decoded = np.asarray(model.decode_embedding(points.reshape(-1, bases[0].size), with_first))
    kl = statistics.kl
    return {
        "frames": _sheet(decoded, len(steps)),
        "centre": _centre(model),
        "conditional": labels is not None,
        "starts": [-1, *starts],
        "steps": _rounded(steps),
        "latents": [
            {"latent": int(k), "std": float(statistics.std[k]), "kl": None if kl is None else float(kl[k])}
            for k in latents
        ],
        "base": _encoded(np.stack(bases[:1])),
    }


def _starts(labels, number, most):
    """The examples that stored frames start from: one of each class, or the first ones."""
    if labels is not None and labels.ndim == 1:
        _, first = np.unique(labels, return_index=True)
        return [int(index) for index in first[: max(most, 0)]]
    return list(range(min(number, max(most, 0))))


def _live(model: keras.Model, x: np.ndarray, labels: np.ndarray | None) -> dict[str, object]:
    """The embeddings from which the page decodes where it is served. The `decode` of a VQ-VAE takes codes instead."""
    if model.num_codes is not None or len(x) * model.embedding_dim > MOST_NUMBERS:
        return {"embeddings": None, "conditions": None}
    conditions = None if labels is None else np.asarray(labels).tolist()
    return {"embeddings": _encoded(np.asarray(model.embed(x, labels))), "conditions": conditions}


def _encoded(values):
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def _rounded(values):
    return json.loads(json.dumps(np.asarray(values, np.float64).round(4).tolist()))


def _sheet(images: np.ndarray, columns: int | None = None) -> dict[str, object]:
    """A sprite sheet: its address, which holds the PNG file itself, and the number of images in a row."""
    from PIL import Image

    columns = columns or math.ceil(math.sqrt(len(images)))
    levels = pixels(grid(images, columns, gap=0))
    levels = levels[..., 0] if levels.shape[-1] == 1 else levels
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG", optimize=True)
    return {"src": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode(), "columns": columns}


def _html(content: dict[str, object]) -> str:
    folder = pathlib.Path(__file__).parent
    parts: Arrays | dict[str, str] = {
        name: (folder / f"page.{name}").read_text(encoding="utf-8") for name in ("css", "js")
    }
    data = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    title = str(content["title"]).replace("&", "&amp;").replace("<", "&lt;")
    return string.Template((folder / "page.html").read_text(encoding="utf-8")).substitute(parts, data=data, title=title)
