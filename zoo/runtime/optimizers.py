"""The optimizer of the recipes, and questions to any optimizer."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from zoo._compat import keras as keras_compat
from zoo.runtime import replicas
from zoo.runtime.types import Tensor


def require_built_for(optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]) -> None:
    """Raises ValueError if a built optimizer does not know one of `variables`, for example of an exchanged prior."""
    unknown = keras_compat.unknown_to(optimizer, variables)
    if unknown:
        names = ", ".join(variable.path for variable in unknown)
        raise ValueError(
            "Expected an optimizer made for the weights that the model trains now: call `compile` once more after a "
            f"part, such as its prior, is exchanged or no longer frozen. Received: one that does not know {names}"
        )


@keras.saving.register_keras_serializable("zoo")
class Adam(keras_compat.PrivateAdam):
    """Keras's Adam, with the same variables and arguments, that updates a weight in one operation instead of ten.

        m = β₁ m + (1 − β₁) g,   v = β₂ v + (1 − β₂) g²,   w = w − α √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)

    (Kingma & Ba 2015, end of section 2.) It agrees with Keras's Adam up to rounding, except for clipping: it is
    that of the summed gradient of all replicas, where Keras clips each replica's gradient before the sum. `amsgrad` is
    not supported.

    Raises:
        ValueError: if `amsgrad` is True.

    Example:
        >>> model.compile(zoo.optimizers.Adam(1e-3))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.amsgrad:
            raise ValueError("Expected `amsgrad` to be False. Received: amsgrad=True")

    def update_step(self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor) -> None:
        dtype, (first, second) = variable.dtype, self.moments(variable)
        beta_1, beta_2 = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        step = tf.cast(keras.ops.convert_to_tensor(self.iterations) + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=first.value.handle, v=second.value.handle,
            beta1_power=tf.pow(beta_1, step), beta2_power=tf.pow(beta_2, step), lr=tf.cast(learning_rate, dtype),
            beta1=beta_1, beta2=beta_2, epsilon=tf.cast(self.epsilon, dtype), grad=tf.cast(gradient, dtype),
        )  # fmt: skip

    def clip_gradients(self, gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
        number = replicas.num_replicas()
        if number == 1 or (self.clipnorm, self.clipvalue, self.global_clipnorm) == (None, None, None):
            return super().clip_gradients(gradients)
        known = [replicas.all_sum(gradient) for gradient in gradients if gradient is not None]
        clipped = iter(super().clip_gradients(known))
        return [None if gradient is None else next(clipped) / number for gradient in gradients]


def batches_of_update(optimizer: keras.optimizers.Optimizer) -> int:
    """The number of batches whose gradients an optimizer accumulates for an update."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(inner, "gradient_accumulation_steps", None) or 1


def averages_weights(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether an optimizer keeps averages of the weights, in their order when it was built."""
    return bool(getattr(getattr(optimizer, "inner_optimizer", optimizer), "use_ema", False))


def steps_taken(optimizer: keras.optimizers.Optimizer) -> int:
    """The number of updates that an optimizer has made; where it accumulates gradients, fewer than the batches."""
    iterations = optimizer.iterations  # a tensor where it accumulates gradients, which has no `value`
    return int(getattr(iterations, "value", iterations).numpy())
