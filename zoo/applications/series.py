"""Series: a VAE of windows, and anomaly scores for each step."""

from collections.abc import Sequence
from typing import Self

import keras
import numpy as np
from keras import layers

from zoo import data, networks
from zoo.applications import _scores
from zoo.applications._examples import require_unconditional
from zoo.applications._fitted import Detector, note_arguments, require_fitted
from zoo.applications.anomaly import FITTED, AnomalyDetector, Score, conformal_threshold
from zoo.likelihoods import Gaussian, Likelihood, Standardized
from zoo.models import VAE
from zoo.priors import LatentPrior
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike

_LEAST_DEVIATION = 1e-6


def series_vae(
    series: data.Series,
    length: int,
    latent_dim: int = 8,
    filters: Sequence[int] = (32, 64),
    stride: int = 2,
    dense: int = 128,
    likelihood: Likelihood | None = None,
    prior: LatentPrior | None = None,
    seed: int | None = None,
) -> VAE:
    """An untrained VAE of windows `[B,T,C]`, in the units of the series.

    The encoder standardises its input by the mean and the deviation of each channel of `series`, and the likelihood is
    `zoo.likelihoods.Standardized` by the same: both are saved and exported with the model.

    Args:
        series: the training part of a series.
        length: int >= 1, T, divisible by stride ** len(filters).
        latent_dim, filters, stride, dense: as in `zoo.networks.conv1d_encoder`; the decoder is its mirror image.
        likelihood: of the standardised values; None for `zoo.likelihoods.Gaussian("optimal", range=None)`.
        prior, seed: as in `zoo.VAE`; `keras.utils.set_random_seed` before this call fixes the initial weights too.

    Raises:
        ValueError: for a channel whose values float32 does not hold or tell apart, or whose deviation is below 1e-6.

    Example:
        >>> series = zoo.data.Series(np.sin(0.3 * np.arange(400.0)))
        >>> vae = zoo.applications.series_vae(series, length=16, latent_dim=2, seed=0)
        >>> vae.compile("adam")
        >>> vae.fit(series.windows(16)[0], epochs=10, verbose=0)
        >>> vae.sample(3, seed=7).shape
        TensorShape([3, 16, 1])
    """
    if not isinstance(series, data.Series):
        checks.fail("series", "a zoo.data.Series", type(series).__name__)
    means, deviations = (each.tolist() for each in series.statistics())
    for name, deviation in zip(series.names, deviations):
        if deviation < _LEAST_DEVIATION:  # Keras's layer would not standardise it
            checks.fail("series", f"one whose channel {name!r} is in a smaller unit", f"a deviation of {deviation:.3g}")
    channels, names = len(means), series.names if series.has_names else None
    judge = Standardized(likelihood or Gaussian("optimal", range=None), means, deviations, names)
    inner = networks.conv1d_encoder((length, channels), latent_dim, filters, stride, dense)
    inputs = keras.Input((length, channels))
    scaled = layers.Normalization(axis=-1, mean=means, variance=np.square(deviations).tolist())(inputs)
    decoder = networks.conv1d_decoder(
        (length, judge.params_size(channels)), latent_dim, tuple(filters)[::-1], stride, dense
    )
    return VAE(keras.Model(inputs, inner(scaled), name="encoder"), decoder, judge, seed=seed, prior=prior)


