"""Random counts by `zoo.random`: exact samplers with a fixed number of operations, for every runtime.

A rejection sampler loops until a candidate is accepted. Here a fixed number of candidates is drawn for each value, and
the first that is accepted counts; that none is has a chance below 1e-9, and the last candidate then counts.
"""

from keras import ops

from zoo import random
from zoo._compat.tflite import argmax
from zoo.likelihoods._terms import poisson_terms
from zoo.runtime.types import Shape, Tensor

_ROUNDS = 16
_SMALL = 10.0  # the mean from which on the rejection sampler is valid
_LARGEST_SMALL = 48  # counts that a Poisson of mean 10 exceeds with a chance of 1e-16


def poisson(seeds: Tensor, mean: Tensor) -> Tensor:
    """Samples of Poisson(mean): seeds int32 `[B]` and means float32 `[B,…]` to whole numbers, float32 `[B,…]`.

    Below a mean of 10 by inversion of the distribution function, from there on by Hörmann's transformed rejection
    (1993, "The Transformed Rejection Method for Generating Poisson Random Variables", algorithm PTRS).
    """
    shape = mean.shape[1:]
    large = _by_rejection(random.fold_in(seeds, 0), ops.maximum(mean, _SMALL), shape)
    small = _by_inversion(random.fold_in(seeds, 1), ops.minimum(mean, _SMALL), shape)
    return ops.where(mean < _SMALL, small, large)


def _by_inversion(seeds, mean, shape):
    uniform = random.uniform(seeds, shape)
    counts = ops.arange(_LARGEST_SMALL, dtype="float32")
    probabilities = ops.exp(poisson_terms(counts, ops.expand_dims(mean, -1)))
    below = ops.cumsum(probabilities, axis=-1)
    return ops.sum(ops.cast(ops.expand_dims(uniform, -1) > below, "float32"), axis=-1)


def _by_rejection(seeds, mean, shape):
    draws = random.uniform(seeds, (*shape, 2, _ROUNDS))
    mean = ops.expand_dims(mean, -1)
    u, v = draws[..., 0, :] - 0.5, draws[..., 1, :]
    b = 0.931 + 2.53 * ops.sqrt(mean)
    a = -0.059 + 0.02483 * b
    us = 0.5 - ops.abs(u)
    count = ops.floor((2.0 * a / us + b) * u + mean + 0.43)
    known = ops.maximum(count, 0.0)
    height = ops.log(v * (1.1239 + 1.1328 / (b - 3.4)) / (a / (us * us) + b))
    surely = (us >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2.0))
    never = (count < 0.0) | ((us < 0.013) & (v > us))
    accepted = surely | ((height <= poisson_terms(known, mean)) & ~never)
    return _first(known, accepted)


def gamma(seeds: Tensor, concentration: Tensor) -> Tensor:
    """Samples of Gamma(concentration, 1): seeds int32 `[B]` and float32 `[B,…]` > 0 to float32 `[B,…]` > 0.

    Marsaglia & Tsang 2000, "A Simple Method for Generating Gamma Variables"; below 1 a sample of Gamma(c + 1) times
    u^(1/c).
    """
    shape = concentration.shape[1:]
    boosted = ops.where(concentration < 1.0, concentration + 1.0, concentration)
    d = ops.expand_dims(boosted - 1.0 / 3.0, -1)
    normal = random.normal(random.fold_in(seeds, 0), (*shape, _ROUNDS))
    uniform = random.uniform(random.fold_in(seeds, 1), (*shape, _ROUNDS))
    root = 1.0 + normal / (3.0 * ops.sqrt(d))
    cube = ops.maximum(root * root * root, 1e-30)
    accepted = (root > 0.0) & (ops.log(uniform) < 0.5 * normal * normal + d * (1.0 - cube + ops.log(cube)))
    sample = _first(d * cube, accepted)
    last = ops.log(random.uniform(random.fold_in(seeds, 2), shape))
    factor = ops.exp(ops.maximum(last / concentration, -80.0))
    return sample * ops.where(concentration < 1.0, factor, 1.0)


def _first(values, accepted):
    """The first accepted value along the last axis, or the last one if none is."""
    order = ops.arange(_ROUNDS, 0, -1, dtype="float32")
    score = ops.where(accepted, order, 0.0) + ops.cast(order < 1.5, "float32") * 0.5
    return ops.sum(values * ops.one_hot(argmax(score, axis=-1), _ROUNDS, dtype="float32"), axis=-1)


def categorical(seeds: Tensor, logits: Tensor) -> Tensor:
    """One-hot samples of softmax(logits) over the last axis: seeds int32 `[B]` and `[B,…,K]` to float32 `[B,…,K]`."""
    gumbel = random.gumbel(seeds, logits.shape[1:])
    return ops.one_hot(argmax(logits + gumbel, axis=-1), logits.shape[-1], dtype="float32")


def logistic(seeds: Tensor, shape: Shape) -> Tensor:
    """Standard logistic numbers, log(u / (1 − u)): float32 `[B,*shape]`."""
    uniform = random.uniform(seeds, shape)
    return ops.log(uniform) - ops.log(1.0 - uniform)
