"""A second network with an optimizer of its own, trained against the model."""

import keras
import tensorflow as tf

from zoo.fitting.model import ObjectiveModel
from zoo.runtime import replicas


class HasCritic(ObjectiveModel):
    """A model with `critic`, a network that each training step trains after the model itself.

    A model sets `self.critic` and defines `critic_loss`. The critic's weights are no part of the model's own training,
    and both optimizers are saved with it.
    """

    def critic_loss(self, terms):
        """The critic's objective, a scalar, from the terms of `compute_terms`, the same on every replica."""
        raise NotImplementedError

    def apart(self):
        return (*super().apart(), self.critic)

    def compile(self, optimizer="adam", loss=None, *, critic_optimizer=None, **kwargs):
        """As `zoo.VAE.compile`.

        Args:
            optimizer: of the model.
            critic_optimizer: of the critic; None for Adam with a learning rate of 1e-4, β₁ = 0.5 and β₂ = 0.9 (Kim &
                Mnih 2018, appendix A).
        """
        super().compile(optimizer, loss, **kwargs)
        if critic_optimizer is None:
            critic_optimizer = keras.optimizers.Adam(1e-4, beta_1=0.5, beta_2=0.9)
        self.critic_optimizer = keras.optimizers.get(critic_optimizer)

    def get_compile_config(self):
        config = super().get_compile_config()
        if config is None or not self.compiled:
            return config
        return {**config, "critic_optimizer": keras.saving.serialize_keras_object(self.critic_optimizer)}

    def optimizers(self):
        return [*super().optimizers(), self.critic_optimizer]

    def build_optimizers(self):
        super().build_optimizers()
        self.critic_optimizer.build(self.critic.trainable_variables)

    def after_step(self, terms):
        variables = self.critic.trainable_variables
        with tf.GradientTape() as tape:
            loss = self.critic_loss(terms)
            # Every replica computes the whole, and Keras adds up their gradients.
            share = loss / replicas.num_replicas()
        self.critic_optimizer.apply_gradients(zip(tape.gradient(share, variables), variables))
        return {"critic_loss": loss}
