"""Imputation: missing values from the observed ones, by the latents that explain these."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo import random
from zoo.applications._particles import Particles
from zoo.likelihoods import Masked
from zoo.models import VAE, VAEAC
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Labels

Method: TypeAlias = Literal["importance", "gibbs", "metropolis", "gradient", "prior"]
METHODS = ("importance", "gibbs", "metropolis", "gradient", "prior")
_EXAMPLES_AT_ONCE = 1024  # of all particles together


def impute(
    model: keras.Model,
    x: ArrayLike,
    mask: ArrayLike | None = None,
    num_draws: int | None = None,
    method: Method | None = None,
    steps: int = 10,
    num_samples: int = 32,
    noise: bool = True,
    labels: Labels = None,
    seed: int = 0,
) -> np.ndarray:
    """Fills in missing values, of images or tables, from p(missing|observed).

    The methods differ in how they sample z given the observed values:

    - "importance": z_k ~ q(z|x) with `steps` fillings by the decoder's means before, then weights
      p(x_obs|z_k) p(z_k) / q(z_k|x) (Mattei & Frellsen 2019, MIWAE, section 3; deviation: the fillings before, from
      which each z_k has a proposal of its own).
    - "gibbs": z ~ q(z|x) and x_missing ~ p(x_missing|z) in turn, `steps` times (Rezende et al. 2014, appendix F).
      A pseudo-Gibbs sampler: exact only if q is the true posterior.
    - "metropolis": as "gibbs", but a z that the model's own joint density does not support is rejected
      (Mattei & Frellsen 2018, "Leveraging the Exact Likelihood of Deep Latent Variable Models", algorithm 1). The
      first half of the steps accepts all.
    - "gradient": `steps` steps of Adam on log p(x_obs|z) + log p(z), from `num_samples` starting points; the results
      are weighted by exp of this value.
    - "prior": z ~ p(z|x_obs), of a `zoo.VAEAC`, which was trained to fill in (Ivanov et al. 2019). It takes no other
      method, and no `steps`.

    A model with the likelihood `zoo.likelihoods.Masked` sees the mask beside the values. Its posterior does not depend
    on the missing values, so that "importance" takes one step.

    Args:
        model: a model of the zoo. "metropolis" and "gradient" ask for a `zoo.VAE` or a subclass.
        x: float `[N,…]`; missing values may be anything, NaN included.
        mask: bool or 0 and 1, of x's shape, or of a shape that broadcasts to it: 1 is observed. None: what is not NaN.
        num_draws: int >= 1, how often each example is filled in at random; None for one filling, the mean.
        method: the sampler, see above; None for "importance", and for "prior" with a `zoo.VAEAC`.
        steps: int >= 0; at least 1 for all but "importance" and "prior".
        num_samples: int >= 1, importance samples, chains or starting points of an example. "gibbs", "metropolis" and
            "prior" take `num_draws` of them, if it is given.
        noise: bool, whether draws contain the noise of p(x|z), as intervals of a value need. Without it they are means
            of p(x|z).
        labels: int32 `[N]`, for a conditional model. A `zoo.VAEAC` takes `x` and `mask` for its labels.
        seed: int. An example's result depends on its row.

    Returns:
        float32 `[N,…]`, the observed values unchanged and the missing ones estimated by their mean; with `num_draws`,
        `[num_draws,N,…]`.

    Raises:
        ValueError: for an argument of another kind, shape or range, or a model that the method cannot take.

    Example:
        >>> observed = np.ones((28, 28, 1))
        >>> observed[:, 14:] = 0
        >>> zoo.applications.impute(model, images, observed, steps=2, num_samples=4).shape
        (32, 28, 28, 1)
    """
    settings = _Settings(model, method, steps, num_samples, num_draws, noise)
    values, observed = _incomplete(x, mask)
    settings.check(values)
    if isinstance(model, VAEAC) and labels is not None:
        checks.fail("labels", "None with a VAEAC, as `x` and `mask` hold all that it is given", labels)
    labels = model._check_labels(labels, len(values))
    missing = _run(settings, values, observed, labels, checks.seed("seed", seed))
    return np.where(observed > 0, values, missing)


def impute_interval(
    model: keras.Model,
    x: ArrayLike,
    mask: ArrayLike,
    calibration: ArrayLike,
    coverage: float = 0.9,
    num_draws: int = 39,
    method: Method | None = None,
    steps: int = 10,
    num_samples: int = 32,
    noise: bool = True,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals that hold a missing value with a chance of `coverage`, as complete examples confirm.

    The quantiles of draws are intervals only as good as the model. They are therefore widened, or narrowed, on both
    sides by one number, found on complete examples from which the same values were hidden (conformalised quantile
    regression, Romano et al. 2019, eqs. (6) to (8); deviation: the chance is over the values of all examples together).

    Args:
        model, x, mask, method, steps, num_samples, noise, seed: as in `impute`; the mask is given.
        calibration: float `[M,…]`, complete examples that the model was not trained on. Example i has the mask of row
            i modulo N.
        coverage: float > 0 and < 1.
        num_draws: int >= 2, the draws whose quantiles are taken.

    Returns:
        two float32 `[N,…]`, the lower and the upper ends; for observed values both are the value.

    Raises:
        ValueError: as `impute` does; or for fewer missing values than an interval of this coverage needs.

    Example:
        >>> observed = np.ones((28, 28, 1))
        >>> observed[:, 14:] = 0
        >>> few = {"num_draws": 9, "steps": 1, "num_samples": 2}
        >>> low, high = zoo.applications.impute_interval(model, images[:8], observed, images[8:], **few)
        >>> bool(np.all(low <= high))
        True
    """
    coverage = checks.number("coverage", coverage, 0.0, 1.0, open_low=True, open_high=True)
    checks.integer("num_draws", num_draws, 2)
    values, observed = _incomplete(x, mask)
    complete = np.asarray(calibration, np.float32)
    hidden = observed[np.arange(len(complete)) % len(observed)]
    ends = [0.5 * (1.0 - coverage), 0.5 * (1.0 + coverage)]

    def quantiles(examples, masks, seed):
        draws = impute(model, examples, masks, num_draws, method, steps, num_samples, noise, seed=seed)
        return np.quantile(draws, ends, axis=0).astype(np.float32)

    low, high = quantiles(complete, hidden, int(random.fold_in(checks.seed("seed", seed), 1)))
    beyond = np.sort(np.maximum(low - complete, complete - high)[hidden == 0])
    rank = int(np.ceil((len(beyond) + 1) * coverage))
    if rank > len(beyond):
        checks.fail("calibration", f"examples with more missing values for a coverage of {coverage:g}", len(beyond))
    low, high = quantiles(values, observed, seed)
    middle, half = 0.5 * (low + high), np.maximum(0.5 * (high - low) + beyond[rank - 1], 0.0)
    seen = observed > 0
    return np.where(seen, values, middle - half), np.where(seen, values, middle + half)


