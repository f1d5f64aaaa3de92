"""What the recipes of moving digits share: their clips, their training, and the figures of predicted frames."""

import argparse

import keras
import numpy as np

from zoo import applications, data, evaluation
from zoo.runtime.types import ArrayLike

DRAWS = 10  # futures of a clip, of which errors are means
_SHOWN, _FUTURES = 6, 3


def load(flags: argparse.Namespace) -> data.Clips:
    """The clips that the flags of a recipe ask for."""
    return data.load_moving_digits(
        flags.clips, flags.test_clips, flags.test_clips, flags.data_dir, flags.sample, flags.seed,
        size=flags.size, frames=flags.frames, number=flags.digits,
    )  # fmt: skip


def floats(clips: np.ndarray) -> np.ndarray:
    """uint8 clips as float32 in [0, 1]."""
    return clips.astype(np.float32) / np.float32(255.0)


def fit(
    model: keras.Model,
    flags: argparse.Namespace,
    epochs: int,
    x: np.ndarray,
    y: np.ndarray | None = None,
    validation: tuple[ArrayLike, ...] | None = None,
) -> None:
    """Trains by Adam, whose rate rises for 50 steps and then falls to 0 as a cosine."""
    steps = epochs * -(-len(x) // flags.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - 50), warmup_target=flags.learning_rate, warmup_steps=min(50, steps)
    )
    model.compile(keras.optimizers.Adam(rate))
    model.fit(x, y, batch_size=flags.batch_size, epochs=epochs, validation_data=validation, verbose=2)


def report(flags: argparse.Namespace, model: keras.Model, test: np.ndarray) -> dict[str, list[float]]:
    """Writes `futures.gif`, and returns the squared errors of predicted frames of test clips, float32 `[N,T,H,W,1]`."""
    past = test[:, : flags.past]
    found = applications.futures(model, past, DRAWS, seed=flags.seed)
    errors = evaluation.prediction_errors(found, test[:, flags.past :], past[:, -1])
    frames = applications.side_by_side(test[:_SHOWN], *found[:_SHOWN, :_FUTURES].swapaxes(0, 1), past=flags.past)
    applications.save_animation(flags.output / "futures.gif", frames, frames_per_second=4, scale=3)
    return {f"squared_error_{name}": [float(step) for step in values] for name, values in errors.items()}
