"""The FactorVAE."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from zoo import networks
from zoo._compat.tflite import softplus
from zoo.likelihoods import Likelihood
from zoo.models._critic import HasCritic
from zoo.models._elbo import Latents
from zoo.models._networks import latent_dim_of
from zoo.models.vae import VAE
from zoo.runtime import checks, replicas
from zoo.runtime.settings import Setting
from zoo.runtime.types import Config, Tensor, Tensors


@keras.saving.register_keras_serializable("zoo")
class FactorVAE(HasCritic, VAE):
    """A VAE that adds γ times the total correlation of its latents to the loss, estimated by a critic.

        loss = −log p(x|z) + w · ( KL( q(z|x) ‖ p(z) ) + γ · critic(z) )
        critic loss = −½ E log σ(critic(z)) − ½ E log(1 − σ(critic(z̄)))

    (Kim & Mnih 2018, "Disentangling by Factorising", eqs. (2) and (3), algorithm 2.) z̄ is the batch of z with each
    dimension permuted over the examples, a sample of Π_j q(z_j). critic(z), a logit, then estimates
    log q(z) − log Π_j q(z_j), whose mean is the total correlation. Deviation: z̄ is made from the batch that trains the
    model, not from a second one. `w` is `kl_weight`, 1 unless a callback changes it. `kl` and `elbo` are those of the
    VAE: they do not depend on w and γ.

    Args:
        encoder, decoder, likelihood, free_bits, seed, prior: as in `zoo.VAE`.
        gamma: float >= 0.
        critic: layer from `[B,D]` to `[B,1]`; None for `zoo.networks.mlp_critic(latent_dim)`.

    Reports:
        beside the terms of a VAE: `total_correlation`, critic(z), and in training `critic_loss`, nats. `critic_loss` is
        log 2 for a critic that cannot tell z from z̄.

    Raises:
        ValueError: for arguments out of range.

    Example:
        >>> model = zoo.FactorVAE(encoder, decoder, gamma=10.0)
        >>> model.compile("adam", critic_optimizer=keras.optimizers.Adam(1e-4, beta_1=0.5))
    """

    own_weights = ("gamma",)
    term_names = (*VAE.term_names, "total_correlation", "critic_loss")
    training_only = ("critic_loss",)
    gamma = Setting(checks.number, 0.0)
    critic = Setting(checks.instance, keras.layers.Layer, "a keras layer or model, or None for one of dense layers")

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        likelihood: str | Likelihood = "bernoulli",
        gamma: float = 10.0,
        critic: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, **kwargs)
        self.gamma = gamma
        self.critic = self._default_critic() if critic is None else critic
        if self.built:
            self._logits(keras.KerasTensor((None, self.latent_dim)))  # so that the critic has its weights

    def check_settings(self) -> None:
        super().check_settings()
        taken, latent_dim = getattr(self.critic, "input_shape", None), latent_dim_of(self.encoder)
        if taken is not None and latent_dim not in (None, taken[-1]):
            checks.fail("encoder", f"one to {taken[-1]} latents, as the critic takes", f"one to {latent_dim}")

    def _default_critic(self):
        if self._latent_dim is None:
            way = "a layer from [B,D] to [B,1], as the encoder does not tell D before it is called"
            checks.fail("critic", way, None)
        return networks.mlp_critic(self.latent_dim)

    def penalty_terms(self, latents: Latents) -> Tensors:
        estimate = self._logits(latents.z)
        penalty = self.penalty(latents) + self.gamma * estimate
        return {"penalty": penalty, "total_correlation": estimate, "z": latents.z}

    def critic_loss(self, terms: Tensors) -> Tensor:
        z = replicas.concat(ops.stop_gradient(terms["z"]))
        # A permutation for each dimension, the same on all replicas.
        uniform = tf.random.stateless_uniform(tf.shape(z), [0, self.sampling.row_seeds(1)[0]])
        permuted = tf.transpose(tf.gather(tf.transpose(z), tf.argsort(tf.transpose(uniform)), batch_dims=1))
        of_z, of_permuted = (self._logits(each, training=True) for each in (z, permuted))
        return 0.5 * ops.mean(softplus(-of_z) + softplus(of_permuted))

    def _logits(self, z, training=False):
        logits = ops.cast(self.critic(z, training=training), "float32")
        if len(logits.shape) != 2 or logits.shape[1] != 1:
            raise ValueError(f"Expected the critic to give [B, 1]. Received: an output of shape {tuple(logits.shape)}")
        return logits[:, 0]

    def get_config(self) -> Config:
        critic = keras.saving.serialize_keras_object(self.critic)
        return {**super().get_config(), "gamma": self.gamma, "critic": critic}