def impute_with_residuals(
    model: keras.Model,
    x: ArrayLike,
    mask: ArrayLike,
    complete: ArrayLike,
    method: Method | None = None,
    steps: int = 10,
    num_samples: int = 32,
    ridge: float = 1e-3,
    seed: int = 0,
) -> np.ndarray:
    """`impute`, improved by what the model leaves unexplained of the observed values.

    A decoder with few latents misses detail, and misses it alike at neighbouring values. With r = x − mean of p(x|z),
    the conditional mean of r_missing given r_observed is added, under a Gaussian with the mean and the covariance of
    the residuals of complete examples from which the same values were hidden. With a model that always decodes the same
    it is the conditional mean of a Gaussian of the data.

    Args:
        model, x, mask, method, steps, num_samples, seed: as in `impute`, without labels; the mask is given.
        complete: float `[M,…]`, complete examples, more than an example has values. Example i has the mask of row i
            modulo N.
        ridge: float > 0, added to the variances, in squared units of the data.

    Returns:
        float32 `[N,…]`, the observed values unchanged; within the range of the model's data.

    Raises:
        ValueError: as `impute` does.

    Example:
        >>> observed = np.ones((28, 28, 1))
        >>> observed[:, 14:] = 0
        >>> complete, few = images[8:], {"steps": 1, "num_samples": 2}
        >>> zoo.applications.impute_with_residuals(model, images[:8], observed, complete, **few).shape
        (8, 28, 28, 1)
    """
    ridge = checks.number("ridge", ridge, 0.0, open_low=True)
    settings = _Settings(model, method, steps, num_samples, None, False)
    values, observed = _incomplete(x, mask)
    examples, _ = _incomplete(complete, None)
    settings.check(values)
    settings.check(examples)
    hidden = observed[np.arange(len(examples)) % len(observed)]
    residuals = (examples - _run(settings, examples * hidden, hidden, None, seed)).reshape(len(examples), -1)
    means = _run(settings, values, observed, None, seed).reshape(len(values), -1)
    seen_by_row, rows = (observed > 0).reshape(means.shape), values.reshape(means.shape)
    center = residuals.mean(axis=0)
    covariance = np.cov(residuals, rowvar=False) + ridge * np.eye(len(center))
    filled = means.astype(np.float64)
    groups, index = np.unique(seen_by_row, axis=0, return_inverse=True)
    for number, seen in enumerate(groups):
        its = np.flatnonzero(index.ravel() == number)
        weights = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[np.ix_(seen, ~seen)])
        unexplained = rows[np.ix_(its, seen)] - means[np.ix_(its, seen)] - center[seen]
        filled[np.ix_(its, ~seen)] += center[~seen] + unexplained @ weights
    if settings.likelihood.support is not None:
        filled = np.clip(filled, *settings.likelihood.support)
    return np.where(observed > 0, values, filled.reshape(values.shape)).astype(np.float32)


