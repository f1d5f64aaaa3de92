"""A second network, the critic, which is trained against the model by its own optimizer."""

from typing import Any

import keras
import tensorflow as tf

from zoo._compat import keras as keras_compat
from zoo.fitting.gradients import only_finite
from zoo.fitting.model import ObjectiveModel
from zoo.runtime import checks, optimizers, replicas
from zoo.runtime.types import Config, Tensor, Tensors


class HasCritic(ObjectiveModel):
    """A model with `critic`, a network that each training step trains after the model itself.

    A model sets `self.critic` and defines `critic_loss`, or `critic_share` where each replica judges its own examples.
    The model's own optimizer does not train the critic's weights. Both optimizers are saved with the model.
    """

    critic: keras.layers.Layer

    def critic_loss(self, terms: Tensors) -> Tensor:
        """The critic's objective, from the terms of `compute_terms`: a scalar, the same on every replica."""
        raise NotImplementedError

    def critic_share(self, terms: Tensors) -> Tensor:
        """This replica's term of the critic's objective: Keras adds up the gradients of all replicas."""
        return self.critic_loss(terms) / replicas.num_replicas()

    def apart(self) -> tuple[keras.layers.Layer, ...]:
        return (*super().apart(), self.critic)

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        loss: None = None,
        loss_weights: None = None,
        skip_threshold: float | None = None,
        *,
        critic_optimizer: str | keras.optimizers.Optimizer | None = None,
        **kwargs: Any,
    ) -> None:
        """As `zoo.VAE.compile`.

        Args:
            optimizer: of the model.
            critic_optimizer: of the critic; None for Adam with a learning rate of 1e-4, β₁ = 0.5 and β₂ = 0.9 (Kim &
                Mnih 2018, appendix A).
        """
        super().compile(optimizer, loss, loss_weights, skip_threshold, **kwargs)
        if critic_optimizer is None:
            critic_optimizer = keras.optimizers.Adam(1e-4, beta_1=0.5, beta_2=0.9)
        made: keras.optimizers.Optimizer = keras.optimizers.get(critic_optimizer)
        if optimizers.averages_weights(made):
            checks.fail("critic_optimizer", "one without averages, which nothing would use", "use_ema=True")
        replicas.require_supported(self.critic.variables, optimizers.batches_of_update(made))
        self.critic_optimizer = made

    def get_compile_config(self) -> Config | None:
        config = super().get_compile_config()
        if config is None or not self.compiled:
            return config
        return {**config, "critic_optimizer": keras.saving.serialize_keras_object(self.critic_optimizer)}

    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        return [*super().optimizers(), self.critic_optimizer]

    def build_optimizers(self) -> None:
        super().build_optimizers()
        self.critic_optimizer.build(self.critic.trainable_variables)

    def make_train_function(self, force: bool = False) -> None:
        optimizers.require_built_for(self.critic_optimizer, self.critic.trainable_variables)
        super().make_train_function(force)

    def after_step(self, terms: Tensors) -> Tensors:
        variables = self.critic.trainable_variables
        with tf.GradientTape() as tape:
            penalties = [weight.regularizer(weight) for weight in variables if weight.regularizer]
            share = self.critic_share(terms)
            if keras_compat.losses_of_call(self.critic):
                checks.fail("critic", "a network whose layers add no losses, such as activity regularizers", "some")
            penalised = share + sum(penalties, 0.0) / replicas.num_replicas()
            scaled = self.critic_optimizer.scale_loss(penalised)
        if variables:  # else it is frozen as a whole
            gradients = tape.gradient(scaled, variables)
            if self.gradient_policy is not None:
                gradients = only_finite(gradients, self.critic_optimizer)
            self.critic_optimizer.apply_gradients(zip(gradients, variables))
        return {"critic_loss": share * replicas.num_replicas()}
