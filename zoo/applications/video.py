"""Futures of clips: several continuations of the same past frames."""

import keras
import numpy as np

from zoo import random
from zoo.fitting import inputs
from zoo.runtime import checks
from zoo.runtime.types import ArrayLike


def futures(
    model: keras.Model,
    past: ArrayLike,
    number: int = 3,
    seed: int | None = None,
    temperature: float = 1.0,
    top_k: int | None = None,
) -> np.ndarray:
    """Several futures of the same past frames.

    A `zoo.FutureVAE` samples z ~ p(z|past) and decodes it. A `zoo.VQVAE` of clips encodes the past, and its prior
    continues the codes row by row; the networks must encode the past by itself, as `zoo.networks.chunk_encoder` does.

    Args:
        model: a `zoo.FutureVAE`, or a `zoo.VQVAE` with a prior whose codes have a row for each few frames.
        past: float `[B,P,H,W,C]` in [0, 1]. For a VQ-VAE P is a multiple of the frames of a row.
        number: int >= 1, futures of each clip.
        seed: int or None: future j of clip i has the seed `zoo.random.fold_in(seed, i · number + j)`.
        temperature: float >= 0, as in `sample` of the model.
        top_k: int, for a VQ-VAE: the prior samples only the k likeliest codes of a place; or None.

    Returns:
        float32 array `[B,number,F,H,W,C]`, the frames that follow.

    Raises:
        ValueError: for an argument of another kind, shape or range.
        NotImplementedError: for a VQ-VAE without a prior.

    Example:
        >>> zoo.applications.futures(model, clips[:2, :4], number=3, seed=7).shape
        (2, 3, 6, 32, 32, 1)
    """
    checks.zoo_model(model)
    past, number = checks.numpy_array("past", past), checks.positive_int("number", number)
    inputs.require_floating("past", past)
    past = past.astype(np.float32)
    if past.ndim != 5:
        checks.fail("past", "of shape [B, P, H, W, C]", f"shape {past.shape}")
    seed = random.fresh_seed() if seed is None else seed
    if model.num_codes is not None:
        made = _continued(model, past, number, seed, temperature, top_k)
    else:
        if not hasattr(model, "past_shape"):
            checks.fail("model", "a FutureVAE, or a VQVAE", type(model).__name__)
        if top_k is not None:
            checks.fail("top_k", "None for a FutureVAE", top_k)
        made = np.asarray(model.sample(len(past) * number, seed, temperature, labels=np.repeat(past, number, axis=0)))
    return made.reshape(len(past), number, *made.shape[1:])


def _continued(model, past, number, seed, temperature, top_k):
    prior, (frames, *place) = model._require_prior(), model.image_shape
    rows, frames_of_row = prior.grid_shape[0], frames // prior.grid_shape[0]
    if frames % rows or list(past.shape[2:]) != place or past.shape[1] % frames_of_row or past.shape[1] >= frames:
        expected = f"of shape [B, P, {', '.join(map(str, place))}], P a multiple of {frames_of_row} below {frames}"
        checks.fail("past", expected, f"shape {past.shape}")
    known = past.shape[1] // frames_of_row
    clips = np.zeros((len(past), *model.image_shape), np.float32)
    clips[:, : past.shape[1]] = past
    given = np.asarray(model.encode(clips))[:, :known]
    clips[0, past.shape[1] :] = 1.0
    if not np.array_equal(np.asarray(model.encode(clips[:1]))[:, :known], given[:1]):
        checks.fail("model", "one that encodes the past without the future, as by chunk_encoder", model.encoder.name)
    codes = prior.sample(
        len(past) * number, seed, temperature, top_k, given=np.repeat(given, number, axis=0)
    )  # fmt: skip
    return np.asarray(model.decode(codes))[:, past.shape[1] :]


def side_by_side(truth: np.ndarray, *others: np.ndarray, past: int = 0) -> np.ndarray:
    """Frames of an animation of several clips, a row for each: the truth, then others beside it.

    Args:
        truth: float `[B,T,H,W,C]` in [0, 1].
        *others: float `[B,T − past,H,W,C]` each, such as the futures `found[:, j]`.
        past: int >= 0, the frames of `truth` before the others begin; meanwhile the others show these, in half the
            brightness.

    Returns:
        float32 array `[T, B·(H + 1) + 1, (1 + len(others))·(W + 1) + 1, C]`, for `save_animation`.

    Raises:
        ValueError: for clips of other shapes.
    """
    from zoo.applications.pictures import grid

    truth = np.asarray(truth, np.float32)
    if truth.ndim != 5:
        checks.fail("truth", "of shape [B, T, H, W, C]", f"shape {truth.shape}")
    if checks.integer("past", past, 0) > truth.shape[1]:
        checks.fail("past", f"at most the {truth.shape[1]} frames of truth", past)
    columns = [truth]
    for other in others:
        if np.shape(other) != truth[:, past:].shape:
            checks.fail("others", f"of shape {truth[:, past:].shape}, as the truth", np.shape(other))
        columns.append(np.concatenate([0.5 * truth[:, :past], np.asarray(other, np.float32)], axis=1))
    clips = np.stack(columns, axis=1)
    return np.stack([grid(clips[:, :, step], fill=0.3) for step in range(truth.shape[1])])
