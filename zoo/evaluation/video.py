"""How far predicted frames are from those that came."""

import numpy as np

from zoo.fitting import inputs
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike

_LARGEST = 25.0  # of standardised frames; grey levels reach 255


def prediction_errors(futures: ArrayLike, truth: ArrayLike, last: ArrayLike) -> dict[str, np.ndarray]:
    """Squared errors of predicted frames, for each step into the future. All frames are in the units of the model.

    Args:
        futures: float `[B,S,F,H,W,C]`, S draws for each clip, as `zoo.applications.futures` gives them.
        truth: float `[B,F,H,W,C]`, the frames that came.
        last: float `[B,H,W,C]`, the last frame of the past.

    Returns:
        dict of float64 arrays `[F]`, the mean over clips of the squared error, summed over a frame: `draw`, of one
        draw; `mean`, of the mean of the draws; `best`, of the draw of each clip with the smallest error over all
        frames, which shows whether the draws cover what came, and falls with S; `copy`, of the last frame, repeated.

    Raises:
        ValueError: for arrays that do not fit together, integers, and values beyond ±25, which are grey levels.

    Example:
        >>> found = zoo.applications.futures(model, clips[:, :4], number=10, seed=0)
        >>> errors = zoo.evaluation.prediction_errors(found, clips[:, 4:], clips[:, 3])
        >>> errors["mean"].shape
        (6,)
    """
    given = {"futures": futures, "truth": truth, "last": last}
    futures, truth, last = (_frames(name, value) for name, value in given.items())
    if truth.ndim != 5 or futures.shape != (len(truth), *futures.shape[1:2], *truth.shape[1:]) or not futures.size:
        checks.fail("futures", f"of shape [B, S, …] with the frames of the truth, {truth.shape}", futures.shape)
    if last.shape != (len(truth), *truth.shape[2:]):
        checks.fail("last", f"of shape {(len(truth), *truth.shape[2:])}", last.shape)

    def error(frames):
        return np.square(frames).sum(axis=(-3, -2, -1))

    of_draws = error(futures - truth[:, None])  # [B,S,F]
    best = of_draws.sum(axis=-1).argmin(axis=1)
    return {
        "draw": of_draws.mean(axis=(0, 1)),
        "mean": error(futures.mean(axis=1) - truth).mean(axis=0),
        "best": of_draws[np.arange(len(best)), best].mean(axis=0),
        "copy": error(last[:, None] - truth).mean(axis=0),
    }


def _frames(name, value):
    value = checks.numpy_array(name, value)
    inputs.require_floating(name, value)
    largest = np.abs(value).max(initial=0.0)
    if not largest <= _LARGEST:
        checks.fail(
            name, "frames in the units of the model, in [0, 1], [-1, 1] or standardised", f"values up to {largest:g}"
        )
    return value.astype(np.float64)