def _run(settings, x, mask, labels, seed):
    """The missing values, batch by batch."""
    seeds = np.asarray(random.row_seeds(seed, len(x)))
    function = settings.compiled(x.shape[1:], labels)
    rows, parts = max(1, _EXAMPLES_AT_ONCE // settings.particles), []
    for i in range(0, len(x), rows):
        batch = [each[i : i + rows] for each in (x, mask, seeds, *([] if labels is None else [labels]))]
        parts.append(np.asarray(function(*map(tf.convert_to_tensor, batch))))
    return np.concatenate(parts, axis=0 if settings.num_draws is None else 1)


def _incomplete(x, mask):
    """`x` with 0 for missing values and its mask, float32 of the same shape; with the checks of both."""
    x = np.asarray(x)
    if x.dtype.kind != "f" or x.ndim < 2 or not len(x):
        checks.fail("x", "floats [N, …], of one example or more", f"{x.dtype} of shape {x.shape}")
    mask = np.isfinite(x) if mask is None else np.asarray(mask)
    if not np.isin(mask, (0, 1)).all():
        checks.fail("mask", "of 1 for observed and 0 for missing values", f"values such as {mask.flat[0]}")
    try:
        mask = np.broadcast_to(mask, x.shape).astype(np.float32)
    except ValueError:
        checks.fail("mask", f"of a shape that broadcasts to {x.shape}", mask.shape)
    x = np.where(mask > 0, x, 0.0).astype(np.float32)
    if not np.isfinite(x).all():
        checks.fail("mask", "0 where x is NaN or infinite", "1 at such a value")
    return x, mask


class _Settings:
    """The arguments of `impute`, checked, and the functions that run in a graph.

    Within them a batch of n examples has n·K rows: the K particles of an example follow each other.
    """

    def __init__(self, model, method, steps, num_samples, num_draws, noise):
        self.model = model
        of_prior = isinstance(model, VAEAC)
        method = self.method = checks.one_of("method", method or ("prior" if of_prior else "importance"), METHODS)
        if of_prior != (method == "prior"):
            checks.fail("method", f"{'' if of_prior else 'not '}'prior' with a {type(model).__name__}", method)
        self.steps = checks.integer("steps", steps, 0 if method in ("importance", "prior") else 1)
        self.num_draws = None if num_draws is None else checks.positive_int("num_draws", num_draws)
        by_draw = num_draws and method in ("gibbs", "metropolis", "prior")
        self.particles = num_draws if by_draw else checks.positive_int("num_samples", num_samples)
        self.noise = noise
        self.masked = isinstance(model.likelihood, Masked)
        self.likelihood = model.likelihood.likelihood if self.masked else model.likelihood
        if method in ("metropolis", "gradient") and not isinstance(model, VAE):
            checks.fail("model", f"a zoo.VAE or a subclass for method={method!r}", type(model).__name__)

    def check(self, x):
        shape = self.model.example_shape
        if shape is None:
            return
        if self.masked:
            shape = (*shape[:-1], shape[-1] // 2)
        if x.shape[1:] != tuple(shape):
            checks.fail("x", f"of shape {('N', *shape)}", x.shape)

    def compiled(self, shape, labels):
        """The function of (x, mask, seeds, labels) for a batch, kept with the model."""
        arguments = (self.method, self.steps, self.particles, self.num_draws, self.noise)
        key = ("impute", *arguments, tuple(shape), labels is None, self.likelihood.get_config().get("name"))
        if key not in self.model.functions:
            specs = [tf.TensorSpec((None, *shape)), tf.TensorSpec((None, *shape)), tf.TensorSpec((None,), tf.int32)]
            specs += [] if labels is None else [tf.TensorSpec((None, *labels.shape[1:]), labels.dtype)]
            function = tf.function(self.run, autograph=False, input_signature=specs)
            self.model.functions[key] = function.get_concrete_function()
        return self.model.functions[key]

    def run(self, x, mask, seeds, labels=None):
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
