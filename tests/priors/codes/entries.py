"""Small priors, and codes whose distribution is known."""

import functools
import itertools
import math

import keras
import numpy as np

import zoo

NUM_CODES, GRID, CLASSES = 4, (2, 3), 3
OPTIONS = {
    zoo.priors.Transformer: {"width": 16, "depth": 2, "heads": 2},
    zoo.priors.PixelCNN: {"width": 8, "depth": 2, "kernel_size": 3},
}
KINDS = list(OPTIONS)


def make(kind, num_classes=None, num_codes=NUM_CODES, grid_shape=GRID, **kwargs):
    """A prior with weights far enough from its initial ones that nothing about it is even."""
    keras.utils.set_random_seed(1)
    prior = kind(num_codes, grid_shape, num_classes, **OPTIONS[kind], **kwargs)
    draw = np.random.default_rng(2)
    for weight in prior.trainable_weights:
        weight.assign_add(draw.normal(0, 0.3, weight.shape))
    return prior


# For all tests that leave a prior as it is: most of their time would go into its graphs.
shared = functools.cache(make)


def codes(number=6, seed=0):
    return np.random.default_rng(seed).integers(0, NUM_CODES, (number, *GRID)).astype(np.int32)


def labels(number=6):
    return (np.arange(number) % CLASSES).astype(np.int32)


def all_codes(num_codes, grid_shape):
    """Every grid there is: int32 `[K^T,h,w]`."""
    rows = itertools.product(range(num_codes), repeat=math.prod(grid_shape))
    return np.array(list(rows), np.int32).reshape(-1, *grid_shape)


def walk(number, seed=0, num_classes=None):
    """Codes of a known entropy: one of two, then each that of the place before, or with probability ¼ the next.

    With labels, the first is the label or the one after it.
    """
    draw = np.random.default_rng(seed)
    steps = draw.random((number, math.prod(GRID))) < 0.25
    steps[:, 0] = draw.random(number) < 0.5
    of_rows = draw.integers(0, num_classes, number).astype(np.int32) if num_classes else np.zeros(number, np.int32)
    walked = (of_rows[:, None] + np.cumsum(steps, axis=1)) % NUM_CODES
    return walked.astype(np.int32).reshape(-1, *GRID), of_rows


WALK_ENTROPY = math.log(2) - (math.prod(GRID) - 1) * (0.25 * math.log(0.25) + 0.75 * math.log(0.75))
