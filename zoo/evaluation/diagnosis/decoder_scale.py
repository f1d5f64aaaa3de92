"""How well the scale of a likelihood fits the errors of the decoder."""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from zoo.evaluation.rows import Examples
from zoo.likelihoods import DiscretizedLogistic, DiscretizedLogisticMixture, Gaussian, Likelihood
from zoo.runtime.types import Tensor

_FACTORS = tuple(math.exp(0.5 * step) for step in range(-8, 9))  # of the scales of the 8-bit likelihoods


def scale_misfit(model: keras.Model, examples: Examples, seed: int = 0) -> tuple[float, float] | None:
    """The common factor of all scales of the decoder that fits the data best, and its gain.

    z is sampled from the posterior. The likelihoods of 8-bit values have a scale for each value; the factors tried for
    them are e^(k/2), |k| <= 8.

    Args:
        model: a model of the zoo.
        examples: `Examples`.
        seed: int, of z.

    Returns:
        (factor, gain): 1 is the present scale, 3 means that the errors are three times as large as the scale says;
        gain is the rise of log p(x|z) with this factor, nats per value. None for a likelihood without a scale.
    """
    likelihood = model.likelihood
    if isinstance(likelihood, Gaussian):
        return _of_gaussian(model, examples, seed)
    if not isinstance(likelihood, (DiscretizedLogistic, DiscretizedLogisticMixture)):
        return None
    params_of = tf.function(lambda x, labels, seeds: _params(model, x, labels, seeds), autograph=False)
    score = tf.function(lambda x, params, shift: ops.sum(likelihood.log_prob(x, params + shift)), autograph=False)
    totals = np.zeros(len(_FACTORS))
    for _, x, labels, seeds in examples.batches(seed):
        params = params_of(x, labels, seeds)
        place = _place_of_scales(likelihood, x.shape[-1], params.shape[-1])
        totals += [float(score(x, params, tf.constant(place * np.float32(math.log(each))))) for each in _FACTORS]
    best = int(np.argmax(totals))
    gain = (totals[best] - totals[len(_FACTORS) // 2]) / (len(examples) * examples.dims)
    return _FACTORS[best], float(gain)


def gaussian_scale(likelihood: Likelihood) -> float | None:
    """σ of a Gaussian likelihood outside training; None for others."""
    if not isinstance(likelihood, Gaussian):
        return None
    if not isinstance(likelihood.scale, str):
        return float(likelihood.scale)
    return math.exp(0.5 * float(np.asarray(likelihood.log_var)))


def _of_gaussian(model, examples, seed):
    @tf.function(autograph=False, reduce_retracing=True)
    def squared(x, labels, seeds):
        return ops.sum(ops.square(x - model.likelihood._location(_params(model, x, labels, seeds))))

    total = sum(float(squared(x, labels, seeds)) for _, x, labels, seeds in examples.batches(seed))
    scale = gaussian_scale(model.likelihood)
    assert scale is not None
    factor = max(math.sqrt(total / (len(examples) * examples.dims)) / scale, 1e-6)
    return factor, 0.5 * (factor**2 - 1.0) - math.log(factor)


def _place_of_scales(likelihood, channels, size):
    """1 for the log-scales among the `size` parameters of a pixel, 0 for the others."""
    if isinstance(likelihood, DiscretizedLogistic):
        first, number = channels, channels
    else:  # logits, means, log-scales, couplings
        first, number = likelihood.components * (1 + channels), likelihood.components * channels
    place = np.zeros(size, np.float32)
    place[first : first + number] = 1.0
    return place


def _params(model: keras.Model, x: Tensor, labels: Tensor | None, seeds: Tensor) -> Tensor:
    """The likelihood's parameters at a sample of the posterior, or at the codes."""
    return model.propose(x, seeds, labels if model.conditional else None).params