class SeriesDetector(Detector):
    """Finds anomalous steps of a series by a trained model of its windows, as scikit-learn's outlier detectors do.

    The score of a step is the mean over all windows that contain it. For "reconstruction" a window scores each of its
    steps by the squared error of the reconstruction, each channel's over its mean on the series of `fit`. With another
    score of `AnomalyDetector`, a window gives all its steps the score that the window has as an example.

    The threshold is the quantile of the scores of a normal series that lets `false_positive_rate` of its steps through.
    A score that compares with normal windows takes those of the first half of the series, and its threshold from the
    second half, as windows that it knows would look too normal.
    Neighbouring steps share windows, so the rate of new steps holds on average, if the series goes on as before, but
    without the guarantee that split conformal prediction gives for independent examples.

    Args:
        model: a trained model of windows `[B,T,C]`, not conditional. `fit` does not train it.
        score: "reconstruction", or another score of `AnomalyDetector` for data that are no images.
        false_positive_rate: float > 0 and < 1.
        stride: int >= 1, steps between two windows.
        num_samples, seed: as in `AnomalyDetector`.

    Attributes:
        offset_: float, the negative threshold: `decision_function` is `score_samples` − `offset_`.
        errors_: float64 `[C]`, the mean squared error of each channel on the series of `fit`.
        names_: strs, the channels of the series of `fit`, or else of the model; None where neither has names. Another
            `zoo.data.Series` must have the same.
        step_: float, the step of time of the series of `fit`, in the unit of its times or in seconds; None without
            times. Another `zoo.data.Series` must have the same.

    Example:
        >>> series = zoo.data.Series(np.sin(0.3 * np.arange(400.0)))
        >>> train, normal, rest = series.split(0.3, 0.3)
        >>> vae = zoo.applications.series_vae(train, length=16, latent_dim=2, seed=0)
        >>> detector = zoo.applications.SeriesDetector(vae, false_positive_rate=0.1).fit(normal)
        >>> detector.predict(rest).shape
        (120,)
    """

    def __init__(
        self,
        model: keras.Model,
        score: Score = "reconstruction",
        false_positive_rate: float = 0.01,
        stride: int = 1,
        num_samples: int = 4,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.score = score
        self.false_positive_rate = false_positive_rate
        self.stride = stride
        self.num_samples = num_samples
        self.seed = seed

    def fit(self, x: data.Series | ArrayLike, y: object = None) -> Self:
        """Sets the threshold.

        Args:
            x: a normal series that the model was not trained on: `zoo.data.Series`, or float `[N,C]` at even steps.
                Windows with a step that is labelled as anomalous are left out.

        Raises:
            ValueError: for arguments out of range, a model of other data, or too short a series.
        """
        rate = checks.number("false_positive_rate", self.false_positive_rate, 0.0, 1.0, open_low=True, open_high=True)
        require_unconditional(self.model, "a SeriesDetector")
        shape = self.model.image_shape
        if len(shape) != 2:
            checks.fail("model", "one of windows [B,T,C]", f"one of examples {shape}")
        self.names_ = getattr(self.model.likelihood, "names", None)  # those of `Standardized`
        self.step_ = None
        series = self._series(x).normal()
        self.step_ = series.step
        self.names_ = series.names if series.has_names else self.names_
        windows = series.windows(shape[0], self.stride)[0]
        if self.score == "reconstruction":
            errors = _scores.squared_error(self.model, windows).mean(axis=(0, 1))
            self.errors_ = np.maximum(errors, np.finfo(np.float32).tiny)
        else:
            if self.score in FITTED:
                first, series = series.split(0.5)
                windows = first.windows(shape[0], self.stride)[0]
            # One window is for a threshold of its own, which is not used; it compares with the others.
            one = min(0.5, 1.0 / len(windows))
            judge = AnomalyDetector(
                self.model, self.score, 0.5, num_samples=self.num_samples, calibration=one, seed=self.seed
            )
            self.detector_ = judge.fit(windows)
        self.n_features_in_ = shape[1]
        scores = self._anomaly(series)
        self.offset_ = -conformal_threshold(scores[~np.isnan(scores)], rate)
        note_arguments(self)
        return self

    def score_samples(self, x: data.Series | ArrayLike) -> np.ndarray:
        """The negative anomaly score of each step: float64 `[N]`, the higher the more normal.

        NaN for the steps of pieces that are shorter than a window.
        """
        require_fitted(self)
        return -self._anomaly(self._series(x))

    def _series(self, x):
        series = x if isinstance(x, data.Series) else data.Series(x)
        channels = self.model.image_shape[-1]
        if series.values.shape[1] != channels:
            checks.fail("x", f"a series of {channels} channels", f"{series.values.shape[1]} channels")
        if series.has_names and self.names_ is not None and series.names != self.names_:
            checks.fail("x", f"a series of the channels {self.names_}, in this order", series.names)
        step, own = series.step, getattr(self, "step_", None)  # of a detector that an earlier version made
        if step is not None and own is not None and not abs(step - own) <= series.tolerance * own:
            checks.fail("x", f"a series at steps of {own:g}, as the one of `fit`", f"steps of {step:g}")
        return series

    def _anomaly(self, series):
        length = self.model.image_shape[0]
        windows, starts = series.windows(length, self.stride)
        if self.score == "reconstruction":
            scores = (_scores.squared_error(self.model, windows) / self.errors_).mean(axis=2)
        else:
            scores = np.repeat(-self.detector_.score_samples(windows)[:, None], length, axis=1)
        return series.per_step(scores, starts)
