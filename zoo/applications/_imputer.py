"""The arguments of imputation, checked, and the graph that fills in a batch."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo import random
from zoo.applications._particles import Particles
from zoo.fitting import inputs
from zoo.fitting.batched import kept_graph
from zoo.likelihoods import Masked
from zoo.models import VAE, VAEAC
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Tensor

Method: TypeAlias = Literal["importance", "gibbs", "metropolis", "gradient", "prior"]
METHODS = ("importance", "gibbs", "metropolis", "gradient", "prior")
_EXAMPLES_AT_ONCE = 1024  # of all particles together


def incomplete(name: str, x: ArrayLike, mask: ArrayLike | None = None) -> tuple[np.ndarray, np.ndarray]:
    """`x` with 0 for missing values, and its mask.

    Args:
        name: str, what errors call `x`.
        x: float `[N,…]`; missing values may be anything.
        mask: bool or 0 and 1, of a shape that broadcasts to x's: 1 is observed. None: what is not NaN.

    Returns:
        two float32 arrays of x's shape.

    Raises:
        ValueError: for another type or shape, and for a mask that counts NaN as observed.
    """
    x = checks.numpy_array(name, x)
    if x.dtype.kind != "f" or x.ndim < 2 or not len(x):
        checks.fail(name, "floats [N, …], of one example or more", f"{x.dtype} of shape {x.shape}")
    if mask is None and np.isinf(x).any():
        checks.fail(name, "finite numbers, and NaN for missing ones", f"{int(np.isinf(x).sum())} infinite values")
    mask = ~np.isnan(x) if mask is None else np.asarray(mask)
    other = mask[~np.isin(mask, (0, 1))]
    if len(other):
        checks.fail("mask", "of 1 for observed and 0 for missing values", f"values such as {other[0]}")
    try:
        mask = np.broadcast_to(mask, x.shape).astype(np.float32)
    except ValueError:
        checks.fail("mask", f"of a shape that broadcasts to {x.shape}", mask.shape)
    x = np.where(mask > 0, x, 0.0).astype(np.float32)
    if not np.isfinite(x).all():
        checks.fail("mask", f"0 where {name} is NaN or infinite", "1 at such a value")
    return x, mask


class Imputer:
    """Fills in the missing values of arrays by a model; the arguments are those of `zoo.applications.impute`.

    Attributes:
        likelihood: that of the values, without their mask.
        masked: bool, whether the model sees the mask beside the values.
        particles: int, K, the samples of z of an example. In the graph a batch of n examples has n·K rows: the K
            particles of an example follow each other.
    """

    def __init__(
        self,
        model: keras.Model,
        method: Method | None,
        steps: int,
        num_samples: int,
        num_draws: int | None,
        noise: bool,
    ) -> None:
        self.model = model
        of_prior = isinstance(model, VAEAC)
        chosen = self.method = checks.one_of("method", method or ("prior" if of_prior else "importance"), METHODS)
        if of_prior != (chosen == "prior"):
            checks.fail("method", f"{'' if of_prior else 'not '}'prior' with a {type(model).__name__}", chosen)
        self.steps = checks.integer("steps", steps, 0 if chosen in ("importance", "prior") else 1)
        self.num_draws = None if num_draws is None else checks.positive_int("num_draws", num_draws)
        num_samples = checks.positive_int("num_samples", num_samples)
        by_draw = chosen in ("gibbs", "metropolis", "prior")
        self.particles = self.num_draws if self.num_draws and by_draw else num_samples
        self.noise = checks.boolean("noise", noise)
        self.masked = isinstance(model.likelihood, Masked)
        self.likelihood = model.likelihood.likelihood if self.masked else model.likelihood
        if chosen in ("metropolis", "gradient") and not isinstance(model, VAE):
            checks.fail("model", f"a zoo.VAE or a subclass for method={chosen!r}", type(model).__name__)

    def check(self, name: str, x: np.ndarray, mask: np.ndarray) -> None:
        """Raises ValueError unless `x` has the shape of the model's examples, and observed values are in its range."""
        shape = self.model.example_shape
        if shape is not None:
            shape = (*shape[:-1], shape[-1] // 2) if self.masked else tuple(shape)
            if x.shape[1:] != shape:
                checks.fail(name, f"of shape {('N', *shape)}", x.shape)
        if self.likelihood.couples_channels:
            inputs.require_whole("mask", mask)
        if self.likelihood.support is not None:
            inputs.look([inputs.Values(name, x[mask > 0], *self.likelihood.support)])

    def complete(self, name: str, x: ArrayLike) -> np.ndarray:
        """`x` as float32 `[N,…]`; raises ValueError if it does not suit the model, or misses a value."""
        values, mask = incomplete(name, x)
        if not mask.all():
            checks.fail(name, "complete examples", f"{int(np.sum(mask == 0))} values that are NaN or infinite")
        self.check(name, values, mask)
        return values

    def __call__(self, x: np.ndarray, mask: np.ndarray, labels: Tensor | None, seed: int | None) -> np.ndarray:
        """The values of p(missing|observed), batch by batch; at observed places they mean nothing.

        Args:
            x, mask: float32 `[N,…]`, as `incomplete` gives them.
            labels: `[N]`, or None.
            seed: int, or None for a fresh one.

        Returns:
            float32 `[N,…]`; `[num_draws,N,…]` where there is a number of draws.
        """
        seeds = np.asarray(random.row_seeds(seed, len(x)))
        function = self._compiled(x.shape[1:], labels)
        rows, parts = max(1, _EXAMPLES_AT_ONCE // self.particles), []
        for i in range(0, len(x), rows):
            batch = [each[i : i + rows] for each in (x, mask, seeds, *([] if labels is None else [labels]))]
            parts.append(np.asarray(function(*map(tf.convert_to_tensor, batch))))
        return np.concatenate(parts, axis=0 if self.num_draws is None else 1)

    def _compiled(self, shape, labels):
        """The function of (x, mask, seeds, labels) for a batch, kept with the model."""
        arguments = (self.method, self.steps, self.particles, self.num_draws, self.noise)
        key = ("impute", *arguments, self.likelihood.get_config().get("name"))
        specs = [tf.TensorSpec((None, *shape)), tf.TensorSpec((None, *shape)), tf.TensorSpec((None,), tf.int32)]
        specs += [] if labels is None else [tf.TensorSpec((None, *labels.shape[1:]), labels.dtype)]
        return kept_graph(self.model, key, self._filled, specs)

    def _filled(self, x, mask, seeds, labels=None):
        number = ops.shape(x)[0]
        particles = ops.tile(ops.arange(self.particles, dtype="int32"), [number])
        seeds_of_rows = random.fold_in(ops.repeat(seeds, self.particles), particles)
        x, mask = (ops.repeat(each, self.particles, axis=0) for each in (x, mask))
        if labels is not None:
            labels = self.model._cast_labels(ops.repeat(labels, self.particles, axis=0))
        rows = Particles(self, x, mask, seeds_of_rows, labels)
        samplers: dict[str, Callable] = {
            "importance": rows.weighted, "gradient": rows.climbed, "prior": rows.from_prior
        }  # fmt: skip
        return samplers.get(self.method, rows.chained)(seeds)
