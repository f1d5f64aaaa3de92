"""Examples as points of a plane, and the plane of a 2-D latent as images."""

import pathlib
import statistics
from typing import Literal, NamedTuple

import keras
import numpy as np

from zoo import priors
from zoo.applications._latents import latent_statistics
from zoo.runtime import checks, files
from zoo.runtime.labelled import label_array
from zoo.runtime.types import ArrayLike, Labels, PathLike

METHODS = ("latents", "pca", "umap")
# Of the classes, here and on the page: matplotlib's tab10, then the pale half of tab20.
COLOURS = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
    *("#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5", "#c49c94", "#f7b6d2", "#c7c7c7", "#dbdb8d", "#9edae5"),
)


class Map(NamedTuple):
    """Points of a plane.

    Attributes:
        points: float32 array `[N,2]`.
        axes: the names of the two axes.
    """

    points: np.ndarray
    axes: tuple[str, str]


def latent_map(
    model: keras.Model,
    images: ArrayLike,
    labels: Labels = None,
    method: Literal["latents", "pca", "umap"] = "latents",
    seed: int = 0,
) -> Map:
    """Places examples on a plane by their embeddings.

    Args:
        model: a model of the zoo.
        images: float `[N,H,W,C]` in [0, 1].
        labels: for a conditional model.
        method: "latents", the two latents with the largest KL; "pca", the two main axes of all latents (scikit-learn);
            or "umap" (McInnes et al. 2018), which needs `pip install 'vae-zoo[umap]'` and at least three examples.
        seed: int, of UMAP.

    Returns:
        `Map`. The second coordinate is 0 if there is a single latent or example.

    Raises:
        ValueError: for another method, or too few examples for it.
        ImportError: for "umap" without its package.

    Example:
        >>> latent_map = zoo.applications.latent_map(model, images, method="pca")
        >>> latent_map.points.shape
        (32, 2)
    """
    checks.zoo_model(model)
    checks.one_of("method", method, METHODS)
    if method == "latents":
        order = latent_statistics(model, images, labels).order[:2]
        embedded = np.asarray(model.embed(images, labels))
        return _map(embedded[:, order], [f"latent {latent}" for latent in order])
    if method == "umap":
        checks.extra("umap", "umap")
        images = checks.numpy_array("images", images)
        if len(images) < 3:
            checks.fail("images", "three examples at least for UMAP", f"{len(images)} examples")
        from umap import UMAP

        embedded = np.asarray(model.embed(images, labels))
        neighbours = min(15, len(embedded) - 1)
        plane = UMAP(random_state=seed, n_neighbors=neighbours, n_jobs=1, init="pca").fit_transform(embedded)
        return _map(plane, ["UMAP 1", "UMAP 2"])
    from sklearn.decomposition import PCA

    embedded = np.asarray(model.embed(images, labels))
    pca = PCA(min(2, *embedded.shape), svd_solver="full").fit(embedded)
    shares = np.nan_to_num(pca.explained_variance_ratio_)
    names = [f"main axis {number} ({share:.0%} of the variance)" for number, share in enumerate(shares, 1)]
    return _map(pca.transform(embedded), names)


