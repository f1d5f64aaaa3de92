"""The networks of a VAE: encoder, decoder and likelihood, and their calls."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import keras
import tensorflow as tf
from keras import ops

from zoo.fitting.model import ObjectiveModel
from zoo.likelihoods import Likelihood
from zoo.models._activation import warn_of_activation
from zoo.models._prior import HoldsApart
from zoo.runtime import checks, cores
from zoo.runtime.types import Tensor

Method = TypeVar("Method", bound=Callable[..., object])


def sub_batched(method: Method) -> Method:
    """Wraps a method of examples: it runs in sub-batches side by side if `zoo.cores.sub_batches` says so.

    The batch stays whole when training layers that depend on all of it: layers that keep batch statistics, a likelihood
    whose scale follows the batch, and layers that add a loss, which may be a sum or a mean over their examples.
    """

    @functools.wraps(method)
    def call(self, *values, training=False):
        number = len(self.added or ())

        def whole():
            added = len(self.added or ()) > number
            if added:
                del self.added[number:]
            return added

        function = functools.partial(method, self, training=training)
        networks = (self.encoder, self.decoder, self.likelihood)
        if training and any(network.non_trainable_weights for network in networks):
            return function(*values)
        return cores.spread(function, *values, whole=whole)

    return cast(Method, call)


class NetworksVAE(HoldsApart, ObjectiveModel):
    """Holds the encoder, the decoder and the likelihood of a VAE, and runs them.

    Args:
        encoder, decoder: keras layers or models of one input each.
        likelihood: a `zoo.likelihoods.Likelihood`.
    """

    def __init__(
        self, encoder: keras.layers.Layer, decoder: keras.layers.Layer, likelihood: Likelihood, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, network in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(network, keras.layers.Layer):
                checks.fail(name, "a keras layer or model", network)
            shape = getattr(network, "input_shape", None)
            if isinstance(shape, (list, dict)):
                checks.fail(name, "a network of one input", f"one of {len(shape)} inputs")
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        if likelihood.unbounded:
            warn_of_activation(decoder, likelihood)
        # All other weights are made at construction: a model of built networks needs no first call.
        self.built = encoder.built and decoder.built

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
        return ops.cast(self.run_network("decoder", inputs, training), "float32")

    @sub_batched
    def log_likelihood(self, x: Tensor, inputs: Tensor, training: bool = False) -> Tensor:
        """log p(x|z), where `inputs` are the decoder's inputs for z: float32 `[B]`, nats."""
        return self.judge(x, self.likelihood_params(inputs, training=training), training)

    def judge(self, x: Tensor, params: Tensor, training: bool = False) -> Tensor:
        """log p(x|z) of the decoder's output: float32 `[B]`, nats.

        Raises:
            ValueError: if the output does not fit the likelihood and the data; it might otherwise be broadcast.
        """
        self.likelihood.check_params(tuple(x.shape[1:]), tuple(params.shape[1:]))
        return self.likelihood.log_prob(x, params, training=training)
