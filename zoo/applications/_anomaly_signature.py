"""The signature `anomaly` of an export: the score of a fitted detector, and whether it is beyond the threshold."""

import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from keras import ops

from zoo.applications import _scores
from zoo.export import export, parity, runtimes, signatures
from zoo.runtime import checks
from zoo.runtime.types import PathLike, Tensor

if TYPE_CHECKING:
    from zoo.applications.anomaly import AnomalyDetector

NAME = "anomaly"
# Scores that a graph computes; the others compress an image to a PNG.
SCORES = ("background", "elbo", "kl", "latent", "latent_density", "local_outlier", "log_prob", "reconstruction")
OF_ROWS = ("density_of_states", *SCORES)  # of data that is not an image


def write(detector: "AnomalyDetector", path: PathLike, **kwargs: Any) -> pathlib.Path:
    """Exports the model of a fitted detector with the signature `anomaly`, as `AnomalyDetector.export` says."""
    _require_graph(detector)
    detector = _in_float32(detector)
    model, threshold = detector.model, -detector.offset_
    data = signatures.data_name(model)

    def anomaly(**given):
        valid = signatures.valid_rows(model, given)
        score = ops.where(valid, score_of(detector, given[data]), np.float32(np.nan))
        # Not `not score <= threshold`, which graphs simplify as if there were no NaN.
        is_anomaly = ops.logical_or(ops.logical_not(valid), score > np.float32(threshold))
        return {"score": score, "is_anomaly": ops.cast(is_anomaly, "int32")}

    signature = signatures.Signature(anomaly, {data: tf.TensorSpec((None, *model.image_shape), tf.float32, data)})
    images = kwargs.pop("images", None)
    x = np.asarray(parity.own_images(model) if images is None else images, np.float32)
    scores = _require_agreement(detector, signature, {data: x})
    # Rounding may put an example on either side of a threshold that it has met.
    clear = np.abs(scores - threshold) > 2.0 * parity.TOLERANCE * np.maximum(1.0, np.abs(scores))
    metadata = {
        "anomaly": {
            "score": detector.score,
            "threshold": threshold,
            "false_positive_rate": detector.false_positive_rate,
        },
        **(kwargs.pop("metadata", None) or {}),
    }
    more = {NAME: signature, **(kwargs.pop("more", None) or {})}
    cases = {NAME: {data: x[clear] if clear.any() else x}, **(kwargs.pop("more_cases", None) or {})}
    return export(model, path, images=x, metadata=metadata, more=more, more_cases=cases, **kwargs)


def score_of(detector: "AnomalyDetector", x: Tensor) -> Tensor:
    """The score of a fitted detector as a graph: examples `[N,…]` to float32 `[N]`, higher for anomalies."""
    model, kind = detector.model, detector.score
    seeds = _scores.same_seeds(detector.seed, ops.shape(x)[0])

    def terms():
        return _scores.sampled_terms(model, x, seeds, detector.num_samples)

    if kind in ("latent", "local_outlier"):
        return detector.compared_.tensor(model.embed(x))
    if kind in ("log_prob", "background"):
        own, other = model.log_prob(x, detector.num_samples, seeds), detector.background
        if kind == "log_prob" or other is None:
            return -own
        return other.log_prob(x, detector.num_samples, seeds) - own
    if kind in ("elbo", "kl"):
        reconstruction, kl = terms()
        return kl if kind == "kl" else reconstruction + kl
    difference = _smoothed((model.reconstruct(x) - x) * model.likelihood.known(x), detector.smoothing)
    error = ops.sum(ops.reshape(ops.square(difference), (-1, detector.n_features_in_)), axis=1)
    if kind == "reconstruction":
        return error
    log_error = ops.expand_dims(ops.log(error + np.finfo(np.float32).tiny), 1)
    states = model.embed(x) if kind == "latent_density" else ops.stack(terms(), axis=1)
    return detector.compared_.tensor(ops.concatenate([states, log_error], axis=1))


def _smoothed(difference, deviation):
    if not deviation:
        return difference
    rows, columns = (each.astype(np.float32) for each in _scores.smoothing_matrices(difference.shape[1:], deviation))
    planes = ops.transpose(difference, (0, 3, 1, 2))
    return ops.transpose(ops.matmul(ops.matmul(rows, planes), columns.T), (0, 2, 3, 1))


def _require_graph(detector):
    possible = SCORES if len(detector.model.image_shape) == 3 else OF_ROWS
    if detector.score not in possible:
        listed = ", ".join(map(repr, possible))
        checks.fail("score", f"one that a graph can compute: {listed}", detector.score)


def _in_float32(detector):
    """The detector with models in float32, as exports are."""
    changed = {name: getattr(detector, name) for name in ("model", "background")}
    changed = {name: runtimes.in_float32(model) for name, model in changed.items() if model is not None}
    copy = object.__new__(type(detector))
    copy.__dict__.update({**vars(detector), **changed, "fitted_with_": getattr(detector, "fitted_with_", {}) | changed})
    return copy


def _require_agreement(detector, signature, inputs):
    """The detector's own scores, with which the signature's must agree."""
    (x,) = inputs.values()
    expected = -detector.score_samples(x)
    received = np.asarray(signature.call(**{name: tf.constant(value) for name, value in inputs.items()})["score"])
    largest = float(np.max(np.abs(received - expected) / np.maximum(1.0, np.abs(expected))))
    if not largest <= parity.TOLERANCE:
        raise parity.ParityError(
            f"Expected the score in float32 to agree with the detector within {parity.TOLERANCE:g}. "
            f"Received: {largest:.2g} in score={detector.score!r}"
        )
    return expected
