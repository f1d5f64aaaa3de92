"""The optimizer of a recipe, and the averages of the weights that it keeps."""

import keras

from zoo.runtime import optimizers

_SHARE = 10  # what takes time at a run's begin, or reaches back in time, has a tenth of its steps at most


def make(learning_rate, total_steps, warmup_steps=0, gradient_clip=None, ema=None):
    """Adam on a cosine from `learning_rate` to a hundredth of it; made in the scope of the strategy.

    Args:
        learning_rate: float > 0.
        total_steps: int >= 1.
        warmup_steps: int >= 0, over which the rate first rises from 0; a tenth of all steps at most.
        gradient_clip: float > 0, the largest norm of the gradient of all weights and replicas together, or None.
        ema: float in [0, 1), the momentum of the weights' moving average, or None for none. A tenth of all steps is
            the furthest that it looks back, or a short run's average would be that of its first weights.

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
    """Lets a model be validated with the averages that its optimizer keeps, and be trained with its own weights.

    Keras's `fit` leaves the averages in the model at its end, from where training cannot go on; here it leaves what
    the last step left. `keras.callbacks.SwapEMAWeights` swaps by adding and subtracting, which rounds: a run with
    validation would differ from one without. Without averages all methods do nothing.
    """

    def __init__(self, model):
        super().__init__()
        self.set_model(model)
        self._kept = getattr(model.optimizer, "inner_optimizer", model.optimizer).use_ema  # it may be for loss scaling
        self._own = None

    def apply(self):
        """Puts the averages into the model; before the first step there are none."""
        if self._kept and self._own is None and self.model.optimizer.iterations.numpy():
            self._keep_own()
            self.model.optimizer.finalize_variable_values(self.model.trainable_variables)

    def undo(self):
        """Puts the model's own weights back, if the averages are in their place."""
        if self._own is not None:
            for weight, value in zip(self.model.trainable_variables, self._own):
                weight.assign(value)
            self._own = None

    def on_test_begin(self, logs=None):
        self.apply()

    def on_test_end(self, logs=None):
        self.undo()

    def on_epoch_end(self, epoch, logs=None):
        if self._kept and epoch == self.params["epochs"] - 1:
            self._keep_own()

    def on_train_end(self, logs=None):
        self.undo()

    def _keep_own(self):
        self._own = [weight.numpy() for weight in self.model.trainable_variables]
