"""How a VAE runs its networks, and the terms of its loss, a negative ELBO with a weight on the KL."""

import functools
from typing import Any, Literal, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from zoo import callbacks, distributions, layers, likelihoods
from zoo.fitting.model import ObjectiveModel
from zoo.models._automatic import automatic_likelihood, unmasked
from zoo.models._networks import network, warn_of_activation
from zoo.models._prior import HoldsApart
from zoo.models._sub_batched import sub_batched
from zoo.runtime import checks, optimizers
from zoo.runtime.settings import Setting
from zoo.runtime.types import Config, Tensor, Tensors


class NetworksVAE(HoldsApart, ObjectiveModel):
    """Holds the encoder, the decoder and the likelihood of a VAE, and runs them.

    Args:
        encoder, decoder: keras layers or models of one input each.
        likelihood: a `zoo.likelihoods.Likelihood`.
    """

    encoder = Setting(network)
    decoder = Setting(network)
    likelihood = Setting(lambda _, value: likelihoods.get(value))

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        likelihood: likelihoods.Likelihood,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.exchanged("likelihood")
        # All other weights are made at construction: a model of built networks needs no first call.
        self.built = encoder.built and decoder.built

    def exchanged(self, name: str) -> None:
        super().exchanged(name)
        if name in ("decoder", "likelihood") and self.likelihood.unbounded:
            warn_of_activation(self.decoder, self.likelihood)

    def run_network(self, name: str, x: Tensor, training: bool = False) -> Any:
        """Calls the network `name`, "encoder" or "decoder".

        Raises:
            ValueError: if the network cannot take the input; the message names the network and the input's shape.
        """
        network = self.network_for(name, x)
        try:
            output = network(x, training=training)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            shape = tuple(getattr(x, "shape", ()))
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"Expected the {name} to take an input of shape {shape}. Received from it: {type(error).__name__}: "
                f"{reason}"
            ) from error
        self.note_added(network)
        return output

    def network_for(self, name: str, x: Tensor) -> keras.layers.Layer:
        """The network `name`, in the form that takes `x`."""
        return getattr(self, name)

    @sub_batched
    def run_encoder(self, x: Tensor, training: bool = False) -> Any:
        """The encoder's output: a tensor, or several."""
        return self.run_network("encoder", x, training)

    @sub_batched
    def likelihood_params(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The decoder's output for its inputs, float32 `[B,H,W,params_size]`."""
        params = self.run_network("decoder", inputs, training)
        if isinstance(params, (list, tuple, dict)):
            checks.fail("decoder", "a network of one output", f"one of {len(params)} outputs")
        return ops.cast(params, "float32")

    @functools.partial(sub_batched, judges=True)
    def log_likelihood(self, x: Tensor, inputs: Tensor, training: bool = False) -> Tensor:
        """log p(x|z), where `inputs` are the decoder's inputs for z: float32 `[B]`, nats."""
        return self.judge(x, self.likelihood_params(inputs, training=training), training)

    def judge(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        """log p(x|z) of the decoder's output: float32 `[B]`, nats.

        Raises:
            ValueError: if the output does not fit the likelihood and the data, or the likelihood does not give a number
                for each example; they might otherwise be broadcast.
        """
        self.likelihood.check_params(tuple(x.shape[1:]), tuple(params.shape[1:]))
        log_prob = self.likelihood.log_prob(x, params, training=training)
        checks.per_example(f"log_prob of {type(self.likelihood).__name__}", log_prob, x.shape[0])
        return log_prob


class Latents(NamedTuple):
    """The posterior of a batch and a sample of it.

    Attributes:
        mean, log_var, z: float32 `[B,D]`.
        kl: float32 `[B,G]`, nats, from `zoo.priors.LatentPrior.kl`; the sum over G is KL( q(z|x) ‖ p(z) ).
    """

    mean: Tensor
    log_var: Tensor
    z: Tensor
    kl: Tensor


class ElboVAE(NetworksVAE):
    """The objective of a `BaseVAE` with a reparameterised posterior.

        loss = −log p(x|z) + w · penalty,   elbo = log p(x|z) − KL

    The penalty is the KL unless a model overrides it. `w` is `kl_weight`, 1 unless a callback such as
    `zoo.callbacks.KLWarmup` changes it. `elbo` depends on neither.

    Args:
        encoder, decoder: keras layers or models. The model's own docstring states their inputs and outputs.
        likelihood: a `zoo.likelihoods.Likelihood` or its name.
        free_bits: float >= 0, nats. The loss does not reward a KL below it.
        seed: int or None, of the noise in training.
        kl_weight: None or "auto"; see `automatic_likelihood`. The argument is kept as `kl_weight_rule`, as the
            attribute `kl_weight` is the weight in force.
    """

    term_names: tuple[str, ...] = ("loss", "reconstruction", "kl", "elbo")
    own_weights: tuple[str, ...] = ()  # arguments that weigh parts of the KL, for a model that has them
    free_bits = Setting(checks.number, 0.0)
    seed = Setting(checks.seed, fixed=True)

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        likelihood: str | likelihoods.Likelihood,
        free_bits: float,
        seed: int | None,
        kl_weight: Literal["auto"] | None = None,
        **kwargs: Any,
    ) -> None:
        if kl_weight is not None:
            self._check_automatic(kl_weight)
            likelihood = automatic_likelihood(likelihood)
        super().__init__(encoder, decoder, likelihoods.get(likelihood), **kwargs)
        self.kl_weight_rule = kl_weight
        self.free_bits = free_bits
        self.seed = seed
        self.sampling = layers.Sampling(seed, dtype="float32")
        self.kl_weight = self.add_weight(
            name="kl_weight", shape=(), dtype="float32", initializer="ones", trainable=False,
            aggregation="only_first_replica",
        )  # fmt: skip

    def exchanged(self, name: str) -> None:
        super().exchanged(name)
        if self.likelihood.eight_bit:
            self.trackers.setdefault("bits_per_dim", keras.metrics.Mean(name="bits_per_dim"))

    def check_settings(self) -> None:
        if self.kl_weight_rule:
            automatic_likelihood(self.likelihood)
        checks.number("kl_weight", float(self.kl_weight.value.numpy()), 0.0)

    def terms_of(self, x: Tensor, log_likelihood: Tensor, kl: Tensor, penalty: Tensor | float) -> Tensors:
        """Computes the terms of the objective from log p(x|z), the KL and the penalty: `[B]`, nats."""
        reconstruction = -log_likelihood
        elbo = log_likelihood - kl
        terms = {
            "loss": reconstruction + self.kl_weight * penalty,
            "reconstruction": reconstruction,
            "kl": kl,
            "elbo": elbo,
        }
        if self.likelihood.eight_bit:
            terms["bits_per_dim"] = distributions.bits_per_dim(elbo, x.shape[1:])
        return terms

    def own_callbacks(self) -> list[keras.callbacks.Callback]:
        """A warm-up of w with `kl_weight="auto"` and a Bernoulli, until w has reached 1.

        A Gaussian's scale begins wide and narrows, which is a warm-up by itself. A probability has no scale, and
        latents that are of no use yet would be given up.
        """
        if not self.kl_weight_rule or not isinstance(unmasked(self.likelihood), likelihoods.Bernoulli):
            return []
        begun = self.compiled and optimizers.steps_taken(self.optimizer) > 0
        return [] if begun and float(self.kl_weight.value.numpy()) == 1.0 else [callbacks.KLWarmup()]

    def get_config(self) -> Config:
        settings = {"free_bits": self.free_bits, "seed": self.seed, "kl_weight": self.kl_weight_rule}
        return {**super().get_config(), **settings}

    def _check_automatic(self, kl_weight):
        if kl_weight != "auto":
            checks.fail("kl_weight", "None or 'auto'; a constant weight is the `beta` of a zoo.BetaVAE", kl_weight)
        if self.own_weights:
            names = ", ".join(self.own_weights)
            checks.fail("kl_weight", f"None in a {type(self).__name__}, which has weights of its own: {names}", "auto")
