"""Anomaly detection: scores of examples by a trained model, with a false-positive rate that was asked for."""

import math
import pathlib
from collections.abc import Callable
from typing import Any, Literal, Self, TypeAlias, get_args

import keras
import numpy as np

from zoo.applications import _anomaly_signature, _comparisons, _scores
from zoo.applications._examples import examples_of, require_unconditional
from zoo.applications._fitted import Detector, note_arguments, require_fitted
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike, PathLike

Score: TypeAlias = Literal[
    "density_of_states",
    "error_per_nat",
    "elbo",
    "log_prob",
    "reconstruction",
    "kl",
    "complexity",
    "background",
    "latent",
    "latent_density",
    "local_outlier",
]
SCORES: tuple[str, ...] = get_args(Score)
# The scores that use the squared error, which can be smoothed.
OF_ERRORS = ("density_of_states", "error_per_nat", "reconstruction", "latent_density")
# The scores that compare with normal examples.
FITTED = ("density_of_states", "latent", "latent_density", "local_outlier")


# How much higher than a score a threshold is, as a share: scores differ in their last bits between batches.
_ROUNDING = 1e-5


class AnomalyDetector(Detector):
    """Tells anomalies from normal examples by a trained model, with the interface of scikit-learn's outlier detectors.

    The threshold comes from split conformal prediction: of n calibration examples, it is the one at rank
    ⌈(n + 1)(1 − α)⌉ (Vovk et al. 2005, "Algorithmic Learning in a Random World"). A new normal example lies beyond it
    with a chance of at most α, `false_positive_rate`, whatever the model and the score. This holds for examples that
    the model was not trained on: pass such examples to `fit`.

    Scores, all for anomalies the higher:

    - "density_of_states": −log of the density of several statistics of an example among those of normal ones: −log
      p(x|z), KL, log of the squared error, and for images the compressed size (Morningstar et al. 2021, "Density of
      States Estimation for Out-of-Distribution Detection"; deviations: the compressed size, and one mixture of
      Gaussians for all statistics). It sees what is unusual in either direction.
    - "error_per_nat": log of the squared error of the reconstruction, minus log of the compressed size of the example.
      Images of little detail are easy to reconstruct and to compress; the ratio is high for those that the
      model reconstructs worse than their detail explains.
    - "elbo": −ELBO. "log_prob": −log p(x), importance-weighted. Both are low for simple images of any kind (Nalisnick
      et al. 2019, "Do Deep Generative Models Know What They Don't Know?").
    - "reconstruction": squared error of the reconstruction. "kl": KL( q(z|x) ‖ p(z) ).
    - "complexity": −ELBO minus the compressed size, in nats (Serrà et al. 2020, "Input Complexity and
      Out-of-distribution Detection with Likelihood-based Generative Models", eq. (2)). It needs a likelihood over
      8-bit values.
    - "background": −log p(x) + log p(x) of a background model, trained on corrupted or more general data (Ren et al.
      2019, "Likelihood Ratios for Out-of-Distribution Detection", eq. (4)).
    - "latent": distance of `embed(x)` from those of normal examples.
    - "latent_density": −log of the density of `embed(x)` and of the log of the squared error together, among those of
      normal examples (Zong et al. 2018, "Deep Autoencoding Gaussian Mixture Model for Unsupervised Anomaly Detection";
      deviation: the mixture of Gaussians is fitted afterwards, by expectation maximisation). It finds a kind that is
      missing among many.
    - "local_outlier": local outlier factor of `embed(x)` among those of normal examples (Breunig et al. 2000, "LOF:
      Identifying Density-Based Local Outliers"): how much lower the density is there than at its neighbours.

    Images are compressed to PNG at 8 bits a value; for other data "error_per_nat" and "complexity" are refused.

    Args:
        model: a trained model of the zoo, not a conditional one. `fit` does not train it.
        score: one of the scores above.
        false_positive_rate: float > 0 and < 1, α.
        num_samples: int >= 1, samples of z for "elbo", "kl" and the scores made from them; importance samples for
            "log_prob" and "background".
        background: a model of the zoo for the same data, for "background".
        num_neighbors: int >= 1. For "latent": the mean distance to that many neighbours; None for the Mahalanobis
            distance. For "local_outlier": the number of neighbours; None for 20, but at most half of the examples to
            compare with.
        num_components: int >= 1, Gaussians of "density_of_states" and "latent_density"; None for 4 and 20,
            but at most one for every ten examples to compare with.
        smoothing: float >= 0, for images: the difference from the reconstruction is smoothed by a Gaussian filter of
            that standard deviation, in pixels, before it is squared, in `heat_map` and in scores that use the squared
            error. An edge that lies a little beside its place then counts less than a part that is missing.
        calibration: float > 0 and < 1, the share of the examples of `fit` that set the threshold; the others are those
            that "density_of_states", "latent", "latent_density" and "local_outlier" compare with. Other scores
            calibrate on all.
        seed: int, of the noise and of the split. A score depends on the example's values alone.

    Attributes:
        offset_: float, the negative threshold: `decision_function` is `score_samples` − `offset_`.
        n_features_in_: int, the numbers in an example.

    Example:
        >>> detector = zoo.applications.AnomalyDetector(model, score="reconstruction", false_positive_rate=0.1)
        >>> detector.fit(images).predict(1 - images).shape
        (32,)
    """

    def __init__(
        self,
        model: keras.Model,
        score: Score = "density_of_states",
        false_positive_rate: float = 0.05,
        num_samples: int = 4,
        background: keras.Model | None = None,
        num_neighbors: int | None = None,
        num_components: int | None = None,
        smoothing: float = 0.0,
        calibration: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.score = score
        self.false_positive_rate = false_positive_rate
        self.num_samples = num_samples
        self.background = background
        self.num_neighbors = num_neighbors
        self.num_components = num_components
        self.smoothing = smoothing
        self.calibration = calibration
        self.seed = seed

    def fit(self, x: ArrayLike, y: object = None) -> Self:
        """Sets the threshold, and what the score compares with.

        Args:
            x: normal examples that the model was not trained on: float `[N,…]`, or `[N,F]` with an example in a row.
                At least 1/α − 1 of them must set the threshold. A score that compares with normal examples uses only
                the share `calibration` of them for it; others use all.

        Raises:
            ValueError: for arguments out of range, or too few examples.
        """
        rate = self._check()
        x = examples_of(self, x, first=True)
        reference, calibration = x[:0], x
        if self.score in FITTED:
            share = checks.number("calibration", self.calibration, 0.0, 1.0, open_low=True, open_high=True)
            order = np.random.default_rng(self.seed).permutation(len(x))
            cut = len(x) - round(share * len(x))
            if cut < 2:
                checks.fail("x", "more examples, as the score compares with some of them", f"{len(x)} examples")
            reference, calibration = x[order[:cut]], x[order[cut:]]
        self.n_features_in_ = math.prod(x.shape[1:])
        self.compared_ = self._compare_with(reference)
        self.offset_ = -conformal_threshold(self._anomaly(calibration), rate)
        note_arguments(self)
        return self

    def score_samples(self, x: ArrayLike) -> np.ndarray:
        """The negative anomaly score, the higher the more normal: examples as in `fit` to float64 `[N]`."""
        require_fitted(self)
        return -self._anomaly(examples_of(self, x))

    def heat_map(self, x: ArrayLike) -> np.ndarray:
        """Where an example differs from its reconstruction: squared errors, float32 `[N,…]` of the model's shape.

        For images the channels are summed, `[N,H,W]`.
        """
        errors = _scores.squared_error(self.model, examples_of(self, x), self.smoothing).astype(np.float32)
        return errors.sum(axis=-1) if errors.ndim == 4 else errors

    def export(self, path: PathLike, **kwargs: Any) -> pathlib.Path:
        """Exports the model as `model.export` does, with one more signature, `anomaly`.

        It takes examples, as `image` or `x`, and gives `score` float32 `[B]`, higher for anomalies, and `is_anomaly`
        int32 `[B]`, 1 for examples beyond the threshold. A score that samples z uses the detector's `seed`. The graph
        is compared with this detector, and the file with the graph, before the file is put in place; threshold, score
        and false-positive rate are in its metadata.

        Args:
            path, kwargs: as in `zoo.export.export`: a SavedModel or a `.tflite` file.

        Returns:
            path of the version folder, or of the file.

        Raises:
            ValueError: for a score that compresses images ("density_of_states", "error_per_nat", "complexity"), and
                those of `zoo.export.export`.
            zoo.export.parity.ParityError: if the score in float32 differs from this detector's.
        """
        require_fitted(self)
        return _anomaly_signature.write(self, path, **kwargs)

    def _check(self):
        checks.zoo_model(self.model)
        checks.one_of("score", self.score, SCORES)
        checks.positive_int("num_samples", self.num_samples)
        for name in ("num_components", "num_neighbors"):
            if getattr(self, name) is not None:
                checks.positive_int(name, getattr(self, name))
        smoothing, shape = checks.number("smoothing", self.smoothing, 0.0), self.model.known_shape
        if smoothing and shape is not None:
            _scores.require_image(shape, smoothing)
        checks.fixed_seed("seed", self.seed)
        require_unconditional(self.model, "an AnomalyDetector")
        if self.score == "background":
            if self.background is None:
                checks.fail("background", "a model of the zoo for score='background'", None)
            _require_comparable(self.model, self.background)
        return checks.number("false_positive_rate", self.false_positive_rate, 0.0, 1.0, open_low=True, open_high=True)

    def _compare_with(self, x):
        """The function that the score applies to an example's embedding or statistics, fitted to normal examples."""
        if self.score == "latent":
            return _comparisons.LatentDistance(np.asarray(self.model.embed(x)), self.num_neighbors)
        if self.score == "local_outlier":
            number = self.num_neighbors or min(20, len(x) // 2)
            return _comparisons.LocalOutlier(np.asarray(self.model.embed(x)), number)
        if self.score in FITTED:
            of_latents = self.score == "latent_density"
            number = self.num_components or max(1, min(20 if of_latents else 4, len(x) // 10))
            states, least = (self._latent_states(x), 1e-2) if of_latents else (self._states(x), 1e-3)
            return _comparisons.Density(states, number, self.seed, least)
        return None

    def _states(self, x):
        """The statistics of "density_of_states", `[N,4]`, or `[N,3]` for data without a compressed size."""
        sizes = [_scores.compressed_nats(x)] if _scores.is_image(x) else []
        return np.stack([*self._elbo_terms(x), self._log_error(x), *sizes], axis=1)

    def _latent_states(self, x):
        """The statistics of "latent_density", `[N,E+1]`."""
        return np.concatenate([np.asarray(self.model.embed(x)), self._log_error(x)[:, None]], axis=1)

    def _elbo_terms(self, x):
        return _scores.elbo_terms(self.model, x, self.num_samples, self.seed)

    def _log_error(self, x):
        return np.log(self._error(x) + np.finfo(np.float32).tiny)

    def _error(self, x):
        return _scores.squared_error(self.model, x, self.smoothing).reshape(len(x), -1).sum(axis=1)

    def _anomaly(self, x):
        scores: dict[str, Callable[[], Any]] = {
            "error_per_nat": lambda: self._log_error(x) - np.log(_scores.compressed_nats(x)),
            "density_of_states": lambda: self.compared_(self._states(x)),
            "elbo": lambda: sum(self._elbo_terms(x)),
            "log_prob": lambda: -_scores.log_prob(self.model, x, self.num_samples, self.seed),
            "reconstruction": lambda: self._error(x),
            "kl": lambda: self._elbo_terms(x)[1],
            "complexity": lambda: sum(self._elbo_terms(x)) - _scores.compressed_nats(x),
            "background": lambda: self._ratio(x),
            "latent": lambda: self.compared_(np.asarray(self.model.embed(x))),
            "latent_density": lambda: self.compared_(self._latent_states(x)),
            "local_outlier": lambda: self.compared_(np.asarray(self.model.embed(x))),
        }
        return np.asarray(scores[self.score](), np.float64)

    def _ratio(self, x):
        own, other = (_scores.log_prob(each, x, self.num_samples, self.seed) for each in (self.model, self.background))
        return other - own


def _require_comparable(model, background):
    """Two log-densities are compared where both are of the same values in the same units."""
    require_unconditional(background, "a background model")
    own, other = model.likelihood, background.likelihood
    units = [getattr(each, "deviations", None) for each in (own, other)]
    alike = isinstance(own, type(other)) or isinstance(other, type(own)) or (own.eight_bit and other.eight_bit)
    if not alike or units[0] != units[1]:
        expected = f"a model with a likelihood like that of `model`, {type(own).__name__}, in the same units"
        checks.fail("background", expected, type(other).__name__)
    shapes = model.known_shape, background.known_shape
    if None not in shapes and shapes[0] != shapes[1]:
        checks.fail("background", f"a model of data of shape {shapes[0]}", shapes[1])


def least_examples(rate: float) -> int:
    """The least number of normal examples that can hold a false-positive rate in (0, 1)."""
    return math.ceil(1.0 / rate - 1.0 - 1e-9)


def conformal_threshold(scores: np.ndarray, rate: float) -> float:
    """The score at rank ⌈(n + 1)(1 − rate)⌉ of n calibration scores, which new scores exceed with a chance <= `rate`.

    It is a hundred-thousandth higher than that score: an example that is among the calibration examples often would
    else exceed its own score by rounding.

    Args:
        scores: float `[n]`, of normal examples, higher for anomalies.
        rate: float in (0, 1).

    Raises:
        ValueError: if n is below 1/rate − 1: no threshold then holds that rate.
    """
    rank = math.ceil((len(scores) + 1) * (1.0 - rate) - 1e-9)
    if rank > len(scores):
        least = f"at least 1/{len(scores) + 1} with {len(scores)} normal examples or steps to set the threshold"
        checks.fail("false_positive_rate", f"{least}; {rate:g} takes {least_examples(rate)} of them", rate)
    threshold = float(np.sort(scores)[rank - 1])
    return threshold + _ROUNDING * max(1.0, abs(threshold))
