"""Imputation: missing values from the observed ones, by the latents that explain these."""

import keras
import numpy as np

from zoo import random
from zoo.applications._examples import require_unconditional
from zoo.applications._imputer import Imputer, Method, incomplete
from zoo.fitting import inputs
from zoo.models import VAEAC
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, Labels


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
        mask: bool or 0 and 1, of x's shape, or of a shape that broadcasts to it: 1 is observed. None: all values
            that are not NaN are observed.
        num_draws: int >= 1, how often each example is filled in at random; None for one filling, the mean.
        method: the sampler, see above; None for "importance", and for "prior" with a `zoo.VAEAC`.
        steps: int >= 0; at least 1 for all but "importance" and "prior".
        num_samples: int >= 1, importance samples, chains or starting points of an example. "gibbs", "metropolis" and
            "prior" take `num_draws` of them, if it is given.
        noise: bool, whether draws contain the noise of p(x|z), as intervals of a value need. Without it they are means
            of p(x|z).
        labels: int32 `[N]`, for a conditional model. A `zoo.VAEAC` takes none: `x` and `mask` take their place.
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
    checks.zoo_model(model)
    imputer = Imputer(model, method, steps, num_samples, num_draws, noise)
    values, observed = incomplete("x", x, mask)
    imputer.check("x", values, observed)
    if isinstance(model, VAEAC) and labels is not None:
        checks.fail("labels", "None with a VAEAC, as `x` and `mask` hold all that it is given", labels)
    labels = model._check_labels(labels, len(values))
    if labels is not None:
        inputs.look([model.label_values(labels)])
        labels = np.asarray(labels, model.label_spec[0])
    missing = imputer(values, observed, labels, checks.fixed_seed("seed", seed))
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
    require_unconditional(model, "impute_interval")
    coverage = checks.number("coverage", coverage, 0.0, 1.0, open_low=True, open_high=True)
    checks.integer("num_draws", num_draws, 2)
    imputer = Imputer(model, method, steps, num_samples, num_draws, noise)
    values, observed = incomplete("x", x, mask)
    imputer.check("x", values, observed)
    complete = imputer.complete("calibration", calibration)
    hidden = observed[np.arange(len(complete)) % len(observed)]
    ends = [0.5 * (1.0 - coverage), 0.5 * (1.0 + coverage)]

    def quantiles(examples, masks, seed):
        draws = np.where(masks > 0, examples, imputer(examples * masks, masks, None, seed))
        return np.quantile(draws, ends, axis=0).astype(np.float32)

    low, high = quantiles(complete, hidden, int(random.fold_in(checks.fixed_seed("seed", seed), 1)))
    beyond = np.sort(np.maximum(low - complete, complete - high)[hidden == 0])
    rank = int(np.ceil((len(beyond) + 1) * coverage - 1e-9))
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
    the residuals of complete examples from which the same values were hidden. If the decoder ignored z, the result
    would be the conditional mean of a Gaussian fitted to the data.

    Args:
        model, x, mask, method, steps, num_samples, seed: as in `impute`, without labels; the mask is given.
        complete: float `[M,…]`, complete examples, M >= 2; their covariance asks for more than an example has values.
            Example i has the mask of row i modulo N.
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
    require_unconditional(model, "impute_with_residuals")
    ridge = checks.number("ridge", ridge, 0.0, open_low=True)
    checks.fixed_seed("seed", seed)
    imputer = Imputer(model, method, steps, num_samples, None, False)
    values, observed = incomplete("x", x, mask)
    imputer.check("x", values, observed)
    examples = imputer.complete("complete", complete)
    if len(examples) < 2:
        checks.fail("complete", "at least two examples, whose covariance counts", len(examples))
    hidden = observed[np.arange(len(examples)) % len(observed)]
    residuals = (examples - imputer(examples * hidden, hidden, None, seed)).reshape(len(examples), -1)
    means = imputer(values, observed, None, seed).reshape(len(values), -1)
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
    if imputer.likelihood.support is not None:
        filled = np.clip(filled, *imputer.likelihood.support)
    return np.where(observed > 0, values, filled.reshape(values.shape)).astype(np.float32)
