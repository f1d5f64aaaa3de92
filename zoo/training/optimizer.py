"""The optimizer of a recipe, and the use of its averaged weights."""

import keras
import numpy as np

from zoo.runtime import optimizers

_SHARE = 10  # warm-up and the averages' memory last a tenth of the run's steps at most


def make(
    learning_rate: float,
    total_steps: int,
    warmup_steps: int = 0,
    gradient_clip: float | None = None,
    ema: float | None = None,
) -> optimizers.Adam:
    """Adam with a cosine schedule from `learning_rate` to a hundredth of it. Call it in the strategy's scope.

    Args:
        learning_rate: float > 0.
        total_steps: int >= 1.
        warmup_steps: int >= 0, in which the rate first rises from 0; a tenth of all steps at most.
        gradient_clip: float > 0, the largest norm of the gradient of all weights and replicas together, or None.
        ema: float in [0, 1), the momentum of the moving average of the weights, or None for no average. The average
            reaches back a tenth of all steps at most, as it would keep the first weights of a short run otherwise.

    Returns:
        `zoo.optimizers.Adam`.
    """
    warmup_steps = min(warmup_steps, total_steps // _SHARE)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup_steps else learning_rate,
        total_steps - warmup_steps,
        alpha=0.01,
        warmup_target=learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    average = {} if ema is None else {"use_ema": True, "ema_momentum": min(ema, max(0.0, 1.0 - _SHARE / total_steps))}
    return optimizers.Adam(schedule, global_clipnorm=gradient_clip, **average)


class Averages(keras.callbacks.Callback):
    """Validates a model with the averaged weights of its optimizer, and trains it with its own weights.

    Keras's `fit` ends with the averages in the model, and training cannot resume from there; with this callback it ends
    with the weights of the last step. `keras.callbacks.SwapEMAWeights` swaps by adding and subtracting, which rounds: a
    run with validation would differ from one without. Without averages all methods do nothing.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.set_model(model)
        self._kept = optimizers.averages_weights(model.optimizer)
        self._own: list[np.ndarray] | None = None

    def apply(self) -> None:
        """Puts the averages into the model; does nothing before the first step, as there are none."""
        if self._kept and self._own is None and optimizers.steps_taken(self.model.optimizer):
            self._keep_own()
            self.model.optimizer.finalize_variable_values(self.model.trainable_variables)

    def undo(self) -> None:
        """Puts the model's own weights back if it holds the averages."""
        if self._own is not None:
            for weight, value in zip(self.model.trainable_variables, self._own):
                weight.assign(value)
            self._own = None

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self.apply()

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        self.undo()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self._kept and epoch == self.params["epochs"] - 1:
            self._keep_own()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.undo()

    def _keep_own(self):
        self._own = [weight.numpy() for weight in self.model.trainable_variables]
