"""The optimizer that the recipes use."""

import keras
import tensorflow as tf

from zoo.runtime import replicas


def require_built_for(optimizer, variables):
    """Raises ValueError if an optimizer that is built does not know one of `variables`, as after a prior's exchange."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
    known = optimizer._trainable_variables_indices
    unknown = [variable.path for variable in variables if optimizer._var_key(variable) not in known]
    if optimizer.built and unknown:
        raise ValueError(
            "Expected an optimizer made for the weights that the model has now: call `compile` once more after a part, "
            f"such as its prior, is exchanged. Received: an optimizer that does not know {', '.join(unknown)}"
        )


@keras.saving.register_keras_serializable("zoo")
class Adam(keras.optimizers.Adam):
    """Keras's Adam, its variables and arguments, with each weight moved in one operation where Keras has some ten.

        m = β₁ m + (1 − β₁) g,   v = β₂ v + (1 − β₂) g²,   w = w − α √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)

    (Kingma & Ba 2015, section 2, at its end.) Numbers are Keras's to rounding, but for `global_clipnorm`, which bounds
    the gradient of all replicas together, where Keras clips what each has before it adds up. `amsgrad` is not there.

    Raises:
        ValueError: if `amsgrad` is asked for.

    Example:
        >>> model.compile(zoo.optimizers.Adam(1e-3))
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.amsgrad:
            raise ValueError("Expected `amsgrad` to be False. Received: amsgrad=True")

    def update_step(self, gradient, variable, learning_rate):
        dtype, number = variable.dtype, self._get_variable_index(variable)
        beta_1, beta_2 = tf.cast(self.beta_1, dtype), tf.cast(self.beta_2, dtype)
        step = tf.cast(self.iterations.value + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=self._momentums[number].value.handle, v=self._velocities[number].value.handle,
            beta1_power=tf.pow(beta_1, step), beta2_power=tf.pow(beta_2, step), lr=tf.cast(learning_rate, dtype),
            beta1=beta_1, beta2=beta_2, epsilon=tf.cast(self.epsilon, dtype), grad=tf.cast(gradient, dtype),
        )  # fmt: skip

    def _clip_gradients(self, gradients):
        if self.global_clipnorm is None or replicas.num_replicas() == 1:
            return super()._clip_gradients(gradients)
        known = [gradient for gradient in gradients if gradient is not None]
        norm = tf.linalg.global_norm([replicas.all_sum(gradient) for gradient in known])
        scale = self.global_clipnorm / tf.maximum(norm, self.global_clipnorm)
        return [None if gradient is None else scale * gradient for gradient in gradients]