def plot_map(path: PathLike, points: Map, labels: ArrayLike | None = None) -> pathlib.Path:
    """Plots a map, coloured by label.

    Args:
        path: path of a .png, .svg or .pdf file.
        points: from `latent_map`.
        labels: int, float or str `[N]`, or None for one colour. More than 20 numbers are shown as shades.

    Returns:
        the path.

    Example:
        >>> zoo.applications.plot_map("map.png", zoo.applications.latent_map(model, images), labels)
        PosixPath('map.png')
    """
    from matplotlib.figure import Figure

    path = pathlib.Path(path)
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        checks.fail("path", "a file that ends in .png, .svg or .pdf", str(path))
    labels = None if labels is None else label_array(labels)
    if labels is not None and labels.dtype.kind == "O":
        checks.fail("labels", "numbers or texts alone", f"{labels.dtype}")
    if labels is not None and labels.shape != (len(points.points),):
        checks.fail("labels", f"of shape [{len(points.points)}]", f"shape {labels.shape}")
    classes = np.zeros(0) if labels is None else np.unique(labels)
    if labels is not None and labels.dtype.kind not in "biuf" and len(classes) > len(COLOURS):
        checks.fail("labels", f"numbers, or at most {len(COLOURS)} names", f"{len(classes)} names")
    figure = Figure(figsize=(7, 5.5), layout="constrained")
    axes = figure.subplots()
    size = max(3.0, min(20.0, 20_000 / len(points.points)))
    right, up = points.points.T
    if labels is None or len(classes) > len(COLOURS):
        drawn = axes.scatter(right, up, c=labels, s=size)
        if labels is not None:
            figure.colorbar(drawn)
    else:
        axes.scatter(right, up, c=np.array(COLOURS)[np.searchsorted(classes, labels)], s=size)
        for colour, name in zip(COLOURS, classes):
            axes.scatter([], [], c=colour, label=str(name))
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    axes.set_xlabel(points.axes[0])
    axes.set_ylabel(points.axes[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as scratch:
        figure.savefig(scratch, dpi=110)
    return path


def manifold(model: keras.Model, num_steps: int = 20, labels: Labels = None) -> np.ndarray:
    """The images of a regular grid over the plane of a 2-D latent.

    The grid stands at the quantiles ½/n, 1½/n, …, 1 − ½/n of the standard normal distribution, where a sample of the
    prior falls into each cell with the same probability (Kingma & Welling 2014, figure 4).

    Args:
        model: a model with two latents and the prior `zoo.priors.StandardNormal`.
        num_steps: int >= 2, n.
        labels: one label for all images, for a conditional model.

    Returns:
        float32 array `[n,n,H,W,C]`: the first latent grows to the right, the second one upwards.

    Raises:
        ValueError: for a model with more or fewer latents, or with another prior.

    Example:
        >>> encoder = zoo.networks.mlp_encoder((28, 28, 1), latent_dim=2)
        >>> decoder = zoo.networks.mlp_decoder((28, 28, 1), latent_dim=2)
        >>> zoo.applications.manifold(zoo.VAE(encoder, decoder), num_steps=5).shape
        (5, 5, 28, 28, 1)
    """
    checks.zoo_model(model)
    if model.num_codes is not None or model.embedding_dim != 2:
        size = "codes" if model.num_codes is not None else f"{model.embedding_dim} latents"
        checks.fail("model", "one with two latents", f"a {type(model).__name__} with {size}")
    if not isinstance(model.prior, priors.StandardNormal):
        expected = "one with a standard normal prior, at whose quantiles the grid stands"
        checks.fail("model", expected, f"a {type(model).__name__} with a {type(model.prior).__name__}")
    checks.integer("num_steps", num_steps, 2)
    normal = statistics.NormalDist()
    values = np.array([normal.inv_cdf((step + 0.5) / num_steps) for step in range(num_steps)], np.float32)
    right, up = np.meshgrid(values, values[::-1])
    points = np.stack([right.ravel(), up.ravel()], axis=1)
    if labels is not None:
        one = np.asarray(labels)
        if len(one := one if one.ndim else one[None]) != 1:
            checks.fail("labels", "one label for all images", one.tolist())
        labels = np.repeat(one, len(points), axis=0)
    decoded = np.asarray(model.decode_embedding(points, labels))
    return decoded.reshape(num_steps, num_steps, *decoded.shape[1:])


def _map(plane, names):
    plane = np.asarray(plane, np.float32)
    missing = 2 - plane.shape[1]
    return Map(np.pad(plane, ((0, 0), (0, missing))), (*names, *[""] * missing)[:2])
